//! Whether there is a Node of this agent's name. An agent with a wrong one judges no pod, and nothing else tells.

use std::sync::atomic::Ordering;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

use super::{Feed, Health};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions while it is not known which pods there are, before jitter.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// Between two questions, before jitter.
const PAUSE: Duration = Duration::from_secs(10);
/// Until somebody may have granted the right to ask, before jitter.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// Asks until there is one, or a pod that is on it; returns then. What the API says is shown in `health`.
pub(super) async fn look(client: Client, feed: &Feed, health: &Health) {
    let node = &*feed.node;
    loop {
        let pause = match timeout(LIMIT, exists(client.clone(), node)).await {
            _ if feed.has_pods.load(Ordering::Relaxed) => return found(node, health),
            Ok(Ok(true)) => return found(node, health),
            Ok(Ok(false)) if !feed.is_synced() => SHORT_PAUSE,
            Ok(Ok(false)) => {
                missing(node, health);
                PAUSE
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                tracing::info!(node, "not known whether there is such a Node: no right to get nodes");
                LONG_PAUSE
            }
            Ok(Err(error)) => {
                tracing::debug!(node, %error, "not known whether there is such a Node");
                PAUSE
            }
            Err(_) => PAUSE,
        };
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

fn found(node: &str, health: &Health) {
    if health.no_such_node() {
        tracing::info!(node, "there is such a Node now, or a pod on it");
    }
    health.node_is_missing(false);
}

fn missing(node: &str, health: &Health) {
    if !health.no_such_node() {
        tracing::error!(node, "the API has no such Node, and no pod is on it, so none is judged here: see --node-name");
    }
    health.node_is_missing(true);
}

/// Whether the API has a Node of this name.
///
/// # Errors
/// Where it does not say.
pub async fn exists(client: Client, node: &str) -> kube::Result<bool> {
    match Api::<Node>::all(client).get_metadata(node).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

//! Whether there is a Node of this agent's name. An agent with a wrong one judges no pod, and nothing else tells.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

use super::Health;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions, before jitter.
const PAUSE: Duration = Duration::from_secs(10);
/// Until somebody may have granted the right to ask, before jitter.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// Asks until the API says that there is one; returns then. What it says is shown in `health`.
pub(super) async fn look(client: Client, node: &str, health: &Health) {
    loop {
        let pause = match timeout(LIMIT, exists(client.clone(), node)).await {
            Ok(Ok(true)) => {
                if health.no_such_node() {
                    tracing::info!(node, "the API has this Node now");
                }
                return health.node_is_missing(false);
            }
            Ok(Ok(false)) => {
                if !health.no_such_node() {
                    tracing::error!(node, "the API has no such Node, so no pod is judged here: see --node-name");
                }
                health.node_is_missing(true);
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

//! The Node of this agent's name: whether there is one, for an agent with a wrong name judges no pod, and nothing else tells;
//! and which addresses it has for its pods.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use kube::core::Request;
use kube::{Api, Client};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::{Feed, Health};
use crate::convert;
use crate::input::Input;
use crate::objects;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions while it is not known which pods there are, before jitter.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// Between two questions, before jitter.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is asked soon again whether a new Node has been given networks, and how often later, before jitter.
const SHORT_PAUSES: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
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
            Ok(Err(failure)) if failure.is_forbidden() => {
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
pub async fn exists(client: Client, node: &str) -> Result<bool, Failure> {
    match Api::<Node>::all(client).get_metadata(node).await.map_err(Failure::from) {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_not_found() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Asks for the networks that the Node has for its pods until it has some, which then do not change as long as there is that
/// Node. That it has none is told, too, so that nobody waits for them; it may be given them later.
pub async fn tell_pod_range(client: Client, node: String, inputs: UnboundedSender<Input>) {
    let mut told = false;
    let mut soon = SHORT_PAUSES;
    loop {
        let pause = match timeout(LIMIT, pod_range(client.clone(), &node)).await {
            Ok(Ok(networks)) if networks.is_empty() => {
                tell_none(&inputs, &mut told, &node, "the Node has no podCIDRs");
                pause_after_none(&mut soon)
            }
            Ok(Ok(networks)) => {
                tracing::info!(node, ?networks, "guards the pod range");
                // An agent that no longer listens is stopping.
                let _ = inputs.send(Input::PodRange(networks));
                return;
            }
            Ok(Err(failure)) if failure.is_forbidden() || failure.is_not_found() => {
                tell_none(&inputs, &mut told, &node, &failure.to_string());
                pause_after_none(&mut soon)
            }
            Ok(Err(error)) => {
                tracing::debug!(node, %error, "the Node's podCIDRs are not known yet");
                SHORT_PAUSE
            }
            Err(_) => SHORT_PAUSE,
        };
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// A new Node is given its networks within seconds.
fn pause_after_none(soon: &mut u32) -> Duration {
    let pause = if *soon > 0 { SHORT_PAUSE } else { MINUTE };
    *soon = soon.saturating_sub(1);
    pause
}

fn tell_none(inputs: &UnboundedSender<Input>, told: &mut bool, node: &str, why: &str) {
    if !std::mem::replace(told, true) {
        tracing::error!(node, why, "the pod range is not guarded: pods are open until the API shows their addresses");
        let _ = inputs.send(Input::PodRange(Vec::new()));
    }
}

/// The networks that the Node has for its pods; none where it has not been given any, or none that are understood.
///
/// # Errors
/// Where the API does not say.
pub async fn pod_range(client: Client, node: &str) -> Result<Vec<IpNet>, Failure> {
    let request = Request::new("/api/v1/nodes").get(node, &kube::api::GetParams::default());
    let node: objects::Node = client.request(request.map_err(kube::Error::BuildRequest)?).await?;
    let (networks, problems) = convert::pod_range(&node);
    problems.iter().for_each(|problem| tracing::error!(%problem, "not understood of the Node: left out"));
    Ok(networks)
}

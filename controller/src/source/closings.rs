//! Warning Events on the policies for whose cost a namespace is closed.
//!
//! The agent knows no policy's uid: it is looked up where it is needed, which is rare, with the right to list policies.

use std::time::Duration;

use k8s_openapi::Resource;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use kube::{Api, Client};
use palisade_model::NamespacedName;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::events::{Recorder, Warning, recorder};
use crate::shares::ClosedNamespace;

/// Of a closed namespace so many policies get an Event.
const POLICIES: usize = 3;
/// Up to this long each node waits, so that not all of a large cluster's ask at once.
const SPREAD: Duration = Duration::from_secs(10);
/// Between two closed namespaces.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long looking up one may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Has Events written of what `closings` brings, until nobody sends any more. What fails is only logged.
pub async fn tell(client: Client, node: String, closings: Receiver<ClosedNamespace>) {
    let (recorder, recording) = recorder(client.clone(), node);
    tokio::join!(look_up(client, recorder, closings), recording);
}

async fn look_up(client: Client, recorder: Recorder, mut closings: Receiver<ClosedNamespace>) {
    while let Some(closed) = closings.recv().await {
        sleep(SPREAD.mul_f64(fastrand::f64())).await;
        for policy in closed.policies.iter().take(POLICIES) {
            let failure = match timeout(LIMIT, version(&client, &closed.namespace, policy)).await {
                Ok(Ok(Some((uid, generation)))) => {
                    recorder.report(warning(&closed, policy, uid, generation));
                    continue;
                }
                Ok(Ok(None)) => "it is gone".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the API server does not answer".to_owned(),
            };
            tracing::debug!(namespace = closed.namespace, policy, failure, "no event on a closed namespace's policy");
        }
        sleep(INTERVAL).await;
    }
}

/// Its uid and generation; `None` where it is gone.
async fn version(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<(String, i64)>> {
    let policies = Api::<NetworkPolicy>::namespaced(client.clone(), namespace);
    let this = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = policies.list_metadata(&this).await?.items.into_iter().next();
    Ok(found.and_then(|found| Some((found.metadata.uid?, found.metadata.generation.unwrap_or_default()))))
}

fn warning(closed: &ClosedNamespace, policy: &str, uid: String, generation: i64) -> Warning {
    let note = format!(
        "Namespace {} is closed on this node and perhaps on others: {}. Until it fits, its isolated pods reach, and are \
         reached by, themselves and their node alone. This is one of its most expensive policies.",
        closed.namespace,
        closed.costs()
    );
    let policy = NamespacedName::new(&*closed.namespace, policy);
    let (kind, api_version) = (NetworkPolicy::KIND, NetworkPolicy::API_VERSION);
    let (reason, action) = ("NamespaceClosed", "Close");
    Warning { kind, api_version, policy, uid, generation, reason, action, note, differs_by_node: true }
}

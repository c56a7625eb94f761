//! Whether there are policies of an earlier version of the API, which are not enforced. Said once.

use std::time::Duration;

use kube::Client;
use tokio::time::sleep;

use super::{Feed, Health, discovery};

/// Until the lists have come: they matter more.
const SHORT_PAUSE: Duration = Duration::from_secs(5);
/// Between two questions, before jitter.
const PAUSE: Duration = Duration::from_secs(600);

/// Asks for ever. What the API says is shown in `health`.
pub(super) async fn look(client: Client, feed: &Feed, health: &Health) {
    while !feed.is_synced() {
        sleep(SHORT_PAUSE).await;
    }
    let mut said = false;
    loop {
        match discovery::ask(&client).await {
            Ok(served) => {
                if served.outdated && !std::mem::replace(&mut said, true) {
                    tracing::warn!(
                        "the API server has AdminNetworkPolicies and BaselineAdminNetworkPolicies \
                         (policy.networking.k8s.io/v1alpha1), which are not enforced: use ClusterNetworkPolicy"
                    );
                }
                health.has_outdated_policies(served.outdated);
            }
            Err(error) => tracing::debug!(%error, "not known whether there are AdminNetworkPolicies"),
        }
        sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
    }
}

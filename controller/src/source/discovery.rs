//! What an API server has of the group policy.networking.k8s.io.

use kube::Client;

use super::failure::Failure;
use super::watch::answer;

const GROUP: &str = "policy.networking.k8s.io";
const RESOURCE: &str = "clusternetworkpolicies";
/// The version that is watched.
const VERSION: &str = "v1alpha2";
/// The one with AdminNetworkPolicy and BaselineAdminNetworkPolicy.
const OUTDATED: &str = "v1alpha1";

/// In which versions something is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Versions that have ClusterNetworkPolicies.
    pub(super) versions: Vec<String>,
    /// Whether there are AdminNetworkPolicies or BaselineAdminNetworkPolicies, which nobody enforces.
    pub(super) outdated: bool,
}

impl Served {
    /// Whether the version that is watched is among them.
    pub(super) fn is_ours(&self) -> bool {
        self.versions.iter().any(|version| version == VERSION)
    }
}

/// Asks.
pub(super) async fn ask(client: &Client) -> Result<Served, Failure> {
    let groups = answer(client.list_api_groups()).await?;
    let Some(group) = groups.groups.into_iter().find(|group| group.name == GROUP) else { return Ok(Served::default()) };
    let mut served = Served::default();
    for version in group.versions {
        let resources = answer(client.list_api_group_resources(&version.group_version)).await?;
        if resources.resources.iter().any(|resource| resource.name == RESOURCE) {
            served.versions.push(version.version.clone());
        }
        served.outdated |= version.version == OUTDATED && !resources.resources.is_empty();
    }
    Ok(served)
}

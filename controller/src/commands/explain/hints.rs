//! What one may want to know besides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use palisade_model::reference::{Cluster, TierVerdict};

use crate::text::some_of;

/// What one may want to know of the two ends of a connection.
pub(super) fn hints(cluster: &Cluster, source: IpAddr, destination: IpAddr) -> Vec<String> {
    let ends = [source, destination].map(|address| cluster.owner(address));
    let namespaces: BTreeSet<_> = ends.iter().flatten().map(|pod| &pod.id.namespace).collect();
    let missing = namespaces.into_iter().filter(|name| !cluster.namespaces.contains_key(*name));
    let no_namespace =
        |name| format!("there is no object for Namespace {name}: no namespaceSelector matches its pods, not even {{}}");
    let is_a_nodes = |address| cluster.pods.values().any(|pod| pod.host_ips.contains(&address));
    let no_pods = (ends[0].is_none() && !is_a_nodes(source)).then(|| {
        format!("no pod can send from {source}, which is no pod's address: its node's guard would drop it as forged")
    });
    let a_service = (ends[1].is_none() && !is_a_nodes(destination)).then(|| {
        format!(
            "{destination} is no pod's address. Where it is a Service's, policies see the pod behind it instead: \
             ask about that pod and its port, or about svc/NAMESPACE/NAME"
        )
    });
    let shared = BTreeSet::from([source, destination]).into_iter().filter_map(|address| several(cluster, address));
    missing.map(no_namespace).chain(no_pods).chain(a_service).chain(shared).collect()
}

/// Policies of a tier that are asked in the order of their names.
pub(super) fn tied(cluster: &Cluster, tier: &TierVerdict) -> Vec<String> {
    let mut by_priority = BTreeMap::<u16, Vec<String>>::new();
    for policy in tier.policies.iter().filter_map(|name| cluster.cluster_policies.get(name)) {
        by_priority.entry(policy.priority).or_default().push(policy.name.to_string());
    }
    let groups = by_priority.into_values().filter(|policies| policies.len() > 1);
    groups
        .map(|policies| {
            let names = some_of(&policies, 5, 63, " and ");
            format!("{names} have one priority in tier {}: they are asked in the order of their names", tier.tier)
        })
        .collect()
}

/// Several live pods claim the address.
fn several(cluster: &Cluster, address: IpAddr) -> Option<String> {
    let owner = cluster.owner(address)?;
    let live = cluster.claimants(address).filter(|pod| !pod.terminating && pod.id != owner.id);
    let others: Vec<String> = live.map(|pod| pod.id.to_string()).collect();
    (!others.is_empty()).then(|| {
        let others = some_of(&others, 3, 500, ", ");
        format!("{address} is claimed by {others}, too: it is taken to be {}'s, which was given it last", owner.id)
    })
}

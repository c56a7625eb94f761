//! By what rules name a pod: labels that its workload keeps.

use std::net::IpAddr;
use std::sync::Arc;

use super::Obstacle;
use crate::reference::Cluster;
use crate::stable::{is_of_release, is_stable, rank};
use crate::{
    ClusterPeer, ClusterPeers, IpBlock, NAME_LABEL, NamespaceScope, Peer, Pod, PodGroup, PortMatch, PortRange, Ports,
    Requirement, Selector, Traffic,
};

/// The fewest labels that a workload keeps which select no more pods of the namespace than all of these do.
pub(super) fn selector(cluster: &Cluster, pod: &Pod) -> Selector {
    let mut labels: Vec<Requirement> = pod
        .labels
        .iter()
        .filter(|(key, _)| is_stable(key) && !is_of_release(key))
        .filter_map(|(key, value)| Requirement::new(key.clone(), "In", [value.clone()]).ok())
        .collect();
    labels.sort_by_key(|label| rank(label.key()));
    let all: Selector = labels.iter().cloned().collect();
    let least = selected(cluster, &pod.id.namespace, &all);
    let is_enough = |selector: &Selector| selected(cluster, &pod.id.namespace, selector) == least;
    let singles = labels.iter().map(|one| Selector::from_iter([one.clone()]));
    let pairs = labels.iter().enumerate().flat_map(|(at, one)| {
        labels.iter().skip(at + 1).map(move |other| Selector::from_iter([one.clone(), other.clone()]))
    });
    singles.chain(pairs).find(is_enough).unwrap_or(all)
}

/// How many pods of a namespace a selector matches.
pub(super) fn selected(cluster: &Cluster, namespace: &str, selector: &Selector) -> usize {
    let of = |pod: &&Pod| *pod.id.namespace == *namespace && selector.matches(&pod.labels);
    cluster.pods.values().filter(of).count()
}

/// Pods of the workload, as a rule of a cluster policy names them.
///
/// # Errors
/// That no rule can name their namespace.
pub(super) fn anywhere(cluster: &Cluster, pod: &Pod) -> Result<PodGroup, Obstacle> {
    let name = &pod.id.namespace;
    let is_named = cluster.namespaces.get(name).is_some_and(|known| known.labels.get(NAME_LABEL) == Some(name));
    let named = is_named.then(|| Requirement::new(NAME_LABEL, "In", [name.clone()]).ok()).flatten();
    let named = named.ok_or_else(|| Obstacle::UnknownNamespace(name.clone()))?;
    let namespaces = NamespaceScope::Matching(Selector::from_iter([named]));
    Ok(PodGroup { namespaces, pods: selector(cluster, pod) })
}

/// The peer, as a rule of a policy in `namespace` names it.
///
/// # Errors
/// That none can.
pub(super) fn peer(cluster: &Cluster, namespace: &Arc<str>, address: IpAddr) -> Result<Peer, Obstacle> {
    Ok(match cluster.owner(address) {
        Some(pod) if pod.id.namespace == *namespace => {
            Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(namespace.clone()), pods: selector(cluster, pod) })
        }
        Some(pod) => Peer::Pods(anywhere(cluster, pod)?),
        None => Peer::Block(host(address)?),
    })
}

/// The peer, as a rule of a cluster policy names it.
///
/// # Errors
/// That none can.
pub(super) fn cluster_peer(cluster: &Cluster, address: IpAddr) -> Result<ClusterPeers, Obstacle> {
    let peer = match cluster.owner(address) {
        Some(pod) => ClusterPeer::Pods(anywhere(cluster, pod)?),
        None => ClusterPeer::Network(host(address)?),
    };
    Ok(ClusterPeers::AnyOf(vec![peer]))
}

/// The block of one address.
pub(super) fn host(address: IpAddr) -> Result<IpBlock, Obstacle> {
    IpBlock::new(address.into(), []).map_err(|_| Obstacle::NotTold(address))
}

/// The ports of a rule for that alone; for what has no ports all of them.
pub(super) fn ports(traffic: Traffic) -> Ports {
    match traffic {
        Traffic::Port { protocol, port } => {
            Ports::AnyOf(vec![PortMatch::Numbers { protocol, ports: PortRange::single(port) }])
        }
        Traffic::Other(_) => Ports::All,
    }
}

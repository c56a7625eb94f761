//! Random clusters and changes, and a reader of the index's output, for the tests of this and other crates.
//!
//! The clusters are small and crowded: few names, labels, addresses and ports, so that objects meet. Those of
//! [`workload`] are as large as asked for.

mod output;
mod strategies;
pub mod workload;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub use output::Output;
pub use strategies::{
    change, changes, cluster_policy, kubernetes_node, many_rules, namespace, node, pod, policy, shares,
};

use crate::reference::{Cluster, DirectionVerdict, Flow, Pass, Traffic};
use crate::{Age, Change, ContainerPort, Labels, NamespacedName, Phase, Pod, Policy, PortMatch, Ports, Protocol, Rule};

/// The node whose pods are local, in all generated clusters.
pub const NODE: &str = "node-1";

/// A pod at these addresses that has nothing else for policy to look at: no labels, no node, no ports.
pub fn bare_pod(id: NamespacedName, ips: impl IntoIterator<Item = IpAddr>) -> Pod {
    Pod {
        id,
        uid: None,
        labels: Labels::default(),
        node: None,
        ips: ips.into_iter().collect(),
        host_ips: Vec::new(),
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age::default(),
        ports: Vec::new(),
    }
}

/// The changes that lead to `cluster`: first those that lead to deleted pods.
pub fn objects(cluster: &Cluster) -> impl Iterator<Item = Change> {
    let deleted = cluster.lingering.iter().flat_map(|lingering| lingering.pods.values());
    let deleted = deleted.flat_map(|pod| [Change::Pod(pod.clone()), Change::PodGone(pod.id.clone())]);
    let namespaces = cluster.namespaces.values().cloned().map(Change::Namespace);
    let pods = cluster.pods.values().cloned().map(Change::Pod);
    let nodes = cluster.nodes.values().cloned().map(Change::Node);
    let policies = cluster.policies.values().cloned().map(Change::Policy);
    let cluster_policies = cluster.cluster_policies.values().cloned().map(Change::ClusterPolicy);
    deleted.chain(namespaces).chain(nodes).chain(pods).chain(policies).chain(cluster_policies)
}

/// The same cluster without the policies that only watch.
pub fn without_audited(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.policies.retain(|_, policy| !policy.is_audited());
    cluster.cluster_policies.retain(|_, policy| !policy.is_audited());
    cluster
}

/// Flows between all addresses of a cluster and some outside it, at the ports where verdicts may differ: the bounds of
/// all ranges, their neighbours, and declared ports.
pub fn flows(cluster: &Cluster) -> Vec<Flow> {
    let of_pods = cluster.pods.values().flat_map(|pod| pod.ips.iter().copied());
    let outside = ["10.0.0.99", "172.16.0.1", "fd00::99"].map(|ip| ip.parse().expect("an address"));
    let of_deleted = cluster.lingering.iter().flat_map(|lingering| lingering.pods.keys().copied());
    let of_sandboxes = cluster.sandboxes.values().flat_map(|sandbox| sandbox.addresses.iter().copied());
    let of_nodes = cluster.nodes.values().flat_map(|node| node.addresses.iter().copied());
    let of_hosts = cluster.pods.values().flat_map(|pod| pod.host_ips.iter().copied());
    let addresses: BTreeSet<IpAddr> =
        of_pods.chain(of_deleted).chain(of_sandboxes).chain(of_nodes).chain(of_hosts).chain(outside).collect();
    let traffic = traffic(cluster);
    let pairs = addresses.iter().flat_map(|a| addresses.iter().map(move |b| (*a, *b)));
    let pairs = pairs.filter(|(a, b)| a.is_ipv4() == b.is_ipv4());
    pairs
        .flat_map(|(source, destination)| {
            traffic.iter().map(move |traffic| Flow { source, destination, traffic: *traffic })
        })
        .collect()
}

/// Whether the node [`NODE`] lets a flow pass, by the reference verdict: it judges for its own pods alone. `None` for flows
/// that it never forwards.
pub fn passes(cluster: &Cluster, flow: &Flow) -> Option<bool> {
    let verdict = cluster.verdict(flow);
    let lets_pass = |direction: &DirectionVerdict| {
        let is_elsewhere = |pod| cluster.pods.get(pod).is_some_and(|pod| pod.node.as_deref() != Some(NODE));
        direction.allowed || direction.subject.as_ref().is_none_or(is_elsewhere)
    };
    (verdict.pass != Some(Pass::OwnNode)).then(|| lets_pass(&verdict.egress) && lets_pass(&verdict.ingress))
}

/// Whether the node [`NODE`] takes a flow of a pod of its own to itself, by the reference verdict. `None` for other flows.
pub fn reaches_node(cluster: &Cluster, flow: &Flow) -> Option<bool> {
    let verdict = cluster.verdict(flow);
    let subject = verdict.egress.subject.as_ref().filter(|_| verdict.pass == Some(Pass::OwnNode))?;
    let is_here = cluster.pods.get(subject).is_none_or(|pod| pod.node.as_deref() == Some(NODE));
    is_here.then_some(verdict.egress.allowed)
}

fn traffic(cluster: &Cluster) -> Vec<Traffic> {
    let of_clusters = cluster.cluster_policies.values().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let ports = cluster.policies.values().flat_map(rules_of).map(|rule| &rule.ports);
    let entries = ports.chain(of_clusters.map(|rule| &rule.ports)).flat_map(|ports| match ports {
        Ports::AnyOf(entries) => &entries[..],
        Ports::All => &[],
    });
    let bounds = entries.filter_map(|entry| match entry {
        PortMatch::Numbers { protocol, ports } => Some((*protocol, [ports.first(), ports.last()])),
        PortMatch::Named { .. } => None,
    });
    let around = bounds.flat_map(|(protocol, bounds)| {
        bounds
            .into_iter()
            .flat_map(move |port| [port.saturating_sub(1), port, port.saturating_add(1)].map(|port| (protocol, port)))
    });
    let declared = cluster.pods.values().flat_map(|pod| &pod.ports);
    let declared = declared.map(|ContainerPort { protocol, port, .. }| (*protocol, *port));
    let ordinary = Protocol::ALL.map(|protocol| (protocol, 7777));
    let ports: BTreeSet<(Protocol, u16)> = around.chain(declared).chain(ordinary).collect();
    let ports = ports.into_iter().map(|(protocol, port)| Traffic::Port { protocol, port });
    ports.chain([Traffic::Other(1)]).collect()
}

fn rules_of(policy: &Policy) -> impl Iterator<Item = &Rule> {
    policy.ingress.iter().chain(&policy.egress).flatten()
}

//! Whether all that one says is said by another, whatever pods there are or come.
//!
//! What is answered with yes is so; not all that is so is answered with yes.

use crate::reference::Cluster;
use crate::{
    ClusterPeer, IpBlock, NAME_LABEL, NamespaceScope, Operator, Peer, PodGroup, PortMatch, PortRange, Ports, Protocol,
    Requirement, Selector,
};

/// Whether whatever matches the one matches the other.
pub(super) fn selector(one: &Selector, other: &Selector) -> bool {
    other.requirements().iter().all(|requirement| implies(one, requirement))
}

fn implies(selector: &Selector, asked: &Requirement) -> bool {
    let of_key = || selector.requirements().iter().filter(|one| one.key() == asked.key()).map(Requirement::operator);
    if of_key().any(|operator| operator == asked.operator()) {
        return true;
    }
    let given = of_key().find_map(|operator| match operator {
        Operator::In(values) => Some(values),
        _ => None,
    });
    match (given, asked.operator()) {
        (Some(values), Operator::In(wanted)) => values.iter().all(|value| wanted.contains(value)),
        (Some(values), Operator::NotIn(not)) => !values.iter().any(|value| not.contains(value)),
        (Some(_), Operator::Exists) => true,
        (None, Operator::NotIn(not)) => of_key().any(|operator| match operator {
            Operator::NotIn(values) => not.iter().all(|value| values.contains(value)),
            Operator::DoesNotExist => true,
            Operator::In(_) | Operator::Exists => false,
        }),
        _ => false,
    }
}

/// Whether all pods of the one are of the other.
pub(super) fn group(cluster: &Cluster, one: &PodGroup, other: &PodGroup) -> bool {
    scope(cluster, &one.namespaces, &other.namespaces) && selector(&one.pods, &other.pods)
}

fn scope(cluster: &Cluster, one: &NamespaceScope, other: &NamespaceScope) -> bool {
    match (one, other) {
        (NamespaceScope::Named(one), NamespaceScope::Named(other)) => one == other,
        (NamespaceScope::Named(name), NamespaceScope::Matching(asked)) => {
            cluster.namespaces.get(name).is_some_and(|namespace| asked.matches(&namespace.labels))
        }
        (NamespaceScope::Matching(one), NamespaceScope::Matching(other)) => selector(one, other),
        (NamespaceScope::Matching(one), NamespaceScope::Named(name)) => {
            Requirement::new(NAME_LABEL, "In", [name.clone()]).is_ok_and(|asked| implies(one, &asked))
        }
    }
}

/// Whether all addresses of the one are of the other.
fn block(one: &IpBlock, other: &IpBlock) -> bool {
    let is_without = |except: &ipnet::IpNet| {
        let is_apart = !except.contains(&one.cidr()) && !one.cidr().contains(except);
        is_apart || one.except().iter().any(|own| own.contains(except))
    };
    other.cidr().contains(&one.cidr()) && other.except().iter().all(is_without)
}

/// Whether all that the one admits the other admits.
pub(super) fn peer(cluster: &Cluster, one: &Peer, other: &Peer) -> bool {
    match (one, other) {
        (Peer::Pods(one), Peer::Pods(other)) => group(cluster, one, other),
        (Peer::Block(one), Peer::Block(other)) => block(one, other),
        _ => false,
    }
}

/// The same, of peers of cluster policies.
pub(super) fn cluster_peer(cluster: &Cluster, one: &ClusterPeer, other: &ClusterPeer) -> bool {
    match (one, other) {
        (ClusterPeer::Pods(one), ClusterPeer::Pods(other)) => group(cluster, one, other),
        (ClusterPeer::Network(one), ClusterPeer::Network(other)) => block(one, other),
        (ClusterPeer::Nodes(one), ClusterPeer::Nodes(other)) => selector(one, other),
        _ => false,
    }
}

/// Whether all of these are admitted by the others together.
pub(super) fn ports(one: &Ports, others: &[&Ports]) -> bool {
    if others.contains(&&Ports::All) {
        return true;
    }
    let entries: Vec<&PortMatch> = others.iter().flat_map(|ports| entries(ports)).collect();
    match one {
        Ports::All => false,
        Ports::AnyOf(wanted) => wanted.iter().all(|entry| match entry {
            PortMatch::Numbers { protocol, ports } => covers(&entries, *protocol, *ports),
            PortMatch::Named { protocol, .. } => {
                entries.contains(&entry) || covers(&entries, *protocol, PortRange::ALL)
            }
        }),
    }
}

fn entries(ports: &Ports) -> &[PortMatch] {
    match ports {
        Ports::All => &[],
        Ports::AnyOf(entries) => entries,
    }
}

fn covers(entries: &[&PortMatch], wanted: Protocol, range: PortRange) -> bool {
    let ranges = entries.iter().filter_map(|entry| match entry {
        PortMatch::Numbers { protocol, ports } => (*protocol == wanted).then_some(*ports),
        PortMatch::Named { .. } => None,
    });
    let mut ranges: Vec<PortRange> = ranges.collect();
    ranges.sort_unstable();
    let mut next = u32::from(range.first());
    for covered in ranges {
        if u32::from(covered.first()) > next {
            break;
        }
        next = next.max(u32::from(covered.last()) + 1);
    }
    next > u32::from(range.last())
}

//! Pods that may reach others, and cannot find them.

use super::known::Known;
use super::{Code, Findings};
use crate::{
    ClusterPeers, ClusterPolicy, Direction, NamespaceScope, Peer, Peers, Pod, PodGroup, Policy, PortMatch, Ports,
    Protocol, Rule, TierAction,
};

/// Where name servers listen.
const PORT: u16 = 53;
/// By what name they declare it.
const NAMES: [&str; 2] = ["dns", "dns-tcp"];

pub(super) fn dns(known: &Known<'_>, policy: &Policy, findings: &mut Findings<'_>) {
    let to_pods = |rule: &Rule| match &rule.peers {
        Peers::All => true,
        Peers::AnyOf(peers) => peers.iter().any(|peer| matches!(peer, Peer::Pods(_))),
    };
    let rules = policy.rules(Direction::Egress).unwrap_or_default();
    let Some(at) = rules.iter().position(|rule| to_pods(rule) && !allows_dns(&rule.ports)) else { return };
    let cannot_ask = |pod: &&Pod| {
        let mut rules = known.isolating(pod, Direction::Egress).filter_map(|policy| policy.rules(Direction::Egress));
        !rules.any(|rules| rules.iter().any(|rule| has_peers(&rule.peers) && allows_dns(&rule.ports)))
            && !known.cluster().cluster_policies.values().any(|policy| accepts_dns(known, policy, pod))
    };
    if let Some(pod) = known.selected(policy).into_iter().find(cannot_ask) {
        let reason = format!(
            "pod {} may connect by this, and no policy lets it ask for names (UDP or TCP 53): add a rule for the cluster's DNS",
            pod.id
        );
        findings.add(Code::EgressWithoutDns, format!("spec.egress[{at}]"), reason);
    }
}

fn has_peers(peers: &Peers) -> bool {
    !matches!(peers, Peers::AnyOf(peers) if peers.is_empty())
}

fn allows_dns(ports: &Ports) -> bool {
    match ports {
        Ports::All => true,
        Ports::AnyOf(entries) => entries.iter().any(|entry| match entry {
            PortMatch::Numbers { protocol, ports } => *protocol != Protocol::Sctp && ports.contains(PORT),
            PortMatch::Named { protocol, name } => *protocol != Protocol::Sctp && NAMES.contains(&&**name),
        }),
    }
}

fn accepts_dns(known: &Known<'_>, policy: &ClusterPolicy, pod: &Pod) -> bool {
    let accepts = |rule: &crate::ClusterRule| {
        let to_some = !matches!(&rule.peers, ClusterPeers::AnyOf(peers) if peers.is_empty());
        rule.action == TierAction::Accept && to_some && allows_dns(&rule.ports)
    };
    is_in(known, &policy.subject, pod) && policy.egress.iter().any(accepts)
}

fn is_in(known: &Known<'_>, group: &PodGroup, pod: &Pod) -> bool {
    let namespace = known.cluster().namespaces.get(&pod.id.namespace);
    let is_of_namespace = match &group.namespaces {
        NamespaceScope::Named(name) => pod.id.namespace == *name,
        NamespaceScope::Matching(selector) => namespace.is_some_and(|namespace| selector.matches(&namespace.labels)),
    };
    is_of_namespace && group.pods.matches(&pod.labels)
}

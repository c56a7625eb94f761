//! Peers: whom rules name.

use super::known::Known;
use super::services::holds_services;
use super::{Code, Findings, peers_field};
use crate::{Direction, IpBlock, NamespaceScope, Peer, Peers, PodGroup, Policy};

pub(super) fn peers<'a>(known: &Known<'a>, policy: &'a Policy, findings: &mut Findings<'_>) {
    for direction in Direction::ALL {
        for (i, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
            let Peers::AnyOf(peers) = &rule.peers else { continue };
            let at = format!("spec.{direction}[{i}].{}", peers_field(direction));
            two_peers(peers, &at, findings);
            for (j, peer) in peers.iter().enumerate() {
                match peer {
                    Peer::Pods(group) => nobody(known, group, &format!("{at}[{j}]"), findings),
                    Peer::Block(block) => {
                        let at = format!("{at}[{j}].ipBlock");
                        holds_pods(known, block, &at, findings);
                        holds_services(known, block, &at, findings);
                    }
                }
            }
        }
    }
}

/// A dash too many: `- podSelector: ..` and `- namespaceSelector: ..` beside each other.
fn two_peers(peers: &[Peer], at: &str, findings: &mut Findings<'_>) {
    for (j, pair) in peers.windows(2).enumerate() {
        let [Peer::Pods(one), Peer::Pods(other)] = pair else { continue };
        let both =
            [(one, other), (other, one)].into_iter().find(|(pods, all)| is_of_pods(pods) && is_of_namespaces(all));
        if let Some((pods, NamespaceScope::Matching(namespaces))) = both.map(|(pods, all)| (pods, &all.namespaces)) {
            let reason = format!(
                "is a peer of its own beside {at}[{j}]: all pods of namespaces {namespaces}, and {pods}. Where pods with both \
                 are meant, leave the second dash out"
            );
            findings.add(Code::TwoPeers, format!("{at}[{}]", j + 1), reason);
        }
    }
}

/// `podSelector` alone, for some pods.
fn is_of_pods(group: &PodGroup) -> bool {
    matches!(group.namespaces, NamespaceScope::Named(_)) && !group.pods.requirements().is_empty()
}

/// `namespaceSelector` alone.
fn is_of_namespaces(group: &PodGroup) -> bool {
    matches!(group.namespaces, NamespaceScope::Matching(_)) && group.pods.requirements().is_empty()
}

pub(super) fn nobody<'a>(known: &Known<'a>, group: &'a PodGroup, at: &str, findings: &mut Findings<'_>) {
    if !known.has_pods() || !known.group(group).is_empty() {
        return;
    }
    let reason = match &group.namespaces {
        NamespaceScope::Matching(selector)
            if !known.cluster().namespaces.values().any(|namespace| selector.matches(&namespace.labels)) =>
        {
            format!("no Namespace has {selector}: the peer is nobody")
        }
        _ => format!("there are no {group}: the peer is nobody"),
    };
    findings.add(Code::PeerMatchesNobody, at, reason);
}

/// A block of everything means everybody.
fn holds_pods(known: &Known<'_>, block: &IpBlock, at: &str, findings: &mut Findings<'_>) {
    let cidr = block.cidr();
    if cidr.prefix_len() == 0 && block.except().is_empty() {
        return;
    }
    let is_held = |address| !block.except().iter().any(|except| except.contains(&address));
    let mut held = known.within(cidr.network(), cidr.broadcast()).filter(|(address, _)| is_held(*address));
    let Some((address, pod)) = held.next() else { return };
    let more = match held.count() {
        0 => String::new(),
        more => format!(" and {more} more of pods"),
    };
    let reason = format!(
        "{block} holds {address}, which is pod {}'s{more}: pods' addresses change, select them by labels, or leave them out \
         with except",
        pod.id
    );
    findings.add(Code::BlockHoldsPods, at, reason);
}

//! Cluster policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::known::Known;
use super::peers::nobody;
use super::protocols::left_out;
use super::services::holds_services;
use super::{Code, Finding, Findings, peers_field, within};
use crate::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, NamespacedName, Pod, PortMatch, Ports, Tier,
};

/// How many rules, or names, are told.
const SOME: usize = 3;

/// A rule and where it stands.
type Placed<'a> = (&'a ClusterPolicy, usize, &'a ClusterRule);

pub(super) fn findings<'a>(known: &Known<'a>) -> Vec<Finding> {
    let mut policies: Vec<&ClusterPolicy> = known.cluster().cluster_policies.values().collect();
    policies.sort_by_key(|policy| (policy.tier, policy.precedence()));
    let shadowed = shadowed(known, &policies);
    let mut all = Vec::new();
    for policy in &policies {
        let id = NamespacedName::new("", policy.name.clone());
        let mut findings = Findings { policy: &id, all: Vec::new() };
        subject(known, policy, &mut findings);
        equal(known, policy, &policies, &mut findings);
        for direction in Direction::ALL {
            for (i, rule) in policy.rules(direction).iter().enumerate() {
                let at = format!("spec.{direction}[{i}]");
                peers(known, rule, &format!("{at}.{}", peers_field(direction)), &mut findings);
                names(known, policy, direction, rule, &at, &mut findings);
                if let Some(others) = left_out(&rule.ports) {
                    let reason = format!(
                        "means every port of TCP and UDP, and neither {others}ICMP (ping): where everything is meant, leave \
                         `protocols` out"
                    );
                    findings.add(Code::ProtocolsLeftOut, format!("{at}.protocols"), reason);
                }
                if let Some(reason) = shadowed.get(&(&policy.name, direction, i)) {
                    findings.add(Code::ShadowedRule, at, reason.clone());
                }
            }
        }
        all.extend(findings.all);
    }
    all.sort_by(|one, other| one.policy.cmp(&other.policy));
    all
}

fn subject<'a>(known: &Known<'a>, policy: &'a ClusterPolicy, findings: &mut Findings<'_>) {
    if known.has_pods() && known.group(&policy.subject).is_empty() {
        let reason = format!("there are no {}: no pod is judged by it", policy.subject);
        findings.add(Code::SelectsNobody, "spec.subject", reason);
    }
}

/// The one of a lesser name is asked first.
fn equal<'a>(known: &Known<'a>, policy: &'a ClusterPolicy, all: &[&'a ClusterPolicy], findings: &mut Findings<'_>) {
    let is_before = |other: &&&ClusterPolicy| {
        let same = other.tier == policy.tier && other.priority == policy.priority && other.name < policy.name;
        let meet = |direction| !other.rules(direction).is_empty() && !policy.rules(direction).is_empty();
        same && Direction::ALL.into_iter().any(meet)
    };
    let own = known.group(&policy.subject);
    let own: BTreeSet<&NamespacedName> = own.iter().map(|pod| &pod.id).collect();
    let shares = |other: &'a ClusterPolicy| {
        let pods = known.group(&other.subject);
        pods.iter().find(|pod| own.contains(&pod.id)).map(|pod| (other.name.clone(), pod.id.clone()))
    };
    if let Some((other, pod)) = all.iter().filter(is_before).copied().find_map(shares) {
        let reason = format!(
            "{other} has priority {} in tier {}, too, and judges pod {pod} as well: which is asked first is left to their \
             names here, and to chance elsewhere. Give them different ones",
            policy.priority, policy.tier
        );
        findings.add(Code::EqualPriorities, "spec.priority", reason);
    }
}

fn peers<'a>(known: &Known<'a>, rule: &'a ClusterRule, at: &str, findings: &mut Findings<'_>) {
    let ClusterPeers::AnyOf(peers) = &rule.peers else { return };
    for peer in peers {
        match peer {
            ClusterPeer::Pods(group) => nobody(known, group, at, findings),
            ClusterPeer::Network(block) => holds_services(known, block, at, findings),
            ClusterPeer::Nodes(_) => {}
        }
    }
}

/// A name may be written once for all protocols.
fn names<'a>(
    known: &Known<'a>,
    policy: &'a ClusterPolicy,
    direction: Direction,
    rule: &'a ClusterRule,
    at: &str,
    findings: &mut Findings<'_>,
) {
    let (Ports::AnyOf(entries), ClusterPeers::AnyOf(peers)) = (&rule.ports, &rule.peers) else { return };
    let groups: Vec<_> = match direction {
        Direction::Ingress => vec![known.group(&policy.subject)],
        Direction::Egress => peers
            .iter()
            .filter_map(|peer| match peer {
                ClusterPeer::Pods(group) => Some(known.group(group)),
                ClusterPeer::Network(_) | ClusterPeer::Nodes(_) => None,
            })
            .collect(),
    };
    let pods: Vec<&Pod> = groups.iter().flat_map(|group| group.iter().copied()).collect();
    let mut named = BTreeMap::<&Arc<str>, bool>::new();
    for entry in entries {
        if let PortMatch::Named { protocol, name } = entry {
            *named.entry(name).or_default() |= pods.iter().any(|pod| !pod.numbers_of(name, *protocol).is_empty());
        }
    }
    for (name, _) in named.into_iter().filter(|(_, is_known)| !is_known && !pods.is_empty()) {
        let declared: BTreeSet<&str> = pods.iter().flat_map(|pod| &pod.ports).map(|port| &*port.name).collect();
        let declared: Vec<&str> = declared.into_iter().take(SOME).collect();
        let declared = if declared.is_empty() { "no port".to_owned() } else { declared.join(", ") };
        let reason = format!("no pod that this is about declares a port {name}: they declare {declared}");
        findings.add(Code::UnknownPortName, format!("{at}.protocols"), reason);
    }
}

/// Why rules decide nothing: those that are asked before have decided all that they match.
fn shadowed<'a>(
    known: &Known<'a>,
    policies: &[&'a ClusterPolicy],
) -> BTreeMap<(&'a Arc<str>, Direction, usize), String> {
    let mut shadowed = BTreeMap::new();
    for tier in Tier::ALL {
        let policies: Vec<&ClusterPolicy> = policies.iter().copied().filter(|policy| policy.tier == tier).collect();
        for direction in Direction::ALL {
            for (at, policy) in policies.iter().enumerate() {
                let is_asked = |other: &&&ClusterPolicy| {
                    let counts = other.enforcement <= policy.enforcement;
                    counts && within::group(known.cluster(), &policy.subject, &other.subject)
                };
                let before: Vec<&ClusterPolicy> = policies[..at].iter().filter(is_asked).copied().collect();
                let rules =
                    |of: &'a ClusterPolicy| of.rules(direction).iter().enumerate().map(move |(i, one)| (of, i, one));
                let mut asked: Vec<Placed<'a>> = before.into_iter().flat_map(rules).collect();
                for (_, i, rule) in rules(policy) {
                    if let Some(by) = decided(known, rule, &asked) {
                        shadowed.insert((&policy.name, direction, i), reason(&by, direction));
                    }
                    asked.push((policy, i, rule));
                }
            }
        }
    }
    shadowed
}

/// The rules that have decided all that this one matches, where they have.
fn decided<'a>(known: &Known<'a>, rule: &ClusterRule, asked: &[Placed<'a>]) -> Option<Vec<Placed<'a>>> {
    let ClusterPeers::AnyOf(entries) = &rule.peers else { return None };
    if entries.is_empty() || rule.ports == Ports::AnyOf(Vec::new()) {
        return None;
    }
    let mut by = BTreeMap::new();
    for entry in entries {
        let holds = |(_, _, other): &&Placed<'_>| match &other.peers {
            ClusterPeers::Others => false,
            ClusterPeers::AnyOf(peers) => peers.iter().any(|peer| within::cluster_peer(known.cluster(), entry, peer)),
        };
        let all: Vec<Placed<'a>> = asked.iter().filter(holds).copied().collect();
        let ports: Vec<&Ports> = all.iter().map(|(_, _, other)| &other.ports).collect();
        if !within::ports(&rule.ports, &ports) {
            return None;
        }
        let alone = all.iter().find(|(_, _, other)| within::ports(&rule.ports, &[&other.ports])).copied();
        let needed = alone.map_or(all, |one| vec![one]);
        by.extend(needed.into_iter().map(|placed| ((placed.0.precedence(), placed.1), placed)));
    }
    Some(by.into_values().collect())
}

fn reason(by: &[Placed<'_>], direction: Direction) -> String {
    let one =
        |(policy, index, rule): &Placed<'_>| format!("{} by {} spec.{direction}[{index}]", rule.action, policy.name);
    let names = by.iter().take(SOME).map(one).collect::<Vec<_>>().join(", ");
    let more = by.len().saturating_sub(SOME);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("decides nothing: all that it matches has been decided before ({names}{more})")
}

//! NetworkPolicy.

use std::collections::BTreeSet;
use std::fmt::Arguments;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use palisade_model::lint::Remarks;
use palisade_model::{Direction, NamespaceScope, Peer, Peers, PodGroup, Policy, Ports, Rule, Selector};

use super::address::block;
use super::enforcement::enforcement;
use super::port::port;
use super::selector::selector;
use super::{Problem, Problems, id};
use crate::objects::{ClusterNetworkPolicy, Metadata, NetworkPolicy};

/// The policy with its defaults filled in, and what had to be left out of it.
///
/// Rules keep their positions: one of which nothing is left stays, and allows nothing. A podSelector that cannot be
/// understood becomes `{}` without rules; with a policyType that cannot be understood the policy isolates in both
/// directions.
pub fn policy(policy: &NetworkPolicy) -> (Policy, Vec<Problem>) {
    let mut problems = Problems::default();
    let id = id(&policy.metadata);
    let enforcement = enforcement(&policy.metadata, &mut problems);
    let defaults = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&defaults);
    let types = policy_types(spec, &mut problems);
    let pods = match &spec.pod_selector {
        Some(pods) => selector(pods, format_args!("spec.podSelector"), &mut problems),
        None => Some(Selector::default()),
    };
    let mut rules = Rules { namespace: &id.namespace, problems: &mut problems };
    let ingress = spec.ingress.iter().flatten().map(|rule| (&rule.from, &rule.ports));
    let ingress = rules.all(format_args!("spec.ingress"), "from", ingress);
    let egress = spec.egress.iter().flatten().map(|rule| (&rule.to, &rule.ports));
    let egress = rules.all(format_args!("spec.egress"), "to", egress);
    let known = pods.is_some();
    let in_force = |isolates: bool, rules: Vec<Rule>| isolates.then(|| if known { rules } else { vec![] });
    let policy = Policy {
        id,
        enforcement,
        selector: pods.unwrap_or_default(),
        ingress: in_force(types.ingress, ingress),
        egress: in_force(types.egress, egress),
    };
    (policy, problems.0)
}

/// What is written of the policy that is not part of what it does.
pub fn remarks(policy: &NetworkPolicy) -> Remarks {
    let defaults = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&defaults);
    let has = |name: &str| spec.policy_types.iter().flatten().any(|written| written == name);
    let is_written = spec.policy_types.as_ref().is_some_and(|types| !types.is_empty());
    let ingress = ("Ingress", Direction::Ingress, spec.ingress.as_ref().map(Vec::len));
    let egress = ("Egress", Direction::Egress, spec.egress.as_ref().map(Vec::len));
    let mut remarks = Remarks { ignored: ignored(&policy.metadata), ..Remarks::default() };
    for (name, direction, rules) in [egress, ingress] {
        match rules {
            Some(1..) if is_written && !has(name) => remarks.without_type.push(direction),
            None if has(name) || (!is_written && direction == Direction::Ingress) => {
                remarks.without_rules.push(direction);
            }
            _ => {}
        }
    }
    remarks
}

/// The same of a cluster policy.
pub fn cluster_remarks(policy: &ClusterNetworkPolicy) -> Remarks {
    Remarks { ignored: ignored(&policy.metadata), ..Remarks::default() }
}

fn ignored(metadata: &Metadata) -> BTreeSet<Arc<str>> {
    let annotations = metadata.annotations.as_ref();
    let written = annotations.and_then(|annotations| annotations.lint_ignore.as_deref()).unwrap_or_default();
    written.split(',').map(str::trim).filter(|code| !code.is_empty()).map(Into::into).collect()
}

struct PolicyTypes {
    ingress: bool,
    egress: bool,
}

/// Where no type is written: Ingress, and Egress if there are egress rules.
fn policy_types(spec: &NetworkPolicySpec, problems: &mut Problems) -> PolicyTypes {
    let written: Vec<&str> = spec.policy_types.iter().flatten().map(String::as_str).collect();
    if written.is_empty() {
        return PolicyTypes { ingress: true, egress: spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) };
    }
    let mut types = PolicyTypes { ingress: false, egress: false };
    for (i, name) in written.into_iter().enumerate() {
        match name {
            "Ingress" => types.ingress = true,
            "Egress" => types.egress = true,
            _ => {
                problems.add(format!("spec.policyTypes[{i}]"), format!("{name:?} is not one of Ingress, Egress"));
                types = PolicyTypes { ingress: true, egress: true };
            }
        }
    }
    types
}

/// Converts the rules of one policy.
struct Rules<'a> {
    namespace: &'a str,
    problems: &'a mut Problems,
}

type Entries<'a> = (&'a Option<Vec<NetworkPolicyPeer>>, &'a Option<Vec<NetworkPolicyPort>>);

impl Rules<'_> {
    fn all<'r>(&mut self, at: Arguments<'_>, peers_field: &str, rules: impl Iterator<Item = Entries<'r>>) -> Vec<Rule> {
        let rule = |(i, (peers, ports)): (usize, Entries<'r>)| Rule {
            peers: self.peers(peers.as_deref().unwrap_or_default(), format_args!("{at}[{i}].{peers_field}")),
            ports: self.ports(ports.as_deref().unwrap_or_default(), format_args!("{at}[{i}].ports")),
        };
        rules.enumerate().map(rule).collect()
    }

    fn peers(&mut self, peers: &[NetworkPolicyPeer], at: Arguments<'_>) -> Peers {
        if peers.is_empty() {
            return Peers::All;
        }
        let peers = peers.iter().enumerate();
        Peers::AnyOf(peers.filter_map(|(i, peer)| self.peer(peer, format_args!("{at}[{i}]"))).collect())
    }

    fn ports(&mut self, ports: &[NetworkPolicyPort], at: Arguments<'_>) -> Ports {
        if ports.is_empty() {
            return Ports::All;
        }
        let ports = ports.iter().enumerate();
        Ports::AnyOf(ports.filter_map(|(i, entry)| port(entry, format_args!("{at}[{i}]"), self.problems)).collect())
    }

    fn peer(&mut self, peer: &NetworkPolicyPeer, at: Arguments<'_>) -> Option<Peer> {
        match (&peer.ip_block, &peer.namespace_selector, &peer.pod_selector) {
            (Some(written), None, None) => block(written, format_args!("{at}.ipBlock"), self.problems).map(Peer::Block),
            (Some(_), _, _) => {
                self.problems.add(at, "ipBlock goes with no selector: make them two peers");
                None
            }
            (None, None, None) => {
                self.problems.add(at, "a peer needs podSelector, namespaceSelector or ipBlock");
                None
            }
            (None, namespaces, pods) => self.pods(namespaces.as_ref(), pods.as_ref(), at).map(Peer::Pods),
        }
    }

    fn pods(
        &mut self,
        namespaces: Option<&LabelSelector>,
        pods: Option<&LabelSelector>,
        at: Arguments<'_>,
    ) -> Option<PodGroup> {
        let namespaces = match namespaces {
            Some(written) => {
                selector(written, format_args!("{at}.namespaceSelector"), self.problems).map(NamespaceScope::Matching)
            }
            None => Some(NamespaceScope::Named(self.namespace.into())),
        };
        let pods = match pods {
            Some(written) => selector(written, format_args!("{at}.podSelector"), self.problems),
            None => Some(Selector::default()),
        };
        Some(PodGroup { namespaces: namespaces?, pods: pods? })
    }
}

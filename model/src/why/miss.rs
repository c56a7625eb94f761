//! The rule that came nearest, and what it lacks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::facts::{Facts, PodFacts};
use super::nearest::Gap;
use super::rule::{PeerGap, Source, excepts, protocol_of};
use crate::{
    Direction, Labels, NamespaceScope, NamespacedName, PodGroup, PortMatch, Ports, Protocol, Requirement, Selector,
    Traffic,
};

/// A rule that would have let a connection pass, were it not for what it lacks. Prints as one sentence of at most some
/// 300 bytes: `shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The policy; a cluster policy is in no namespace.
    pub policy: NamespacedName,
    /// Whether the rule is one of `spec.ingress` or of `spec.egress`.
    pub direction: Direction,
    /// Its position there, from 0.
    pub rule: usize,
    /// Of a rule with several peers the one that came nearest, by its position among those that were understood; `None`
    /// where it is not the peer that lacks.
    pub peer: Option<usize>,
    /// The ports that the rule admits; `None` for all.
    pub ports: Option<AdmittedPorts>,
    /// What has to be otherwise, all of it, for the rule to match: never empty.
    pub lacks: Vec<Lack>,
}

/// The first few ports that a rule admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedPorts {
    /// The first ones, in the order of the rule; those of the protocol in question before others.
    pub some: Vec<PortMatch>,
    /// How many more there are.
    pub more: usize,
}

/// One thing that keeps a rule from matching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No port of [`Miss::ports`] is the one that was wanted.
    Port {
        /// What was wanted.
        wanted: Traffic,
    },
    /// Of the wanted protocol the rule admits a port by name, and the pod that the connection was opened to does not
    /// declare that name for the port that was wanted.
    NamedPort {
        /// The protocol.
        protocol: Protocol,
        /// The name.
        name: Arc<str>,
        /// The numbers for which the pod declares it; `None` where the address is no pod's.
        declared: Option<Vec<u16>>,
        /// What was wanted.
        wanted: Traffic,
    },
    /// The peer's labels do not satisfy these requirements: never empty.
    PodLabels(Vec<Failing>),
    /// The rule asks for pods of one namespace, and the peer is in another.
    Namespace {
        /// The namespace that is asked for.
        asked: Arc<str>,
        /// The peer's.
        has: Arc<str>,
    },
    /// The rule asks for labels of namespaces, which those of the peer's namespace do not satisfy.
    NamespaceLabels {
        /// The peer's namespace.
        namespace: Arc<str>,
        /// What fails: never empty.
        failing: Vec<Failing>,
    },
    /// The rule asks for labels of namespaces, and the peer's is not known.
    UnknownNamespace {
        /// The peer's namespace.
        namespace: Arc<str>,
        /// What is asked of it.
        asked: Selector,
    },
    /// The rule asks for pods, and the peer's address is no pod's.
    NoPod {
        /// Which pods.
        asked: PodGroup,
        /// The address.
        address: IpAddr,
    },
    /// The peer is outside the block.
    OutsideBlock {
        /// The block.
        block: IpNet,
        /// The address.
        address: IpAddr,
    },
    /// The block leaves the peer out.
    Except {
        /// The block.
        block: IpNet,
        /// The exceptions that hold the peer, ascending: never empty.
        except: Vec<IpNet>,
        /// The address.
        address: IpAddr,
    },
    /// The rule asks for nodes, and the peer's address is no node's.
    NoNode {
        /// Which nodes.
        asked: Selector,
        /// The address.
        address: IpAddr,
    },
    /// The labels of the node that has the peer's address do not satisfy these requirements: never empty.
    NodeLabels(Vec<Failing>),
    /// No peer of the rule was understood, so that it matches nobody.
    NoPeers,
}

/// A requirement that labels do not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The requirement.
    pub requirement: Requirement,
    /// The value that the label has; `None` where it is absent.
    pub has: Option<Arc<str>>,
}

/// How many ports are kept.
const PORTS: usize = 4;

impl Miss {
    pub(super) fn new(gap: &Gap<'_>, facts: &Facts<'_>) -> Self {
        let Gap { rule, peer, ports } = gap;
        let of_peer = peer.map(|(_, gap)| lacks_of_peer(&gap, facts.peer.address));
        let of_ports = ports.map(|entries| lack_of_ports(entries, facts));
        Self {
            policy: match rule.source {
                Source::Policy(policy) => policy.clone(),
                Source::ClusterPolicy(name) => NamespacedName::new("", name.clone()),
            },
            direction: facts.direction,
            rule: rule.index,
            peer: peer.filter(|_| rule.view.peers.len() > 1).map(|(at, _)| at),
            ports: match rule.view.ports {
                Ports::All => None,
                Ports::AnyOf(entries) => Some(AdmittedPorts::new(entries, facts.traffic)),
            },
            lacks: of_peer.into_iter().flatten().chain(of_ports).collect(),
        }
    }
}

impl AdmittedPorts {
    fn new(entries: &[PortMatch], wanted: Traffic) -> Self {
        let [right, wrong] = [true, false]
            .map(|is_right| entries.iter().filter(move |entry| is_of_protocol(entry, wanted) == is_right).take(PORTS));
        let some: Vec<PortMatch> = right.chain(wrong).take(PORTS).cloned().collect();
        Self { more: entries.len() - some.len(), some }
    }
}

fn lacks_of_peer(gap: &PeerGap<'_>, address: IpAddr) -> Vec<Lack> {
    vec![match gap {
        PeerGap::Pod(group, pod) => {
            let failing = failing(&group.pods, pod.labels);
            let labels = (!failing.is_empty()).then_some(Lack::PodLabels(failing));
            return lack_of_namespace(&group.namespaces, pod).into_iter().chain(labels).collect();
        }
        PeerGap::NoEntry => Lack::NoPeers,
        PeerGap::NoPod(group) => Lack::NoPod { asked: (*group).clone(), address },
        PeerGap::Outside(block) => Lack::OutsideBlock { block: block.cidr(), address },
        PeerGap::Except(block) => {
            Lack::Except { block: block.cidr(), except: excepts(block, address).collect(), address }
        }
        PeerGap::NoNode(selector) => Lack::NoNode { asked: (*selector).clone(), address },
        PeerGap::Node(selector, labels) => Lack::NodeLabels(failing(selector, labels)),
    }]
}

fn lack_of_namespace(asked: &NamespaceScope, pod: &PodFacts<'_>) -> Option<Lack> {
    if pod.is_covered(asked) {
        return None;
    }
    let namespace = pod.namespace.clone();
    Some(match (asked, pod.namespace_labels) {
        (NamespaceScope::Named(asked), _) => Lack::Namespace { asked: asked.clone(), has: namespace },
        (NamespaceScope::Matching(selector), Some(labels)) => {
            Lack::NamespaceLabels { namespace, failing: failing(selector, labels) }
        }
        (NamespaceScope::Matching(selector), None) => Lack::UnknownNamespace { namespace, asked: selector.clone() },
    })
}

/// A name is what lacks where the rule admits ports of the protocol by name alone: first one that the pod does not
/// declare.
fn lack_of_ports(entries: &[PortMatch], facts: &Facts<'_>) -> Lack {
    let wanted = facts.traffic;
    let mut of_protocol = entries.iter().filter(|entry| is_of_protocol(entry, wanted)).peekable();
    let are_named = of_protocol.peek().is_some() && of_protocol.clone().all(|entry| name_of(entry).is_some());
    let numbers = |name: &Arc<str>, of: Protocol| {
        let ports = facts.declared()?.iter().filter(|port| port.name == *name && port.protocol == of);
        Some(ports.map(|port| port.port).collect::<BTreeSet<u16>>().into_iter().collect::<Vec<u16>>())
    };
    let named = of_protocol.filter_map(name_of).map(|(name, protocol)| (name, protocol, numbers(name, protocol)));
    let nearest = named.min_by_key(|(_, _, declared)| declared.as_ref().is_some_and(|numbers| !numbers.is_empty()));
    match nearest.filter(|_| are_named) {
        Some((name, protocol, declared)) => Lack::NamedPort { protocol, name: name.clone(), declared, wanted },
        None => Lack::Port { wanted },
    }
}

fn name_of(entry: &PortMatch) -> Option<(&Arc<str>, Protocol)> {
    match entry {
        PortMatch::Named { protocol, name } => Some((name, *protocol)),
        PortMatch::Numbers { .. } => None,
    }
}

fn is_of_protocol(entry: &PortMatch, traffic: Traffic) -> bool {
    matches!(traffic, Traffic::Port { protocol, .. } if protocol_of(entry) == protocol)
}

fn failing(selector: &Selector, labels: &Labels) -> Vec<Failing> {
    let failing = selector.requirements().iter().filter(|requirement| !requirement.matches(labels));
    let has = |requirement: &Requirement| labels.get(requirement.key()).map(Arc::from);
    failing.map(|requirement| Failing { requirement: requirement.clone(), has: has(requirement) }).collect()
}

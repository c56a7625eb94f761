//! Rules of both kinds, what they lack to match a connection, and how near that is.
//!
//! Of what several entries or rules lack the nearest is, in this order:
//! 1. what lacks fewest things: of the port, the pod's labels, its namespace, the block, each is one;
//! 2. what a person would sooner have meant: other labels in the right namespace; the right labels in another
//!    namespace; an exception of a block that holds the peer, or a node with other labels; another port; another
//!    namespace where no label is right; an address outside a block; no pod, or no node, at all; a rule of which no peer
//!    was understood. So a right port counts for more than a right peer where labels of pods are asked for;
//! 3. the fewest requirements that fail, or a protocol that is right; then the most that are satisfied;
//! 4. the first, in the order of policies, rules and entries.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::ops::Add;
use std::sync::Arc;

use ipnet::IpNet;

use super::facts::{Facts, PeerFacts, PodFacts};
use super::looks::Looks;
use crate::{
    ClusterPeer, ClusterPeers, ClusterRule, ContainerPort, IpBlock, Labels, NamespacedName, Peer, Peers, PodGroup,
    PortMatch, Ports, Rule, Selector, Traffic,
};

/// A rule and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) source: Source<'a>,
    pub(super) index: usize,
    pub(super) view: RuleView<'a>,
}

/// Whose a rule is.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Policy(&'a NamespacedName),
    ClusterPolicy(&'a Arc<str>),
}

/// A rule of either kind.
#[derive(Clone, Copy)]
pub(super) struct RuleView<'a> {
    pub(super) peers: PeersView<'a>,
    pub(super) ports: &'a Ports,
}

/// The peers of a rule of either kind.
#[derive(Clone, Copy)]
pub(super) enum PeersView<'a> {
    All,
    /// Everybody but the pod itself.
    Others,
    Policy(&'a [Peer]),
    ClusterPolicy(&'a [ClusterPeer]),
}

/// One of the peers.
#[derive(Clone, Copy)]
pub(super) enum Entry<'a> {
    Pods(&'a PodGroup),
    Block(&'a IpBlock),
    Nodes(&'a Selector),
}

/// What an entry lacks to admit the peer.
#[derive(Clone, Copy)]
pub(super) enum PeerGap<'a> {
    /// There is no entry.
    NoEntry,
    /// It asks for pods, and the address is no pod's.
    NoPod(&'a PodGroup),
    /// The pod is in another namespace, or has other labels, or both.
    Pod(&'a PodGroup, PodFacts<'a>),
    Outside(&'a IpBlock),
    Except(&'a IpBlock),
    NoNode(&'a Selector),
    /// The node that comes nearest.
    Node(&'a Selector, &'a Labels),
}

/// How near something is: the lesser, the nearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nearness {
    lacks: usize,
    weight: usize,
    failing: usize,
    satisfied: Reverse<usize>,
}

impl Nearness {
    const fn of(weight: usize) -> Self {
        Self { lacks: 1, weight, failing: 0, satisfied: Reverse(0) }
    }
}

impl Add for Nearness {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lacks: self.lacks + other.lacks,
            weight: self.weight + other.weight,
            failing: self.failing + other.failing,
            satisfied: Reverse(self.satisfied.0 + other.satisfied.0),
        }
    }
}

impl<'a> From<&'a Rule> for RuleView<'a> {
    fn from(rule: &'a Rule) -> Self {
        let peers = match &rule.peers {
            Peers::All => PeersView::All,
            Peers::AnyOf(peers) => PeersView::Policy(peers),
        };
        Self { peers, ports: &rule.ports }
    }
}

impl<'a> From<&'a ClusterRule> for RuleView<'a> {
    fn from(rule: &'a ClusterRule) -> Self {
        let peers = match &rule.peers {
            ClusterPeers::Others => PeersView::Others,
            ClusterPeers::AnyOf(peers) => PeersView::ClusterPolicy(peers),
        };
        Self { peers, ports: &rule.ports }
    }
}

impl<'a> RuleView<'a> {
    /// Whether it matches, as far as may be looked.
    pub(super) fn matches(&self, facts: &Facts<'a>, looks: &mut Looks) -> bool {
        self.port_gap(facts).is_none() && self.peers.admit(&facts.peer, looks)
    }

    /// The entries of which none admits the traffic; `None` where one does.
    pub(super) fn port_gap(&self, facts: &Facts<'_>) -> Option<&'a [PortMatch]> {
        match self.ports {
            Ports::All => None,
            Ports::AnyOf(entries) => {
                let declared = facts.declared().unwrap_or_default();
                (!entries.iter().any(|entry| admits(entry, facts.traffic, declared))).then_some(entries)
            }
        }
    }
}

impl<'a> PeersView<'a> {
    fn admit(&self, peer: &PeerFacts<'a>, looks: &mut Looks) -> bool {
        match self {
            Self::All => true,
            Self::Others => !peer.is_itself,
            Self::Policy(_) | Self::ClusterPolicy(_) => {
                self.entries().take_while(|entry| looks.take(entry.size())).any(|entry| entry.gap(peer).is_none())
            }
        }
    }

    /// Empty where it is no list.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        (0..self.len()).filter_map(move |at| match self {
            Self::All | Self::Others => None,
            Self::Policy(peers) => peers.get(at).map(Entry::from),
            Self::ClusterPolicy(peers) => peers.get(at).map(Entry::from),
        })
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::All | Self::Others => 0,
            Self::Policy(peers) => peers.len(),
            Self::ClusterPolicy(peers) => peers.len(),
        }
    }
}

impl<'a> From<&'a Peer> for Entry<'a> {
    fn from(peer: &'a Peer) -> Self {
        match peer {
            Peer::Pods(group) => Self::Pods(group),
            Peer::Block(block) => Self::Block(block),
        }
    }
}

impl<'a> From<&'a ClusterPeer> for Entry<'a> {
    fn from(peer: &'a ClusterPeer) -> Self {
        match peer {
            ClusterPeer::Pods(group) => Self::Pods(group),
            ClusterPeer::Network(block) => Self::Block(block),
            ClusterPeer::Nodes(selector) => Self::Nodes(selector),
        }
    }
}

impl<'a> Entry<'a> {
    /// What it lacks to admit the peer; `None` where it does.
    pub(super) fn gap(self, peer: &PeerFacts<'a>) -> Option<PeerGap<'a>> {
        match self {
            Self::Pods(group) => match peer.pod {
                Some(pod) => (!pod.is_in(group)).then_some(PeerGap::Pod(group, pod)),
                None => Some(PeerGap::NoPod(group)),
            },
            Self::Block(block) if !block.cidr().contains(&peer.address) => Some(PeerGap::Outside(block)),
            Self::Block(block) => excepts(block, peer.address).next().map(|_| PeerGap::Except(block)),
            Self::Nodes(selector) if peer.nodes.iter().any(|labels| selector.matches(labels)) => None,
            Self::Nodes(selector) => {
                let nearest = peer.nodes.iter().min_by_key(|labels| failing(selector, labels));
                Some(nearest.map_or(PeerGap::NoNode(selector), |labels| PeerGap::Node(selector, labels)))
            }
        }
    }

    /// How much there is to look at.
    pub(super) fn size(self) -> usize {
        1 + match self {
            Self::Pods(group) => group.pods.requirements().len(),
            Self::Block(block) => block.except().len(),
            Self::Nodes(selector) => selector.requirements().len(),
        }
    }
}

impl PeerGap<'_> {
    pub(super) fn nearness(&self, address: IpAddr) -> Nearness {
        match self {
            Self::Pod(group, pod) => {
                let asked = group.pods.requirements().len();
                let failing = failing(&group.pods, pod.labels);
                let labels = if failing > 0 { Nearness::of(1) } else { Nearness::default() };
                let namespace = match (pod.is_covered(&group.namespaces), asked > failing) {
                    (true, _) => Nearness::default(),
                    (false, true) => Nearness::of(2),
                    (false, false) => Nearness::of(5),
                };
                Nearness { failing, satisfied: Reverse(asked - failing), ..labels + namespace }
            }
            Self::Node(selector, labels) => Nearness { failing: failing(selector, labels), ..Nearness::of(3) },
            Self::Except(_) => Nearness::of(3),
            Self::Outside(block) if block.cidr().addr().is_ipv4() == address.is_ipv4() => Nearness::of(6),
            Self::NoPod(_) | Self::NoNode(_) => Nearness::of(7),
            Self::Outside(_) => Nearness::of(8),
            Self::NoEntry => Nearness::of(9),
        }
    }
}

/// How near ports are of which none admits the traffic.
pub(super) fn port_nearness(entries: &[PortMatch], traffic: Traffic) -> Nearness {
    let is_of_protocol = |entry: &PortMatch| match traffic {
        Traffic::Port { protocol, .. } => protocol_of(entry) == protocol,
        Traffic::Other(_) => false,
    };
    Nearness { failing: usize::from(!entries.iter().any(is_of_protocol)), ..Nearness::of(4) }
}

pub(super) fn protocol_of(entry: &PortMatch) -> crate::Protocol {
    match entry {
        PortMatch::Numbers { protocol, .. } | PortMatch::Named { protocol, .. } => *protocol,
    }
}

/// The exceptions of a block that hold an address.
pub(super) fn excepts(block: &IpBlock, address: IpAddr) -> impl Iterator<Item = IpNet> {
    block.except().iter().copied().filter(move |except| except.contains(&address))
}

/// How many requirements the labels do not satisfy.
fn failing(selector: &Selector, labels: &Labels) -> usize {
    selector.requirements().iter().filter(|requirement| !requirement.matches(labels)).count()
}

/// `declared`: the ports of the pod that the connection is opened to.
fn admits(entry: &PortMatch, traffic: Traffic, declared: &[ContainerPort]) -> bool {
    let Traffic::Port { protocol, port } = traffic else { return false };
    protocol_of(entry) == protocol
        && match entry {
            PortMatch::Numbers { ports, .. } => ports.contains(port),
            PortMatch::Named { name, .. } => {
                declared.iter().any(|one| one.name == *name && one.protocol == protocol && one.port == port)
            }
        }
}

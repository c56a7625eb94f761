use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::NODE;
use crate::{
    Age, Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ContainerPort, Cost, Enforcement, IpBlock,
    Namespace, NamespaceScope, NamespacedName, Node, Peer, Peers, Phase, Pod, PodGroup, Policy, PortMatch, PortRange,
    Ports, Protocol, Requirement, Rule, Selector, Shares, Tier, TierAction,
};

const NAMESPACES: [&str; 3] = ["x", "y", "z"];
const ADDRESSES: [&str; 9] =
    ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "fd00::1", "fd00::2", "fd00::3", "192.168.0.1"];
const BLOCKS: [(&str, &[&str]); 7] = [
    ("0.0.0.0/0", &[]),
    ("10.0.0.0/24", &["10.0.0.2/32", "10.0.0.4/30"]),
    ("10.0.0.2/31", &[]),
    ("10.0.0.3/32", &[]),
    ("172.16.0.0/12", &[]),
    ("fd00::/64", &["fd00::2/127"]),
    ("::/0", &["fd00::/64"]),
];
const BOUNDS: [u16; 9] = [0, 1, 53, 79, 80, 81, 443, 8080, 65535];

/// A sequence of at most `length` changes, or few more: objects come, change, go and come back, in any order. Often what
/// happened before happens again, as from a source that repeats itself or is late, and often a pod comes to the addresses
/// of another, before that one goes or after, within the same second.
pub fn changes(length: usize) -> impl Strategy<Value = Vec<Change>> {
    let repeated = any::<Index>().prop_map(Step::Again);
    let successor = (pod(), any::<Index>(), select(&[Handover::Overlap, Handover::Gap, Handover::Never][..]));
    let successor = successor.prop_map(|(pod, of, handover)| Step::Successor(pod, of, handover));
    let step = prop_oneof![10 => change().prop_map(Step::New), 1 => repeated, 1 => successor];
    vec(step, 1..=length).prop_map(|steps| {
        let mut changes = Vec::<Change>::new();
        for step in steps {
            step.take(&mut changes);
        }
        changes
    })
}

#[derive(Clone, Debug)]
enum Step {
    New(Change),
    /// What happened before.
    Again(Index),
    /// The pod, with the addresses of one of before.
    Successor(Pod, Index, Handover),
}

/// How addresses are reused.
#[derive(Clone, Copy, Debug)]
enum Handover {
    /// The former pod goes after the next has come.
    Overlap,
    /// It goes before.
    Gap,
    /// It stays: both claim the addresses.
    Never,
}

impl Step {
    fn take(self, changes: &mut Vec<Change>) {
        match self {
            Self::New(change) => changes.push(change),
            Self::Again(at) => changes.extend((!changes.is_empty()).then(|| at.get(changes).clone())),
            Self::Successor(pod, of, handover) => {
                let pods: Vec<&Pod> = changes.iter().filter_map(pod_of).collect();
                if let Some(former) = (!pods.is_empty()).then(|| *of.get(&pods)) {
                    let gone = Change::PodGone(former.id.clone());
                    let age = Age { created: former.age.created, ..pod.age };
                    let next = Change::Pod(Pod { ips: former.ips.clone(), age, ..pod });
                    changes.extend(match handover {
                        Handover::Overlap => vec![next, gone],
                        Handover::Gap => vec![gone, next],
                        Handover::Never => vec![next],
                    });
                }
            }
        }
    }
}

fn pod_of(change: &Change) -> Option<&Pod> {
    match change {
        Change::Pod(pod) => Some(pod),
        _ => None,
    }
}

/// One change.
pub fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => namespace().prop_map(Change::Namespace),
        1 => select(&NAMESPACES[..]).prop_map(|name| Change::NamespaceGone(name.into())),
        12 => pod().prop_map(Change::Pod),
        3 => pod_id().prop_map(Change::PodGone),
        7 => policy().prop_map(Change::Policy),
        2 => policy_id().prop_map(Change::PolicyGone),
        5 => cluster_policy(4).prop_map(Change::ClusterPolicy),
        2 => cluster_policy_name().prop_map(Change::ClusterPolicyGone),
        1 => kubernetes_node().prop_map(Change::Node),
        1 => select(&["node-1", "node-2"][..]).prop_map(|name| Change::NodeGone(name.into())),
    ]
}

/// A node. Several may have one address, which may be a pod's.
pub fn kubernetes_node() -> impl Strategy<Value = Node> {
    let addresses = vec(select(&["192.168.0.1", "192.168.0.2", "10.0.0.5", "fd00::9"][..]), 0..=2);
    (select(&["node-1", "node-2"][..]), label_pairs(), addresses).prop_map(|(name, labels, addresses)| Node {
        name: name.into(),
        labels: labels.into_iter().collect(),
        addresses: addresses.into_iter().map(address).collect(),
    })
}

/// A cluster policy of up to `count` rules a direction.
pub fn cluster_policy(count: usize) -> impl Strategy<Value = ClusterPolicy> {
    let priority = select(&[0, 1, 1, 2, 1000][..]);
    let wide = || prop_oneof![1 => Just(Selector::default()), 1 => selector()];
    let body = (wide(), wide(), vec(cluster_rule(), 0..=count), vec(cluster_rule(), 0..=count));
    (cluster_policy_name(), enforcement(), select(&Tier::ALL[..]), priority, body).prop_map(
        |(name, enforcement, tier, priority, (namespaces, pods, ingress, egress))| ClusterPolicy {
            name,
            enforcement,
            tier,
            priority,
            subject: PodGroup { namespaces: NamespaceScope::Matching(namespaces), pods },
            ingress,
            egress,
        },
    )
}

fn cluster_rule() -> impl Strategy<Value = ClusterRule> {
    let action = select(&[TierAction::Accept, TierAction::Deny, TierAction::Pass][..]);
    let pods = || pod_group().prop_map(ClusterPeer::Pods);
    let peer = prop_oneof![
        4 => pods(),
        2 => select(&BLOCKS[..]).prop_map(|(cidr, except)| ClusterPeer::Network(ip_block(cidr, except))),
        1 => selector().prop_map(ClusterPeer::Nodes),
    ];
    let ports = prop_oneof![1 => Just(Ports::All), 2 => vec(numbers(), 0..=3).prop_map(Ports::AnyOf)];
    let named = vec(port_match(), 1..=3).prop_map(Ports::AnyOf);
    let peers_and_ports = prop_oneof![
        6 => (vec(peer, 0..=3).prop_map(ClusterPeers::AnyOf), ports),
        2 => (vec(pods(), 1..=2).prop_map(ClusterPeers::AnyOf), named),
    ];
    let rule = (action.clone(), peers_and_ports).prop_map(|(action, (peers, ports))| ClusterRule {
        name: None,
        action,
        peers,
        ports,
    });
    prop_oneof![12 => rule, 1 => option::of(action).prop_map(|action| ClusterRule::closed(None, action))]
}

fn cluster_policy_name() -> impl Strategy<Value = Arc<str>> {
    select(&["c0", "c1", "c2", "c3"][..]).prop_map(Into::into)
}

/// A namespace, with its `kubernetes.io/metadata.name` label.
pub fn namespace() -> impl Strategy<Value = Namespace> {
    (select(&NAMESPACES[..]), label_pairs()).prop_map(|(name, labels)| Namespace {
        name: name.into(),
        labels: labels.into_iter().chain([("kubernetes.io/metadata.name", name)]).collect(),
    })
}

/// A pod. Several may claim one address.
pub fn pod() -> impl Strategy<Value = Pod> {
    let state = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.15), 0..3_i64, 0..3_u64);
    let body = (vec(select(&ADDRESSES[..]), 0..=3), vec(container_port(), 0..=3));
    (pod_id(), label_pairs(), option::weighted(0.9, node()), body, state).prop_map(
        |(id, labels, node, (ips, ports), (host_network, finished, terminating, created, revision))| Pod {
            id,
            uid: Some(created.to_string().into()),
            labels: labels.into_iter().collect(),
            node: node.map(Into::into),
            ips: ips.into_iter().map(address).collect(),
            host_ips: vec![address("192.168.0.1")],
            host_network,
            phase: if finished { Phase::Finished } else { Phase::Active },
            terminating,
            age: Age { created, revision },
            ports,
        },
    )
}

/// The name of a node, mostly [`NODE`].
pub fn node() -> impl Strategy<Value = &'static str> {
    select(&[NODE, NODE, NODE, "node-2"][..])
}

fn enforcement() -> impl Strategy<Value = Enforcement> {
    select(&[Enforcement::Enforced, Enforcement::Enforced, Enforcement::Audited][..])
}

/// A policy.
pub fn policy() -> impl Strategy<Value = Policy> {
    (policy_id(), enforcement(), selector(), rules(3), rules(3)).prop_filter_map("a policy has a direction", |parts| {
        let (id, enforcement, selector, ingress, egress) = parts;
        (ingress.is_some() || egress.is_some()).then_some(Policy { id, enforcement, selector, ingress, egress })
    })
}

/// A policy of up to `count` rules a direction, each for one peer and overlapping ranges of ports.
pub fn many_rules(count: usize) -> impl Strategy<Value = Policy> {
    let one_peer = prop_oneof![
        1 => Just(Peers::All),
        19 => (0..16_u8).prop_map(|last| Peers::AnyOf(vec![block(&format!("10.0.0.{last}/32"), &[])])),
        19 => pod_group().prop_map(|group| Peers::AnyOf(vec![Peer::Pods(group)])),
    ];
    let ranges = vec(numbers(), 1..=3).prop_map(Ports::AnyOf);
    let rule = (one_peer, ranges).prop_map(|(peers, ports)| Rule { peers, ports });
    let rules = vec(rule, 0..=count).boxed();
    (policy_id(), enforcement(), rules.clone(), rules).prop_map(|(id, enforcement, ingress, egress)| Policy {
        id,
        enforcement,
        selector: Selector::default(),
        ingress: Some(ingress),
        egress: Some(egress),
    })
}

/// Shares that the policies of these clusters are over as often as not; mostly in one respect.
pub fn shares() -> impl Strategy<Value = Shares> {
    let per_namespace = (cost(1), option::weighted(0.1, cost(1)));
    let total = option::weighted(0.5, cost(2)).prop_map(|cost| cost.unwrap_or(Cost::UNLIMITED));
    (per_namespace, total).prop_map(|((one, other), total)| {
        let per_namespace = Cost { elements: other.map_or(one.elements, |other| other.elements), ..one };
        Shares { per_namespace, total, cluster: Cost::UNLIMITED }
    })
}

/// A limit for that many namespaces of ordinary size.
fn cost(namespaces: u64) -> impl Strategy<Value = Cost> {
    prop_oneof![
        2 => (0..10 * namespaces).prop_map(|grants| Cost { grants, ..Cost::UNLIMITED }),
        6 => (0..20 * namespaces).prop_map(|elements| Cost { elements, ..Cost::UNLIMITED }),
        2 => (0..5 * namespaces).prop_map(|sets| Cost { sets, ..Cost::UNLIMITED }),
        2 => (0..4 * namespaces).prop_map(|chains| Cost { chains, ..Cost::UNLIMITED }),
        2 => (0..6 * namespaces).prop_map(|checks| Cost { checks, ..Cost::UNLIMITED }),
        4 => (0..25_000 * namespaces).prop_map(|bytes| Cost { bytes, ..Cost::UNLIMITED }),
    ]
}

fn rules(count: usize) -> impl Strategy<Value = Option<Vec<Rule>>> {
    let peers = prop_oneof![1 => Just(Peers::All), 4 => vec(peer(), 0..=3).prop_map(Peers::AnyOf)];
    let ports = prop_oneof![1 => Just(Ports::All), 4 => vec(port_match(), 0..=3).prop_map(Ports::AnyOf)];
    let rule = (peers, ports).prop_map(|(peers, ports)| Rule { peers, ports });
    option::weighted(0.7, vec(rule, 0..=count))
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        3 => pod_group().prop_map(Peer::Pods),
        1 => select(&BLOCKS[..]).prop_map(|(cidr, except)| block(cidr, except)),
    ]
}

fn pod_group() -> impl Strategy<Value = PodGroup> {
    let namespaces = prop_oneof![
        select(&NAMESPACES[..]).prop_map(|name| NamespaceScope::Named(name.into())),
        selector().prop_map(NamespaceScope::Matching),
    ];
    (namespaces, selector()).prop_map(|(namespaces, pods)| PodGroup { namespaces, pods })
}

fn port_match() -> impl Strategy<Value = PortMatch> {
    let named = (protocol(), port_name()).prop_map(|(protocol, name)| PortMatch::Named { protocol, name });
    prop_oneof![2 => numbers(), 1 => named]
}

fn numbers() -> impl Strategy<Value = PortMatch> {
    let bounds = prop_oneof![
        1 => Just((0, u16::MAX)),
        4 => select(&BOUNDS[..]).prop_map(|port| (port, port)),
        6 => (select(&BOUNDS[..]), select(&BOUNDS[..])),
        6 => (0..60_u16, 0..60_u16),
    ];
    (protocol(), bounds).prop_map(|(protocol, (a, b))| PortMatch::Numbers {
        protocol,
        ports: PortRange::new(a.min(b), a.max(b)).expect("the bounds are in order"),
    })
}

fn container_port() -> impl Strategy<Value = ContainerPort> {
    let number = select(&[53, 80, 8080][..]);
    (port_name(), protocol(), number).prop_map(|(name, protocol, port)| ContainerPort { name, protocol, port })
}

fn port_name() -> impl Strategy<Value = Arc<str>> {
    select(&["http", "dns"][..]).prop_map(Into::into)
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![4 => Just(Protocol::Tcp), 2 => Just(Protocol::Udp), 1 => Just(Protocol::Sctp)]
}

fn label_pairs() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    btree_map(select(&["app", "tier"][..]), select(&["a", "b", ""][..]), 0..=2)
        .prop_map(|labels| labels.into_iter().collect())
}

fn selector() -> impl Strategy<Value = Selector> {
    let requirement = (
        select(&["app", "tier", "kubernetes.io/metadata.name"][..]),
        select(&["In", "In", "NotIn", "Exists", "DoesNotExist"][..]),
        subsequence(&["a", "b", "", "x", "y"][..], 1..=2),
    );
    let requirement = requirement.prop_map(|(key, operator, values)| {
        let values = if operator.ends_with("In") { values } else { Vec::new() };
        Requirement::new(key, operator, values).expect("the requirement is valid")
    });
    vec(requirement, 0..=2).prop_map(Selector::from_iter)
}

fn pod_id() -> impl Strategy<Value = NamespacedName> {
    id(&["p0", "p1", "p2", "p3"])
}

fn policy_id() -> impl Strategy<Value = NamespacedName> {
    id(&["n0", "n1", "n2"])
}

fn id(names: &'static [&'static str]) -> impl Strategy<Value = NamespacedName> {
    (select(&NAMESPACES[..]), select(names)).prop_map(|(namespace, name)| NamespacedName::new(namespace, name))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn block(cidr: &str, except: &[&str]) -> Peer {
    Peer::Block(ip_block(cidr, except))
}

fn ip_block(cidr: &str, except: &[&str]) -> IpBlock {
    let net = |text: &str| text.parse().expect("a CIDR");
    IpBlock::new(net(cidr), except.iter().map(|text| net(text))).expect("exceptions lie within")
}

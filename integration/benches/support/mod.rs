//! Policies and pods of chosen sizes, for benchmarks: all on the server pod at [`SERVER`], whose node is [`NODE`], and
//! all such that a datagram from [`CLIENT`] to [`PORT`] is denied.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub(crate) mod datagrams;
pub(crate) mod measured;

use std::net::{IpAddr, Ipv4Addr};

use palisade_model::testing::bare_pod;
use palisade_model::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Enforcement, IpBlock, Labels, Namespace,
    NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol,
    Requirement, Rule, Selector, Tier, TierAction,
};

/// The node of the pods that are judged.
pub(crate) const NODE: &str = "node-0";
/// The pod that sends: no policy allows it.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The pod that all policies select.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The port of the last of many policies.
pub(crate) const PORT: u16 = 1_999;

/// A pod of [`NODE`] in the benchmark's namespace, labelled `app=NAME`.
pub(crate) fn pod(name: &str, ip: IpAddr) -> Change {
    pod_on(NODE, name, ip)
}

/// The same on another node.
pub(crate) fn remote_pod(name: &str, ip: IpAddr) -> Change {
    pod_on("node-1", name, ip)
}

fn pod_on(node: &str, name: &str, ip: IpAddr) -> Change {
    Change::Pod(Pod {
        labels: Labels::from_iter([("app", name)]),
        node: Some(node.into()),
        ..bare_pod(NamespacedName::new("bench", name), [ip])
    })
}

/// The server pod.
pub(crate) fn server() -> Change {
    pod("server", SERVER.into())
}

fn policy(name: &str, rules: Vec<Rule>) -> Change {
    Change::Policy(Policy {
        id: NamespacedName::new("bench", name),
        enforcement: Enforcement::Enforced,
        selector: labelled("app", "server"),
        ingress: Some(rules),
        egress: None,
    })
}

/// A policy that lets nobody reach the pods that `selector` selects.
pub(crate) fn forbidding(name: &str, selector: Selector) -> Change {
    Change::Policy(Policy {
        id: NamespacedName::new("bench", name),
        enforcement: Enforcement::Enforced,
        selector,
        ingress: Some(Vec::new()),
        egress: None,
    })
}

/// The same, if it is a policy, as one that only watches.
pub(crate) fn audited(change: Change) -> Change {
    match change {
        Change::Policy(policy) => Change::Policy(Policy { enforcement: Enforcement::Audited, ..policy }),
        change => change,
    }
}

/// One policy that lets all other pods of the namespace reach the server.
pub(crate) fn all_peers() -> Change {
    let others = Requirement::new("app", "NotIn", ["server"]).into_iter().collect();
    policy("peers", vec![Rule { peers: Peers::AnyOf(vec![group(others)]), ports: Ports::All }])
}

pub(crate) fn labelled(key: &str, value: &str) -> Selector {
    Requirement::new(key, "In", [value]).into_iter().collect()
}

fn group(selector: Selector) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("bench".into()), pods: selector })
}

fn udp(first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Udp, ports: PortRange::new(first, last).expect("ascending") }
}

/// A policy that lets the first peer of [`many_policies`] have TCP connections to the server, too.
pub(crate) fn to_server() -> Change {
    let tcp = PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(PORT, PORT).expect("ascending") };
    policy("stream", vec![rule(group(labelled("app", "peer-0")), vec![tcp])])
}

/// A policy that lets that peer send to the server alone.
pub(crate) fn from_client() -> Change {
    let server = Rule { peers: Peers::AnyOf(vec![group(labelled("app", "server"))]), ports: Ports::All };
    Change::Policy(Policy {
        id: NamespacedName::new("bench", "to-server"),
        enforcement: Enforcement::Enforced,
        selector: labelled("app", "peer-0"),
        ingress: None,
        egress: Some(vec![server]),
    })
}

fn rule(peer: Peer, ports: Vec<PortMatch>) -> Rule {
    Rule { peers: Peers::AnyOf(vec![peer]), ports: Ports::AnyOf(ports) }
}

/// `count` policies, each with a port and peers of its own.
pub(crate) fn many_policies(count: u16) -> Vec<Change> {
    let policies = (0..count).flat_map(|i| {
        let name = format!("peer-{i}");
        let rule = rule(group(labelled("app", &name)), vec![udp(PORT - i, PORT - i)]);
        [policy(&format!("policy-{i}"), vec![rule]), remote_pod(&name, address(u32::from(i)))]
    });
    policies.chain([server()]).collect()
}

/// One policy with `count` port ranges, each with peers of its own.
pub(crate) fn many_ranges(count: u16) -> Vec<Change> {
    let rules = (0..count).map(|i| {
        let last = PORT + 20 * i;
        rule(group(labelled("app", &format!("peer-{i}"))), vec![udp(last - 9, last)])
    });
    vec![policy("ranges", rules.collect()), server()]
}

/// One policy whose peers are `count` pods.
pub(crate) fn many_peers(count: u32) -> Vec<Change> {
    let all = rule(group(Requirement::new("app", "NotIn", ["server"]).into_iter().collect()), vec![udp(PORT, PORT)]);
    let pods = (0..count).map(|i| remote_pod(&format!("peer-{i}"), address(i)));
    pods.chain([policy("peers", vec![all]), server()]).collect()
}

/// One policy whose peers are a block with `count` exceptions.
pub(crate) fn many_exceptions(count: u32) -> Vec<Change> {
    let net = |i: u32| format!("10.0.{}.{}/32", i / 256, i % 256).parse().expect("a CIDR");
    let block = IpBlock::new("10.0.0.0/16".parse().expect("a CIDR"), (1..=count).map(net)).expect("exceptions within");
    vec![policy("exceptions", vec![rule(Peer::Block(block), vec![udp(PORT, PORT)])]), server()]
}

/// The rules of a cluster policy, as many as it may have.
pub(crate) const RULES: u16 = 25;

/// How the rules of cluster policies follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// All rules of every other policy accept; those of the others come after them, and deny.
    Blocks,
    /// Each rule says something else than the one before.
    Alternating,
}

/// `count` cluster policies of [`RULES`] rules each, under which all pods come: each rule about pods of its own, every other
/// for one port alone. None matches the client. A baseline denies everything.
pub(crate) fn many_cluster_policies(count: u16, order: Order) -> Vec<Change> {
    let policy = |i: u16| {
        let action = |at: u16| match order {
            Order::Blocks if i.is_multiple_of(2) => TierAction::Accept,
            Order::Blocks => TierAction::Deny,
            Order::Alternating if at.is_multiple_of(2) => TierAction::Accept,
            Order::Alternating => TierAction::Deny,
        };
        let ports = |at: u16| if at.is_multiple_of(2) { Ports::All } else { Ports::AnyOf(vec![udp(PORT, PORT)]) };
        let rule = |at| cluster_rule(action(at), labelled("app", &format!("peer-{i}-{at}")), ports(at));
        let priority = if order == Order::Blocks { i % 2 } else { i };
        cluster_policy(&format!("policy-{i}"), Tier::Admin, priority, (0..RULES).map(rule).collect())
    };
    let deny = cluster_rule(TierAction::Deny, Selector::default(), Ports::All);
    let baseline = cluster_policy("nobody", Tier::Baseline, 0, vec![deny]);
    let namespace = Change::Namespace(Namespace { name: "bench".into(), labels: Labels::default() });
    (0..count).map(policy).chain([baseline, namespace, server(), pod("client", CLIENT.into())]).collect()
}

fn cluster_rule(action: TierAction, pods: Selector, ports: Ports) -> ClusterRule {
    let peer = ClusterPeer::Pods(PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods });
    ClusterRule { name: None, action, peers: ClusterPeers::AnyOf(vec![peer]), ports }
}

fn cluster_policy(name: &str, tier: Tier, priority: u16, ingress: Vec<ClusterRule>) -> Change {
    let everyone = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let name = name.into();
    Change::ClusterPolicy(ClusterPolicy {
        name,
        enforcement: Enforcement::Enforced,
        tier,
        priority,
        subject: everyone,
        ingress,
        egress: vec![],
    })
}

/// The address of a peer, which is neither the client nor the server.
pub(crate) fn address(i: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0b00_0000 + i).into()
}

//! What policies allow at most while the pods of other nodes are not known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use judge::check_output;
use palisade_model::reference::{Cluster, Flow};
use palisade_model::testing::{
    NODE, Output, bare_pod, changes, cluster_policy, flows, kubernetes_node, namespace, pod, policy,
};
use palisade_model::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Cost, Direction, Enforcement, Index, IpBlock,
    Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy, PortMatch, Ports, Protocol,
    Rule, Selector, Shares, Tier, TierAction, Traffic,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The same cluster with lenient policies.
fn lenient(cluster: &Cluster) -> Cluster {
    let mut lenient = cluster.clone();
    for policy in lenient.policies.values_mut() {
        *policy = policy.lenient().unwrap_or_else(|| policy.clone());
    }
    for policy in lenient.cluster_policies.values_mut() {
        *policy = policy.lenient().unwrap_or_else(|| policy.clone());
    }
    lenient
}

/// The cluster as its node sees it before it knows the pods of others.
fn before(cluster: &Cluster) -> Cluster {
    let mut before = lenient(cluster);
    before.pods.retain(|_, pod| pod.node.as_deref() == Some(NODE));
    before
}

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

/// A cluster in which each pod has addresses of its own: whose a contested one is depends on all who claim it.
fn clusters() -> impl Strategy<Value = Cluster> {
    let objects =
        (vec(namespace(), 3), vec(pod(), 8), vec(policy(), 3), vec(cluster_policy(3), 0..3), kubernetes_node());
    objects.prop_map(|(namespaces, mut pods, policies, cluster_policies, node)| {
        for (pod, number) in pods.iter_mut().zip(1_u8..) {
            pod.ips = vec![Ipv4Addr::new(10, 0, 0, number).into()];
            pod.terminating = false;
        }
        let changes = namespaces.into_iter().map(Change::Namespace).chain(pods.into_iter().map(Change::Pod));
        let changes = changes.chain(policies.into_iter().map(Change::Policy)).chain([Change::Node(node)]);
        cluster(changes.chain(cluster_policies.into_iter().map(Change::ClusterPolicy)))
    })
}

/// A part of the usual number of cases: each asks for thousands of verdicts.
fn fewer_cases(part: u32) -> Config {
    let usual = Config::with_source_file(file!());
    Config { cases: (usual.cases / part).max(1), ..usual }
}

#[test]
fn nothing_that_is_allowed_is_forbidden_before() {
    let (forbidden, allowed) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(fewer_cases(4));
    runner
        .run(&clusters(), |cluster| {
            let before = before(&cluster);
            for flow in flows(&cluster) {
                let (then, now) = (before.verdict(&flow), cluster.verdict(&flow));
                for direction in Direction::ALL {
                    let (then, now) = (then.of(direction), now.of(direction));
                    if then.subject.is_none() {
                        continue;
                    }
                    prop_assert!(then.allowed || !now.allowed, "{} of {:?}: {:?}", direction, flow, then);
                    forbidden.set(forbidden.get() + usize::from(!then.allowed));
                    allowed.set(allowed.get() + usize::from(then.allowed && !now.allowed));
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(
        forbidden.get() > 1_000 && allowed.get() > 1_000,
        "{forbidden:?} are forbidden before, {allowed:?} are then"
    );
}

proptest! {
    #![proptest_config(fewer_cases(8))]

    /// Whatever comes before, meanwhile and after.
    #[test]
    fn an_index_is_lenient_until_it_is_exact(changes in changes(40), begin in 0..20_usize, end in 20..40_usize, takes in any::<u64>()) {
        let mut index = Index::new(NODE);
        let mut output = Output::new(index.take_full());
        for (at, change) in changes.iter().enumerate() {
            if at == begin {
                index.be_lenient();
            }
            if at == end {
                index.be_exact();
            }
            index.apply(change.clone());
            if takes & 1 << at != 0 {
                output.apply(index.take_delta());
                index.confirm_cluster_policies();
                let cluster = cluster(changes[..=at].iter().cloned());
                let is_lenient = (begin..end).contains(&at);
                check_output(&if is_lenient { lenient(&cluster) } else { cluster }, &output);
            }
        }
        index.be_exact();
        output.apply(index.take_delta());
        check_output(&cluster(changes), &output);
    }
}

fn rule(peers: Peers, ports: Ports) -> Rule {
    Rule { peers, ports }
}

fn web(rules: Vec<Rule>) -> Policy {
    Policy {
        id: NamespacedName::new("shop", "web"),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(rules.clone()),
        egress: Some(rules),
    }
}

fn pods() -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: Selector::default() })
}

fn block() -> Peer {
    Peer::Block(IpBlock::new("10.0.0.0/8".parse().unwrap(), []).unwrap())
}

#[test]
fn what_depends_on_no_pod_stays() {
    let port = PortMatch::Numbers { protocol: Protocol::Tcp, ports: palisade_model::PortRange::single(80) };
    let of_blocks = rule(Peers::AnyOf(vec![block()]), Ports::AnyOf(vec![port]));
    for rules in [vec![], vec![of_blocks], vec![rule(Peers::AnyOf(vec![]), Ports::All)]] {
        assert_eq!(web(rules).lenient(), None);
    }
}

#[test]
fn whoever_may_be_a_pod_may_connect_to_the_same_ports() {
    let named = Ports::AnyOf(vec![PortMatch::Named { protocol: Protocol::Tcp, name: "http".into() }]);
    let lenient = web(vec![rule(Peers::AnyOf(vec![block(), pods()]), named.clone())]).lenient().unwrap();
    assert_eq!(lenient.ingress, Some(vec![rule(Peers::All, named)]));
    assert_eq!(lenient.egress, Some(vec![rule(Peers::All, Ports::All)]));
}

#[test]
fn a_pod_that_nobody_may_reach_is_closed_before() {
    let here: IpAddr = "10.0.0.1".parse().unwrap();
    let pod = Pod { node: Some(NODE.into()), ..bare_pod(NamespacedName::new("shop", "a"), [here]) };
    let cluster = cluster([Change::Pod(pod), Change::Policy(web(vec![]))]);
    let traffic = Traffic::Port { protocol: Protocol::Tcp, port: 80 };
    let flow = Flow { source: "10.9.0.1".parse().unwrap(), destination: here, traffic };
    assert!(!before(&cluster).verdict(&flow).allowed);
}

fn cluster_policy_of(rule: ClusterRule) -> ClusterPolicy {
    let subject = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let (ingress, egress) = (vec![rule.clone()], vec![rule]);
    ClusterPolicy {
        name: "c".into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Admin,
        priority: 1,
        subject,
        ingress,
        egress,
    }
}

fn cluster_rule(action: TierAction, peer: ClusterPeer, ports: Ports) -> ClusterRule {
    ClusterRule { name: None, action, peers: ClusterPeers::AnyOf(vec![peer]), ports }
}

/// Nothing depends on pods in its ingress, in its egress the number of the port.
#[test]
fn a_port_by_name_is_not_known_of_whom_one_connects_to() {
    let network = || ClusterPeer::Network(IpBlock::new("10.0.0.0/8".parse().unwrap(), []).unwrap());
    let named = || Ports::AnyOf(vec![PortMatch::Named { protocol: Protocol::Tcp, name: "http".into() }]);
    let lenient = |action| cluster_policy_of(cluster_rule(action, network(), named())).lenient().unwrap();
    let (accepts, denies) = (lenient(TierAction::Accept), lenient(TierAction::Deny));
    assert_eq!(accepts.ingress, [cluster_rule(TierAction::Accept, network(), named())]);
    assert_eq!(accepts.egress, [cluster_rule(TierAction::Accept, network(), Ports::All)]);
    assert_eq!((denies.ingress.len(), denies.egress.len()), (1, 0));
}

/// What was enforced before is not what is gone back to where the policy costs too much.
#[test]
fn no_cluster_policy_stays_lenient() {
    let group = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let accepts = cluster_policy_of(cluster_rule(TierAction::Accept, ClusterPeer::Pods(group), Ports::All));
    let shop = Namespace { name: "shop".into(), labels: Labels::default() };
    let pods = (1..=20).map(|number| {
        let id = NamespacedName::new("shop", format!("pod-{number}"));
        Change::Pod(Pod { node: Some(NODE.into()), ..bare_pod(id, [Ipv4Addr::new(10, 0, 0, number).into()]) })
    });
    let changes = pods.chain([Change::Namespace(shop), Change::ClusterPolicy(accepts)]);
    let share = Cost { elements: 10, ..Cost::UNLIMITED };
    let mut index = Index::with_shares(NODE, Shares { cluster: share, ..Shares::UNLIMITED });
    index.be_lenient();
    changes.for_each(|change| index.apply(change));
    let mut output = Output::new(index.take_full());
    index.confirm_cluster_policies();
    assert!(!output.tiers.is_empty());
    index.be_exact();
    output.apply(index.take_delta());
    assert_eq!(index.refused_cluster_policies().collect::<Vec<_>>(), [&"c".into()]);
    assert!(output.tiers.is_empty());
}

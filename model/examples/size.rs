//! Time and memory of the index alone at the size of the largest clusters: 150,000 pods in 10,000 namespaces, 10,000
//! policies and 110 local pods. `cargo run --release -p palisade-model --example size`

use std::time::{Duration, Instant};

use palisade_model::testing::NODE;
use palisade_model::testing::workload::{Kind, Shape, Size, Workload};
use palisade_model::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Delta, Enforcement, Index, NamespaceScope,
    NamespacedName, Peer, Peers, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector,
    SetDelta, Tier, TierAction,
};

const EVENTS: usize = 10_000;
/// Policies that select one of the local pods, each with a namespaceSelector of its own.
const CROWD: u32 = 1_000;
/// Cluster policies over all pods.
const TIERS: u16 = 10;

fn main() {
    let mut workload = Workload::new(Shape::ManyNamespaces, Size::FULL, 1);
    let mut index = Index::new(NODE);

    let Size { pods, namespaces, policies, local_pods: _ } = Size::FULL;
    let mut cluster = workload.cluster();
    for (what, count) in [("namespaces", namespaces), ("pods", pods), ("policies", policies)] {
        let changes = cluster.by_ref().take(usize::try_from(count).expect("a count"));
        report(&format!("{count} {what}"), total(changes.map(|change| timed(|| index.apply(change)))));
    }
    let start = Instant::now();
    summary("first delta", start, &index.take_delta());
    println!("{:?}", index.size());

    for kind in Kind::ALL {
        let events = (0..EVENTS).map(|_| workload.event(kind)).map(|change| timed(|| index.apply(change)));
        report(&format!("{EVENTS} times: {kind}"), total(events));
        let start = Instant::now();
        summary("their delta", start, &index.take_delta());
    }

    for kind in Kind::ALL {
        let events = (0..EVENTS / 5).map(|_| workload.event(kind));
        let each = events.map(|change| timed(|| (index.apply(change), index.take_delta())));
        report(&format!("{} times, each with its delta: {kind}", EVENTS / 5), total(each));
    }

    let over_all: Vec<Change> = (0..TIERS).map(over_all).collect();
    report("cluster policies over all pods", total(over_all.into_iter().map(|change| timed(|| index.apply(change)))));
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());
    for kind in [Kind::RemotePod, Kind::AnyPod] {
        let events = (0..EVENTS).map(|_| workload.event(kind)).map(|change| timed(|| index.apply(change)));
        report(&format!("{EVENTS} times, under cluster policies: {kind}"), total(events));
        let start = Instant::now();
        summary("their delta", start, &index.take_delta());
    }
    let start = Instant::now();
    index.apply(over_all_again());
    summary("one of the cluster policies is edited", start, &index.take_delta());

    report("1,000 policies on a local pod", total((0..CROWD).map(|n| timed(|| index.apply(crowd(n))))));
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());
    let start = Instant::now();
    index.apply(Change::PolicyGone(crowd_id(0)));
    summary("one of them goes", start, &index.take_delta());
}

/// A cluster policy under which all pods come, whose first rule is about all pods, and the others about those of one team.
fn over_all(number: u16) -> Change {
    let everyone = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let of_team = |team: u16| {
        let team = Requirement::new("team", "In", [format!("team-{team}").as_str()]).expect("a label");
        let namespaces = NamespaceScope::Matching(Selector::from_iter([team]));
        ClusterPeer::Pods(PodGroup { namespaces, pods: Selector::default() })
    };
    let rule = |action, peer| ClusterRule {
        name: None,
        action,
        peers: ClusterPeers::AnyOf(vec![peer]),
        ports: Ports::AnyOf(vec![PortMatch::Numbers {
            protocol: Protocol::Tcp,
            ports: PortRange::single(1_000 + number),
        }]),
    };
    let all = rule(TierAction::Accept, ClusterPeer::Pods(everyone.clone()));
    let rules: Vec<ClusterRule> =
        [all].into_iter().chain((1..25).map(|at| rule(TierAction::Deny, of_team(number * 25 + at)))).collect();
    Change::ClusterPolicy(ClusterPolicy {
        name: format!("over-all-{number}").into(),
        enforcement: Enforcement::Enforced,
        tier: if number.is_multiple_of(2) { Tier::Admin } else { Tier::Baseline },
        priority: number,
        subject: everyone,
        ingress: rules.clone(),
        egress: rules,
    })
}

fn over_all_again() -> Change {
    let Change::ClusterPolicy(policy) = over_all(0) else { unreachable!("it makes cluster policies") };
    Change::ClusterPolicy(ClusterPolicy { egress: policy.egress.into_iter().rev().collect(), ..policy })
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn total(times: impl Iterator<Item = Duration>) -> Duration {
    times.sum()
}

fn report(what: &str, time: Duration) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("?").trim();
    println!("{what}: {time:.2?}, resident {memory}");
}

fn summary(what: &str, start: Instant, delta: &Delta) {
    let time = start.elapsed();
    let members = delta.sets.values().map(|set| match set {
        SetDelta::New(members) => members.len(),
        SetDelta::Changed { added, removed } => added.len() + removed.len(),
        SetDelta::Gone => 0,
    });
    let members: usize = members.sum();
    let (pods, tables, sets) = (delta.pods.len(), delta.tables.len(), delta.sets.len());
    report(&format!("{what} ({pods} pods, {tables} tables, {sets} sets, {members} members)"), time);
}

fn crowd(number: u32) -> Change {
    let namespaces = selector("kubernetes.io/metadata.name", &format!("namespace-{}", 5_000 + number));
    let pods = selector("app.kubernetes.io/name", "app-0");
    let peer = Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(namespaces), pods });
    let rule = Rule {
        peers: Peers::AnyOf(vec![peer]),
        ports: Ports::AnyOf(vec![port(u16::try_from(1_000 + number).expect("a port"))]),
    };
    Change::Policy(Policy {
        id: crowd_id(number),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(vec![rule]),
        egress: None,
    })
}

fn crowd_id(number: u32) -> NamespacedName {
    NamespacedName::new("namespace-0", format!("crowd-{number}"))
}

fn selector(key: &str, value: &str) -> Selector {
    Selector::from_iter([Requirement::new(key, "In", [value]).expect("a valid requirement")])
}

fn port(port: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(port) }
}

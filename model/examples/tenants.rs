//! What policies cost that one tenant may write: sets, members, segments and memory of shapes that are as bad as can be,
//! without shares and with those of [`Shares::STANDARD`]. And what they cost in ordinary clusters, which shares are to
//! leave alone.
//!
//! `cargo run --release -p palisade-model --example tenants -- PODS [PART OF A SHAPE'S NAME]`

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use palisade_model::testing::workload::{Shape, Size, Workload};
use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Age, Change, Cost, Delta, Enforcement, Index, Labels, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup,
    Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector, SetDelta, Shares,
};

const NAMESPACE: &str = "hostile";
const LIMITS: [(&str, Shares); 2] = [("no shares", Shares::UNLIMITED), ("standard shares", Shares::STANDARD)];

fn main() {
    let pods = std::env::args().nth(1).and_then(|pods| pods.parse().ok()).unwrap_or(5_000);
    let only = std::env::args().nth(2);
    let chosen = |what: &str| only.as_ref().is_none_or(|only| what.contains(&**only));
    for shape in Shape::ALL.into_iter().filter(|shape| chosen(&shape.to_string())) {
        ordinary(shape, pods);
    }
    for (what, objects) in shapes().into_iter().filter(|(what, _)| chosen(what)) {
        for (limits, shares) in LIMITS {
            hostile(&format!("{what}, {limits}"), pods, objects.clone(), shares);
        }
    }
}

fn cluster(shape: Shape, pods: u32, shares: Shares) -> Index {
    let mut index = Index::with_shares(NODE, shares);
    Workload::new(shape, Size::of_pods(pods), 1).cluster().for_each(|change| index.apply(change));
    index.take_delta();
    index
}

fn ordinary(shape: Shape, pods: u32) {
    let index = cluster(shape, pods, Shares::UNLIMITED);
    let costs: Vec<Cost> = index.costs().map(|(_, cost)| cost).collect();
    let most = |part: fn(&Cost) -> u64| costs.iter().map(part).max().unwrap_or(0);
    let most = Cost {
        grants: most(|cost| cost.grants),
        elements: most(|cost| cost.elements),
        sets: most(|cost| cost.sets),
        chains: most(|cost| cost.chains),
        checks: most(|cost| cost.checks),
        bytes: most(|cost| cost.bytes),
    };
    println!("{shape}: the most of one of {} namespaces {most:?}\n  in all {:?}", costs.len(), index.total_cost());
}

fn hostile(what: &str, pods: u32, objects: Vec<Change>, shares: Shares) {
    let mut index = cluster(Shape::ManyNamespaces, pods, shares);
    let before = resident();
    let (made, time) = timed(|| {
        objects.into_iter().for_each(|change| index.apply(change));
        index.take_delta()
    });
    let grown = resident().saturating_sub(before) / 1024;
    let closed = index.closed().next().map_or("open", |_| "closed");
    println!("{what}: {closed}, {time:.2?}, +{grown} MiB, {}\n  {:?}", summary(&made), index.cost(NAMESPACE));
}

fn shapes() -> Vec<(&'static str, Vec<Change>)> {
    let one = |rules| vec![local(0, None), policy(0, Selector::default(), rules)];
    let absent = |n: u32| anywhere("DoesNotExist", &format!("absent-{n}"));
    let mut random = fastrand::Rng::with_seed(7);
    let each = |count: u32, of: &dyn Fn(u32) -> Rule| one((0..count).map(of).collect());
    let ranges: Vec<PortMatch> = (0..800).map(|_| random_range(&mut random)).collect();
    let at_range = |peer: Peer, n: u32| rule(vec![peer], vec![ranges[n as usize].clone()]);
    vec![
        (
            "1,000 selectors of all pods, a port each",
            each(1_000, &|n| rule(vec![absent(n)], vec![ports(n + 1, n + 1)])),
        ),
        (
            "1,000 selectors of all pods, no ports",
            each(1_000, &|n| Rule { peers: Peers::AnyOf(vec![absent(n)]), ports: Ports::All }),
        ),
        ("2,000 policies of 20 selectors, 300 subsets of 300", subsets(&mut random)),
        ("800 random ranges, a selector of all pods each", each(800, &|n| at_range(absent(n), n))),
        ("800 random ranges, a selector of no pods each", each(800, &|n| at_range(own(n), n))),
        (
            "8,000 nested ranges, a selector of no pods each",
            each(8_000, &|n| rule(vec![own(n)], vec![ports(n + 1, 60_000 - n)])),
        ),
        ("5,000 ports, a selector of no pods each", each(5_000, &|n| rule(vec![own(n)], vec![ports(n + 1, n + 1)]))),
    ]
}

fn subsets(random: &mut fastrand::Rng) -> Vec<Change> {
    let pods: Vec<Change> = (0..300)
        .map(|n| {
            let chosen: BTreeSet<u32> = (0..300).map(|_| random.u32(0..2_000)).collect();
            local(n, Some(&chosen))
        })
        .collect();
    let rules = |n: u32| -> Vec<Rule> {
        let peers = (0..20).map(|m| anywhere("DoesNotExist", &format!("absent-{n}-{m}"))).collect();
        vec![rule(peers, vec![ports(80, 80)])]
    };
    let policies = (0..2_000).map(|n| policy(n, selector("Exists", &format!("label-{n}")), rules(n)));
    pods.into_iter().chain(policies).collect()
}

fn local(number: u32, chosen: Option<&BTreeSet<u32>>) -> Change {
    let labels: Labels = chosen.into_iter().flatten().map(|n| (format!("label-{n}"), "")).collect();
    let address = std::net::Ipv4Addr::from(0x0b00_0000 + number);
    Change::Pod(Pod {
        labels,
        node: Some(NODE.into()),
        age: Age::default(),
        ..bare_pod(NamespacedName::new(NAMESPACE, format!("pod-{number}")), [address.into()])
    })
}

fn policy(number: u32, selector: Selector, rules: Vec<Rule>) -> Change {
    let id = NamespacedName::new(NAMESPACE, format!("policy-{number}"));
    Change::Policy(Policy { id, enforcement: Enforcement::Enforced, selector, ingress: Some(rules), egress: None })
}

fn rule(peers: Vec<Peer>, ports: Vec<PortMatch>) -> Rule {
    Rule { peers: Peers::AnyOf(peers), ports: Ports::AnyOf(ports) }
}

fn anywhere(operator: &str, key: &str) -> Peer {
    let namespaces = NamespaceScope::Matching(Selector::default());
    Peer::Pods(PodGroup { namespaces, pods: selector(operator, key) })
}

fn own(number: u32) -> Peer {
    let namespaces = NamespaceScope::Named(NAMESPACE.into());
    Peer::Pods(PodGroup { namespaces, pods: selector("Exists", &format!("own-{number}")) })
}

fn selector(operator: &str, key: &str) -> Selector {
    Selector::from_iter([Requirement::new(key, operator, <[&str; 0]>::default()).expect("a valid requirement")])
}

fn random_range(random: &mut fastrand::Rng) -> PortMatch {
    let (a, b) = (random.u32(1..65_536), random.u32(1..65_536));
    ports(a.min(b), a.max(b))
}

fn ports(first: u32, last: u32) -> PortMatch {
    let port = |number| u16::try_from(number).expect("a port");
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(port(first), port(last)).expect("in order") }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let made = work();
    (made, start.elapsed())
}

/// In KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn summary(delta: &Delta) -> String {
    let members = delta.sets.values().map(|set| match set {
        SetDelta::New(members) => members.len(),
        SetDelta::Changed { .. } | SetDelta::Gone => 0,
    });
    let segments = || delta.tables.values().flatten().flat_map(|table| table.segments.values()).flatten();
    let lists: BTreeSet<_> = segments().map(|segment| &segment.clauses).collect();
    let lookups: usize = lists.iter().map(|list| list.len()).sum();
    let most = lists.iter().map(|list| list.len()).max().unwrap_or(0);
    format!(
        "{} tables, {} segments, {} lists of {lookups} lookups (at most {most}), {} sets, {} elements",
        delta.tables.len(),
        segments().count(),
        lists.len(),
        delta.sets.len(),
        members.sum::<usize>()
    )
}

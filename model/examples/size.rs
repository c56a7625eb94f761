//! Time and memory of the index at the size of the largest clusters: 150,000 pods in 10,000 namespaces, 10,000 policies
//! and 110 local pods. `cargo run --release -p palisade-model --example size [pods-per-class]`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use palisade_model::{
    Age, Change, ContainerPort, Delta, Index, IpBlock, Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers,
    Phase, Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector, SetDelta,
};

const PODS: u32 = 150_000;
const NAMESPACES: u32 = 10_000;
const POLICIES: u32 = 10_000;
const LOCAL_PODS: u32 = 110;
/// Policies that select one of the local pods, each with a namespaceSelector of its own.
const CROWD: u32 = 1_000;

fn main() {
    let pods_per_class = std::env::args().nth(1).map_or(5, |arg| arg.parse().expect("pods per class: a number"));
    let pod = |number: u32| pod(number, pods_per_class);
    let mut index = Index::new("node-0");

    let mut fill = |what: &str, changes: &mut dyn Iterator<Item = Change>| {
        report(what, total(changes.map(|change| timed(|| index.apply(change)))));
    };
    fill("10,000 namespaces", &mut (0..NAMESPACES).map(|n| Change::Namespace(namespace(n, "old"))));
    fill("150,000 pods", &mut (0..PODS).map(|n| Change::Pod(pod(n))));
    fill("10,000 policies", &mut (0..POLICIES).map(|n| Change::Policy(policy(n))));
    let start = Instant::now();
    summary("first delta", start, &index.take_delta());
    println!("{:?}", index.size());

    let remote = |n: u32| LOCAL_PODS + n * 7;
    let gone = total((0..10_000).map(|n| timed(|| index.apply(Change::PodGone(pod(remote(n)).id)))));
    report("10,000 remote pods go", gone);
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());
    let back = total((0..10_000).map(|n| Change::Pod(pod(remote(n)))).map(|change| timed(|| index.apply(change))));
    report("10,000 remote pods come", back);
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());

    let relabel = (0..1_000).map(|n| Change::Namespace(namespace(n, "new")));
    report("1,000 namespaces are relabelled", total(relabel.map(|change| timed(|| index.apply(change)))));
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());

    let edits = (0..LOCAL_PODS).map(|n| Change::Policy(Policy { egress: None, ..policy(n) }));
    let edits = total(edits.map(|change| {
        timed(|| {
            index.apply(change);
            index.take_delta();
        })
    }));
    report("110 edits of policies of local pods, with their deltas", edits);

    report("1,000 policies on a local pod", total((0..CROWD).map(|n| timed(|| index.apply(crowd(n))))));
    let start = Instant::now();
    summary("their delta", start, &index.take_delta());
    let start = Instant::now();
    index.apply(Change::PolicyGone(crowd_id(0)));
    summary("one of them goes", start, &index.take_delta());
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
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

fn namespace(number: u32, version: &str) -> Namespace {
    let name = format!("namespace-{number}");
    let team = format!("team-{}", number % 100);
    let labels = [("kubernetes.io/metadata.name", name.as_str()), ("team", &team), ("version", version)];
    Namespace { labels: Labels::from_iter(labels), name: name.into() }
}

fn pod(number: u32, per_class: u32) -> Pod {
    let namespace = number % NAMESPACES;
    let class = number / NAMESPACES / per_class;
    let labels = [
        ("app.kubernetes.io/name".to_owned(), format!("app-{}", class % 4)),
        ("app.kubernetes.io/instance".to_owned(), format!("app-{class}-of-namespace-{namespace}")),
        ("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned()),
        ("pod-template-hash".to_owned(), format!("{:x}", class * 7_919 + namespace)),
    ];
    Pod {
        id: NamespacedName::new(format!("namespace-{namespace}"), format!("app-{class}-{number:x}-abcde")),
        labels: Labels::from_iter(labels),
        node: Some(if number < LOCAL_PODS { "node-0".into() } else { format!("node-{}", 1 + number % 5_000).into() }),
        ips: vec![IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))],
        host_ips: vec![],
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age { created: number.into(), revision: number.into() },
        ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
    }
}

fn policy(number: u32) -> Policy {
    let namespace = format!("namespace-{}", number % NAMESPACES);
    let own = |app: &str| {
        let pods = selector("app.kubernetes.io/name", app);
        Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(namespace.as_str().into()), pods })
    };
    let elsewhere = |key: &str, value: &str, pods: Selector| {
        Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(selector(key, value)), pods })
    };
    let team = elsewhere("team", &format!("team-{}", number % 100), Selector::default());
    let old = elsewhere("version", "old", selector("app.kubernetes.io/name", "app-1"));
    let dns = elsewhere("kubernetes.io/metadata.name", "namespace-0", Selector::default());
    let block = IpBlock::new("10.0.0.0/20".parse().expect("a CIDR"), ["10.0.1.0/24".parse().expect("a CIDR")]);
    let block = Peer::Block(block.expect("a block"));
    let http = PortMatch::Named { protocol: Protocol::Tcp, name: "http".into() };
    let rule = |peers, ports| Rule { peers: Peers::AnyOf(peers), ports: Ports::AnyOf(ports) };
    Policy {
        id: NamespacedName::new(namespace.as_str(), format!("policy-{number}")),
        selector: Selector::default(),
        ingress: Some(vec![rule(vec![own("app-0"), team], vec![http.clone()]), rule(vec![old], vec![port(9090)])]),
        egress: Some(vec![
            rule(vec![dns], vec![port(53)]),
            rule(vec![own("app-1")], vec![http]),
            rule(vec![block], vec![port(443)]),
        ]),
    }
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

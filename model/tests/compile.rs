//! Decision tables of given policies.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use palisade_model::{
    Clause, Direction, Enforcement, IpBlock, NamespaceScope, NamespacedName, Peer, PeerMatch, Peers, PodGroup, Policy,
    PortMatch, PortRange, PortResolution, Ports, Protocol, Requirement, Rule, Selector, SetKey, Table, compile,
};

/// One line a segment, and one for what always holds.
fn text(table: &Table) -> String {
    let mut text = String::new();
    for (protocol, segment) in table.segments.iter().flat_map(|(p, segments)| segments.iter().map(move |s| (p, s))) {
        writeln!(text, "{}/{protocol}: {}", segment.ports, clauses(&segment.clauses)).unwrap();
    }
    if !table.always.is_empty() {
        writeln!(text, "always: {}", clauses(&table.always)).unwrap();
    }
    text
}

fn clauses(clauses: &[Clause]) -> String {
    fn join(items: impl Iterator<Item = String>) -> String {
        format!("[{}]", items.collect::<Vec<_>>().join(", "))
    }
    let clause = |clause: &Clause| match &clause.peers {
        PeerMatch::All => "everyone".to_owned(),
        PeerMatch::Set(key) => match &**key {
            SetKey::Pods(groups) => join(groups.iter().map(PodGroup::to_string)),
            SetKey::Blocks(blocks) => join(blocks.iter().map(IpBlock::to_string)),
            SetKey::Endpoints(groups) => join(groups.iter().map(|group| group.to_string())),
            SetKey::Nodes(selectors) => join(selectors.iter().map(|selector| selector.to_string())),
        },
    };
    clauses.iter().map(clause).collect::<Vec<_>>().join(" then ")
}

fn pods(app: &str) -> Peer {
    let requirement = Requirement::new("app", "In", [app]).unwrap();
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: Selector::from_iter([requirement]) })
}

fn block(cidr: &str) -> Peer {
    Peer::Block(IpBlock::new(cidr.parse().unwrap(), []).unwrap())
}

fn tcp(first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(first, last).unwrap() }
}

fn named(name: &str) -> PortMatch {
    PortMatch::Named { protocol: Protocol::Tcp, name: name.into() }
}

fn to(peers: impl IntoIterator<Item = Peer>, ports: impl IntoIterator<Item = PortMatch>) -> Rule {
    Rule { peers: Peers::AnyOf(peers.into_iter().collect()), ports: Ports::AnyOf(ports.into_iter().collect()) }
}

fn policy(rules: Vec<Rule>) -> Policy {
    let id = NamespacedName::new("shop", "policy");
    Policy {
        id,
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(rules.clone()),
        egress: Some(rules),
    }
}

fn egress(rules: Vec<Rule>) -> Table {
    compile(Direction::Egress, &[policy(rules)], &[])
}

/// The definitions in the distinct sets of one protocol's segments.
fn definitions(table: &Table) -> usize {
    let clauses = table.segments.values().flatten().flat_map(|segment| segment.clauses.iter());
    let sets: BTreeSet<&Arc<SetKey>> = clauses
        .filter_map(|clause| match &clause.peers {
            PeerMatch::Set(key) => Some(key),
            PeerMatch::All => None,
        })
        .collect();
    let definitions = sets.into_iter().map(|key| match &**key {
        SetKey::Pods(groups) => groups.len(),
        SetKey::Blocks(blocks) => blocks.len(),
        SetKey::Endpoints(groups) => groups.len(),
        SetKey::Nodes(selectors) => selectors.len(),
    });
    definitions.sum()
}

fn most_lookups(table: &Table) -> usize {
    table.segments.values().flatten().map(|segment| segment.clauses.len()).max().unwrap_or(0)
}

#[test]
fn overlapping_ranges_are_cut_and_their_peers_unioned() {
    let table = egress(vec![
        to([pods("a"), block("10.0.0.0/8")], [tcp(80, 90)]),
        to([pods("b")], [tcp(85, 95), tcp(100, 100)]),
        to([pods("b")], [tcp(96, 96)]),
    ]);
    assert_eq!(
        text(&table),
        "80-84/TCP: [pods app=a in shop] then [10.0.0.0/8]\n\
         85-90/TCP: [pods app=a in shop, pods app=b in shop] then [10.0.0.0/8]\n\
         91-96/TCP: [pods app=b in shop]\n\
         100/TCP: [pods app=b in shop]\n"
    );
}

#[test]
fn where_everyone_is_allowed_nobody_is_named() {
    let everyone = Rule { peers: Peers::All, ports: Ports::AnyOf(vec![tcp(80, 80), tcp(81, 89)]) };
    let table = egress(vec![to([pods("a")], [tcp(70, 85)]), everyone]);
    assert_eq!(text(&table), "70-79/TCP: [pods app=a in shop]\n80-89/TCP: everyone\n");
}

#[test]
fn a_rule_without_ports_and_peers_is_the_whole_table() {
    let anything = Rule { peers: Peers::All, ports: Ports::All };
    let table = egress(vec![to([pods("a")], [tcp(80, 80), named("http")]), anything]);
    assert_eq!(text(&table), "always: everyone\n");
}

#[test]
fn what_always_holds_is_not_repeated() {
    let a = Rule { peers: Peers::AnyOf(vec![pods("a")]), ports: Ports::All };
    let table = egress(vec![a, to([pods("a"), pods("b")], [tcp(80, 80), named("http")]), to([pods("a")], [tcp(1, 9)])]);
    assert_eq!(
        text(&table),
        "80/TCP: [pods app=b in shop]\nalways: [pods app=a in shop] then [http/TCP of pods app=b in shop]\n"
    );
}

#[test]
fn empty_lists_allow_nothing() {
    assert_eq!(egress(vec![to([], [tcp(80, 80)]), to([pods("a")], [])]), Table::default());
    let nobody = Rule { peers: Peers::AnyOf(vec![]), ports: Ports::All };
    assert_eq!(egress(vec![nobody]), Table::default());
    assert_eq!(egress(vec![]), Table::default());
}

#[test]
fn all_ports_of_a_protocol_are_one_segment() {
    let udp = PortMatch::Numbers { protocol: Protocol::Udp, ports: PortRange::ALL };
    assert_eq!(text(&egress(vec![to([pods("a")], [udp])])), "0-65535/UDP: [pods app=a in shop]\n");
}

#[test]
fn port_names_are_numbers_for_ingress_and_endpoints_for_egress() {
    let rules = vec![
        to([pods("a"), block("10.0.0.0/8")], [named("http"), named("undeclared")]),
        Rule { peers: Peers::All, ports: Ports::AnyOf(vec![named("metrics")]) },
    ];
    let http = PortResolution { name: "http".into(), protocol: Protocol::Tcp, ports: vec![80, 8080] };
    let other_protocol = PortResolution { name: "metrics".into(), protocol: Protocol::Udp, ports: vec![9] };
    let ingress = compile(Direction::Ingress, &[policy(rules.clone())], &[http, other_protocol]);
    assert_eq!(
        text(&ingress),
        "80/TCP: [pods app=a in shop] then [10.0.0.0/8]\n8080/TCP: [pods app=a in shop] then [10.0.0.0/8]\n"
    );
    assert_eq!(
        text(&egress(rules)),
        "always: [metrics/TCP of all pods, http/TCP of pods app=a in shop, undeclared/TCP of pods app=a in shop, \
         http/TCP of pods in 10.0.0.0/8, undeclared/TCP of pods in 10.0.0.0/8]\n"
    );
}

#[test]
fn a_peer_in_few_unions_is_copied() {
    let own = (1..=4).map(|n| to([pods(&format!("own-{n}"))], [tcp(n, n)]));
    let table = egress(own.chain([to([pods("wide")], [tcp(1, 4)])]).collect());
    assert_eq!((most_lookups(&table), definitions(&table)), (1, 8));
}

#[test]
fn a_peer_in_many_unions_is_one_set() {
    let own = (1..=1000).map(|n| to([pods(&format!("own-{n}"))], [tcp(n * 2, n * 2)]));
    let table = egress(own.chain([to([pods("wide"), block("10.0.0.0/8")], [tcp(1, 2001)])]).collect());
    assert_eq!(table.segments[&Protocol::Tcp].len(), 2001);
    assert_eq!((most_lookups(&table), definitions(&table)), (3, 1002));
}

#[test]
fn a_peer_at_many_scattered_ports_is_one_set() {
    let own = (1..=1000).map(|n| to([pods(&format!("own-{n}"))], [tcp(n, n)]));
    let odd = to([pods("wide")], (1..=500).map(|n| tcp(2 * n - 1, 2 * n - 1)));
    let table = egress(own.chain([odd]).collect());
    assert_eq!((most_lookups(&table), definitions(&table)), (2, 1001));
}

#[test]
fn nested_ranges_do_not_multiply_definitions() {
    let nested = |n: u16| egress((1..=n).map(|i| to([pods(&format!("p-{i}"))], [tcp(i, 10_000 - i)])).collect());
    for (ranges, leaves_log2) in [(100, 8), (1000, 11)] {
        let table = nested(ranges);
        assert_eq!(table.segments[&Protocol::Tcp].len(), usize::from(ranges) * 2 - 1);
        assert!(most_lookups(&table) <= leaves_log2 + 2, "{} lookups", most_lookups(&table));
        assert!(definitions(&table) <= usize::from(ranges) * 2 * leaves_log2, "{} definitions", definitions(&table));
    }
}

#[test]
fn a_peer_at_every_port_is_in_one_set_whatever_else_is_lifted() {
    let ports = |from: u16, to: u16| (from..to).map(|n| tcp(2 * n, 2 * n));
    let own = (0..100).map(|n| to([pods(&format!("own-{n}"))], ports(n, n + 1)));
    let nested = (1..50).map(|n| to([pods(&format!("nested-{n}"))], ports(n, 100 - n)));
    let everywhere = to([block("10.0.0.0/8"), pods("wide")], ports(0, 100));
    let table = egress(own.chain(nested).chain([everywhere]).collect());
    let segments = table.segments.values().flatten().flat_map(|segment| segment.clauses.iter());
    let with_wide = |clause: &&Clause| clauses(std::slice::from_ref(clause)).contains("app=wide ");
    assert_eq!(segments.filter(with_wide).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn equal_segments_share_their_clauses() {
    let table = egress(vec![to([pods("a")], [tcp(1, 1), tcp(3, 3), tcp(5, 5)]), to([pods("b")], [tcp(7, 7)])]);
    let segments = &table.segments[&Protocol::Tcp];
    assert!(segments[..3].iter().all(|segment| Arc::ptr_eq(&segment.clauses, &segments[0].clauses)));
    assert_ne!(segments[3].clauses, segments[0].clauses);
}

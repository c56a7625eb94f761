use super::*;
use crate::{Age, ContainerPort, Enforcement, Labels, Phase, PortRange, Protocol, Requirement, Selector};

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";
const OTHER: &str = "10.0.1.1";
const OUTSIDE: &str = "192.0.2.1";

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn id(s: &str) -> NamespacedName {
    let (namespace, name) = s.split_once('/').unwrap();
    NamespacedName::new(namespace, name)
}

/// A running pod labelled `app=<its name>`.
fn pod(name: &str, ips: &[&str]) -> Pod {
    let id = id(name);
    Pod {
        labels: Labels::from_iter([("app", id.name.clone())]),
        id,
        uid: None,
        node: Some("n1".into()),
        ips: ips.iter().map(|s| ip(s)).collect(),
        host_ips: vec![],
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age::default(),
        ports: vec![],
    }
}

fn namespace(name: &str) -> Namespace {
    Namespace { name: name.into(), labels: Labels::from_iter([("team", name)]) }
}

fn selector(key: &str, operator: &str, values: &[&str]) -> Selector {
    Selector::from_iter([Requirement::new(key, operator, values.iter().copied()).unwrap()])
}

fn app(name: &str) -> Selector {
    selector("app", "In", &[name])
}

fn pods(namespaces: NamespaceScope, pods: Selector) -> Peer {
    Peer::Pods(PodGroup { namespaces, pods })
}

fn block(cidr: &str, except: &[&str]) -> Peer {
    Peer::Block(IpBlock::new(cidr.parse().unwrap(), except.iter().map(|net| net.parse().unwrap())).unwrap())
}

fn from(peers: impl Into<Vec<Peer>>) -> Rule {
    Rule { peers: Peers::AnyOf(peers.into()), ports: Ports::All }
}

fn on(ports: impl Into<Vec<PortMatch>>) -> Rule {
    Rule { peers: Peers::All, ports: Ports::AnyOf(ports.into()) }
}

fn numbers(protocol: Protocol, first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol, ports: PortRange::new(first, last).unwrap() }
}

fn named(name: &str) -> PortMatch {
    PortMatch::Named { protocol: Protocol::Tcp, name: name.into() }
}

fn ingress(name: &str, selector: Selector, rules: impl Into<Vec<Rule>>) -> Policy {
    Policy { id: id(name), enforcement: Enforcement::Enforced, selector, ingress: Some(rules.into()), egress: None }
}

fn egress(name: &str, selector: Selector, rules: impl Into<Vec<Rule>>) -> Policy {
    Policy { id: id(name), enforcement: Enforcement::Enforced, selector, ingress: None, egress: Some(rules.into()) }
}

fn flow(source: &str, destination: &str, protocol: Protocol, port: u16) -> Flow {
    Flow { source: ip(source), destination: ip(destination), traffic: Traffic::Port { protocol, port } }
}

/// `x/a` and `x/b` in one namespace, `y/a` in another.
fn cluster(policies: impl IntoIterator<Item = Policy>) -> Cluster {
    let mut cluster = Cluster::default();
    let namespaces = ["x", "y"].map(namespace).map(Change::Namespace);
    let pods = [pod("x/a", &[A, "fd00::1"]), pod("x/b", &[B]), pod("y/a", &[OTHER])].map(Change::Pod);
    let policies = policies.into_iter().map(Change::Policy);
    namespaces.into_iter().chain(pods).chain(policies).for_each(|change| cluster.apply(change));
    cluster
}

fn allowed(cluster: &Cluster, source: &str, destination: &str) -> bool {
    cluster.verdict(&flow(source, destination, Protocol::Tcp, 80)).allowed
}

#[test]
fn what_no_policy_selects_is_open() {
    let elsewhere = ingress("y/deny", Selector::default(), []);
    let verdict = cluster([elsewhere]).verdict(&flow(B, A, Protocol::Tcp, 80));
    assert!(verdict.allowed && !verdict.egress.isolated && !verdict.ingress.isolated);
    assert_eq!(verdict.ingress.subject, Some(id("x/a")));
}

#[test]
fn a_policy_isolates_its_pods_in_its_directions_only() {
    let cluster = cluster([ingress("x/deny", app("a"), [])]);
    let verdict = cluster.verdict(&flow(B, A, Protocol::Tcp, 80));
    assert!(!verdict.allowed && verdict.egress.allowed && !verdict.ingress.allowed);
    assert_eq!(verdict.ingress.policies, [id("x/deny")]);
    assert!(allowed(&cluster, A, B), "egress of x/a is open");
    assert!(allowed(&cluster, B, OTHER));
}

#[test]
fn both_ends_must_allow() {
    let out = egress("x/out", app("b"), [from([pods(NamespaceScope::Named("x".into()), app("a"))])]);
    let closed = ingress("x/in", app("a"), []);
    assert!(allowed(&cluster([out.clone()]), B, A));
    assert!(!allowed(&cluster([out, closed]), B, A));
}

#[test]
fn policies_add_up_and_the_rule_that_allows_is_named() {
    let deny = ingress("x/a-deny", Selector::default(), []);
    let allow = ingress("x/b-allow", app("a"), [from([block("10.0.1.1/32", &[])]), from([block("10.0.0.2/32", &[])])]);
    let verdict = cluster([deny, allow]).verdict(&flow(B, A, Protocol::Tcp, 80));
    assert!(verdict.allowed);
    assert_eq!(verdict.ingress.policies, [id("x/a-deny"), id("x/b-allow")]);
    assert_eq!(verdict.ingress.rule, Some(RuleRef { policy: id("x/b-allow"), index: 1 }));
}

#[test]
fn a_rule_allows_all_peers_or_only_the_listed() {
    let with = |rule| cluster([ingress("x/p", app("a"), [rule])]);
    assert!(allowed(&with(Rule { peers: Peers::All, ports: Ports::All }), OUTSIDE, A));
    assert!(!allowed(&with(from([])), B, A), "no peer is left");
    assert!(!allowed(&with(on([])), B, A), "no port is left");
}

#[test]
fn selectors_reach_pods_not_addresses() {
    let everywhere = NamespaceScope::Matching(Selector::default());
    let with = |peer| cluster([ingress("x/p", app("a"), [from([peer])])]);
    let own = with(pods(NamespaceScope::Named("x".into()), Selector::default()));
    assert!(allowed(&own, B, A) && !allowed(&own, OTHER, A) && !allowed(&own, OUTSIDE, A));
    let all = with(pods(everywhere.clone(), Selector::default()));
    assert!(allowed(&all, B, A) && allowed(&all, OTHER, A) && !allowed(&all, OUTSIDE, A));
    let both = with(pods(NamespaceScope::Matching(selector("team", "NotIn", &["x"])), app("a")));
    assert!(allowed(&both, OTHER, A) && !allowed(&both, B, A));
    let neither = with(pods(everywhere, app("nobody")));
    assert!(!allowed(&neither, B, A));
}

#[test]
fn an_unknown_namespace_matches_no_namespace_selector() {
    let all = pods(NamespaceScope::Matching(Selector::default()), Selector::default());
    let mut cluster = cluster([ingress("x/p", app("a"), [from([all])])]);
    assert!(allowed(&cluster, OTHER, A));
    cluster.apply(Change::NamespaceGone("y".into()));
    assert!(!allowed(&cluster, OTHER, A));
}

#[test]
fn blocks_reach_every_address_pods_too() {
    let with = |peer| cluster([ingress("x/p", app("a"), [from([peer])])]);
    let some = with(block("10.0.0.0/8", &["10.0.1.0/24"]));
    assert!(allowed(&some, B, A) && !allowed(&some, OTHER, A) && !allowed(&some, OUTSIDE, A));
    assert!(!allowed(&with(block("0.0.0.0/0", &[])), "fd00::2", "fd00::1"), "a block is of one family");
    assert!(allowed(&with(block("::/0", &[])), "fd00::2", "fd00::1"));
}

#[test]
fn an_exception_of_one_block_does_not_bind_another() {
    let peers = [block("10.0.0.0/8", &["10.0.1.0/24"]), block("10.0.1.1/32", &[])];
    assert!(allowed(&cluster([ingress("x/p", app("a"), [from(peers)])]), OTHER, A));
}

#[test]
fn ports_match_by_number_range_and_protocol() {
    let ports = [numbers(Protocol::Tcp, 80, 80), numbers(Protocol::Udp, 1000, 2000)];
    let cluster = cluster([ingress("x/p", app("a"), [on(ports)])]);
    for (protocol, port, expected) in [
        (Protocol::Tcp, 80, true),
        (Protocol::Tcp, 81, false),
        (Protocol::Sctp, 80, false),
        (Protocol::Udp, 999, false),
        (Protocol::Udp, 1000, true),
        (Protocol::Udp, 2000, true),
        (Protocol::Udp, 2001, false),
    ] {
        assert_eq!(cluster.verdict(&flow(B, A, protocol, port)).allowed, expected, "{port}/{protocol}");
    }
}

#[test]
fn other_protocols_match_only_rules_without_ports() {
    let ping = Flow { source: ip(B), destination: ip(A), traffic: Traffic::Other(1) };
    let all_tcp = on([PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::ALL }]);
    assert!(!cluster([ingress("x/p", app("a"), [all_tcp])]).verdict(&ping).allowed);
    assert!(cluster([ingress("x/p", app("a"), [from([block("10.0.0.2/32", &[])])])]).verdict(&ping).allowed);
}

#[test]
fn a_named_port_means_what_the_destination_declares() {
    let port = |protocol, port| ContainerPort { name: "web".into(), protocol, port };
    let rules = [ingress("x/in", app("a"), [on([named("web")])]), egress("x/out", app("b"), [on([named("web")])])];
    let mut cluster = cluster(rules);
    let ports = vec![port(Protocol::Tcp, 80), port(Protocol::Tcp, 8080), port(Protocol::Udp, 53)];
    cluster.apply(Change::Pod(Pod { ports, ..pod("x/a", &[A]) }));
    let udp = cluster.verdict(&flow(B, A, Protocol::Udp, 53));
    assert!(!udp.allowed, "the rule names the TCP port");
    for (number, expected) in [(80, true), (8080, true), (53, false), (81, false)] {
        let verdict = cluster.verdict(&flow(B, A, Protocol::Tcp, number));
        assert_eq!((verdict.egress.allowed, verdict.ingress.allowed), (expected, expected), "{number}");
    }
    assert!(!allowed(&cluster, B, OUTSIDE), "no pod, no names");
    assert!(!allowed(&cluster, B, OTHER), "declares nothing");
}

#[test]
fn a_pod_reaches_itself_at_each_of_its_addresses() {
    let deny = [ingress("x/in", Selector::default(), []), egress("x/out", Selector::default(), [])];
    let verdict = cluster(deny.clone()).verdict(&flow("fd00::1", "fd00::1", Protocol::Tcp, 80));
    assert_eq!((verdict.allowed, verdict.pass), (true, Some(Pass::Loopback)));
    assert!(verdict.ingress.isolated && verdict.ingress.rule.is_none());
    let mut two = cluster(deny);
    two.apply(Change::Pod(pod("x/b", &[B, "10.0.0.3"])));
    assert!(allowed(&two, B, "10.0.0.3"));
    assert!(!allowed(&two, A, B));
}

#[test]
fn a_pod_and_its_own_node_always_reach_each_other() {
    let mut cluster = cluster([ingress("x/in", app("a"), []), egress("x/out", app("a"), [])]);
    cluster.apply(Change::Pod(Pod { host_ips: vec![ip("172.16.0.1")], ..pod("x/a", &[A]) }));
    let probe = cluster.verdict(&flow("172.16.0.1", A, Protocol::Tcp, 80));
    assert_eq!((probe.allowed, probe.pass), (true, Some(Pass::OwnNode)));
    assert!(allowed(&cluster, A, "172.16.0.1"));
    assert!(!allowed(&cluster, "172.16.0.2", A) && !allowed(&cluster, A, "172.16.0.2"), "other nodes are judged");
}

#[test]
fn host_network_pods_are_neither_subject_nor_peer() {
    let all = pods(NamespaceScope::Matching(Selector::default()), Selector::default());
    let mut cluster = cluster([ingress("x/in", Selector::default(), [from([all])])]);
    cluster.apply(Change::Pod(Pod { host_network: true, ..pod("x/host", &["172.16.0.9"]) }));
    assert!(!allowed(&cluster, "172.16.0.9", A), "its address is a node's, no pod's");
    let to_it = cluster.verdict(&flow(A, "172.16.0.9", Protocol::Tcp, 80));
    assert!(to_it.allowed && to_it.ingress.subject.is_none());
    cluster.apply(Change::Policy(ingress("x/in", app("a"), [from([block("172.16.0.9/32", &[])])])));
    assert!(allowed(&cluster, "172.16.0.9", A));
}

#[test]
fn of_two_pods_with_one_address_the_live_one_that_was_given_it_last_owns_it() {
    let age = |created, revision| Age { created, revision };
    let owner = |pods: &[(&str, Age, bool)]| {
        let mut cluster = Cluster::default();
        for (name, age, terminating) in pods {
            cluster.apply(Change::Pod(Pod { age: *age, terminating: *terminating, ..pod(name, &[A]) }));
        }
        cluster.owner(ip(A)).unwrap().id.to_string()
    };
    assert_eq!(owner(&[("x/old", age(1, 9), false), ("x/new", age(2, 1), false)]), "x/old");
    assert_eq!(owner(&[("x/old", age(1, 0), false), ("x/new", age(2, 0), false)]), "x/new", "as far as is known");
    let written = [("x/one", age(1, 1), false), ("x/two", age(1, 2), false), ("x/one", age(1, 3), false)];
    assert_eq!(owner(&written), "x/two", "who is written to again is not given an address");
    assert_eq!(owner(&[("x/old", age(1, 1), false), ("x/rev", age(1, 2), false)]), "x/rev");
    assert_eq!(owner(&[("x/live", age(1, 1), false), ("x/gone", age(2, 2), true)]), "x/live");
    assert_eq!(owner(&[("x/b", age(1, 1), false), ("x/a", age(1, 1), false)]), "x/b");
}

#[test]
fn finished_pods_free_their_address_and_terminating_ones_keep_it() {
    let mut cluster = cluster([ingress("x/in", Selector::default(), [])]);
    cluster.apply(Change::Pod(Pod { terminating: true, ..pod("x/a", &[A]) }));
    assert!(!allowed(&cluster, B, A));
    cluster.apply(Change::Pod(Pod { phase: Phase::Finished, ..pod("x/a", &[A]) }));
    assert!(allowed(&cluster, B, A));
}

#[test]
fn what_is_gone_says_nothing() {
    let mut cluster = cluster([ingress("x/in", Selector::default(), [])]);
    cluster.apply(Change::PodGone(id("x/a")));
    assert!(allowed(&cluster, B, A));
    assert!(!allowed(&cluster, A, B));
    cluster.apply(Change::PolicyGone(id("x/in")));
    assert!(allowed(&cluster, A, B));
}

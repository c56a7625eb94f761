//! Lint: each finding in a cluster of its own, and that those about nobody are true.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use palisade_model::lint::{Code, Finding, Objects, Remarks, lint};
use palisade_model::reference::Cluster;
use palisade_model::testing::{bare_pod, changes, flows};
use palisade_model::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ContainerPort, Direction, Enforcement, IpBlock,
    Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports,
    Protocol, Requirement, Rule, Selector, Service, ServicePort, TargetPort, Tier, TierAction,
};
use proptest::prelude::*;

fn selector(text: &str) -> Selector {
    let pairs = text.split(',').filter_map(|label| label.split_once('='));
    pairs.map(|(key, value)| Requirement::new(key, "In", [value]).unwrap()).collect()
}

fn shop(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

fn pods(text: &str) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: selector(text) })
}

fn namespaces(text: &str) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(selector(text)), pods: Selector::default() })
}

fn block(cidr: &str, except: &[&str]) -> Peer {
    Peer::Block(IpBlock::new(cidr.parse().unwrap(), except.iter().map(|net| net.parse().unwrap())).unwrap())
}

fn number(port: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(port) }
}

fn named(name: &str) -> PortMatch {
    PortMatch::Named { protocol: Protocol::Tcp, name: name.into() }
}

fn rule(peers: Vec<Peer>, ports: Vec<PortMatch>) -> Rule {
    Rule {
        peers: if peers.is_empty() { Peers::All } else { Peers::AnyOf(peers) },
        ports: if ports.is_empty() { Ports::All } else { Ports::AnyOf(ports) },
    }
}

fn policy(select: &str, ingress: Option<Vec<Rule>>, egress: Option<Vec<Rule>>) -> Policy {
    Policy { id: shop("p"), enforcement: Enforcement::Enforced, selector: selector(select), ingress, egress }
}

/// Namespaces `shop` (team=a) and `other`; pods `db`, which declares sql (5432), and `web` in `shop`; one in `other`.
fn cluster() -> Cluster {
    let mut cluster = Cluster::default();
    for (name, labels) in [("shop", vec![("team", "a")]), ("other", vec![])] {
        cluster.apply(Change::Namespace(Namespace { name: name.into(), labels: labels.into_iter().collect() }));
    }
    let pod = |namespace: &str, name: &str, ip: &str| Pod {
        labels: Labels::from_iter([("app", name)]),
        ..bare_pod(NamespacedName::new(namespace, name), [ip.parse().unwrap()])
    };
    let sql = ContainerPort { name: "sql".into(), protocol: Protocol::Tcp, port: 5432 };
    let db = Pod { ports: vec![sql], ..pod("shop", "db", "10.0.0.1") };
    for pod in [db, pod("shop", "web", "10.0.0.2"), pod("other", "job", "10.0.1.1")] {
        cluster.apply(Change::Pod(pod));
    }
    cluster
}

/// `db` is behind port 80.
fn services() -> BTreeMap<NamespacedName, Service> {
    let port = ServicePort { name: None, protocol: Protocol::Tcp, port: 80, target: TargetPort::Named("sql".into()) };
    let service = Service {
        id: shop("db"),
        selector: Some(selector("app=db")),
        ports: vec![port],
        addresses: vec!["172.20.0.10".parse().unwrap()],
    };
    BTreeMap::from([(shop("db"), service)])
}

fn all_of(cluster: &Cluster, remarks: &BTreeMap<NamespacedName, Remarks>) -> Vec<Finding> {
    let (templates, services) = (BTreeMap::new(), services());
    let ranges = ["fd96::/112".parse().unwrap()];
    lint(&Objects { cluster, templates: &templates, services: &services, service_ranges: &ranges, remarks })
}

fn findings(policy: Policy, remarks: Remarks) -> Vec<(Code, String)> {
    let mut cluster = cluster();
    let remarks = BTreeMap::from([(policy.id.clone(), remarks)]);
    cluster.apply(Change::Policy(policy));
    all_of(&cluster, &remarks).into_iter().map(|finding| (finding.code, finding.field)).collect()
}

fn found(policy: Policy) -> Vec<(Code, String)> {
    findings(policy, Remarks::default())
}

fn from(peers: Vec<Peer>) -> Policy {
    policy("app=db", Some(vec![rule(peers, vec![number(5432)])]), None)
}

fn to(peers: Vec<Peer>, ports: Vec<PortMatch>) -> Policy {
    policy("app=web", None, Some(vec![rule(peers, ports)]))
}

fn one(code: Code, field: &str) -> Vec<(Code, String)> {
    vec![(code, field.to_owned())]
}

#[test]
fn a_dash_too_many() {
    let at = one(Code::TwoPeers, "spec.ingress[0].from[1]");
    assert_eq!(found(from(vec![pods("app=web"), namespaces("team=a")])), at);
    assert_eq!(found(from(vec![namespaces("team=a"), pods("app=web")])), at);
    for meant in [
        vec![pods("app=web"), pods("app=db")],
        vec![pods(""), namespaces("team=a")],
        vec![namespaces("team=a")],
        vec![pods("app=web"), block("192.0.2.0/24", &[]), namespaces("team=a")],
    ] {
        assert_eq!(found(from(meant.clone())), [], "{meant:?}");
    }
}

#[test]
fn blocks_that_hold_pods() {
    let at = one(Code::BlockHoldsPods, "spec.ingress[0].from[0].ipBlock");
    assert_eq!(found(from(vec![block("10.0.0.0/8", &[])])), at);
    assert_eq!(found(from(vec![block("0.0.0.0/0", &["10.0.0.0/24"])])), at);
    for meant in [block("0.0.0.0/0", &[]), block("10.0.0.0/8", &["10.0.0.0/16"]), block("192.0.2.0/24", &[])] {
        assert_eq!(found(from(vec![meant.clone()])), [], "{meant:?}");
    }
}

#[test]
fn names_that_no_pod_declares() {
    let into = |select, name| policy(select, Some(vec![rule(vec![], vec![named(name)])]), None);
    let at = one(Code::UnknownPortName, "spec.ingress[0].ports[0].port");
    assert_eq!((found(into("app=web", "sql")), found(into("app=db", "sqll"))), (at.clone(), at));
    assert_eq!((found(into("app=db", "sql")), found(into("", "sql"))), (vec![], vec![]));
    let out = |name, peers| {
        let mut policy = to(peers, vec![named(name)]);
        policy.egress.as_mut().unwrap().push(rule(vec![], vec![number(53)]));
        policy
    };
    let at = one(Code::UnknownPortName, "spec.egress[0].ports[0].port");
    assert_eq!(
        (found(out("sql", vec![namespaces("team=b"), pods("app=web")])).pop(), found(out("http", vec![]))),
        (at.first().cloned(), at)
    );
    assert_eq!((found(out("sql", vec![pods("app=db")])), found(out("sql", vec![]))), (vec![], vec![]));
}

#[test]
fn types_and_rules_that_do_not_go_together() {
    let rules = || Some(vec![rule(vec![pods("app=web")], vec![number(5432)])]);
    let without_type = Remarks { without_type: vec![Direction::Egress], ..Remarks::default() };
    assert_eq!(findings(policy("app=db", rules(), None), without_type), one(Code::RulesWithoutType, "spec.egress"));
    let without_rules = Remarks { without_rules: vec![Direction::Egress], ..Remarks::default() };
    let at = one(Code::TypesWithoutRules, "spec.policyTypes");
    assert_eq!(findings(policy("app=db", rules(), Some(vec![])), without_rules.clone()), at);
    assert_eq!(findings(policy("", Some(vec![]), Some(vec![])), without_rules.clone()), [], "it denies all");
    let mut cluster = cluster();
    cluster.apply(Change::Policy(policy("app=db", rules(), Some(vec![]))));
    cluster.apply(Change::Policy(Policy { id: shop("all"), ..policy("", None, Some(vec![])) }));
    let remarks = BTreeMap::from([(shop("p"), without_rules)]);
    assert_eq!(all_of(&cluster, &remarks), [], "another one denies all egress anyhow");
}

#[test]
fn nobody_is_selected_or_named() {
    assert_eq!(found(policy("app=bd", Some(vec![]), None)), one(Code::SelectsNobody, "spec.podSelector"));
    assert_eq!(found(policy("", Some(vec![]), None)), []);
    let at = one(Code::PeerMatchesNobody, "spec.ingress[0].from[0]");
    for nobody in [pods("app=wbe"), namespaces("team=b")] {
        assert_eq!(found(from(vec![nobody.clone()])), at, "{nobody:?}");
    }
    assert_eq!(found(from(vec![namespaces("team=a")])), []);
}

#[test]
fn names_cannot_be_asked_for() {
    let at = one(Code::EgressWithoutDns, "spec.egress[0]");
    assert_eq!(found(to(vec![pods("app=db")], vec![number(5432)])), at);
    assert_eq!(found(to(vec![block("192.0.2.0/24", &[])], vec![number(443)])), [], "addresses need no names");
    assert_eq!(found(to(vec![pods("app=db")], vec![])), []);
    assert_eq!(found(to(vec![pods("app=db")], vec![number(5432), number(53)])), []);
    assert_eq!(found(policy("app=web", None, Some(vec![]))), [], "it may reach nobody");
    let mut cluster = cluster();
    cluster.apply(Change::Policy(to(vec![pods("app=db")], vec![number(5432)])));
    let dns = PortMatch::Numbers { protocol: Protocol::Udp, ports: PortRange::single(53) };
    cluster.apply(Change::Policy(Policy { id: shop("dns"), ..policy("", None, Some(vec![rule(vec![], vec![dns])])) }));
    assert_eq!(all_of(&cluster, &BTreeMap::new()), [], "another one allows it");
}

#[test]
fn ports_of_services() {
    let into = |port| policy("app=db", Some(vec![rule(vec![], vec![number(port)])]), None);
    assert_eq!(found(into(80)), one(Code::ServicePort, "spec.ingress[0].ports[0].port"));
    assert_eq!((found(into(5432)), found(into(81))), (vec![], vec![]));
    let out = |peers| to(peers, vec![number(80), number(53)]);
    assert_eq!(found(out(vec![pods("app=db")])), one(Code::ServicePort, "spec.egress[0].ports[0].port"));
    assert_eq!(found(out(vec![pods("app=web")])), []);
}

#[test]
fn namespaces_that_are_not_there() {
    let policy = Policy { id: NamespacedName::new("shpo", "p"), ..policy("", Some(vec![]), None) };
    assert_eq!(found(policy), one(Code::PolicyWithoutNamespace, "metadata.namespace"));
}

#[test]
fn what_is_ignored_is_not_told() {
    let ignoring = |codes: &[&str]| Remarks {
        ignored: codes.iter().map(|code| (*code).into()).collect(),
        without_type: vec![Direction::Egress],
        ..Remarks::default()
    };
    let two = || from(vec![pods("app=web"), namespaces("team=a")]);
    assert_eq!(findings(two(), ignoring(&["rules-without-type"])), one(Code::TwoPeers, "spec.ingress[0].from[1]"));
    assert_eq!(findings(two(), ignoring(&["rules-without-type", "two-peers"])), []);
}

#[test]
fn nothing_is_found_where_nothing_is_known() {
    let mut cluster = Cluster::default();
    let peers = vec![pods("app=api"), block("10.0.0.0/8", &[])];
    let rules = vec![rule(peers, vec![named("sql"), number(80)])];
    cluster.apply(Change::Policy(policy("app=db", Some(rules.clone()), Some(rules))));
    assert_eq!(all_of(&cluster, &BTreeMap::new()), []);
}

#[test]
fn codes_have_names_of_their_own() {
    let names: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

/// The policy without what the finding names.
fn without(policy: &Policy, finding: &Finding) -> Option<Policy> {
    let (direction, rest) = match finding.field.strip_prefix("spec.ingress[") {
        Some(rest) => (Direction::Ingress, rest),
        None => (Direction::Egress, finding.field.strip_prefix("spec.egress[")?),
    };
    let numbers: Vec<usize> = rest.split(['[', ']']).filter_map(|part| part.parse().ok()).collect();
    let mut policy = policy.clone();
    let rules = match direction {
        Direction::Ingress => policy.ingress.as_mut()?,
        Direction::Egress => policy.egress.as_mut()?,
    };
    let Peers::AnyOf(peers) = &mut rules[numbers[0]].peers else { return None };
    peers.remove(numbers[1]);
    Some(policy)
}

#[test]
fn policies_that_others_cover() {
    let both = |one: Policy, other: Policy| {
        let mut cluster = cluster();
        cluster.apply(Change::Policy(Policy { id: shop("a"), ..one }));
        cluster.apply(Change::Policy(Policy { id: shop("b"), ..other }));
        let covered = all_of(&cluster, &BTreeMap::new()).into_iter().filter(|finding| finding.code == Code::Covered);
        covered.map(|finding| finding.policy.name.to_string()).collect::<Vec<_>>()
    };
    let web = |ports: &[u16]| rule(vec![pods("app=web")], ports.iter().map(|port| number(*port)).collect());
    let into = |select, rules| policy(select, Some(rules), None);
    let db = || into("app=db", vec![web(&[5432])]);
    assert_eq!(both(db(), db()), ["b"], "one of two that say the same stays");
    assert_eq!(both(into("app=db", vec![web(&[80, 5432])]), db()), ["b"]);
    assert_eq!(both(db(), into("", vec![web(&[80]), web(&[5432])])), ["a"]);
    assert_eq!(both(into("app=db", vec![rule(vec![], vec![])]), db()), ["b"]);
    assert_eq!(both(into("app=db", vec![]), into("", vec![])), ["a"], "all are denied already");
    for (one, other) in [
        (into("app=web", vec![web(&[5432])]), db()),
        (into("app=db", vec![web(&[80])]), db()),
        (policy("app=db", None, Some(vec![web(&[5432])])), db()),
        (Policy { enforcement: Enforcement::Audited, ..db() }, into("", vec![])),
        (into("", vec![]), db()),
    ] {
        assert_eq!(both(one.clone(), other.clone()), [""; 0], "{one:?} {other:?}");
    }
}

#[test]
fn blocks_that_hold_services() {
    let at = one(Code::BlockHoldsServices, "spec.ingress[0].from[0].ipBlock");
    for held in [block("172.20.0.0/14", &[]), block("fd96::/64", &[]), block("fd96::8/125", &[])] {
        assert_eq!(found(from(vec![held.clone()])), at, "{held:?}");
    }
    for meant in [block("172.20.0.0/14", &["172.20.0.0/16"]), block("192.0.2.0/24", &[]), block("::/0", &[])] {
        assert_eq!(found(from(vec![meant.clone()])), [], "{meant:?}");
    }
}

#[test]
fn ports_of_another_protocol() {
    let udp = |port| PortMatch::Numbers { protocol: Protocol::Udp, ports: PortRange::single(port) };
    let into = |port| policy("app=db", Some(vec![rule(vec![], vec![port])]), None);
    assert_eq!(found(into(udp(5432))), one(Code::OtherProtocol, "spec.ingress[0].ports[0].port"));
    assert_eq!((found(into(number(5432))), found(into(udp(53)))), (vec![], vec![]));
    let out = |peers| to(peers, vec![udp(5432), udp(53)]);
    assert_eq!(found(out(vec![pods("app=db")])), one(Code::OtherProtocol, "spec.egress[0].ports[0].port"));
    assert_eq!(found(out(vec![pods("app=db"), block("192.0.2.0/24", &[])])), []);
}

#[test]
fn everything_but_ping() {
    let every = |protocol| PortMatch::Numbers { protocol, ports: PortRange::ALL };
    let into = |ports| policy("app=db", Some(vec![rule(vec![], ports)]), None);
    let at = one(Code::ProtocolsLeftOut, "spec.ingress[0].ports");
    let all = Protocol::ALL.map(every).to_vec();
    assert_eq!((found(into(all[..2].to_vec())), found(into(all.clone()))), (at.clone(), at));
    assert_eq!((found(into(vec![])), found(into(all[1..].to_vec()))), (vec![], vec![]));
}

fn cluster_rule(action: TierAction, peer: Peer, ports: Vec<PortMatch>) -> ClusterRule {
    let peer = match peer {
        Peer::Pods(group) => ClusterPeer::Pods(group),
        Peer::Block(block) => ClusterPeer::Network(block),
    };
    let ports = if ports.is_empty() { Ports::All } else { Ports::AnyOf(ports) };
    ClusterRule { name: None, action, peers: ClusterPeers::AnyOf(vec![peer]), ports }
}

fn cluster_policy(name: &str, priority: u16, subject: Peer, egress: Vec<ClusterRule>) -> ClusterPolicy {
    let Peer::Pods(subject) = subject else { panic!("subjects are pods") };
    let (enforcement, tier, ingress) = (Enforcement::Enforced, Tier::Admin, vec![]);
    ClusterPolicy { name: name.into(), enforcement, tier, priority, subject, ingress, egress }
}

fn of_cluster(policies: Vec<ClusterPolicy>, ignored: &[&str]) -> Vec<(String, Code, String)> {
    let mut cluster = cluster();
    policies.into_iter().for_each(|policy| cluster.apply(Change::ClusterPolicy(policy)));
    let ignored = ignored.iter().map(|code| (*code).into()).collect();
    let remarks = BTreeMap::from([(NamespacedName::new("", "b"), Remarks { ignored, ..Remarks::default() })]);
    let all = all_of(&cluster, &remarks).into_iter();
    all.map(|finding| (finding.policy.to_string(), finding.code, finding.field)).collect()
}

#[test]
fn cluster_policies_are_looked_at() {
    let deny = |peer, ports| cluster_rule(TierAction::Deny, peer, ports);
    let all = || namespaces("");
    let one = |code, field: &str| vec![("b".to_owned(), code, field.to_owned())];
    let alone = |subject, rule| of_cluster(vec![cluster_policy("b", 1, subject, vec![rule])], &[]);
    assert_eq!(alone(pods("app=bd"), deny(all(), vec![])), one(Code::SelectsNobody, "spec.subject"));
    assert_eq!(alone(all(), deny(pods("app=wbe"), vec![])), one(Code::PeerMatchesNobody, "spec.egress[0].to"));
    assert_eq!(
        alone(all(), deny(block("172.20.0.0/14", &[]), vec![])),
        one(Code::BlockHoldsServices, "spec.egress[0].to")
    );
    assert_eq!(
        alone(all(), deny(pods("app=db"), vec![named("sqll")])),
        one(Code::UnknownPortName, "spec.egress[0].protocols")
    );
    assert_eq!(alone(all(), deny(pods("app=db"), vec![named("sql")])), []);
}

#[test]
fn rules_that_earlier_ones_leave_nothing() {
    let rule =
        |action, ports: &[u16]| cluster_rule(action, pods("app=db"), ports.iter().map(|port| number(*port)).collect());
    let pair = |one: ClusterRule, other: ClusterRule| {
        let (first, then) = (
            cluster_policy("a", 1, namespaces(""), vec![one]),
            cluster_policy("b", 2, namespaces("team=a"), vec![other]),
        );
        of_cluster(vec![first, then], &[])
    };
    let at = vec![("b".to_owned(), Code::ShadowedRule, "spec.egress[0]".to_owned())];
    assert_eq!(pair(rule(TierAction::Pass, &[]), rule(TierAction::Deny, &[80])), at);
    assert_eq!(pair(rule(TierAction::Deny, &[79, 80]), rule(TierAction::Deny, &[80])), at);
    assert_eq!(pair(rule(TierAction::Deny, &[80]), rule(TierAction::Deny, &[])), []);
    let within = cluster_policy(
        "b",
        1,
        namespaces(""),
        vec![rule(TierAction::Accept, &[80]), rule(TierAction::Accept, &[81]), rule(TierAction::Deny, &[81, 80])],
    );
    assert_eq!(
        of_cluster(vec![within.clone()], &[]),
        vec![("b".to_owned(), Code::ShadowedRule, "spec.egress[2]".to_owned())]
    );
    assert_eq!(of_cluster(vec![within], &["shadowed-rule"]), [], "it is ignored");
}

#[test]
fn equal_priorities_of_one_pod() {
    let rules = |port| vec![cluster_rule(TierAction::Deny, pods("app=db"), vec![number(port)])];
    let pair = |subject| {
        of_cluster(
            vec![cluster_policy("a", 1, namespaces(""), rules(1)), cluster_policy("b", 1, subject, rules(2))],
            &[],
        )
    };
    assert_eq!(pair(pods("app=web")), vec![("b".to_owned(), Code::EqualPriorities, "spec.priority".to_owned())]);
    let apart = of_cluster(
        vec![cluster_policy("a", 1, pods("app=db"), rules(1)), cluster_policy("b", 1, pods("app=web"), rules(2))],
        &[],
    );
    assert_eq!(apart, []);
}

/// How many policies and rules were taken away: a test that finds none would prove nothing.
static TAKEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// The cluster without all that is said to be covered or shadowed.
fn without_all(cluster: &Cluster) -> Cluster {
    let mut changed = cluster.clone();
    let mut rules = BTreeMap::<_, Vec<usize>>::new();
    for finding in all_of(cluster, &BTreeMap::new()) {
        match finding.code {
            Code::Covered => {
                TAKEN[0].fetch_add(1, Relaxed);
                changed.policies.remove(&finding.policy);
            }
            Code::ShadowedRule => {
                TAKEN[1].fetch_add(1, Relaxed);
                let at = finding.field.trim_end_matches(']').rsplit('[').next().unwrap().parse().unwrap();
                let key = (finding.policy.name, finding.field.contains("ingress"));
                rules.entry(key).or_default().push(at);
            }
            _ => {}
        }
    }
    for ((name, is_ingress), gone) in rules {
        let policy = changed.cluster_policies.get_mut(&name).unwrap();
        let rules = if is_ingress { &mut policy.ingress } else { &mut policy.egress };
        let mut at = 0..;
        rules.retain(|_| !gone.contains(&at.next().unwrap()));
    }
    changed
}

/// Says some of it again: each policy for some of its pods, and each list of a cluster policy in reverse after itself.
fn repeat(cluster: &mut Cluster) {
    for policy in cluster.policies.values().cloned().collect::<Vec<_>>() {
        let id = NamespacedName::new(policy.id.namespace.clone(), format!("{}-again", policy.id.name));
        let narrower = Requirement::new("app", "In", ["a"]).unwrap();
        let selector = policy.selector.requirements().iter().cloned().chain([narrower]).collect();
        cluster.apply(Change::Policy(Policy { id, selector, ..policy }));
    }
    for policy in cluster.cluster_policies.values_mut() {
        policy.egress.extend(policy.egress.clone().into_iter().rev());
        policy.ingress.extend(policy.ingress.clone().into_iter().rev());
    }
}

fn says_the_same(cluster: &Cluster) {
    let changed = without_all(cluster);
    for flow in flows(cluster).iter().step_by(13) {
        assert_eq!(cluster.verdict(flow).allowed, changed.verdict(flow).allowed, "{flow:?}");
        assert_eq!(cluster.audited_verdict(flow).allowed, changed.audited_verdict(flow).allowed, "{flow:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    fn random_clusters(changes in changes(60)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        repeat(&mut cluster);
        says_the_same(&cluster);
    }
}

#[test]
fn what_is_covered_or_shadowed_can_be_taken_away() {
    random_clusters();
    assert!(TAKEN.iter().all(|taken| taken.load(Relaxed) > 40), "{TAKEN:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_can_be_taken_away(changes in changes(30)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        for finding in all_of(&cluster, &BTreeMap::new()) {
            let mut changed = cluster.clone();
            match finding.code {
                Code::SelectsNobody if finding.policy.namespace.is_empty() => {
                    changed.cluster_policies.remove(&finding.policy.name);
                }
                Code::SelectsNobody => drop(changed.policies.remove(&finding.policy)),
                // Of a cluster policy an entry may stand for several.
                Code::PeerMatchesNobody if finding.policy.namespace.is_empty() => continue,
                Code::PeerMatchesNobody => {
                    let policy = without(&cluster.policies[&finding.policy], &finding).unwrap();
                    changed.policies.insert(finding.policy.clone(), policy);
                }
                _ => continue,
            }
            for flow in flows(&cluster) {
                prop_assert_eq!(cluster.audited_verdict(&flow).allowed, changed.audited_verdict(&flow).allowed, "{} {:?}", finding, flow);
            }
        }
    }
}

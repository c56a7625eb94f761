//! Lint: each finding in a cluster of its own, and that those about nobody are true.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::collections::BTreeMap;

use palisade_model::lint::{Code, Finding, Objects, Remarks, lint};
use palisade_model::reference::Cluster;
use palisade_model::testing::{bare_pod, changes, flows};
use palisade_model::{
    Change, ContainerPort, Direction, Enforcement, IpBlock, Labels, Namespace, NamespaceScope, NamespacedName, Peer,
    Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector, Service,
    ServicePort, TargetPort,
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
    let service = Service { id: shop("db"), selector: Some(selector("app=db")), ports: vec![port] };
    BTreeMap::from([(shop("db"), service)])
}

fn all_of(cluster: &Cluster, remarks: &BTreeMap<NamespacedName, Remarks>) -> Vec<Finding> {
    let (templates, services) = (BTreeMap::new(), services());
    lint(&Objects { cluster, templates: &templates, services: &services, remarks })
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_can_be_taken_away(changes in changes(30)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        for finding in all_of(&cluster, &BTreeMap::new()) {
            let mut changed = cluster.clone();
            match finding.code {
                Code::SelectsNobody => drop(changed.policies.remove(&finding.policy)),
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

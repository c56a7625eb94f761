use std::net::IpAddr;

use super::*;
use crate::reference::Cluster;
use crate::testing::bare_pod;
use crate::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ContainerPort, Index, IpBlock, Labels, Namespace,
    NamespaceScope, Node, Peer, Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule,
    RuleRef, Selector, Tier, TierAction,
};

const DB: &str = "10.0.0.1";
const WEB: &str = "10.0.0.2";
const OTHER: &str = "10.0.1.1";
const NODE: &str = "172.16.0.1";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn shop(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// `app=web`, `app!=web,tier`.
fn selector(text: &str) -> Selector {
    let requirement = |part: &str| match (part.split_once("!="), part.split_once('=')) {
        (Some((key, value)), _) => Requirement::new(key, "NotIn", [value]),
        (None, Some((key, value))) => Requirement::new(key, "In", value.split('|')),
        (None, None) => Requirement::new::<&str>(part, "Exists", []),
    };
    text.split(',').filter(|part| !part.is_empty()).map(|part| requirement(part).unwrap()).collect()
}

fn pods(labels: &str) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: selector(labels) })
}

fn pods_of(namespaces: &str, labels: &str) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(selector(namespaces)), pods: selector(labels) })
}

fn block(cidr: &str, except: &[&str]) -> IpBlock {
    IpBlock::new(cidr.parse().unwrap(), except.iter().map(|net| net.parse().unwrap())).unwrap()
}

fn tcp(ports: &[u16]) -> Ports {
    let number = |port: &u16| PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(*port) };
    Ports::AnyOf(ports.iter().map(number).collect())
}

fn named(name: &str) -> Ports {
    Ports::AnyOf(vec![PortMatch::Named { protocol: Protocol::Tcp, name: name.into() }])
}

fn rule(peers: impl Into<Vec<Peer>>, ports: Ports) -> Rule {
    Rule { peers: Peers::AnyOf(peers.into()), ports }
}

fn at(ports: Ports) -> Rule {
    Rule { peers: Peers::All, ports }
}

/// `shop/db` and `shop/web`, and `other/web`, of a namespace that is not known.
fn cluster() -> Cluster {
    let pod = |id, ip, app| Pod { labels: Labels::from_iter([("app", app)]), ..bare_pod(id, [address(ip)]) };
    let mut db = pod(shop("db"), DB, "db");
    db.host_ips = vec![address(NODE)];
    db.ports = vec![ContainerPort { name: "sql".into(), protocol: Protocol::Tcp, port: 5432 }];
    let web = pod(shop("web"), WEB, "web");
    let other = pod(NamespacedName::new("other", "web"), OTHER, "web");
    let mut cluster = Cluster::default();
    let namespace = Namespace { name: "shop".into(), labels: Labels::from_iter([("team", "a")]) };
    [db, web, other].map(Change::Pod).into_iter().for_each(|change| cluster.apply(change));
    cluster.apply(Change::Namespace(namespace));
    cluster
}

fn ingress(name: &str, rules: impl Into<Vec<Rule>>) -> Policy {
    let (selector, enforcement) = (selector("app=db"), Enforcement::Enforced);
    Policy { id: shop(name), selector, ingress: Some(rules.into()), egress: None, enforcement }
}

fn why(cluster: &Cluster, direction: Direction, peer: &str, traffic: Traffic) -> Why {
    cluster.why(&attempt(direction, peer, traffic)).unwrap()
}

/// Of, or to, `shop/db`.
fn attempt(direction: Direction, peer: &str, traffic: Traffic) -> Attempt {
    Attempt { direction, pod: shop("db"), peer: address(peer), traffic, up_to: Enforcement::Enforced }
}

const SQL: Traffic = Traffic::Port { protocol: Protocol::Tcp, port: 5432 };
const HTTP: Traffic = Traffic::Port { protocol: Protocol::Tcp, port: 80 };

/// What is said of traffic from `peer` to `shop/db`, where these rules are all that is.
fn said(rules: impl Into<Vec<Rule>>, peer: &str, traffic: Traffic) -> String {
    let mut cluster = cluster();
    cluster.apply(Change::Policy(ingress("db", rules)));
    why(&cluster, Direction::Ingress, peer, traffic).to_string()
}

#[test]
fn what_lacks_is_said_in_one_sentence() {
    let ten = || Peer::Block(block("10.0.0.0/8", &["10.0.0.0/24", "10.0.0.2/32"]));
    for (rule, peer, traffic, expected) in [
        (rule([pods("app=api")], tcp(&[5432])), WEB, SQL, "admits app=api at TCP 5432; this pod has app=web"),
        (rule([pods("app!=web,tier")], Ports::All), WEB, SQL, "admits app!=web, tier; this pod has app=web, no tier"),
        (
            rule([pods("app=api")], tcp(&[443])),
            WEB,
            HTTP,
            "admits app=api at TCP 443; this pod has app=web, this was TCP 80",
        ),
        (at(tcp(&[5432])), WEB, HTTP, "admits TCP 5432; this was TCP 80"),
        (
            at(tcp(&[1, 2, 3, 4, 5])),
            WEB,
            Traffic::Other(1),
            "admits TCP 1, TCP 2, TCP 3, TCP 4 and 1 more; this was ICMP",
        ),
        (at(tcp(&[])), WEB, HTTP, "admits no port that was understood; this was TCP 80"),
        (at(named("sql")), WEB, HTTP, "admits TCP sql; sql is 5432 there, this was TCP 80"),
        (at(named("web")), WEB, HTTP, "admits TCP web; the selected pod declares no web, this was TCP 80"),
        (rule([], tcp(&[80])), WEB, HTTP, "admits no peer that was understood at TCP 80"),
        (
            rule([ten()], tcp(&[80])),
            WEB,
            HTTP,
            "admits 10.0.0.0/8 at TCP 80 except 10.0.0.0/24, 10.0.0.2/32, which hold 10.0.0.2",
        ),
        (rule([ten()], Ports::All), "8.8.8.8", HTTP, "admits 10.0.0.0/8; 8.8.8.8 is outside"),
        (rule([pods("")], Ports::All), "8.8.8.8", HTTP, "admits pods; 8.8.8.8 is no pod's"),
        (
            rule([pods("app=api")], tcp(&[80])),
            "8.8.8.8",
            HTTP,
            "admits pods with app=api at TCP 80; 8.8.8.8 is no pod's",
        ),
        (rule([pods("app=web")], Ports::All), OTHER, HTTP, "admits pods in shop; this pod is in other"),
        (
            rule([pods("app=api")], Ports::All),
            OTHER,
            HTTP,
            "admits app=api in shop; this pod is in other, it has app=web",
        ),
        (
            rule([pods_of("team=b", "")], Ports::All),
            WEB,
            HTTP,
            "admits pods in namespaces with team=b; namespace shop has team=a",
        ),
        (
            rule([pods_of("", "")], Ports::All),
            OTHER,
            HTTP,
            "admits pods in namespaces with any labels; namespace other is not known",
        ),
    ] {
        assert_eq!(said([rule], peer, traffic), format!("shop/db spec.ingress[0] {expected}"));
    }
}

#[test]
fn what_decided_is_said() {
    let mut cluster = cluster();
    let said = |cluster: &Cluster, direction, peer| why(cluster, direction, peer, SQL).to_string();
    let into = Direction::Ingress;
    assert_eq!(said(&cluster, into, WEB), "no policy isolates the pod for ingress");
    cluster.apply(Change::Policy(ingress("db", [])));
    assert_eq!(said(&cluster, into, WEB), "shop/db isolates the pod and has no ingress rule");
    assert_eq!(said(&cluster, into, DB), "a pod always reaches itself");
    assert_eq!(said(&cluster, into, NODE), "a pod and its own node always reach each other");
    assert_eq!(said(&cluster, Direction::Egress, WEB), "no policy isolates the pod for egress");
    for name in ["a", "b", "c"] {
        cluster.apply(Change::Policy(ingress(name, [])));
    }
    let all = "shop/a, shop/b, shop/c and 1 more isolate the pod and have no ingress rule";
    assert_eq!(said(&cluster, into, WEB), all);
    cluster.apply(Change::Policy(ingress("b", [at(tcp(&[80])), at(Ports::All)])));
    assert_eq!(said(&cluster, into, WEB), "shop/b spec.ingress[1] admits it");
    cluster.closed.insert("shop".into());
    let closed = "the pod's namespace is closed, so that no rule of its policies is asked";
    assert_eq!(said(&cluster, into, WEB), closed);
    let attempt = Attempt { pod: shop("nobody"), ..attempt(into, WEB, SQL) };
    assert_eq!(cluster.why(&attempt), None);
}

#[test]
fn the_accepting_rule_ahead_is_the_miss_of_a_denial() {
    let mut cluster = cluster();
    let all = PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let rule = |action, peers: Vec<ClusterPeer>| ClusterRule {
        name: None,
        action,
        peers: ClusterPeers::AnyOf(peers),
        ports: Ports::All,
    };
    let egress = vec![
        rule(TierAction::Deny, vec![ClusterPeer::Network(block("192.168.0.0/16", &[]))]),
        rule(TierAction::Accept, vec![ClusterPeer::Nodes(selector("role=a,zone"))]),
        rule(TierAction::Deny, vec![ClusterPeer::Network(block("0.0.0.0/0", &[]))]),
        rule(TierAction::Accept, vec![ClusterPeer::Network(block("0.0.0.0/0", &[]))]),
    ];
    let (name, tier, enforcement) = ("lockdown".into(), Tier::Baseline, Enforcement::Enforced);
    let policy = ClusterPolicy { name, tier, priority: 0, subject: all, ingress: vec![], egress, enforcement };
    cluster.apply(Change::ClusterPolicy(policy));
    let node = Node {
        name: "n".into(),
        labels: Labels::from_iter([("role", "b"), ("zone", "1")]),
        addresses: vec![address("9.9.9.9")],
    };
    let worse = Node { name: "m".into(), labels: Labels::default(), addresses: node.addresses.clone() };
    [worse, node].into_iter().for_each(|node| cluster.apply(Change::Node(node)));
    let said = |peer| why(&cluster, Direction::Egress, peer, SQL).to_string();
    let nodes = "lockdown spec.egress[2] denies it; lockdown spec.egress[1] admits nodes with role=a";
    assert_eq!(said("9.9.9.9"), format!("{nodes}; the node has role=b"));
    assert_eq!(said("8.8.8.8"), format!("{nodes}, zone; 8.8.8.8 is no node's"));
    assert_eq!(said("192.168.1.1"), "lockdown spec.egress[0] denies it");
    assert_eq!(why(&cluster, Direction::Egress, "192.168.1.1", SQL).block, Some("192.168.0.0/16".parse().unwrap()));
}

/// What the Baseline tier denies the Admin tier might have accepted.
#[test]
fn both_tiers_may_have_accepted() {
    let mut cluster = cluster();
    let all = || PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let policy = |name: &str, tier, ingress| ClusterPolicy {
        enforcement: Enforcement::Enforced,
        name: name.into(),
        tier,
        priority: 0,
        subject: all(),
        ingress,
        egress: vec![],
    };
    let rule = |action, ports| ClusterRule {
        name: None,
        action,
        peers: ClusterPeers::AnyOf(vec![ClusterPeer::Pods(all())]),
        ports,
    };
    let admin = vec![rule(TierAction::Accept, tcp(&[443])), rule(TierAction::Pass, Ports::All)];
    let [admin, baseline] =
        [policy("first", Tier::Admin, admin), policy("last", Tier::Baseline, vec![rule(TierAction::Deny, Ports::All)])];
    [admin, baseline].into_iter().for_each(|policy| cluster.apply(Change::ClusterPolicy(policy)));
    cluster.apply(Change::Namespace(Namespace { name: "shop".into(), labels: Labels::default() }));
    let said = why(&cluster, Direction::Ingress, WEB, HTTP).to_string();
    assert_eq!(said, "last spec.ingress[0] denies it; first spec.ingress[0] admits TCP 443; this was TCP 80");
}

/// The narrowest that holds it, exceptions taken into account.
#[test]
fn the_block_of_a_peer_is_told() {
    let blocks = [("8.0.0.0/8", &[][..]), ("0.0.0.0/0", &[]), ("8.8.8.0/24", &["8.8.8.8/32"]), ("9.9.9.9/32", &[])];
    let peers: Vec<Peer> = blocks.into_iter().map(|(cidr, except)| Peer::Block(block(cidr, except))).collect();
    let mut cluster = cluster();
    cluster.apply(Change::Policy(ingress("db", [rule(peers, tcp(&[443]))])));
    let told = |peer| why(&cluster, Direction::Ingress, peer, HTTP).block.map(|block| block.to_string());
    assert_eq!(told("8.8.8.8").as_deref(), Some("8.0.0.0/8"));
    assert_eq!(told("8.8.8.9").as_deref(), Some("8.8.8.0/24"));
    assert_eq!(told("9.9.9.8").as_deref(), Some("0.0.0.0/0"));
    assert_eq!((told("fd00::1"), told(WEB)), (None, None), "no block holds it, or a pod has it");
}

/// The later rule is the nearer in each pair, so that it is not its place that decides.
#[test]
fn the_nearest_is_what_a_person_would_have_meant() {
    let any = || Peer::Block(block("10.0.0.0/8", &[]));
    let other = || Peer::Block(block("192.168.0.0/16", &[]));
    for (farther, nearer, peer) in [
        (rule([pods("app=api")], tcp(&[443])), rule([pods("app=api")], tcp(&[5432])), WEB),
        (rule([pods("app=api")], tcp(&[443])), rule([pods("app=web")], tcp(&[443])), WEB),
        (rule([pods("app=web")], tcp(&[443])), rule([pods("app=api")], tcp(&[5432])), WEB),
        (rule([any()], tcp(&[443])), rule([pods("app=web")], tcp(&[5432])), OTHER),
        (rule([pods("")], Ports::All), rule([any()], tcp(&[443])), OTHER),
        (rule([other()], Ports::All), rule([any()], tcp(&[443])), WEB),
        (rule([pods("app=web")], tcp(&[5432])), rule([other()], tcp(&[5432])), "8.8.8.8"),
        (rule([pods("app=api,tier")], Ports::All), rule([pods("app=api")], Ports::All), WEB),
        (rule([pods("tier")], Ports::All), rule([pods("app=web,tier")], Ports::All), WEB),
        (rule([pods("app=web,tier,zone")], Ports::All), rule([pods("tier")], Ports::All), WEB),
        (rule([], Ports::All), rule([pods("app=api")], Ports::All), WEB),
    ] {
        let said = said([farther.clone(), nearer.clone(), nearer], peer, SQL);
        assert!(said.starts_with("shop/db spec.ingress[1] "), "{farther:?}: {said}");
    }
    let said = said([rule([pods("app=a"), pods("app=web,tier"), pods("tier")], Ports::All)], WEB, SQL);
    assert_eq!(said, "shop/db spec.ingress[0].from[1] admits tier; this pod has no tier");
}

/// The namespace, the label's prefix, name and value, and the policy: each as long as the API takes it.
#[test]
fn names_at_their_limits_make_no_sentence_long() {
    let (long, longer) = ("a".repeat(63), "b".repeat(253));
    let values: Vec<String> = (10..99).map(|i| format!("{}{i}", "v".repeat(61))).collect();
    let keys = (0..9).map(|i| format!("{longer}/{}{i}", "c".repeat(62)));
    let all = keys.map(|key| Requirement::new(key, "In", values.clone()).unwrap());
    let group = PodGroup { namespaces: NamespaceScope::Matching(all.clone().collect()), pods: all.collect() };
    let id = NamespacedName::new(long.clone(), longer);
    let pod = bare_pod(NamespacedName::new(long.clone(), "pod"), [address(DB)]);
    let mut cluster = Cluster::default();
    cluster.apply(Change::Pod(pod.clone()));
    cluster.apply(Change::Pod(Pod {
        id: NamespacedName::new(long.clone(), "peer"),
        ips: vec![address(WEB)],
        ..pod.clone()
    }));
    cluster.apply(Change::Namespace(Namespace { name: long.into(), labels: Labels::default() }));
    let ports = (0..999).map(|port| PortMatch::Named { protocol: Protocol::Udp, name: format!("port-{port}").into() });
    let rule = rule(vec![Peer::Pods(group); 99], Ports::AnyOf(ports.collect()));
    cluster.apply(Change::Policy(Policy {
        id,
        selector: Selector::default(),
        ingress: Some(vec![rule]),
        egress: None,
        enforcement: Enforcement::Enforced,
    }));
    for peer in [WEB, "8.8.8.8"] {
        let attempt = Attempt { pod: pod.id.clone(), ..attempt(Direction::Ingress, peer, HTTP) };
        let said = cluster.why(&attempt).unwrap().to_string();
        assert!(
            said.len() <= 303 && said.contains(" spec.ingress[0].from[0] admits ") && said.contains("; "),
            "{said}"
        );
    }
}

#[test]
fn of_very_many_entries_not_all_are_looked_at() {
    let address = |i: u32| IpAddr::from((0x0b00_0000 + i).to_be_bytes());
    let peers: Vec<Peer> = (0..60_000).map(|i| Peer::Block(IpBlock::new(address(i).into(), []).unwrap())).collect();
    let policy = ingress("db", [rule(peers, Ports::All), rule([pods("app=api")], Ports::All)]);
    let mut cluster = cluster();
    let mut index = Index::new("node");
    let db = Pod { node: Some("node".into()), ..cluster.pods[&shop("db")].clone() };
    for change in [Change::Pod(db), Change::Policy(policy)] {
        cluster.apply(change.clone());
        index.apply(change);
    }
    let attempt = |peer| Attempt { peer, ..attempt(Direction::Ingress, WEB, SQL) };
    let said = |peer| [cluster.why(&attempt(peer)), index.why(&attempt(peer))].map(Option::unwrap);
    for why in said(IpAddr::from([10, 0, 0, 2])) {
        assert!(!why.complete && why.nearest.is_some_and(|miss| miss.rule == 0), "the last rule is nearer");
    }
    let admits = Decision::Allowed(Allowed::Rule(RuleRef { policy: shop("db"), index: 0 }));
    let [all, some] = said(address(40_000)).map(|why| (why.decision, why.complete));
    assert_eq!((all, some), ((admits.clone(), false), (admits.clone(), false)), "the block was not found");
    let [all, some] = said(address(59_999)).map(|why| (why.decision, why.complete));
    assert_eq!((all, some), ((admits, false), (Decision::Denied(Denied::NoRule), false)));
    let one = rule([Peer::Block(block("11.0.0.0/8", &[]))], tcp(&[80]));
    cluster.apply(Change::Policy(ingress("db", [one])));
    assert!(cluster.why(&attempt(address(0))).unwrap().complete);
}

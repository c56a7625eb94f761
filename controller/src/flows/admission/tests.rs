use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Change, Labels, NamespaceScope, Peer as PolicyPeer, Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports,
    Protocol, Requirement, Rule as PolicyRule, Selector,
};

use super::super::{Rule, Wanted};
use super::*;

const WEB: &str = "10.0.0.1";
const DB: &str = "10.0.0.2";
const STRANGER: &str = "192.0.2.1";

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

fn selecting(app: &str) -> Selector {
    Selector::from_iter([Requirement::new("app", "In", [app]).unwrap()])
}

/// Lets pods of this `app` reach `db` at TCP 80.
fn admitting(app: &str) -> Change {
    let peer = PolicyPeer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: selecting(app) });
    let ports = Ports::AnyOf(vec![PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(80) }]);
    let rule = PolicyRule { peers: Peers::AnyOf(vec![peer]), ports };
    let enforcement = Enforcement::Enforced;
    Change::Policy(Policy {
        id: id("db"),
        selector: selecting("db"),
        ingress: Some(vec![rule]),
        egress: None,
        enforcement,
    })
}

struct Scene {
    index: Index,
    hub: Arc<Hub>,
    admission: Admission,
}

/// `shop/web` and `shop/db` on this node, and `db` lets `web` in.
fn scene() -> Scene {
    let hub = Arc::new(Hub::new(NODE));
    let mut scene = Scene { index: Index::new(NODE), admission: Admission::new(hub.clone()), hub };
    for (name, address) in [("web", WEB), ("db", DB)] {
        let pod = bare_pod(id(name), [address.parse().unwrap()]);
        let labels = Labels::from_iter([("app", name)]);
        scene.change(Change::Pod(Pod {
            labels,
            node: Some(NODE.into()),
            host_ips: vec!["10.9.9.9".parse().unwrap()],
            ..pod
        }));
    }
    scene.change(admitting("web"));
    scene
}

fn connections(opener: &str, answerer: &str, begun: u64, ended: u64) -> Connections {
    let course = Course {
        opener: opener.parse().unwrap(),
        answerer: answerer.parse().unwrap(),
        protocol: 6,
        port: Some(80),
        called: (answerer.parse().unwrap(), Some(80)),
    };
    Connections { time: "2026-11-28T22:56:12Z".parse().unwrap(), course, begun, ended, carried: None }
}

impl Scene {
    fn change(&mut self, change: Change) {
        self.index.apply(change);
        self.index.take_delta();
        self.admission.doubt();
    }

    /// What is told of it.
    fn told(&mut self, connections: Connections) -> Vec<Record> {
        let (.., mut follower) = self.hub.follow(Wanted { last: Some(0), allowed: true, since: None });
        self.admission.publish_all(vec![connections], &self.index);
        std::iter::from_fn(|| follower.try_next_allowed()).map(|record| Record::clone(&record)).collect()
    }
}

fn rule(record: &Record) -> Option<(&str, &str)> {
    record.rule.as_ref().map(|Rule { policy, field }| (policy.as_str(), field.as_str()))
}

#[test]
fn a_connection_between_two_pods_is_told_at_both_ends_with_what_allowed_it() {
    let [egress, ingress] = scene().told(connections(WEB, DB, 3, 0)).try_into().unwrap();
    assert_eq!((egress.direction, egress.reason, rule(&egress)), (Direction::Egress, Reason::Open, None));
    assert_eq!((&*egress.pod.name, &*egress.peer.pod.unwrap().name), ("web", "db"));
    assert_eq!(egress.text, "no policy isolates shop/web on egress");
    assert_eq!((ingress.direction, ingress.reason), (Direction::Ingress, Reason::Policy));
    assert_eq!(rule(&ingress), Some(("shop/db", "spec.ingress[0]")));
    assert_eq!(ingress.text, "allowed by shop/db spec.ingress[0]");
    assert_eq!((ingress.verdict, ingress.port, ingress.policies.len()), (Verdict::Allowed, Some(80), 1));
    assert_eq!((ingress.connections, ingress.ended, ingress.packets, ingress.bytes), (Some(3), Some(0), 0, None));
}

#[test]
fn one_with_a_node_a_stranger_or_itself_is_told_at_the_end_that_is_here() {
    let mut scene = scene();
    let [from_node] = scene.told(connections("10.9.9.9", DB, 1, 0)).try_into().unwrap();
    assert_eq!((from_node.direction, from_node.reason), (Direction::Ingress, Reason::OwnNode));
    assert_eq!(from_node.peer.node.as_deref(), Some(NODE));
    let [sent] = scene.told(connections(WEB, STRANGER, 1, 0)).try_into().unwrap();
    assert_eq!((sent.direction, sent.peer.address.to_string().as_str()), (Direction::Egress, STRANGER));
    let own = scene.told(connections(DB, DB, 1, 0));
    let own: Vec<_> = own.iter().map(|record| (record.direction, record.reason)).collect();
    assert_eq!(own, [(Direction::Egress, Reason::Open), (Direction::Ingress, Reason::Itself)]);
    assert!(scene.told(connections(STRANGER, "192.0.2.9", 1, 0)).is_empty());
}

#[test]
fn a_service_is_named_by_who_called_it() {
    let mut through = connections(WEB, DB, 1, 0);
    through.course.called = ("10.96.0.1".parse().unwrap(), Some(8080));
    let [egress, ingress] = scene().told(through).try_into().unwrap();
    assert_eq!((egress.peer.service.as_deref(), ingress.peer.service), (Some("10.96.0.1:8080"), None));
    assert_eq!((egress.peer.address.to_string().as_str(), egress.port), (DB, Some(80)));
}

#[test]
fn what_has_changed_before_it_was_heard_of_is_said() {
    let mut scene = scene();
    scene.change(admitting("api"));
    let record = scene.told(connections(WEB, DB, 1, 0)).pop().unwrap();
    assert_eq!((record.verdict, record.reason, rule(&record)), (Verdict::Allowed, Reason::Policy, None));
    let says = record.says();
    assert!(says.starts_with("it was allowed when it began, and would be dropped now: shop/db"), "{says}");
    assert!(says.contains("app=api") && record.nearest.is_none(), "{says}");
}

#[test]
fn what_ended_is_told_with_what_allowed_it_when_it_began() {
    let mut scene = scene();
    scene.told(connections(WEB, DB, 3, 0));
    scene.change(Change::PolicyGone(id("db")));
    let carried = Some(CounterValue { packets: 12, bytes: 900 });
    let ended = scene.told(Connections { carried, ..connections(WEB, DB, 0, 1) }).pop().unwrap();
    assert_eq!((ended.connections, ended.ended, ended.packets, ended.bytes), (Some(0), Some(1), 12, Some(900)));
    assert_eq!(rule(&ended), Some(("shop/db", "spec.ingress[0]")));
    let told = scene.told(connections(WEB, DB, 5, 3));
    let ingress = told.iter().filter(|record| record.direction == Direction::Ingress);
    let ingress: Vec<_> = ingress.map(|record| (record.reason, record.connections, record.ended)).collect();
    let expected = [(Reason::Policy, Some(0), Some(2)), (Reason::Open, Some(5), Some(1))];
    assert_eq!(ingress, expected, "two of the old ones were left");
}

#[test]
fn a_pod_that_is_gone_is_known_for_as_long_as_its_connections_end() {
    let mut scene = scene();
    scene.told(connections(STRANGER, WEB, 2, 0));
    scene.change(Change::PodGone(id("web")));
    let ended = scene.told(connections(STRANGER, WEB, 0, 2));
    assert_eq!((ended.len(), &*ended[0].pod.name, ended[0].ended), (1, "web", Some(2)));
    assert!(scene.told(connections(STRANGER, WEB, 0, 1)).is_empty(), "of whose nothing was heard");
}

#[test]
fn what_takes_too_long_is_told_without_what_allowed_it() {
    let mut scene = scene();
    let one = connections(WEB, DB, 1, 0);
    let records = records(&one.course, &scene.index, Instant::now());
    assert!(records.iter().all(|record| record.reason == Reason::Other && record.rule.is_none()), "{records:?}");
    assert_eq!(records.len(), 2);
    scene.admission.publish(one.clone(), &scene.index, Instant::now());
    assert_eq!(scene.told(one)[1].reason, Reason::Policy, "the next time it is looked into");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut scene = scene();
    for port in 0..2 * u16::try_from(REMEMBERED).unwrap() {
        let mut one = connections(WEB, STRANGER, 1, 0);
        one.course.port = Some(port);
        scene.admission.publish_all(vec![one], &scene.index);
        assert!(scene.admission.known.len() <= REMEMBERED);
    }
}

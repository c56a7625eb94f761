//! What allowed connections: records of those that began, as the objects are when they are heard of, and of those that ended, as
//! the objects were when they began.
//!
//! Invariants:
//! - A connection between two pods of this node has a record at each end.
//! - What is known of a flow is asked for once, until any object changes; and so long at once ([`LOOKING`]): enforcing goes
//!   before explaining.
//! - What is remembered is bounded; of what was forgotten, an end is told as the objects are then.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use palisade_model::{Attempt, Decision, Denied, Direction, Enforcement, Index, NamespacedName, Why};
use palisade_nft::CounterValue;

use super::connections::{Connections, Course};
use super::ends::{local_pod, peer, traffic};
use super::explain::{allowed, denied, judges, reason};
use super::{Hub, IpProtocol, Peer, Reason, Record, Verdict};

/// Of how many flows it is known what allowed them.
const REMEMBERED: usize = 4096;
/// How long is looked for what allowed flows that come together: usually it takes some microseconds each, and a few milliseconds
/// where tenants write very many rules.
const LOOKING: Duration = Duration::from_millis(10);

/// The generation of what was not looked into: of none.
const NEVER: u64 = u64::MAX;

/// Makes records of connections.
#[derive(Debug)]
pub(super) struct Admission {
    hub: Arc<Hub>,
    known: HashMap<Course, Known>,
    /// How often objects have changed.
    generation: u64,
}

/// What is known of a flow.
#[derive(Debug)]
struct Known {
    /// Its records, one for each end that is a pod of this node, but for when and how much.
    records: Arc<[Record]>,
    /// For which objects that was found.
    generation: u64,
    /// How many of its connections have begun and not ended, as far as it was heard of.
    open: u64,
}

impl Admission {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, known: HashMap::new(), generation: 0 }
    }

    /// Objects have changed: what allows a flow may be another rule from now on.
    pub(super) fn doubt(&mut self) {
        self.generation += 1;
    }

    /// Makes records, and publishes them.
    pub(super) fn publish_all(&mut self, connections: Vec<Connections>, index: &Index) {
        let until = Instant::now() + LOOKING;
        connections.into_iter().for_each(|connections| self.publish(connections, index, until));
    }

    fn publish(&mut self, mut connections: Connections, index: &Index, until: Instant) {
        let (course, begun, ended) = (connections.course.clone(), connections.begun, connections.ended);
        let known = self.known.remove(&course);
        let open = known.as_ref().map_or(0, |known| known.open).saturating_add(begun).saturating_sub(ended);
        let records = match known {
            Some(known) if known.generation == self.generation => known.records,
            Some(known) => {
                self.tell(&known.records, &connections.take_ended(known.open));
                if connections.is_empty() {
                    return self.remember(course, Known { open, ..known });
                }
                records(&course, index, until)
            }
            None => records(&course, index, until),
        };
        self.tell(&records, &connections);
        let is_known = records.iter().all(|record| record.reason != Reason::Other);
        let generation = if is_known { self.generation } else { NEVER };
        self.remember(course, Known { records, generation, open });
    }

    fn tell(&self, records: &[Record], connections: &Connections) {
        if connections.is_empty() {
            return;
        }
        let Connections { time, course: _, begun, ended, carried } = *connections;
        let (packets, bytes) = carried.map(|CounterValue { packets, bytes }| (packets, bytes)).unzip();
        let packets = packets.unwrap_or_default();
        for record in records {
            let (connections, ended) = (Some(begun), Some(ended));
            self.hub.publish(Record { time, packets, bytes, connections, ended, ..record.clone() });
        }
    }

    fn remember(&mut self, course: Course, known: Known) {
        if self.known.len() >= REMEMBERED {
            self.known.retain(|_, known| known.open > 0);
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(course, known);
    }
}

/// One for each end that is a pod of this node.
fn records(course: &Course, index: &Index, until: Instant) -> Arc<[Record]> {
    let Course { opener, answerer, called, .. } = course;
    let egress = (Direction::Egress, *opener, peer(*answerer, Some(*called), index));
    let ingress = (Direction::Ingress, *answerer, peer(*opener, None, index));
    let record = |(direction, local, peer)| {
        let pod = index.local_owner(local)?;
        Some(record(direction, (pod, local), peer, course, index, until))
    };
    [egress, ingress].into_iter().filter_map(record).collect()
}

/// But for when and how much.
fn record(
    direction: Direction,
    (pod, address): (NamespacedName, IpAddr),
    peer: Peer,
    course: &Course,
    index: &Index,
    until: Instant,
) -> Record {
    let mut record = Record {
        time: Timestamp::UNIX_EPOCH,
        node: index.node().to_string(),
        verdict: Verdict::Allowed,
        reason: Reason::Other,
        direction,
        pod: local_pod(Some(&pod), "", address, index),
        peer,
        protocol: IpProtocol(course.protocol),
        port: course.port,
        packets: 0,
        bytes: None,
        connections: None,
        ended: None,
        policies: Vec::new(),
        rule: None,
        nearest: None,
        text: "not looked into: there was too much to look at at once".to_owned(),
    };
    if Instant::now() >= until {
        return record;
    }
    let (peer, traffic) = (record.peer.address, traffic(course.protocol, course.port));
    if let Some(why) = index.why(&Attempt { direction, pod, peer, traffic, up_to: Enforcement::Enforced }) {
        judges(&why, &mut record);
        match &why.decision {
            Decision::Allowed(by) => {
                record.reason = reason(by);
                allowed(by, &mut record);
            }
            Decision::Denied(by) => would_be_denied(by, &why, &mut record),
        }
    }
    record
}

/// It was let through, and objects have changed before it was heard of.
fn would_be_denied(by: &Denied, why: &Why, record: &mut Record) {
    record.reason = match by {
        Denied::NoRule => Reason::Policy,
        Denied::ClosedNamespace => Reason::Shares,
        Denied::ClusterRule(_) => Reason::Tier,
    };
    if *by == Denied::NoRule && !why.complete {
        record.text = "a rule allowed it that was not found among very many".to_owned();
        return;
    }
    denied(by, why, record);
    record.text = format!("it was allowed when it began, and would be dropped now: {}", record.says());
    (record.rule, record.nearest) = (None, None);
}

#[cfg(test)]
mod tests {
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
        let peer =
            PolicyPeer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: selecting(app) });
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
}

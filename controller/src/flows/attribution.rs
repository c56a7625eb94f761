//! What told packets mean: whose they are, what decided, and which rule came nearest, as the objects are when they are heard of.
//!
//! Invariants:
//! - Who is told of the same flow again and again is answered from memory, until any object changes.
//! - However many flows are told of, so many are looked into at once, and no more: enforcing goes before explaining.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{Attempt, Decision, Direction, Enforcement, Index, NamespacedName};

use super::admission::Admission;
use super::connections::{Connections, Locals};
use super::ends::{local_pod, peer, traffic};
use super::explain::{allowed, denied, judges};
use super::told::{Seen, Told};
use super::{Hub, IpProtocol, Reason, Record, Verdict};
use crate::render::{Told as Cause, pod_text};

/// How many flows are looked into at once.
const AT_ONCE: usize = 200;
/// How many answers are remembered.
const REMEMBERED: usize = 4096;

/// Makes records of what is told.
#[derive(Debug)]
pub struct Attribution {
    hub: Arc<Hub>,
    /// The records of flows, by what tells them apart, since an object changed.
    known: HashMap<Key, Record>,
    /// What is allowed.
    admission: Admission,
    /// Who wants to know the addresses of this node's pods.
    locals: Option<Locals>,
}

type Key = (&'static str, Direction, Option<String>, [IpAddr; 2], u8, Option<(u16, u16)>);

impl Attribution {
    /// Tells `hub`.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { admission: Admission::new(hub.clone()), hub, known: HashMap::new(), locals: None }
    }

    /// Keeps `locals` at the addresses of this node's pods.
    #[must_use]
    pub fn with_locals(self, locals: Locals) -> Self {
        Self { locals: Some(locals), ..self }
    }

    /// Objects have changed: what was known of flows may be wrong.
    pub fn forget(&mut self) {
        self.known.clear();
        self.admission.doubt();
    }

    /// What is to be known of the index besides records.
    pub fn keep_up(&self, index: &Index) {
        self.locals.iter().for_each(|locals| locals.keep_up(index));
    }

    /// Makes records of connections, and publishes them.
    pub fn publish_connections(&mut self, connections: Vec<Connections>, index: &Index) {
        self.admission.publish_all(connections, index);
    }

    /// Makes records of it, and publishes them.
    pub fn publish(&mut self, told: Vec<Told>, index: &Index) {
        let mut looked_into = 0;
        for told in told {
            let key = key(&told);
            let known = self.known.get(&key).cloned();
            let record = known.unwrap_or_else(|| {
                looked_into += 1;
                let record = record(&told, index, looked_into <= AT_ONCE);
                if looked_into <= AT_ONCE && self.known.len() < REMEMBERED {
                    self.known.insert(key, record.clone());
                }
                record
            });
            let node = index.node().to_string();
            let Told { time, packets, bytes, .. } = told;
            self.hub.publish(Record { time, node, packets, bytes: Some(bytes), ..record });
        }
    }
}

/// A client's port makes no difference.
fn key(told: &Told) -> Key {
    let Told { prefix, source, destination, protocol, ports, .. } = told;
    let cause = reason(prefix.told).name();
    // Which end is the client is not known yet: the higher port is.
    let ports = ports.map(|(from, to)| if from > to { (0, to) } else { (from, to) });
    (cause, prefix.direction, prefix.pod.clone(), [*source, *destination], *protocol, ports)
}

fn reason(told: Cause) -> Reason {
    match told {
        Cause::Policy => Reason::Policy,
        Cause::Tier => Reason::Tier,
        Cause::Audit => Reason::Audit,
        Cause::Forged => Reason::Forged,
        Cause::NoConnection => Reason::NoConnection,
    }
}

/// A record of it, but for when and how much.
fn record(told: &Told, index: &Index, look_into: bool) -> Record {
    let (pod, seen) = local(told, index);
    let mut record = Record {
        time: told.time,
        node: String::new(),
        verdict: if told.prefix.told == Cause::Audit { Verdict::WouldDrop } else { Verdict::Dropped },
        reason: reason(told.prefix.told),
        direction: told.prefix.direction,
        pod: local_pod(pod.as_ref(), told.prefix.pod.as_deref().unwrap_or_default(), seen.local, index),
        peer: peer(seen.peer, told.service.filter(|_| told.prefix.direction == Direction::Egress), index),
        protocol: IpProtocol(told.protocol),
        port: seen.port,
        packets: told.packets,
        bytes: None,
        connections: None,
        ended: None,
        policies: Vec::new(),
        rule: None,
        nearest: None,
        text: String::new(),
    };
    match (told.prefix.told, pod) {
        (Cause::Forged, _) => {
            record.text = format!("{} is not an address that the node routes to this pod", seen.local);
        }
        (Cause::NoConnection, _) => record.text = "it belongs to no connection that anybody saw begin".to_owned(),
        (_, None) => record.text = "the pod is gone".to_owned(),
        (_, Some(_)) if !look_into => record.text = "not looked into: too much was dropped at once".to_owned(),
        (cause, Some(pod)) => {
            let up_to = if cause == Cause::Audit { Enforcement::Audited } else { Enforcement::Enforced };
            let (direction, peer, traffic) = (told.prefix.direction, seen.peer, traffic(told.protocol, seen.port));
            if let Some(why) = index.why(&Attempt { direction, pod, peer, traffic, up_to }) {
                judges(&why, &mut record);
                match &why.decision {
                    Decision::Denied(by) => denied(by, &why, &mut record),
                    Decision::Allowed(by) => {
                        allowed(by, &mut record);
                        record.text = "it is allowed now: objects have changed since".to_owned();
                    }
                }
            }
        }
    }
    record
}

/// The pod that is told of, where it is known, and how its connection looks from it.
fn local(told: &Told, index: &Index) -> (Option<NamespacedName>, Seen) {
    let [first, answer] = told.seen();
    let named = |seen: &Seen| {
        let pod = index.local_owner(seen.local)?;
        let is_it = told.prefix.pod.as_ref().is_none_or(|text| *text == pod_text(&pod));
        is_it.then_some((Some(pod), *seen))
    };
    if told.prefix.told == Cause::Forged {
        let pod =
            told.prefix.pod.as_ref().and_then(|text| index.local_pods().find(|id| pod_text(id) == *text).cloned());
        return (pod, first);
    }
    named(&first).or_else(|| named(&answer)).unwrap_or((None, first))
}

#[cfg(test)]
mod tests {
    use palisade_model::testing::{NODE, bare_pod};
    use palisade_model::{
        Change, Enforcement, Labels, NamespaceScope, Peer as PolicyPeer, Peers, PodGroup, Policy, PortMatch, PortRange,
        Ports, Protocol, Requirement, Rule as PolicyRule, Selector,
    };

    use super::super::Wanted;
    use super::super::told::tests::told;
    use super::*;
    use crate::render::Prefix;

    const DB: &str = "10.0.1.1";
    const WEB: &str = "10.0.0.1";

    fn labelled(name: &str, ip: &str) -> palisade_model::Pod {
        let pod = bare_pod(NamespacedName::new("shop", name), [ip.parse().unwrap()]);
        palisade_model::Pod { labels: Labels::from_iter([("app", name)]), ..pod }
    }

    fn selecting(app: &str) -> Selector {
        Selector::from_iter([Requirement::new("app", "In", [app]).unwrap()])
    }

    fn policy(enforcement: Enforcement) -> Policy {
        let namespaces = NamespaceScope::Named("shop".into());
        let peer = PolicyPeer::Pods(PodGroup { namespaces, pods: selecting("api") });
        let ports = Ports::AnyOf(vec![PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(5432) }]);
        let rule = PolicyRule { peers: Peers::AnyOf(vec![peer]), ports };
        Policy {
            id: NamespacedName::new("shop", "db"),
            selector: selecting("db-0"),
            ingress: Some(vec![rule]),
            egress: None,
            enforcement,
        }
    }

    /// `shop/db-0` on this node lets `app=api` in at TCP 5432, `shop/web` is elsewhere.
    fn shop(enforcement: Enforcement) -> Index {
        let mut index = Index::new(NODE);
        let db = palisade_model::Pod { node: Some(NODE.into()), ..labelled("db-0", DB) };
        let web = palisade_model::Pod { node: Some("elsewhere".into()), ..labelled("web", WEB) };
        index.apply(Change::Pod(db));
        index.apply(Change::Pod(web));
        index.apply(Change::Policy(policy(enforcement)));
        index.take_delta();
        index
    }

    fn records(told: Vec<Told>, index: &Index) -> Vec<Record> {
        let hub = Arc::new(Hub::new(NODE));
        Attribution::new(hub.clone()).publish(told, index);
        hub.latest(Wanted::default()).1.into_iter().map(|record| Record::clone(&record)).collect()
    }

    fn of(told: Cause, prefix: &Prefix) -> Prefix {
        Prefix { told, ..prefix.clone() }
    }

    #[test]
    fn who_was_dropped_and_what_came_nearest_is_said() {
        let index = shop(Enforcement::Enforced);
        let [record] = records(vec![told(WEB, DB)], &index).try_into().unwrap();
        assert_eq!((record.pod.name.as_str(), record.peer.pod.unwrap().name.as_str()), ("db-0", "web"));
        assert_eq!((record.verdict, record.reason, record.port), (Verdict::Dropped, Reason::Policy, Some(80)));
        assert_eq!(record.policies, ["shop/db"]);
        let nearest = record.nearest.unwrap();
        assert!(nearest.field.starts_with("spec.ingress[0]") && nearest.text.contains("app=api"), "{nearest:?}");
    }

    #[test]
    fn an_answer_is_of_the_connection_that_it_answers() {
        let index = shop(Enforcement::Enforced);
        let answer = Told { ports: Some((80, 40_000)), ..told(DB, WEB) };
        let [record] = records(vec![answer], &index).try_into().unwrap();
        assert_eq!(
            (record.pod.address, record.peer.address, record.port),
            (DB.parse().unwrap(), WEB.parse().unwrap(), Some(80))
        );
    }

    #[test]
    fn what_audited_policies_would_drop_is_told_as_that() {
        let index = shop(Enforcement::Audited);
        let of_web = told(WEB, DB);
        let audited = Told { prefix: of(Cause::Audit, &of_web.prefix), ..of_web };
        let [record] = records(vec![audited], &index).try_into().unwrap();
        assert_eq!((record.verdict, record.reason), (Verdict::WouldDrop, Reason::Audit));
        assert_eq!(record.policies, ["shop/db"]);
        assert!(record.nearest.is_some());
    }

    #[test]
    fn of_a_pod_that_is_gone_there_is_its_name() {
        let mut index = shop(Enforcement::Enforced);
        index.apply(Change::PodGone(NamespacedName::new("shop", "db-0")));
        index.take_delta();
        let [record] = records(vec![told(WEB, DB)], &index).try_into().unwrap();
        assert_eq!((record.pod.namespace.as_str(), record.pod.name.as_str()), ("shop", "db-0"));
        assert_eq!(record.text, "the pod is gone");
    }

    #[test]
    fn what_is_known_is_forgotten_with_the_next_change() {
        let hub = Arc::new(Hub::new(NODE));
        let mut attribution = Attribution::new(hub.clone());
        let mut index = shop(Enforcement::Enforced);
        attribution.publish(vec![told(WEB, DB)], &index);
        index.apply(Change::PolicyGone(NamespacedName::new("shop", "db")));
        index.take_delta();
        attribution.publish(vec![told(WEB, DB)], &index);
        attribution.forget();
        attribution.publish(vec![Told { time: "2026-11-28T22:57:12Z".parse().unwrap(), ..told(WEB, DB) }], &index);
        let texts: Vec<String> = hub.latest(Wanted::default()).1.iter().map(|record| record.text.clone()).collect();
        assert_eq!(texts, ["no ingress rule of shop/db admits it", "it is allowed now: objects have changed since"]);
    }

    #[test]
    fn so_many_are_looked_into_at_once_and_no_more() {
        let index = shop(Enforcement::Enforced);
        let many = (0..300).map(|port| Told { ports: Some((60_000, port)), ..told(WEB, DB) }).collect();
        let records = records(many, &index);
        let looked_into = records.iter().filter(|record| record.nearest.is_some()).count();
        assert_eq!((records.len(), looked_into), (300, AT_ONCE));
    }
}

//! What told packets mean: whose they are, what decided, and which rule came nearest, as the objects are when they are heard of.
//!
//! Invariants:
//! - Who is told of the same flow again and again is answered from memory, until any object changes.
//! - However many flows are told of, so many are looked into at once, and no more: enforcing goes before explaining.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{
    Allowed, Attempt, Decision, Denied, Direction, Enforcement, Index, NamespacedName, Protocol, RuleRef, Traffic, Why,
};

use super::told::{Seen, Told};
use super::{Hub, IpProtocol, LocalPod, Nearest, Peer, PeerPod, Reason, Record, Rule, Verdict};
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
}

type Key = (&'static str, Direction, Option<String>, [IpAddr; 2], u8, Option<(u16, u16)>);

impl Attribution {
    /// Tells `hub`.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, known: HashMap::new() }
    }

    /// Objects have changed: what was known of flows may be wrong.
    pub fn forget(&mut self) {
        self.known.clear();
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
        pod: local_pod(pod.as_ref(), told, seen, index),
        peer: peer(told, seen, index),
        protocol: IpProtocol(told.protocol),
        port: seen.port,
        packets: told.packets,
        bytes: None,
        policies: Vec::new(),
        rule: None,
        nearest: None,
        text: String::new(),
    };
    match (told.prefix.told, pod) {
        (Cause::Forged, _) => {
            record.text = format!("{} is not an address that the node routes to this pod", seen.local)
        }
        (Cause::NoConnection, _) => record.text = "it belongs to no connection that anybody saw begin".to_owned(),
        (_, None) => record.text = "the pod is gone".to_owned(),
        (_, Some(_)) if !look_into => record.text = "not looked into: too much was dropped at once".to_owned(),
        (cause, Some(pod)) => {
            let up_to = if cause == Cause::Audit { Enforcement::Audited } else { Enforcement::Enforced };
            let (direction, peer, traffic) = (told.prefix.direction, seen.peer, traffic(told, seen));
            let why = index.why(&Attempt { direction, pod, peer, traffic, up_to });
            why.iter().for_each(|why| explain(why, &mut record));
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

fn local_pod(pod: Option<&NamespacedName>, told: &Told, seen: Seen, index: &Index) -> LocalPod {
    let object = pod.map(|pod| index.object(pod).unwrap_or_else(|| pod.clone()));
    let text = told.prefix.pod.as_deref().unwrap_or_default();
    let (namespace, name) = match &object {
        Some(pod) => (pod.namespace.to_string(), pod.name.to_string()),
        None => {
            text.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned())).unwrap_or_default()
        }
    };
    let workload =
        pod.and_then(|pod| index.workload(pod)).map_or_else(|| name.clone(), |workload| workload.to_string());
    LocalPod { namespace, name, workload, address: seen.local }
}

fn peer(told: &Told, seen: Seen, index: &Index) -> Peer {
    let known = index.peer(seen.peer);
    let workload = known.workload;
    let pod = known.pod.map(|pod| PeerPod {
        workload: workload.map_or_else(|| pod.name.to_string(), |workload| workload.to_string()),
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
    });
    let service =
        told.service.filter(|(address, _)| *address != seen.peer && told.prefix.direction == Direction::Egress);
    let service = service.map(|(address, port)| match port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    });
    Peer { address: seen.peer, pod, node: known.node.map(|node| node.to_string()), service, block: None }
}

fn traffic(told: &Told, seen: Seen) -> Traffic {
    let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.number() == told.protocol);
    match (protocol, seen.port) {
        (Some(protocol), Some(port)) => Traffic::Port { protocol, port },
        (None, _) | (_, None) => Traffic::Other(told.protocol),
    }
}

fn explain(why: &Why, record: &mut Record) {
    record.policies = why.isolating.iter().map(ToString::to_string).collect();
    record.peer.block = why.block.map(|block| block.to_string());
    record.nearest = why.nearest.as_ref().map(|miss| Nearest {
        policy: text_of(&miss.policy),
        field: miss.field(),
        text: miss.to_string(),
    });
    let cluster_rule = |policy: &str, direction: Direction, index: usize| Rule {
        policy: policy.to_owned(),
        field: format!("spec.{direction}[{index}]"),
    };
    match &why.decision {
        Decision::Denied(Denied::NoRule) => {
            record.text = match why.isolating.as_slice() {
                [policy] => format!("no {} rule of {policy} admits it", record.direction),
                policies => format!("no {} rule of {} policies admits it", record.direction, policies.len()),
            };
        }
        Decision::Denied(Denied::ClosedNamespace) => {
            record.reason = Reason::Shares;
            record.text =
                format!("namespace {} is closed: its policies cost more than its share", record.pod.namespace);
        }
        Decision::Denied(Denied::ClusterRule(rule)) => {
            record.text = format!("denied by {} {}[{}]", rule.policy, rule.direction, rule.index);
            record.rule = Some(cluster_rule(&rule.policy, rule.direction, rule.index));
        }
        Decision::Allowed(allowed) => {
            if let Allowed::Rule(RuleRef { policy, index }) = allowed {
                record.rule = Some(cluster_rule(&policy.to_string(), record.direction, *index));
            }
            record.text = "it is allowed now: objects have changed since".to_owned();
        }
    }
}

/// Of a cluster policy the name alone.
fn text_of(policy: &NamespacedName) -> String {
    if policy.namespace.is_empty() { policy.name.to_string() } else { policy.to_string() }
}

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
mod tests;

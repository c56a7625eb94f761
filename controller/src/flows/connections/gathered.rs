//! Connections by flow, until they are told.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use jiff::Timestamp;
use palisade_nft::{ConnectionEvent, ConnectionPhase, CounterValue};

use super::{Connections, Course};

/// What has come in. Bounded.
#[derive(Debug)]
pub(super) struct Gathered {
    most: usize,
    flows: HashMap<Course, Connections>,
}

impl Gathered {
    /// Of so many flows at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, flows: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Takes in those of `events` that are of pods of this node. Gives how many those are, and for how many of them there is
    /// no room.
    pub(super) fn add(&mut self, events: &[ConnectionEvent], locals: &HashSet<IpAddr>, time: Timestamp) -> (u64, u64) {
        let ends = |event: &ConnectionEvent| [event.original.source, event.reply.source];
        let is_local = |event: &&ConnectionEvent| ends(event).iter().any(|end| locals.contains(end));
        events.iter().filter(is_local).fold((0, 0), |(told, left_out), event| {
            let is_taken = self.take(event, time);
            (told + 1, left_out + u64::from(!is_taken))
        })
    }

    /// All of them, in the order in which they came.
    pub(super) fn drain(&mut self) -> Vec<Connections> {
        let mut all: Vec<_> = self.flows.drain().map(|(_, connections)| connections).collect();
        all.sort_by_key(|connections| connections.time);
        all
    }

    fn take(&mut self, event: &ConnectionEvent, time: Timestamp) -> bool {
        let course = Course::of(event);
        if self.flows.len() >= self.most && !self.flows.contains_key(&course) {
            return false;
        }
        let fresh = || Connections { time, course: course.clone(), begun: 0, ended: 0, carried: None };
        let connections = self.flows.entry(course.clone()).or_insert_with(fresh);
        match event.phase {
            ConnectionPhase::Begun => connections.begun += 1,
            ConnectionPhase::Ended => {
                connections.ended += 1;
                connections.carried =
                    [connections.carried, event.sent, event.received].into_iter().flatten().reduce(sum);
            }
        }
        true
    }
}

fn sum(one: CounterValue, other: CounterValue) -> CounterValue {
    let CounterValue { packets, bytes } = other;
    CounterValue { packets: one.packets.saturating_add(packets), bytes: one.bytes.saturating_add(bytes) }
}

#[cfg(test)]
pub(in super::super) mod tests {
    use palisade_nft::Tuple;
    use proptest::prelude::*;

    use super::*;

    /// A connection from one address to TCP port 80 of another, which was called by a third.
    pub(in super::super::super) fn event(opener: &str, called: &str, answerer: &str, client: u16) -> ConnectionEvent {
        let [opener, called, answerer] = [opener, called, answerer].map(|address| address.parse().unwrap());
        ConnectionEvent {
            phase: ConnectionPhase::Begun,
            original: Tuple { source: opener, destination: called, protocol: 6, ports: Some((client, 8080)) },
            reply: Tuple { source: answerer, destination: opener, protocol: 6, ports: Some((80, client)) },
            mark: 0,
            id: 0,
            sent: None,
            received: None,
        }
    }

    fn ended(event: &ConnectionEvent, packets: u64) -> ConnectionEvent {
        let counted = Some(CounterValue { packets, bytes: 100 * packets });
        ConnectionEvent { phase: ConnectionPhase::Ended, sent: counted, received: counted, ..event.clone() }
    }

    fn locals() -> HashSet<IpAddr> {
        ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap()).into()
    }

    #[test]
    fn connections_of_one_flow_are_united_whatever_the_clients_port() {
        let mut gathered = Gathered::new(10);
        let service = |client| event("10.0.0.1", "10.96.0.1", "10.0.9.9", client);
        let events = [service(1), service(2), ended(&service(1), 5), event("10.0.0.1", "10.0.9.9", "10.0.9.9", 3)];
        assert_eq!(gathered.add(&events, &locals(), Timestamp::UNIX_EPOCH), (4, 0));
        let mut all = gathered.drain();
        all.sort_by_key(|connections| connections.begun);
        let [direct, service] = all.try_into().unwrap();
        assert_eq!((direct.begun, direct.ended, direct.carried), (1, 0, None));
        assert_eq!((service.begun, service.ended), (2, 1));
        assert_eq!(service.carried, Some(CounterValue { packets: 10, bytes: 1000 }));
        let expected = Course {
            opener: "10.0.0.1".parse().unwrap(),
            answerer: "10.0.9.9".parse().unwrap(),
            protocol: 6,
            port: Some(80),
            called: ("10.96.0.1".parse().unwrap(), Some(8080)),
        };
        assert_eq!(service.course, expected);
        assert!(gathered.is_empty());
    }

    #[test]
    fn what_is_of_no_pod_of_this_node_is_left_out() {
        let mut gathered = Gathered::new(10);
        let of_others = [event("10.0.9.9", "10.0.9.8", "10.0.9.8", 1), event("10.0.9.9", "10.0.0.1", "10.0.9.8", 1)];
        assert_eq!(gathered.add(&of_others, &locals(), Timestamp::UNIX_EPOCH), (0, 0));
        let to_a_pod = [event("192.0.2.1", "203.0.113.1", "10.0.0.2", 1)];
        assert_eq!(gathered.add(&to_a_pod, &locals(), Timestamp::UNIX_EPOCH), (1, 0));
        assert_eq!(gathered.drain().len(), 1);
    }

    proptest! {
        /// Each is told or counted as left out, and those of flows that there is room for are told.
        #[test]
        fn nothing_gets_lost(connections in prop::collection::vec((0..9_u8, any::<bool>(), 0..9_u64), 0..60)) {
            let mut gathered = Gathered::new(4);
            let events: Vec<_> = connections.iter().map(|(peer, has_ended, packets)| {
                let address = format!("192.0.2.{peer}");
                let event = event(&address, "10.0.0.1", "10.0.0.1", 1);
                if *has_ended { ended(&event, *packets) } else { event }
            }).collect();
            let (told, left_out) = gathered.add(&events, &locals(), Timestamp::UNIX_EPOCH);
            let all = gathered.drain();
            prop_assert_eq!(told, connections.len() as u64);
            prop_assert!(all.len() <= 4);
            prop_assert_eq!(all.iter().map(|one| one.begun + one.ended).sum::<u64>() + left_out, told);
            for one in all {
                let same = events.iter().filter(|event| Course::of(event) == one.course);
                let packets = same.filter_map(|event| event.sent).map(|sent| 2 * sent.packets).sum::<u64>();
                prop_assert_eq!(one.carried.map_or(0, |carried| carried.packets), packets);
            }
        }
    }
}

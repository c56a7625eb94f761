//! What agents recorded of connections that passed, read back: the lines of `palisade monitor --allowed -o json`.
//!
//! Invariants:
//! - One connection that both of its ends' nodes tell of counts once.
//! - What is held grows with the flows, not with the records (a long file is read line by line).

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::net::IpAddr;

use jiff::Timestamp;
use palisade_model::{Direction, Traffic};

use super::ends;
use super::message::Message;
use super::protocol::IpProtocol;
use super::record::{PeerPod, Record, Verdict};
use super::store::Entry;

/// Connections that were opened: from one address to a port of another, whatever the client's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFlow {
    /// Who opened them.
    pub source: RecordedEnd,
    /// Who answered: of a Service the pod behind it.
    pub destination: RecordedEnd,
    /// The address and port of the Service that was called, as `10.96.0.7:80`, where that is known.
    pub service: Option<String>,
    /// The protocol.
    pub protocol: IpProtocol,
    /// The port of who answered, where there are ports.
    pub port: Option<u16>,
    /// When the first was seen that is recorded.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
    /// How many began, as the end says that saw more of them; 0 where only ends were seen.
    pub connections: u64,
}

/// One end of a [`RecordedFlow`], as it was called then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEnd {
    /// Its address.
    pub address: IpAddr,
    /// The pod that had it.
    pub pod: Option<PeerPod>,
    /// The node whose address it was, or that of its pod.
    pub node: Option<String>,
}

impl RecordedFlow {
    /// What policies ask about.
    pub fn traffic(&self) -> Traffic {
        ends::traffic(self.protocol.0, self.port)
    }
}

/// All flows of some records.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    flows: BTreeMap<Key, Gathered>,
    /// By node: why it is not heard, and what is missing of it for that.
    silent: BTreeMap<String, String>,
    /// Records of what did not pass.
    dropped: u64,
    /// Records that came faster than they could be told.
    missed: u64,
}

/// Why recorded flows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// Reading failed.
    #[error("cannot read recorded flows")]
    Read(#[from] io::Error),
    /// A line is none of an agent's.
    #[error("line {line}: {error}: give the lines of `palisade monitor --allowed -o json`")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

type Key = (IpAddr, IpAddr, IpProtocol, Option<u16>);

/// A flow, with what each end says of how many connections it has.
#[derive(Clone, Debug)]
struct Gathered {
    flow: RecordedFlow,
    /// By direction.
    begun: [u64; 2],
}

impl Recorded {
    /// Reads lines to their end.
    ///
    /// # Errors
    /// Where reading fails, or a line is no message. The last line may be cut off: whoever wrote it was stopped.
    pub fn read(mut lines: impl BufRead) -> Result<Self, RecordedError> {
        let (mut recorded, mut line, mut number) = (Self::default(), String::new(), 0);
        while lines.read_line(&mut line)? > 0 {
            number += 1;
            match serde_json::from_str(&line) {
                Ok(message) => recorded.add(&message),
                Err(_) if line.trim().is_empty() => {}
                Err(_) if number > 1 && !line.ends_with('\n') => {}
                Err(error) => return Err(RecordedError::Line { line: number, error }),
            }
            line.clear();
        }
        Ok(recorded)
    }

    /// Takes in what an agent says.
    pub fn add(&mut self, message: &Message) {
        match message {
            Message::Record(record) => self.add_record(record, [record.time; 2], record.connections),
            Message::Entry(Entry { first, last, connections, sample, .. }) => {
                self.add_record(sample, [*first, *last], *connections);
            }
            Message::Silent { node, error } => drop(self.silent.insert(node.clone(), error.clone())),
            Message::Begin(header) => drop(self.silent.remove(&header.node)),
            Message::Missed { records, .. } => self.missed += records,
            Message::Now | Message::Alive | Message::Other => {}
        }
    }

    /// Those that passed, what an audited policy would drop among them: by their ends, the protocol and the port.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = RecordedFlow> {
        self.flows.values().map(|Gathered { flow, begun }| {
            let connections = begun.iter().copied().max().unwrap_or_default();
            RecordedFlow { connections, ..flow.clone() }
        })
    }

    /// Nodes of which something is missing, and why.
    pub fn silent(&self) -> &BTreeMap<String, String> {
        &self.silent
    }

    /// How many records there were of what did not pass: those are no flows.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many records are missing because they came faster than they could be told.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn add_record(&mut self, record: &Record, [first, last]: [Timestamp; 2], connections: Option<u64>) {
        if !matches!(record.verdict, Verdict::Allowed | Verdict::WouldDrop) {
            self.dropped += 1;
            return;
        }
        let flow = RecordedFlow::of(record, first, last);
        let key = (flow.source.address, flow.destination.address, flow.protocol, flow.port);
        let gathered = self.flows.entry(key).or_insert_with(|| Gathered { flow: flow.clone(), begun: [0; 2] });
        // An audited policy's record tells of packets: what passed was one connection at least.
        gathered.begun[record.direction as usize] += connections.unwrap_or(1);
        gathered.flow.unite(flow);
    }
}

impl RecordedFlow {
    fn of(record: &Record, first: Timestamp, last: Timestamp) -> Self {
        let Record { node, direction, pod, peer, protocol, port, .. } = record;
        let named =
            PeerPod { namespace: pod.namespace.clone(), name: pod.name.clone(), workload: pod.workload.clone() };
        let pod = Some(named).filter(|pod| !pod.name.is_empty());
        let own = RecordedEnd { address: record.pod.address, pod, node: Some(node.clone()) };
        let other = RecordedEnd { address: peer.address, pod: peer.pod.clone(), node: peer.node.clone() };
        let (source, destination) = match direction {
            Direction::Egress => (own, other),
            Direction::Ingress => (other, own),
        };
        let service = peer.service.clone();
        Self { source, destination, service, protocol: *protocol, port: *port, first, last, connections: 0 }
    }

    /// The names are those of the later one: an address may have had several pods.
    fn unite(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.service = self.service.take().or(other.service);
        if other.last >= self.last {
            self.last = other.last;
            self.source.rename(other.source);
            self.destination.rename(other.destination);
        }
    }
}

impl RecordedEnd {
    fn rename(&mut self, other: Self) {
        self.pod = other.pod.or(self.pod.take());
        self.node = other.node.or(self.node.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flows::tests::{allowed, from_address, record};

    fn read(text: &str) -> Result<Recorded, RecordedError> {
        Recorded::read(text.as_bytes())
    }

    fn lines(records: impl IntoIterator<Item = Record>) -> String {
        records.into_iter().map(|record| Message::Record(Arc::new(record)).line()).collect()
    }

    /// What the node of `shop/web-1` says of the same connections.
    fn seen_by_source(connections: u64) -> Record {
        let mut record = allowed(connections, 0);
        let (pod, peer) = (record.pod.clone(), record.peer.pod.clone().unwrap());
        record.direction = Direction::Egress;
        record.node = "worker-2".to_owned();
        record.pod.address = record.peer.address;
        (record.pod.namespace, record.pod.name, record.pod.workload) = (peer.namespace, peer.name, peer.workload);
        record.peer.address = pod.address;
        record.peer.pod = Some(PeerPod { namespace: pod.namespace, name: pod.name, workload: pod.workload });
        record.peer.service = Some("10.96.0.7:80".to_owned());
        record
    }

    #[test]
    fn connections_that_both_ends_tell_of_count_once() {
        let later = Record { time: Timestamp::from_second(2_000_000_000).unwrap(), ..allowed(4, 0) };
        let recorded = read(&lines([allowed(3, 1), seen_by_source(5), later.clone()])).unwrap();
        let [flow] = recorded.flows().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((flow.connections, flow.first, flow.last), (7, record().time, later.time));
        let name = |end: &RecordedEnd| end.pod.as_ref().map(|pod| format!("{}/{}", pod.namespace, pod.name));
        assert_eq!(
            (name(&flow.source), name(&flow.destination)),
            (Some("shop/web-1".into()), Some("shop/db-0".into()))
        );
        assert_eq!((flow.service.as_deref(), flow.port), (Some("10.96.0.7:80"), Some(80)));
        assert_eq!(flow.source.node.as_deref(), Some("worker-2"));
    }

    #[test]
    fn what_did_not_pass_is_no_flow_and_is_counted() {
        let would_drop = Record { verdict: Verdict::WouldDrop, port: Some(81), ..from_address([192, 0, 2, 7]) };
        let recorded = read(&lines([record(), would_drop])).unwrap();
        let [flow] = recorded.flows().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((flow.source.pod, flow.port, flow.connections), (None, Some(81), 1));
        assert_eq!(recorded.dropped(), 1);
    }

    #[test]
    fn nodes_that_were_not_heard_are_named_until_they_are() {
        let silent = |node: &str| Message::Silent { node: node.to_owned(), error: "no".to_owned() }.line();
        let begin = Message::Begin(super::super::hub::Hub::new("a").summary(false).0).line();
        let missed = Message::Missed { node: "a".to_owned(), records: 3 }.line();
        let recorded = read(&[silent("a"), silent("b"), begin, missed].concat()).unwrap();
        assert_eq!(recorded.silent().keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(recorded.missed(), 3);
    }

    #[test]
    fn a_line_that_is_none_of_an_agents_is_named_and_one_that_is_cut_off_is_left_out() {
        let whole = lines([allowed(1, 0)]);
        let cut = format!("{whole}\n{}", &whole[..40]);
        assert_eq!(read(&cut).unwrap().flows().len(), 1);
        let error = read(&format!("{whole}\n\nno json\n")).unwrap_err();
        assert!(error.to_string().starts_with("line 4: "), "{error}");
        assert!(read("no json").is_err(), "nothing of it is an agent's");
    }

    #[test]
    fn united_flows_are_read_as_well() {
        let hub = super::super::hub::Hub::new("worker-1");
        hub.publish(allowed(3, 0));
        hub.publish(allowed(2, 1));
        let text: String = hub.summary(true).1.into_iter().map(|entry| Message::Entry(entry).line()).collect();
        assert_eq!(read(&text).unwrap().flows().next().unwrap().connections, 5);
    }
}

//! What is connected through a node now, united by flows.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use palisade_model::Traffic;
use palisade_nft::{CounterValue, LiveConnection};
use serde::{Deserialize, Serialize};

use super::ends;
use super::protocol::IpProtocol;

/// Connections that are open now, from one address to a port of another, whatever the client's ports.
///
/// ```json
/// {"source":"10.0.0.1","destination":"10.0.1.1","protocol":"TCP","port":5432,"service":"10.96.0.7:80","connections":3,
///  "oldest":"2026-11-28T22:50:00Z","packets":412,"bytes":24720}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenConnections {
    /// Who opened them.
    pub source: IpAddr,
    /// Who answers: of a Service the pod behind it.
    pub destination: IpAddr,
    /// The protocol.
    pub protocol: IpProtocol,
    /// The port of who answers; absent for protocols without ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The address and port that were called, where those are others: a Service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How many.
    pub connections: u64,
    /// When the oldest began of those of which that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// How many packets they had both ways, those of which that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// How many bytes those had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What the kernel keeps of connections that begin now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counting {
    /// Packets and bytes: `net.netfilter.nf_conntrack_acct`.
    pub bytes: bool,
    /// When they began: `net.netfilter.nf_conntrack_timestamp`.
    pub ages: bool,
}

/// Connections, united as they come.
#[derive(Clone, Debug, Default)]
pub struct United(HashMap<Key, OpenConnections>);

type Key = (IpAddr, IpAddr, IpProtocol, Option<u16>);

impl OpenConnections {
    /// What policies ask about.
    pub fn traffic(&self) -> Traffic {
        ends::traffic(self.protocol.0, self.port)
    }

    fn of(LiveConnection { original, reply, begun, sent, received, .. }: &LiveConnection) -> Self {
        let called = (original.destination, original.ports.map(|(_, to)| to));
        let answering = (reply.source, reply.ports.map(|(from, _)| from));
        let service = (called != answering).then(|| match called {
            (address, Some(port)) => SocketAddr::new(address, port).to_string(),
            (address, None) => address.to_string(),
        });
        let both = |of: fn(&CounterValue) -> u64| {
            let ways = [sent, received].into_iter().flatten().map(of);
            ways.reduce(u64::saturating_add)
        };
        Self {
            source: original.source,
            destination: reply.source,
            protocol: IpProtocol(original.protocol),
            port: answering.1,
            service: service.filter(|_| called.0 != answering.0),
            connections: 1,
            oldest: begun.and_then(|nanoseconds| Timestamp::from_nanosecond(nanoseconds.into()).ok()),
            packets: both(|counter| counter.packets),
            bytes: both(|counter| counter.bytes),
        }
    }

    fn key(&self) -> Key {
        (self.source, self.destination, self.protocol, self.port)
    }
}

impl United {
    /// Takes in a connection, unless it is over.
    pub fn add(&mut self, connection: &LiveConnection) {
        if connection.is_over {
            return;
        }
        self.join(OpenConnections::of(connection), u64::saturating_add);
    }

    /// Takes in what another node says: of connections that both know the one that knows more of them counts.
    pub fn meet(&mut self, others: OpenConnections) {
        self.join(others, u64::max);
    }

    /// All of them, those with most bytes first, then by their ends.
    pub fn into_sorted(self) -> Vec<OpenConnections> {
        let mut all: Vec<OpenConnections> = self.0.into_values().collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.bytes), one.key()));
        all
    }

    fn join(&mut self, other: OpenConnections, join: fn(u64, u64) -> u64) {
        let Some(own) = self.0.get_mut(&other.key()) else { return drop(self.0.insert(other.key(), other)) };
        let known = |own: Option<u64>, others: Option<u64>| own.into_iter().chain(others).reduce(join);
        own.connections = join(own.connections, other.connections);
        own.packets = known(own.packets, other.packets);
        own.bytes = known(own.bytes, other.bytes);
        own.oldest = own.oldest.into_iter().chain(other.oldest).min();
        own.service = own.service.take().or(other.service);
    }
}

#[cfg(test)]
mod tests {
    use palisade_nft::Tuple;

    use super::*;

    /// From a port of 10.0.0.1 to TCP port 80 of 10.0.0.2, which was called as `called`.
    fn connection(from: u16, called: &str, bytes: Option<u64>) -> LiveConnection {
        let called: SocketAddr = called.parse().unwrap();
        let [client, server] = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        let counted = bytes.map(|bytes| CounterValue { packets: 1, bytes });
        LiveConnection {
            original: Tuple {
                source: client,
                destination: called.ip(),
                protocol: 6,
                ports: Some((from, called.port())),
            },
            reply: Tuple { source: server, destination: client, protocol: 6, ports: Some((80, from)) },
            begun: Some(u64::from(from) * 1_000_000_000),
            sent: counted,
            received: counted,
            is_over: false,
        }
    }

    fn united(connections: impl IntoIterator<Item = LiveConnection>) -> Vec<OpenConnections> {
        let mut united = United::default();
        connections.into_iter().for_each(|one| united.add(&one));
        united.into_sorted()
    }

    #[test]
    fn connections_of_one_flow_are_one_whatever_was_called() {
        let over = LiveConnection { is_over: true, ..connection(1, "10.0.0.2:80", Some(9)) };
        let [one] = united([
            connection(3, "10.96.0.1:8080", Some(100)),
            connection(2, "10.0.0.2:80", Some(10)),
            connection(4, "10.0.0.2:80", None),
            over,
        ])
        .try_into()
        .unwrap();
        assert_eq!((one.connections, one.packets, one.bytes), (3, Some(4), Some(220)));
        assert_eq!((one.oldest, one.service.as_deref()), (Timestamp::from_second(2).ok(), Some("10.96.0.1:8080")));
        assert_eq!((one.destination.to_string(), one.port), ("10.0.0.2".to_owned(), Some(80)));
    }

    #[test]
    fn connections_that_two_nodes_know_count_once() {
        let of_node = |connections| united(connections).pop().unwrap();
        let [few, many] = [
            of_node(vec![connection(5, "10.0.0.2:80", Some(10))]),
            of_node(vec![connection(5, "10.96.0.1:80", None), connection(6, "10.0.0.2:80", None)]),
        ];
        for order in [[few.clone(), many.clone()], [many, few]] {
            let mut united = United::default();
            order.into_iter().for_each(|of_node| united.meet(of_node));
            let [one] = united.into_sorted().try_into().unwrap();
            assert_eq!((one.connections, one.bytes, one.oldest), (2, Some(20), Timestamp::from_second(5).ok()));
        }
    }

    #[test]
    fn the_json_form_is_stable() {
        let [one] = united([connection(2, "10.96.0.1:8080", Some(10))]).try_into().unwrap();
        let expected = serde_json::json!({
            "source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "TCP", "port": 80,
            "service": "10.96.0.1:8080", "connections": 1, "oldest": "1970-01-01T00:00:02Z", "packets": 2, "bytes": 20,
        });
        assert_eq!(serde_json::to_value(&one).unwrap(), expected);
        assert_eq!(serde_json::from_value::<OpenConnections>(expected).unwrap(), one);
    }
}

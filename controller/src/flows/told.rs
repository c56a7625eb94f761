//! What a rule told of packets of one flow.

use std::net::IpAddr;

use jiff::Timestamp;
use palisade_model::Direction;

use crate::render::Prefix;

/// Packets of one flow that a rule told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When the first was heard of.
    pub time: Timestamp,
    /// What the rule says.
    pub prefix: Prefix,
    /// Who sent the packet.
    pub source: IpAddr,
    /// Whom it was sent to, after DNAT.
    pub destination: IpAddr,
    /// The IP protocol.
    pub protocol: u8,
    /// Its ports, source and destination, where it has any.
    pub ports: Option<(u16, u16)>,
    /// Whom the first packet of its connection was sent to, where that was another: a Service.
    pub service: Option<(IpAddr, Option<u16>)>,
    /// How many packets.
    pub packets: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// The connection of a packet, as the end sees it that is the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The pod's address.
    pub(super) local: IpAddr,
    /// The other end.
    pub(super) peer: IpAddr,
    /// The port of who answers.
    pub(super) port: Option<u16>,
}

impl Told {
    /// As the packet of a connection that goes the way in which it was opened, then as an answer: which one it is can be
    /// told by whose address is the pod's.
    pub(super) fn seen(&self) -> [Seen; 2] {
        let Self { source, destination, .. } = *self;
        let (first, second) = self.ports.unzip();
        let [opener, answerer] =
            [(source, destination, second), (destination, source, first)].map(|of| match self.prefix.direction {
                Direction::Egress => of,
                Direction::Ingress => (of.1, of.0, of.2),
            });
        [opener, answerer].map(|(local, peer, port)| Seen { local, peer, port })
    }

    /// Whether it is of the same flow: of whichever port a client has.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let key =
            |told: &Self| (told.source, told.destination, told.protocol, told.ports.map(|(_, to)| to), told.service);
        key(self) == key(other) && self.prefix == other.prefix
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::Told as Reason;

    /// A packet to TCP port 80 that told of the ingress of `shop/db-0`.
    pub(in super::super) fn told(source: &str, destination: &str) -> Told {
        let prefix = Prefix { told: Reason::Policy, direction: Direction::Ingress, pod: Some("shop/db-0".to_owned()) };
        Told {
            time: "2026-11-28T22:56:12Z".parse().unwrap(),
            prefix,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 6,
            ports: Some((40_000, 80)),
            service: None,
            packets: 1,
            bytes: 60,
        }
    }

    #[test]
    fn either_end_may_be_the_pod() {
        let [first, answer] = told("10.0.0.1", "10.0.0.2").seen();
        let seen =
            |local: &str, peer: &str, port| Seen { local: local.parse().unwrap(), peer: peer.parse().unwrap(), port };
        assert_eq!(first, seen("10.0.0.2", "10.0.0.1", Some(80)));
        assert_eq!(answer, seen("10.0.0.1", "10.0.0.2", Some(40_000)));
        let mut egress = told("10.0.0.1", "10.0.0.2");
        egress.prefix.direction = Direction::Egress;
        assert_eq!(egress.seen(), [seen("10.0.0.1", "10.0.0.2", Some(80)), seen("10.0.0.2", "10.0.0.1", Some(40_000))]);
    }
}

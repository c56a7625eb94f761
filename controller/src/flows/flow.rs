//! Which records are of one flow.

use std::net::IpAddr;

use palisade_model::Direction;

use super::protocol::IpProtocol;
use super::record::{Reason, Record, Verdict};

/// What records of one flow have in common. A client's port is not looked at: all that a client tries at one port is one flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    node: String,
    verdict: Verdict,
    reason: Reason,
    direction: Direction,
    pod: [String; 2],
    ends: [IpAddr; 2],
    protocol: IpProtocol,
    port: Option<u16>,
}

impl Flow {
    pub(crate) fn of(record: &Record) -> Self {
        let Record { node, verdict, reason, direction, pod, peer, protocol, port, .. } = record;
        Self {
            node: node.clone(),
            verdict: *verdict,
            reason: *reason,
            direction: *direction,
            pod: [pod.namespace.clone(), pod.name.clone()],
            ends: [pod.address, peer.address],
            protocol: *protocol,
            port: *port,
        }
    }
}

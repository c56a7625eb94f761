//! Connections that began or ended, as conntrack tells of them: united here, made sense of by the agent.

mod gathered;
mod locals;
mod watch;

use std::net::IpAddr;

use jiff::Timestamp;
use palisade_nft::{ConnectionEvent, CounterValue, Tuple};

pub use self::locals::Locals;
pub use self::watch::watch;

/// What connections of one flow have in common: not the port of who opens them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Course {
    /// Who opens them.
    pub(super) opener: IpAddr,
    /// Who answers, after DNAT.
    pub(super) answerer: IpAddr,
    /// The IP protocol.
    pub(super) protocol: u8,
    /// The port of who answers, where there are ports.
    pub(super) port: Option<u16>,
    /// Who was called: a Service, where that is another address.
    pub(super) called: (IpAddr, Option<u16>),
}

/// Connections of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// When the first was heard of.
    pub(super) time: Timestamp,
    pub(super) course: Course,
    /// How many began.
    pub(super) begun: u64,
    /// How many ended.
    pub(super) ended: u64,
    /// What those carried that ended, both ways, where that is known of any.
    pub(super) carried: Option<CounterValue>,
}

impl Connections {
    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        (self.begun, self.ended) == (0, 0)
    }

    /// Takes out so many of those that ended, if there are as many, with all that is known of what they carried.
    pub(super) fn take_ended(&mut self, most: u64) -> Self {
        let ended = most.min(self.ended);
        self.ended -= ended;
        let carried = if ended > 0 { self.carried.take() } else { None };
        Self { begun: 0, ended, carried, ..self.clone() }
    }
}

impl Course {
    fn of(event: &ConnectionEvent) -> Self {
        let ConnectionEvent { original, reply, .. } = event;
        Self {
            opener: original.source,
            answerer: reply.source,
            protocol: original.protocol,
            port: reply.ports.map(|(from, _)| from),
            called: called(original),
        }
    }
}

fn called(original: &Tuple) -> (IpAddr, Option<u16>) {
    (original.destination, original.ports.map(|(_, to)| to))
}

//! The connections that pass through this machine, as the kernel's conntrack knows them.
//!
//! Rules that accept established packets do not ask again whether a connection may be. Whoever changes such rules finds
//! out here which connections there are, and marks those that may be no longer: a rule ahead of the others,
//! [`Match::CtMark`](crate::Match::CtMark), then drops their packets, from either side.
//!
//! Invariants:
//! - No connection is ever made or deleted. A deleted one would come back reversed: the server's next packet counts as
//!   the first of a new connection, and the client's packets as replies.
//! - Of a mark, the bits that are asked for are written and no others.

use std::net::IpAddr;

use crate::{BackendError, Packet, PacketState, Transport};

/// What knows the connections: the kernel, or nothing at all ([`NoConntrack`]).
pub trait Conntrack {
    /// Gives `each` the forwarded connections of `selection`: those of which neither end is this machine. Of those that
    /// begin or end meanwhile, some.
    ///
    /// # Errors
    /// [`BackendError`] where they could not be listed; some may have been given already.
    fn list(&mut self, selection: Selection, each: &mut dyn FnMut(Connection)) -> Result<(), BackendError>;

    /// Sets these `bits` of the connections' marks, or clears them. Says how many connections that were: those that
    /// have ended are passed over.
    ///
    /// # Errors
    /// [`BackendError`] where a mark could not be written; others may have been.
    fn mark(&mut self, connections: &[Connection], bits: u32, set: bool) -> Result<usize, BackendError>;

    /// Returns when all packets have passed that were on their way through the rules at the time of the call. A
    /// connection begins when its first packet has passed: so from then on, a listing has every connection that was
    /// let through by rules that a commit before the call replaced.
    fn settle(&mut self);
}

/// Which connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All.
    All,
    /// Those whose mark has one of these bits.
    Marked(u32),
    /// Those that have this address at one end. Finding them takes the kernel a fraction of what telling all takes.
    Of(IpAddr),
}

/// A connection, as the forward hook saw its first packet: after DNAT, before SNAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who began it.
    pub source: IpAddr,
    /// With whom.
    pub destination: IpAddr,
    /// The protocol, and what there is of ports.
    pub transport: Transport,
    /// The mark, `ct mark`.
    pub mark: u32,
    /// What the backend knows it by.
    pub key: Box<[u8]>,
}

/// Where there are no connections to know of: for tables that are not the kernel's.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoConntrack;

impl Connection {
    /// Its first packet.
    pub fn first_packet(&self) -> Packet {
        let Self { source, destination, transport, .. } = *self;
        Packet { source, destination, transport, state: PacketState::New, mark: 0 }
    }
}

impl Conntrack for NoConntrack {
    fn list(&mut self, _: Selection, _: &mut dyn FnMut(Connection)) -> Result<(), BackendError> {
        Ok(())
    }

    fn mark(&mut self, _: &[Connection], _: u32, _: bool) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn settle(&mut self) {}
}

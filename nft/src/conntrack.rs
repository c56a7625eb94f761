//! The connections that pass through this machine, as the kernel's conntrack knows them: what they are marked with.
//!
//! Invariants:
//! - No connection is ever made, and none is deleted while both of its ends live. It would come back reversed: the
//!   server's next packet counts as the first of a new connection, and the client's packets as replies. Whose address has
//!   another owner, or none, speaks no more: then it is the other way round, and an entry that stays lets the new owner
//!   hear and say what the old one was allowed to.
//! - Of a mark, the bits that are asked for are written and no others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::{BackendError, Mark};

/// What knows the connections: the kernel, or nothing at all ([`NoConntrack`]).
pub trait Conntrack {
    /// Clears these `bits` of the marks of all connections, but for those that are marked as `but`. Says how many had one
    /// of them: connections that began or ended meanwhile may be missing.
    ///
    /// # Errors
    /// [`BackendError`] where connections could not be listed, or a mark not be written; some may be cleared.
    fn clear(&mut self, bits: u32, but: Option<Mark>) -> Result<usize, BackendError>;

    /// Deletes the connections that have one of these `addresses` at an end, as the first packet names them or as a reply
    /// does (they differ where addresses are translated), with what is expected to follow from them; and no others. Says
    /// how many that were. Of connections that begin meanwhile some may stay; where one ends meanwhile and another begins
    /// with the same addresses and ports, that one stays.
    ///
    /// For addresses whose owner is gone: see the invariants of this module.
    ///
    /// # Errors
    /// [`BackendError`] where connections could not be listed, or one not be deleted; some may be gone.
    fn forget(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, BackendError>;

    /// The sources and destinations of all connections, as the first packet names them and as a reply does; `None` where
    /// there are more than `most`. Of connections that begin or end meanwhile, some.
    ///
    /// # Errors
    /// [`BackendError`] where connections could not be listed.
    fn ends(&mut self, most: usize) -> Result<Option<BTreeSet<IpAddr>>, BackendError>;

    /// Returns when all packets have passed that were on their way through the rules at the time of the call: none is
    /// then judged, and none marks its connection, by rules that a commit before the call replaced.
    fn settle(&mut self);
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The mark, `ct mark`.
    pub mark: u32,
    /// What the kernel knows it by.
    pub key: Box<[u8]>,
}

/// Where there are no connections to know of: for tables that are not the kernel's.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoConntrack;

impl Mark {
    /// Whether a connection with this `ct mark` is marked so.
    pub fn is_on(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }
}

impl Conntrack for NoConntrack {
    fn clear(&mut self, _: u32, _: Option<Mark>) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn forget(&mut self, _: &BTreeSet<IpAddr>) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn ends(&mut self, _: usize) -> Result<Option<BTreeSet<IpAddr>>, BackendError> {
        Ok(Some(BTreeSet::new()))
    }

    fn settle(&mut self) {}
}

//! The connections that pass through this machine, as the kernel's conntrack knows them: what they are marked with.
//!
//! Invariants:
//! - No connection is ever made or deleted. A deleted one would come back reversed: the server's next packet counts as
//!   the first of a new connection, and the client's packets as replies.
//! - Of a mark, the bits that are asked for are written and no others.

use crate::{BackendError, Mark};

/// What knows the connections: the kernel, or nothing at all ([`NoConntrack`]).
pub trait Conntrack {
    /// Clears these `bits` of the marks of all connections, but for those that are marked as `but`. Says how many had one
    /// of them: connections that began or ended meanwhile may be missing.
    ///
    /// # Errors
    /// [`BackendError`] where connections could not be listed, or a mark not be written; some may be cleared.
    fn clear(&mut self, bits: u32, but: Mark) -> Result<usize, BackendError>;

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
    fn clear(&mut self, _: u32, _: Mark) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn settle(&mut self) {}
}

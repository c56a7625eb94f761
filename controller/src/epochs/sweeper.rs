//! Who waits for packets, and clears marks.

use std::time::{Duration, Instant};

use palisade_nft::{BackendError, Conntrack, Mark};

use crate::render::Epoch;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Wait until no packet is under way any more.
    Wait,
    /// The same; then clear all marks.
    Sweep,
}

/// All marks were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// How many connections had one.
    pub cleared: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of an errand.
pub(super) type Outcome = Result<Option<Sweep>, BackendError>;

pub(super) fn run(errand: Errand, conntrack: &mut dyn Conntrack) -> Outcome {
    conntrack.settle();
    match errand {
        Errand::Wait => Ok(None),
        Errand::Sweep => sweep(conntrack, Some(Epoch::UNSEEN)).map(Some),
    }
}

/// Clears the epoch of all connections, and what they may be marked with instead, but for `but`.
///
/// # Errors
/// [`BackendError`]; some may be cleared.
pub fn sweep(conntrack: &mut dyn Conntrack, but: Option<Mark>) -> Result<Sweep, BackendError> {
    let start = Instant::now();
    let cleared = conntrack.clear(Epoch::BITS, but)?;
    Ok(Sweep { cleared, elapsed: start.elapsed() })
}

//! What the kernel counts of drops, whether it logs them or not.

use std::collections::BTreeMap;

use palisade_model::Direction;

use super::record::Reason;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DropKey {
    /// The direction, seen from the pod.
    pub direction: Direction,
    /// The pod's namespace; empty where no pod is known.
    pub namespace: String,
    /// The pod's name; empty where no pod is known.
    pub pod: String,
    /// What decided.
    pub reason: Reason,
}

/// How much was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// In packets.
    pub packets: u64,
    /// In bytes.
    pub bytes: u64,
}

/// All of a node's counters as the kernel has them: they only grow, unless they are made anew.
pub type DropCounters = BTreeMap<DropKey, Dropped>;

impl Dropped {
    /// What came since it was `before`; a counter that is less was made anew.
    pub(crate) fn since(self, before: Self) -> Self {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self { packets: since(self.packets, before.packets), bytes: since(self.bytes, before.bytes) }
    }

    /// Adds what came.
    pub(crate) fn add(&mut self, came: Self) {
        self.packets = self.packets.saturating_add(came.packets);
        self.bytes = self.bytes.saturating_add(came.bytes);
    }
}

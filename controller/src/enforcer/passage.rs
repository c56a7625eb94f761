//! Whether packets have passed that were under way when something went.

use std::io;

use crate::worker::Worker;

/// Waits for packets.
pub(super) struct Passage {
    wait: fn(),
    worker: Worker<(), ()>,
    is_awaited: bool,
}

impl Passage {
    /// Whoever begins to wait has waited, with [`wait`](palisade_nft::Backend::passage).
    pub(super) fn here(wait: fn()) -> Self {
        Self::with(wait, Worker::here(move |()| wait()))
    }

    /// A thread of its own waits.
    pub(super) fn in_background(self) -> io::Result<Self> {
        let wait = self.wait;
        Ok(Self::with(wait, Worker::elsewhere("passage", move |()| wait())?))
    }

    pub(super) fn with(wait: fn(), worker: Worker<(), ()>) -> Self {
        Self { wait, worker, is_awaited: false }
    }

    /// Begins to wait for the packets that are under way now, those that were awaited having passed.
    pub(super) fn begin(&mut self) {
        self.worker.send(());
        self.is_awaited = true;
    }

    /// Whether packets are awaited, as far as is known.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Whether the packets have passed that were awaited, if any were.
    pub(super) fn has_passed(&mut self) -> bool {
        if self.is_awaited && self.worker.result().is_some() {
            self.is_awaited = false;
        }
        !self.is_awaited
    }

    /// Waits for all that are under way now.
    pub(super) fn wait(&self) {
        (self.wait)();
    }

    /// Returns when those have passed that are awaited; never where none are. Can be dropped and called again.
    pub(super) async fn done(&mut self) {
        self.worker.done().await;
    }
}

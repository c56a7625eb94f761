//! A kernel that is watched at work.

use std::time::Instant;

use palisade_nft::{Backend, BackendError, CommitError, Kernel, Name, Ruleset, Transaction};

/// Knows when each commit began and was acknowledged.
pub(crate) struct Timed {
    pub(crate) kernel: Kernel,
    pub(crate) commits: Vec<(Instant, Instant)>,
}

impl Backend for Timed {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.kernel.read()
    }

    fn commit(&mut self, table: &Name, transaction: &Transaction) -> Result<(), CommitError> {
        let begin = Instant::now();
        let committed = self.kernel.commit(table, transaction);
        self.commits.push((begin, Instant::now()));
        committed
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.kernel.generation()
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        self.kernel.guard()
    }
}

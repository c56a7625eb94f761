//! A kernel that is watched at work, and what work takes.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use palisade::enforcer::Enforcer;
use palisade::render::TABLE;
use palisade_model::testing::NODE;
use palisade_nft::{Backend, BackendError, CommitError, Kernel, Name, Ownership, Ruleset, Table, Transaction};

use super::Outcome;

/// Knows when each commit began and was acknowledged.
pub(crate) struct Timed {
    pub(crate) kernel: Kernel,
    pub(crate) commits: Vec<(Instant, Instant)>,
}

impl Backend for Timed {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.kernel.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
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

pub(crate) fn table() -> Name {
    Name::new(TABLE).expect("a name")
}

pub(crate) fn enforcer() -> Outcome<Enforcer<Timed>> {
    let kernel = Timed { kernel: Kernel::open(table(), Ownership::Take)?, commits: Vec::new() };
    Ok(Enforcer::new(NODE, table(), kernel))
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The processor time that this thread has used.
pub(crate) fn thread_cpu() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

//! The agent's loop: a source sends what it saw, one thread applies and commits it.
//!
//! Invariants:
//! - Nothing is committed before the source has synced once.
//! - What arrives while a commit runs is taken together into the next one.
//! - A failed commit is tried again with backoff until it holds; stopping leaves the table as it is.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use palisade_nft::Backend;

use crate::enforcer::{Commit, EnforceError, Enforcer};
use crate::input::Input;

/// How often the table is read and compared although nothing is known to have changed it.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until it is told to stop, or every sender is gone.
pub fn run<B: Backend>(enforcer: &mut Enforcer<B>, inputs: &Receiver<Input>) {
    let mut schedule = Schedule::new();
    let mut synced = false;
    loop {
        let mut next = match inputs.recv_timeout(schedule.wait()) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(input) = next {
            match input {
                Input::Changes(changes) => changes.into_iter().for_each(|change| enforcer.apply(change)),
                Input::Synced => synced = true,
                Input::Stop => return,
            }
            next = inputs.try_recv().ok();
        }
        if !synced {
            continue;
        }
        if schedule.check_is_due() {
            enforcer.distrust();
        }
        if schedule.may_commit() {
            let result = enforcer.commit();
            log(&result);
            schedule.note(result.is_ok());
        }
    }
}

/// Logs what became of a commit; nothing where there was nothing to do.
pub fn log(result: &Result<Option<Commit>, EnforceError>) {
    match result {
        Ok(None) => {}
        Ok(Some(commit)) => {
            let Commit { diff, generation, from_backend, elapsed } = commit;
            tracing::info!(generation, from_backend, ?elapsed, change = ?diff.summary(), "committed");
        }
        Err(error) => tracing::error!(%error, "not committed, will try again; what was enforced stays"),
    }
}

/// When to act without being told to.
struct Schedule {
    next_check: Instant,
    retry: Option<(Instant, ExponentialBackoff)>,
}

impl Schedule {
    fn new() -> Self {
        Self { next_check: Instant::now() + CHECK_INTERVAL, retry: None }
    }

    fn wait(&self) -> Duration {
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        retry.into_iter().fold(self.next_check, Instant::min).saturating_duration_since(Instant::now())
    }

    fn check_is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next_check;
        if due {
            self.next_check = Instant::now() + CHECK_INTERVAL;
        }
        due
    }

    fn may_commit(&self) -> bool {
        self.retry.as_ref().is_none_or(|(at, _)| Instant::now() >= *at)
    }

    fn note(&mut self, succeeded: bool) {
        self.retry = if succeeded {
            None
        } else {
            let mut backoff = self.retry.take().map_or_else(backoff, |(_, backoff)| backoff);
            let pause = backoff.next().unwrap_or(LONGEST_PAUSE);
            Some((Instant::now() + pause, backoff))
        };
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

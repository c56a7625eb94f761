//! The agent's loop: a source sends what it saw, one thread applies and commits it.
//!
//! Invariants:
//! - Nothing is committed before the source has synced once.
//! - What arrives while a commit runs is taken together into the next one.
//! - A failed commit is tried again with backoff until it holds; stopping leaves the table as it is.
//! - Only what was committed is settled: established connections pass unjudged when nothing was forbidden for a moment.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use palisade_nft::Backend;

use crate::enforcer::{Commit, Enforcer, Settled};
use crate::epochs::Sweep;
use crate::input::Input;
use crate::serve::{Figures, State};

/// How often the table is read and compared although nothing is known to have changed it.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until it is told to stop, or every sender is gone. What it does is published in `state`.
pub fn run<B: Backend>(enforcer: &mut Enforcer<B>, inputs: &Receiver<Input>, state: &State) {
    let mut agent = Agent { enforcer, state, schedule: Schedule::new(), synced: false, enforcing: false };
    loop {
        let mut next = match inputs.recv_timeout(state.rest(agent.wait())) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(input) = next {
            if agent.take(input).is_break() {
                return;
            }
            next = inputs.try_recv().ok();
        }
        agent.act();
    }
}

struct Agent<'a, B> {
    enforcer: &'a mut Enforcer<B>,
    state: &'a State,
    schedule: Schedule,
    synced: bool,
    enforcing: bool,
}

impl<B: Backend> Agent<'_, B> {
    fn take(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Changes(changes) => {
                self.state.received(&changes);
                changes.into_iter().for_each(|change| self.enforcer.apply(change));
            }
            Input::Synced => {
                self.synced = true;
                self.state.synced();
            }
            Input::Disturbed(by) => {
                tracing::warn!(by, "somebody else may have changed the table: comparing");
                self.enforcer.distrust();
            }
            Input::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// For how long there is nothing to do.
    fn wait(&self) -> Duration {
        let settle = self.enforcer.settle_is_due().map(|due| due.saturating_duration_since(Instant::now()));
        settle.into_iter().fold(self.schedule.wait(), Duration::min)
    }

    fn act(&mut self) {
        let check_is_due = self.schedule.check_is_due();
        if !self.synced {
            return;
        }
        if check_is_due {
            self.enforcer.distrust();
            self.enforcer.guard();
        }
        if !self.schedule.may_commit() {
            return;
        }
        let committed = self.commit();
        self.schedule.note(committed);
        if committed {
            self.settle();
        }
    }

    fn commit(&mut self) -> bool {
        let compared = !self.enforcer.is_in_step();
        let result = self.enforcer.commit();
        match &result {
            Ok(commit) => commit.iter().for_each(log),
            Err(error) => tracing::error!(%error, "not committed, will try again; what was enforced stays"),
        }
        if result.is_ok() && !self.enforcing {
            self.enforcing = true;
            tracing::info!(adopted = matches!(result, Ok(None)), "enforcing");
        }
        self.state.attempted(&result, compared, || Figures {
            ruleset: self.enforcer.desired(),
            index: self.enforcer.index().size(),
        });
        result.is_ok()
    }

    fn settle(&mut self) {
        let result = self.enforcer.settle();
        match &result {
            Ok(settled) => settled.iter().for_each(log_settled),
            Err(error) => tracing::warn!(%error, "established connections go on being judged, will try again"),
        }
        self.state.settled(&result, self.enforcer.is_settled());
    }
}

/// Logs a commit: the ordinary ones, of which there are as many as events, only to whoever looks for them.
pub fn log(commit: &Commit) {
    let Commit { diff, generation, from_backend, elapsed } = commit;
    if *from_backend {
        tracing::info!(generation, ?elapsed, change = ?diff.summary(), "committed what the table lacked");
    } else {
        tracing::debug!(generation, ?elapsed, change = ?diff.summary(), "committed");
    }
}

/// Logs what was done for established connections, for whoever looks for it.
pub fn log_settled(settled: &Settled) {
    if let Some(Commit { generation, elapsed, .. }) = &settled.commit {
        tracing::debug!(generation, ?elapsed, "established connections pass once they were judged");
    }
    if let Some(Sweep { cleared, elapsed }) = settled.swept {
        tracing::debug!(cleared, ?elapsed, "cleared the marks of connections");
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

//! Connections that policy forbids since they began are cut, and those that it allows again are restored.
//!
//! Rules let established packets pass, so a commit alone changes nothing for connections that are there. After each
//! commit those whose verdict may have changed are judged by the rules in force, as their first packet would be now, and
//! the ones forbidden get [`CUT_MARK`](crate::render::CUT_MARK), which the first rule of all drops, whoever sends next.
//!
//! Invariants:
//! - First the rules, then the cut. What begins after the commit is judged by its rules; what was let through by those
//!   before is there to be listed, because the packets under way are waited for ([`Conntrack::settle`]).
//! - No connection is deleted: it would come back reversed, as one that the server began.
//! - Connections that stay allowed are not touched, nor are others' bits of the mark.
//! - The first time, all connections are judged: they may have begun before there were rules. After an error, all that
//!   had not been judged is judged the next time, which comes ever later while errors last.
//! - Connections are looked at at most once a commit, and not at all where a commit only allows more and nothing is cut.
//!   A look takes time in proportion to all connections of the node (1.3 µs each, or 0.4 µs where it is for one address),
//!   so after it the next one waits `REST` times as long: where commits come one after the other, they share a look.
//! - A running agent looks on a thread of its own, with a copy of the ruleset, so that no commit waits. What is committed
//!   meanwhile is looked at afterwards.
//!
//! A cut lasts as long as the kernel keeps the connection, which packets that are dropped prolong. A connection that was
//! silent for longer than its timeout is forgotten, cut or not, and what comes then counts as a new one.

mod hand;
mod look;
mod scope;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use palisade_nft::{BackendError, Conntrack, Diff, Ruleset, WalkError};
use thiserror::Error;

use self::hand::{Hand, Task};
use self::look::{Found, Look, Looker};
use self::scope::Scope;

/// How many times as long as a look at the connections took the next one waits: looks take a fifth of the time at most.
const REST: u32 = 4;
/// How often to see whether a look is over.
const POLL: Duration = Duration::from_millis(2);
/// For more addresses than these all connections are listed, which takes less time.
const FEW: usize = 2;
/// How long to wait after an error, twice as long after each further one, and how long at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps the marks of connections at what the rules say.
pub struct Cutter {
    hand: Hand,
    pending: Scope,
    /// The look that is being taken.
    under_way: Option<Arc<Task>>,
    /// Whether there may be connections that are cut.
    any_cut: bool,
    resting_until: Instant,
    /// How long to wait after the next error.
    pause: Duration,
}

/// What a look at the connections came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// How many connections were judged.
    pub judged: usize,
    /// How many of them were cut.
    pub cut: usize,
    /// How many of them were restored.
    pub restored: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why connections could not be judged. Some that are forbidden may go on until the next time.
#[derive(Debug, Error)]
pub enum CutError {
    /// They could not be listed or marked.
    #[error("cannot cut the connections that are no longer allowed: {0}")]
    Conntrack(#[from] BackendError),
    /// The ruleset is not one that the kernel would take.
    #[error("cannot judge connections by the ruleset: {0}")]
    Walk(#[from] WalkError),
}

impl Cutter {
    /// Marks the connections of `conntrack`. All of them are still to be judged.
    pub fn new(conntrack: impl Conntrack + Send + 'static) -> Self {
        Self::with(Hand::here(Looker::new(conntrack)))
    }

    /// The same on a thread of its own, so that nobody waits for a look.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn in_background(conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        Ok(Self::with(Hand::elsewhere(Looker::new(conntrack))?))
    }

    fn with(hand: Hand) -> Self {
        Self {
            hand,
            pending: Scope::everything(),
            under_way: None,
            any_cut: true,
            resting_until: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// Takes note of what `diff` changed, or is about to change, to make `ruleset`.
    pub fn note(&mut self, diff: &Diff, ruleset: &Ruleset) {
        self.pending.extend(Scope::of(diff, ruleset));
    }

    /// When to call [`Cutter::cut`]; `None` where there is nothing to look at.
    pub fn due(&self) -> Option<Instant> {
        match self.under_way {
            Some(_) => Some(Instant::now() + POLL),
            None => self.look().map(|_| self.resting_until),
        }
    }

    /// Cuts and restores what all changes noted since the last time forbid and allow, `ruleset` being in force. `None`:
    /// there is nothing to look at, it is not due yet, or the look is not over.
    ///
    /// # Errors
    /// [`CutError`]: the next look is at all of it again.
    pub fn cut(&mut self, ruleset: &Ruleset) -> Result<Option<Cuts>, CutError> {
        if self.under_way.is_none() {
            let is_due = Instant::now() >= self.resting_until;
            let Some(look) = self.look().filter(|_| is_due) else { return Ok(None) };
            let task = Arc::new(Task { look, scope: std::mem::take(&mut self.pending) });
            self.hand.begin(&task, ruleset);
            self.under_way = Some(task);
        }
        self.hand.result().map(|result| self.finish(result)).transpose()
    }

    fn finish(&mut self, result: Result<Found, CutError>) -> Result<Cuts, CutError> {
        let task = self.under_way.take().expect("what has a result was begun");
        match result {
            Ok(Found { cuts, forbidden }) => {
                let others_are_cut = self.any_cut && matches!(task.look, Look::Ends(_));
                self.any_cut = forbidden > 0 || others_are_cut;
                self.resting_until = Instant::now() + REST * cuts.elapsed;
                self.pause = FIRST_PAUSE;
                Ok(cuts)
            }
            Err(error) => {
                self.pending.extend(task.scope.clone());
                self.resting_until = Instant::now() + self.pause;
                self.pause = LONGEST_PAUSE.min(2 * self.pause);
                Err(error)
            }
        }
    }

    /// What there is to look at.
    fn look(&self) -> Option<Look> {
        let restores = self.pending.allows() && self.any_cut;
        match self.pending.ends() {
            Some(ends) if ends.is_empty() => restores.then_some(Look::Cut),
            Some(ends) if ends.len() <= FEW && !restores => Some(Look::of(ends)),
            Some(_) | None => Some(Look::All),
        }
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hand: _, pending, under_way, any_cut, resting_until: _, pause: _ } = self;
        let under_way = under_way.as_ref().map(|task| &task.look);
        let mut shown = f.debug_struct("Cutter");
        shown.field("pending", pending).field("under_way", &under_way).field("any_cut", any_cut).finish_non_exhaustive()
    }
}

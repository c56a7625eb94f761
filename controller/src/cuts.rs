//! Connections that policy forbids since they began are cut, and those that it allows again are restored.
//!
//! Rules let established packets pass, so a commit alone changes nothing for connections that are there. After each
//! commit those whose verdict may have changed are judged by the rules in force, as their first packet would be now, and
//! the ones forbidden get [`CUT_MARK`], which the first rule of all drops, whoever sends next.
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
//!
//! A cut lasts as long as the kernel keeps the connection, which packets that are dropped prolong. A connection that was
//! silent for longer than its timeout is forgotten, cut or not, and what comes then counts as a new one.

mod scope;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use palisade_nft::{BackendError, Connection, Conntrack, Diff, Outcome, Ruleset, Selection, WalkError, walk};
use thiserror::Error;

use self::scope::Scope;
use crate::render::CUT_MARK;

/// How many times as long as a look at the connections took the next one waits: looks take a fifth of the time at most.
const REST: u32 = 4;
/// For more addresses than these all connections are listed, which takes less time.
const FEW: usize = 2;
/// How long to wait after an error, twice as long after each further one, and how long at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps the marks of connections at what the rules say.
pub struct Cutter {
    conntrack: Box<dyn Conntrack + Send>,
    pending: Scope,
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
        Self {
            conntrack: Box::new(conntrack),
            pending: Scope::everything(),
            any_cut: true,
            resting_until: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// Takes note of what `diff` changed, or is about to change, to make `ruleset`.
    pub fn note(&mut self, diff: &Diff, ruleset: &Ruleset) {
        self.pending.extend(Scope::of(diff, ruleset));
    }

    /// When [`Cutter::cut`] has something to look at; `None` where it has not.
    pub fn due(&self) -> Option<Instant> {
        self.look().map(|_| self.resting_until)
    }

    /// Cuts and restores what all changes noted since the last time forbid and allow, `ruleset` being in force. `None`:
    /// there was nothing to look at, or it is not due yet.
    ///
    /// # Errors
    /// [`CutError`]: the next call judges all of it again.
    pub fn cut(&mut self, ruleset: &Ruleset) -> Result<Option<Cuts>, CutError> {
        let start = Instant::now();
        let Some(look) = self.look().filter(|_| start >= self.resting_until) else { return Ok(None) };
        let result = self.take(&look, ruleset);
        let elapsed = start.elapsed();
        (self.pause, self.resting_until) = match &result {
            Ok(_) => (FIRST_PAUSE, Instant::now() + REST * elapsed),
            Err(_) => (LONGEST_PAUSE.min(2 * self.pause), Instant::now() + self.pause),
        };
        result.map(|cuts| Some(Cuts { elapsed, ..cuts }))
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

    fn take(&mut self, look: &Look, ruleset: &Ruleset) -> Result<Cuts, CutError> {
        if *look != Look::Cut {
            self.conntrack.settle();
        }
        let judged = self.judge(look, ruleset)?;
        let cut = self.conntrack.mark(&judged.cut, CUT_MARK, true)?;
        let restored = self.conntrack.mark(&judged.restore, CUT_MARK, false)?;
        self.pending = Scope::default();
        let others_are_cut = self.any_cut && matches!(look, Look::Ends(_));
        self.any_cut = judged.forbidden > 0 || others_are_cut;
        Ok(Cuts { judged: judged.count, cut, restored, elapsed: Duration::ZERO })
    }

    fn judge(&mut self, look: &Look, ruleset: &Ruleset) -> Result<Judged, CutError> {
        let mut judged = Judged::default();
        let mut failure = None;
        let pending = &self.pending;
        for (selection, before) in look.selections() {
            self.conntrack.list(selection, &mut |connection| {
                let is_new = !before.contains(&connection.source) && !before.contains(&connection.destination);
                if is_new && (is_cut(&connection) || pending.concerns(&connection)) {
                    failure = judged.add(connection, ruleset).err().or(failure.take());
                }
            })?;
        }
        failure.map_or(Ok(judged), |failure| Err(failure.into()))
    }
}

/// Which connections a look is at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    All,
    Cut,
    /// Those with one of these ends.
    Ends(Vec<IpAddr>),
}

impl Look {
    fn of(ends: &HashSet<IpAddr>) -> Self {
        let mut ends: Vec<_> = ends.iter().copied().collect();
        ends.sort_unstable();
        Self::Ends(ends)
    }

    /// What to list; of each list, connections with one of these ends have been in an earlier one.
    fn selections(&self) -> Vec<(Selection, &[IpAddr])> {
        match self {
            Self::All => vec![(Selection::All, &[])],
            Self::Cut => vec![(Selection::Marked(CUT_MARK), &[])],
            Self::Ends(ends) => (0..).zip(ends).map(|(i, end)| (Selection::Of(*end), &ends[..i])).collect(),
        }
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conntrack: _, pending, any_cut, resting_until: _, pause: _ } = self;
        f.debug_struct("Cutter").field("pending", pending).field("any_cut", any_cut).finish_non_exhaustive()
    }
}

/// What is to become of the connections that were judged.
#[derive(Default)]
struct Judged {
    count: usize,
    forbidden: usize,
    cut: Vec<Connection>,
    restore: Vec<Connection>,
}

impl Judged {
    fn add(&mut self, connection: Connection, ruleset: &Ruleset) -> Result<(), WalkError> {
        let forbidden = walk(ruleset, &connection.first_packet())?.verdict == Outcome::Drop;
        self.count += 1;
        self.forbidden += usize::from(forbidden);
        match (is_cut(&connection), forbidden) {
            (false, true) => self.cut.push(connection),
            (true, false) => self.restore.push(connection),
            (true, true) | (false, false) => {}
        }
        Ok(())
    }
}

fn is_cut(connection: &Connection) -> bool {
    connection.mark & CUT_MARK != 0
}

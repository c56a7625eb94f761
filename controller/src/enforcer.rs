//! The one owner of what this node enforces: changes go in, transactions come out.
//!
//! Invariants:
//! - The desired ruleset is a function of the changes applied so far.
//! - A transaction is computed from the desired ruleset alone only while the last commit was acknowledged; at start,
//!   after any error and at every check it is computed from what the backend really holds.
//! - Nothing is written before [`Enforcer::commit`], and nothing where there is no difference.
//! - First the rules, then the cut: connections are judged by rules that are in force.

use std::io;
use std::time::{Duration, Instant};

use palisade_model::{Change, Index};
use palisade_nft::{
    Backend, BackendError, CommitError, Conntrack, Diff, Name, NoConntrack, Ruleset, Transaction, diff,
};
use thiserror::Error;

use crate::cuts::{CutError, Cuts, Cutter};
use crate::render::{Renderer, skeleton};

/// Keeps a [`Backend`] at what the index says. Single-threaded: events are applied and committed in turn.
#[derive(Debug)]
pub struct Enforcer<B> {
    index: Index,
    renderer: Renderer,
    desired: Ruleset,
    backend: B,
    in_step: bool,
    cutter: Cutter,
}

/// A transaction that was committed.
#[derive(Clone, Debug)]
pub struct Commit {
    /// What it changed.
    pub diff: Diff,
    /// The ruleset's generation since then.
    pub generation: Option<u32>,
    /// Whether it was computed from what the backend held, rather than from the commit before.
    pub from_backend: bool,
    /// How long it took from the index to the acknowledgement.
    pub elapsed: Duration,
}

/// Why the desired ruleset could not be put in force. What was in force before still is, unless
/// [`CommitError::state_unknown`].
#[derive(Debug, Error)]
pub enum EnforceError {
    /// The table could not be read.
    #[error("cannot read the table: {0}")]
    Read(#[from] BackendError),
    /// The transaction was not committed.
    #[error("cannot commit: {0}")]
    Commit(#[from] CommitError),
}

impl<B: Backend> Enforcer<B> {
    /// Enforces the policies of `node`'s pods in `table`, for new connections.
    pub fn new(node: &str, table: Name, backend: B) -> Self {
        Self {
            index: Index::new(node),
            renderer: Renderer::default(),
            desired: skeleton(table),
            backend,
            in_step: false,
            cutter: Cutter::new(NoConntrack),
        }
    }

    /// Enforces them for the connections of `conntrack`, too.
    #[must_use]
    pub fn with_connections_of(self, conntrack: impl Conntrack + Send + 'static) -> Self {
        Self { cutter: Cutter::new(conntrack), ..self }
    }

    /// The same, on a thread of its own: [`Enforcer::cut`] begins and ends looks at the connections, and waits for none.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn with_connections_in_background(self, conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        Ok(Self { cutter: Cutter::in_background(conntrack)?, ..self })
    }

    /// Takes note of a change. It takes effect with the next commit.
    pub fn apply(&mut self, change: Change) {
        self.index.apply(change);
    }

    /// Makes the next commit read the table first, and repair what differs.
    pub fn distrust(&mut self) {
        self.in_step = false;
    }

    /// Whether the backend is taken to hold what was committed last. Otherwise the next commit compares first.
    pub fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Shuts others out of the table, where the backend can and does not yet. A failure is logged: the table is enforced
    /// all the same.
    pub fn guard(&mut self) {
        match self.backend.guard() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the table is ours alone from now on"),
            Err(error) => tracing::warn!(%error, "the table cannot be owned"),
        }
    }

    /// Puts all changes since the last commit in force, in one transaction; what then nothing uses any more may go in
    /// another ([`Diff::steps`]). `None`: there was nothing to change.
    ///
    /// # Errors
    /// [`EnforceError`]; the next commit then starts from what the backend holds.
    pub fn commit(&mut self) -> Result<Option<Commit>, EnforceError> {
        let start = Instant::now();
        let from_backend = !self.in_step;
        let diff = self.difference()?;
        if diff.is_empty() {
            self.in_step = true;
            return Ok(None);
        }
        self.in_step = false;
        let result = self.commit_steps(&diff);
        self.cutter.note(&diff, &self.desired);
        let generation = result?;
        self.in_step = true;
        Ok(Some(Commit { diff, generation, from_backend, elapsed: start.elapsed() }))
    }

    /// Cuts and restores the connections that the commits since the last time forbid and allow. `None`: there was nothing
    /// to look at, or it is not due or not over yet, or what is in force is not known.
    ///
    /// # Errors
    /// [`CutError`]: the next call judges all of it again.
    pub fn cut(&mut self) -> Result<Option<Cuts>, CutError> {
        if self.in_step { self.cutter.cut(&self.desired) } else { Ok(None) }
    }

    /// When [`Enforcer::cut`] has something to look at; `None` where it has not before the next commit.
    pub fn cut_is_due(&self) -> Option<Instant> {
        self.cutter.due().filter(|_| self.in_step)
    }

    /// What [`Enforcer::commit`] would do now, without doing it.
    ///
    /// # Errors
    /// [`EnforceError::Read`].
    pub fn plan(&mut self) -> Result<Transaction, EnforceError> {
        self.distrust();
        Ok(Transaction::from(&self.difference()?))
    }

    /// The ruleset that shall be in force.
    pub fn desired(&self) -> &Ruleset {
        &self.desired
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The backend.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    #[cfg(test)]
    pub(crate) fn cutter(&mut self) -> &mut Cutter {
        &mut self.cutter
    }

    /// The generation of the ruleset after the last step.
    fn commit_steps(&mut self, diff: &Diff) -> Result<Option<u32>, CommitError> {
        let mut generation = None;
        for (position, step) in diff.steps().iter().enumerate() {
            if position > 0 && step.is_retirement() {
                self.backend.drain();
            }
            generation = self.backend.commit(&self.desired.table, &Transaction::from(&**step))?.generation;
        }
        Ok(generation)
    }

    fn difference(&mut self) -> Result<Diff, EnforceError> {
        let edit = self.renderer.edit(&self.index.take_delta());
        let diff_to_last = self.desired.apply(edit).expect("a rendered edit fits the ruleset rendered before");
        if self.in_step {
            return Ok(diff_to_last);
        }
        self.cutter.note(&diff_to_last, &self.desired);
        Ok(diff(self.backend.read()?.as_ref(), &self.desired))
    }
}

//! What is committed now, and what is left for later: small changes first, what takes long in pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_nft::{Backend, CommitError, Diff};

use super::{Commit, Difference, EnforceError, Enforcer, lacks_fib, lacks_log};
use crate::render::Logs;
use crate::turns::{Turns, processor_time};

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    Piece,
}

/// After so long no further transaction begins before others have had their turn.
pub(super) const PIECE: Duration = Duration::from_millis(20);

/// Policies that need no more grants are not worth any order.
const SHORT: u64 = 100;

/// To decide about policies that need more grants than that may take some 100 ms and more.
const LONG: u64 = 1_000;

impl<B: Backend> Enforcer<B> {
    /// When [`Enforcer::commit_some`] has something to do although nothing changed: connections of earlier owners of
    /// addresses are to be forgotten, or something was left.
    pub fn commit_is_due(&self) -> Option<Instant> {
        let left = self.index.unsettled();
        let may_go = self.backlog.has_retired() && !self.passage.is_awaited();
        let is_ready = !self.backlog.is_empty()
            || may_go
            || !self.index.held_back().is_empty()
            || left.iter().any(|namespace| self.turns.is_light(namespace));
        let due = if is_ready { Some(Instant::now()) } else { self.turns.due(&left) };
        self.owners.due().into_iter().chain(due).min().filter(|_| self.in_step)
    }

    /// The namespaces with changes that are not in force: others' come first, or they take long.
    pub fn waiting(&self) -> BTreeSet<Arc<str>> {
        let at_work = self.at_work.iter().filter(|_| !self.backlog.is_empty()).cloned();
        self.index.unsettled().into_iter().chain(at_work).collect()
    }

    /// Whether all that is known of a namespace is in force.
    pub fn is_in_force(&self, namespace: &str) -> bool {
        self.is_all_in_force() && !self.waiting().contains(namespace)
    }

    pub(super) fn advance(&mut self, extent: Extent) -> Result<Option<Commit>, EnforceError> {
        let start = Instant::now();
        let from_backend = !self.in_step;
        let ceased = self.in_step && self.owners.go_on();
        self.follow_links()?;
        if extent == Extent::All {
            self.index.let_out();
        }
        let later = self.what_begins_later(extent);
        let everything = from_backend || extent == Extent::All || self.turns.are_light();
        let is_now = |turns: &Turns, namespace: &str| everything || turns.is_light(namespace);
        self.take_up(|turns, namespace| is_now(turns, namespace) && !later.contains_key(namespace))?;
        self.begin(&later)?;
        let mut done = Diff::default();
        self.work_off(extent, start, &mut done)?;
        if !self.index.held_back().is_empty() {
            self.take_up_beginners(start)?;
        } else if !everything && self.backlog.is_empty() && start.elapsed() < self.piece {
            self.take_up_next()?;
            // Where it took long to decide that, others come before it is committed.
            if start.elapsed() < self.piece {
                self.work_off(extent, start, &mut done)?;
            }
        }
        if !ceased && self.backlog.is_empty() && self.owners.go_on() {
            self.take_up(|turns, namespace| turns.is_light(namespace))?;
            self.work_off(extent, start, &mut Diff::default())?;
        }
        self.commit_frames()?;
        Ok((!done.is_empty()).then(|| Commit { diff: done, from_backend, elapsed: start.elapsed() }))
    }

    /// The namespaces whose policies are long, with their grants, for when it turns out that nothing is there yet, as after the
    /// node's start: nobody has to wait for those.
    fn what_begins_later(&self, extent: Extent) -> BTreeMap<Arc<str>, u64> {
        let in_pieces = self.begins && extent == Extent::Piece;
        in_pieces.then(|| self.index.grants_above(SHORT)).into_iter().flatten().collect()
    }

    /// Those of them about which nothing was decided come next: all together, or, where that may take long, one after the
    /// other. These let nothing through until it is known what all of them cost: who is closed follows from that.
    fn begin(&mut self, later: &BTreeMap<Arc<str>, u64>) -> Result<(), EnforceError> {
        if later.values().fold(0, |sum: u64, grants| sum.saturating_add(*grants)) <= LONG {
            return Ok(());
        }
        let unsettled = self.index.unsettled().into_iter();
        let beginners: BTreeSet<_> = unsettled.filter(|namespace| later.contains_key(namespace)).collect();
        self.index.hold_back(beginners.iter().cloned());
        self.take_up(|_, namespace| beginners.contains(namespace))
    }

    /// Finds out what as many of those cost as there is time for, one at least; or, when it is known of all, puts out what they
    /// say.
    fn take_up_beginners(&mut self, start: Instant) -> Result<(), EnforceError> {
        while let Some(next) = self.index.count_next() {
            self.take_up(|_, namespace| namespace == &*next)?;
            if start.elapsed() >= self.piece {
                return Ok(());
            }
        }
        let all = self.index.let_out();
        self.take_up(|turns, namespace| turns.is_light(namespace) || all.contains(namespace))
    }

    /// Decides about the changes of those namespaces whose turn it is.
    pub(super) fn take_up(&mut self, is_turn: impl Fn(&Turns, &str) -> bool) -> Result<(), EnforceError> {
        let start = (!self.index.is_settled()).then(processor_time);
        let turns = mem::take(&mut self.turns);
        let result = self.difference(|namespace| is_turn(&turns, namespace));
        self.turns = turns;
        let Difference { closing, diff, compiled } = result?;
        if let Some(closing) = closing {
            let result = self.commit_step(&closing);
            self.blame_for(result, &closing)?;
        }
        self.backlog.add(diff, self.desired.sets.len());
        if let Some(start) = start {
            self.charge(&compiled, start);
        }
        self.at_work.extend(compiled);
        Ok(())
    }

    /// The same of the one that has waited longest after changes that took long.
    pub(super) fn take_up_next(&mut self) -> Result<(), EnforceError> {
        let Some(next) = self.turns.next(&self.index.unsettled(), Instant::now()) else { return Ok(()) };
        self.take_up(|_, namespace| namespace == &*next)
    }

    /// Commits what was decided: at least one part of it, unless it took long to divide that.
    pub(super) fn work_off(&mut self, extent: Extent, start: Instant, done: &mut Diff) -> Result<(), EnforceError> {
        let begin = (!self.at_work.is_empty()).then(processor_time);
        let piece = self.piece;
        let is_enough = || extent == Extent::Piece && start.elapsed() >= piece;
        let took_long = self.backlog.divide_next() && is_enough();
        let mut goes_on = !took_long;
        while goes_on && let Some(part) = self.backlog.next() {
            for step in self.steps(part) {
                match self.commit_step(&step) {
                    Err(error) if self.renderer.is_guarding() && lacks_fib(&error) => {
                        tracing::error!(%error, "this kernel cannot ask its routes (CONFIG_NFT_FIB_INET): pods can forge addresses");
                        self.believe();
                        self.take_up(|_, _| true)?;
                        return self.work_off(extent, start, done);
                    }
                    Err(error) if self.renderer.logs() != Logs(None) && lacks_log(&error) => {
                        tracing::warn!(%error, "this kernel cannot log (CONFIG_NFT_LOG, CONFIG_NFT_LIMIT): drops are counted, but not explained");
                        self.tell_nobody();
                        self.take_up(|_, _| true)?;
                        return self.work_off(extent, start, done);
                    }
                    result => self.blame_for(result, &step)?,
                }
                *done = mem::take(done).then(step);
            }
            goes_on = !is_enough();
        }
        if let Some(begin) = begin {
            let at_work = mem::take(&mut self.at_work);
            self.charge(&at_work, begin);
            self.at_work = at_work;
        }
        if !self.backlog.is_empty() {
            return Ok(());
        }
        self.index.confirm_cluster_policies();
        self.turns.done(&mem::take(&mut self.at_work), Instant::now());
        if is_enough() { Ok(()) } else { self.retire(extent, start, done) }
    }

    /// The steps of a part that are to be committed now. What goes waits for packets, and whatever something names that
    /// waits waits, too. What else should not be there at all goes at once.
    fn steps(&mut self, part: Diff) -> Vec<Diff> {
        if self.compared && part.is_retirement() && !self.backlog.names(&part) {
            self.passage.wait();
            return part.into_steps();
        }
        let (part, gone) = if self.backlog.has_retired() { part.split_removals() } else { (part, Diff::default()) };
        let (retired, steps): (Vec<_>, Vec<_>) = part.into_steps().into_iter().partition(Diff::is_retirement);
        retired.into_iter().chain([gone]).for_each(|retired| self.backlog.retire(retired));
        steps
    }

    /// What nothing leads to any more goes, when no packet can be at it.
    fn retire(&mut self, extent: Extent, start: Instant, done: &mut Diff) -> Result<(), EnforceError> {
        while self.backlog.has_retired() {
            match extent {
                Extent::All => {
                    self.passage.wait();
                    self.backlog.take_leave();
                }
                Extent::Piece if !self.passage.has_passed() => return Ok(()),
                Extent::Piece => {}
            }
            while let Some(part) = self.backlog.next_to_leave() {
                for step in part.into_steps() {
                    let result = self.commit_step(&step);
                    self.blame_for(result, &step)?;
                    *done = mem::take(done).then(step);
                }
                if extent == Extent::Piece && start.elapsed() >= self.piece {
                    return Ok(());
                }
            }
            if self.backlog.has_retired() {
                self.backlog.take_leave();
                self.passage.begin();
            }
        }
        self.refusals = 0;
        Ok(())
    }

    fn blame_for(&mut self, result: Result<(), CommitError>, step: &Diff) -> Result<(), EnforceError> {
        result.map_err(|error| {
            self.blame(&error, step);
            error.into()
        })
    }

    /// Whoever needed most of the processor time since `start` rests for it.
    fn charge(&mut self, namespaces: &BTreeSet<Arc<str>>, start: Duration) {
        let time = processor_time().saturating_sub(start);
        let costs: Vec<_> = namespaces.iter().map(|name| (name.clone(), self.index.cost(name))).collect();
        self.turns.took(&costs, time, Instant::now());
    }
}

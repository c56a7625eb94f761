//! What is decided and not in force yet.

use std::collections::{BTreeSet, VecDeque};

use palisade_nft::{Diff, Division, Name};

use crate::render;

/// How much one transaction writes at most, in elements of a hash set: some 50 ms of the kernel.
const BUDGET: usize = 40_000;

/// Differences to what is in force, in the order in which they are to be committed.
#[derive(Debug)]
pub(super) struct Backlog {
    parts: VecDeque<Diff>,
    entries: BTreeSet<Name>,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self { parts: VecDeque::new(), entries: render::dispatch_maps().into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }

    /// The next to be committed.
    pub(super) fn next(&mut self) -> Option<Diff> {
        self.parts.pop_front()
    }

    /// Takes in what is to follow all that is in it, of a table with that many sets. It comes first as far as it can.
    pub(super) fn add(&mut self, mut diff: Diff, sets: usize) {
        self.join_elements(&mut diff);
        if diff.is_empty() {
            return;
        }
        let division = Division { budget: BUDGET, sets, entries: self.entries.clone() };
        if !self.parts.iter().all(|part| diff.is_apart_from(part)) {
            let parts = std::mem::take(&mut self.parts);
            let whole = parts.into_iter().fold(Diff::default(), Diff::then).then(diff);
            self.parts = whole.parts(&division).into();
            return;
        }
        let removed = if self.parts.is_empty() { Diff::default() } else { take_removals(&mut diff) };
        for part in diff.parts(&division).into_iter().rev().filter(|part| !part.is_empty()) {
            self.parts.push_front(part);
        }
        self.parts.extend(removed.parts(&division).into_iter().filter(|part| !part.is_empty()));
    }

    /// Elements of sets that are not done yet come with the last part of them.
    fn join_elements(&mut self, diff: &mut Diff) {
        let sets: Vec<Name> = diff.sets.keys().filter(|_| !self.parts.is_empty()).cloned().collect();
        for set in sets {
            if let Some(part) = self.parts.iter_mut().rev().find(|part| part.sets.contains_key(&set)) {
                diff.move_elements_into(part, &set);
            }
        }
    }
}

fn take_removals(diff: &mut Diff) -> Diff {
    let (rest, removed) = std::mem::take(diff).split_removals();
    *diff = rest;
    removed
}

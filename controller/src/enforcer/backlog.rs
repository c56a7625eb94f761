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
        Self { parts: VecDeque::new(), entries: render::dispatch_maps().collect() }
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

    /// Takes in what is to follow all that is in it, of a table with that many sets. It comes first as far as it can; what
    /// goes comes last, and may come back until then.
    pub(super) fn add(&mut self, mut diff: Diff, sets: usize) {
        self.join_elements(&mut diff);
        if diff.is_empty() {
            return;
        }
        let division = Division { budget: BUDGET, sets, entries: self.entries.clone() };
        if self.parts.is_empty() {
            self.parts = diff.parts(&division).into();
            return;
        }
        let (going, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.parts).into_iter().partition(Diff::is_retirement);
        let (ahead, going) = join(going).then(diff).split_removals();
        let not_apart = pending.iter().any(|part| !ahead.is_apart_from(part));
        if not_apart {
            self.parts = join(pending).then(ahead).then(going).parts(&division).into();
        } else {
            let parts = ahead.parts(&division).into_iter().chain(pending).chain(going.parts(&division));
            self.parts = parts.filter(|part| !part.is_empty()).collect();
        }
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

fn join(parts: impl IntoIterator<Item = Diff>) -> Diff {
    parts.into_iter().fold(Diff::default(), Diff::then)
}

#[cfg(test)]
mod tests {
    use palisade_nft::{Backend, Elements, Fake, Ruleset, Set, Transaction, diff};

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn ruleset(sets: impl IntoIterator<Item = (&'static str, u32)>) -> Ruleset {
        let set = |count: u32| Set { elements: Elements::Ipv4((0..count).map(Into::into).collect()), comment: None };
        let sets = sets.into_iter().map(|(set_name, count)| (name(set_name), set(count))).collect();
        Ruleset { sets, ..Ruleset::empty(name("palisade")) }
    }

    /// What is small comes first, although more of what is large was decided before, and also when it comes back that was
    /// to go.
    #[test]
    fn who_toggles_waits_for_nobody() {
        let states = [
            ruleset([("web", 1)]),
            ruleset([("web", 1), ("large", 100_000)]),
            ruleset([("api", 1), ("large", 100_000)]),
            ruleset([("web", 1), ("large", 100_000)]),
        ];
        let mut fake = Fake::holding(states[0].clone());
        let mut backlog = Backlog::new();
        let mut commit = |backlog: &mut Backlog| {
            let part = backlog.next()?;
            fake.commit(&name("palisade").into(), &Transaction::from(&part)).unwrap();
            Some(fake.ruleset().unwrap().clone())
        };
        backlog.add(diff(Some(&states[0]), &states[1]), 0);
        commit(&mut backlog);
        for (before, after, expected) in [(1, 2, Some("api")), (2, 3, None)] {
            backlog.add(diff(Some(&states[before]), &states[after]), 0);
            let held = expected.and_then(|_| commit(&mut backlog));
            assert!(expected.is_none_or(|set| held.unwrap().sets.contains_key(&name(set))));
        }
        assert!(backlog.parts.len() > 1, "the large one is not done");
        let held = std::iter::from_fn(|| commit(&mut backlog)).last();
        assert_eq!(held.as_ref(), Some(&states[3]));
    }
}

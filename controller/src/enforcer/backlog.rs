//! What is decided and not in force yet.

use std::collections::VecDeque;
use std::mem;

use palisade_nft::{Diff, Division, Name};

use crate::render;

/// How much one transaction writes at most, in elements of a hash set: some 25 ms of the kernel, which others wait for.
const BUDGET: usize = 20_000;

/// How much is written soon: in some 5 ms.
const SOON: usize = 4_000;

/// Differences to what is in force, in the order in which they are to be committed.
///
/// Invariant: one that takes away, or cannot be divided, is alone among the parts, without removals after it.
#[derive(Debug)]
pub(super) struct Backlog {
    /// What comes. It is divided when it is its turn.
    parts: VecDeque<Diff>,
    /// What is taken away after all that.
    removals: VecDeque<Diff>,
    /// What nothing in force leads to any more, and packets may still be at that came in before.
    going: Diff,
    /// What was there when packets that are waited for had come in.
    leaving: VecDeque<Diff>,
    division: Division,
    /// Whether something was divided of which nothing has been committed.
    has_divided: bool,
}

impl Backlog {
    pub(super) fn new() -> Self {
        let division = Division { budget: BUDGET, sets: 0, entries: render::dispatch_maps().collect() };
        Self {
            parts: VecDeque::new(),
            removals: VecDeque::new(),
            going: Diff::default(),
            leaving: VecDeque::new(),
            has_divided: false,
            division,
        }
    }

    #[cfg(test)]
    pub(super) fn set_budget(&mut self, budget: usize) {
        self.division.budget = budget;
    }

    /// Whether all is in force. Something may have to go that nothing leads to.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.removals.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.removals.clear();
        self.going = Diff::default();
        self.leaving.clear();
    }

    /// Whether it takes long to write a table that differs so much from what there is.
    pub(super) fn takes_long(&self, difference: &Diff) -> bool {
        self.division.weight(difference) > SOON
    }

    /// Divides the next, if it is more than is written at once. Gives whether it did, which may have taken long; once between
    /// two that are committed, whatever is added meanwhile.
    pub(super) fn divide_next(&mut self) -> bool {
        let queue = if self.parts.is_empty() { &mut self.removals } else { &mut self.parts };
        let Some(next) = queue.pop_front() else { return false };
        if self.division.is_one_part(&next) {
            queue.push_front(next);
            return false;
        }
        let (comes, goes) = next.split_removals();
        let mut count = 0;
        for (queue, divided) in [(&mut self.removals, goes), (&mut self.parts, comes)] {
            for part in divided.parts(&self.division).into_iter().rev().filter(|part| !part.is_empty()) {
                queue.push_front(part);
                count += 1;
            }
        }
        count > 1 && !mem::replace(&mut self.has_divided, true)
    }

    /// The next to be committed.
    pub(super) fn next(&mut self) -> Option<Diff> {
        self.divide_next();
        self.has_divided = false;
        self.parts.pop_front().or_else(|| self.removals.pop_front())
    }

    /// What packets may still be at that are under way. Nothing in force leads to it.
    pub(super) fn retire(&mut self, retired: Diff) {
        // It may have come back alone, and still name what was to go with it.
        if self.leaving.iter().any(|leaving| retired.goes_before(leaving)) {
            self.going = join(mem::take(&mut self.leaving)).then(mem::take(&mut self.going));
        }
        self.going = mem::take(&mut self.going).then(retired);
    }

    /// From now on packets are waited for. What goes later waits for others.
    pub(super) fn take_leave(&mut self) {
        let parts = mem::take(&mut self.going).parts(&self.division);
        self.leaving.extend(parts.into_iter().filter(|part| !part.is_empty()));
    }

    /// Whether there is anything that waits for packets, or can go.
    pub(super) fn has_retired(&self) -> bool {
        !self.going.is_empty() || !self.leaving.is_empty()
    }

    /// Whether what waits to go names anything that `part` takes away.
    pub(super) fn names(&self, part: &Diff) -> bool {
        self.leaving.iter().chain([&self.going]).any(|retired| retired.goes_before(part))
    }

    /// The next to go, packets having passed.
    pub(super) fn next_to_leave(&mut self) -> Option<Diff> {
        self.leaving.pop_front()
    }

    /// Takes in what is to follow all that is in it, of a table with that many sets. What is written at once comes first as
    /// far as it can, with what it cannot come before. More than that stays where the first of it was, or comes after what
    /// it has nothing to do with: who changes his own all the time holds up nobody. What goes comes last, and may come back
    /// until then.
    pub(super) fn add(&mut self, mut diff: Diff, sets: usize) {
        self.division.sets = sets;
        self.join_elements(&mut diff);
        let diff = self.come_back(diff);
        if diff.is_empty() {
            return;
        }
        let diff = self.follow_lone(diff);
        if self.is_empty() && self.division.is_one_part(&diff) {
            self.parts.push_back(diff);
            return;
        }
        let diff = take_back(&mut self.removals, &diff).then(diff);
        self.removals.retain(|removal| !removal.is_empty());
        if diff.is_indivisible() {
            let all = join(mem::take(&mut self.parts)).then(join(mem::take(&mut self.removals)));
            self.parts.push_back(all.then(diff));
            return;
        }
        let (ahead, goes) = diff.split_removals();
        // What came and goes again need not come: nothing names it that stays.
        let mut pending: Vec<Diff> = mem::take(&mut self.parts).into();
        let goes = take_back(&mut pending, &goes).then(goes);
        pending.retain(|part| !part.is_empty());
        let (before, at) = ahead.extract_what_precedes(&mut pending);
        let (ahead, gone) = join(before).then(ahead).split_removals();
        if !ahead.is_empty() {
            pending.insert(if self.division.is_one_part(&ahead) { 0 } else { at }, ahead);
        }
        self.parts = pending.into();
        self.remove(goes.then(gone));
    }

    /// `diff` with what is alone, if that cannot be divided. What that takes away comes after the others otherwise.
    fn follow_lone(&mut self, diff: Diff) -> Diff {
        if self.parts.len() > 1 || !self.removals.is_empty() {
            return diff;
        }
        match self.parts.pop_front() {
            None => diff,
            Some(lone) if lone.is_indivisible() => lone.then(diff),
            Some(lone) => {
                let (comes, goes) = lone.split_removals();
                self.parts.extend(Some(comes).filter(|comes| !comes.is_empty()));
                self.remove(goes);
                diff
            }
        }
    }

    /// After all that is to be taken away, or together with it.
    fn remove(&mut self, goes: Diff) {
        if goes.is_empty() {
            return;
        }
        let goes_before = self.removals.iter().any(|earlier| goes.goes_before(earlier));
        if goes_before {
            self.removals = [join(mem::take(&mut self.removals))].into();
        }
        match self.removals.back_mut() {
            Some(last) if goes_before || self.division.is_one_part(last) => *last = mem::take(last).then(goes),
            _ => self.removals.push_back(goes),
        }
    }

    /// `diff`, and what becomes of that in it which is about to go.
    fn come_back(&mut self, diff: Diff) -> Diff {
        let back = take_back(self.leaving.iter_mut().chain([&mut self.going]), &diff).then(diff);
        self.leaving.retain(|part| !part.is_empty());
        if !back.recreates_objects() {
            return back;
        }
        // What is made anew under its name can go only after all that still names it.
        join(mem::take(&mut self.leaving)).then(mem::take(&mut self.going)).then(back)
    }

    /// Elements of sets that are not done yet come with the last part of them.
    fn join_elements(&mut self, diff: &mut Diff) {
        let sets: Vec<Name> = diff.sets_with_other_elements().filter(|_| !self.parts.is_empty()).cloned().collect();
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

/// What `parts` change of that which `diff` changes, too, is in none of them any more.
fn take_back<'a>(parts: impl IntoIterator<Item = &'a mut Diff>, diff: &Diff) -> Diff {
    join(parts.into_iter().map(|part| part.extract_names_of(diff)))
}

#[cfg(test)]
mod tests {
    use palisade_nft::{
        Action, AddressField, Backend, Chain, Elements, Fake, Family, Key, Match, Rule, Ruleset, Set, Statement,
        Transaction, Verdict, diff,
    };

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
        assert!(!backlog.is_empty(), "the large one is not done");
        let held = std::iter::from_fn(|| commit(&mut backlog)).last();
        assert_eq!(held.as_ref(), Some(&states[3]));
    }

    /// What is large comes in the order in which it was decided, whoever changes his mind in between.
    #[test]
    fn who_changes_his_own_holds_up_nobody() {
        let large = 50_000;
        let states = [
            ruleset([]),
            ruleset([("x", large)]),
            ruleset([("x", large), ("y", large)]),
            ruleset([("api", 1), ("x", large), ("y", large)]),
            ruleset([("api", 1), ("y", large), ("z", large)]),
        ];
        let mut fake = Fake::holding(states[0].clone());
        let mut backlog = Backlog::new();
        states.windows(2).for_each(|pair| backlog.add(diff(Some(&pair[0]), &pair[1]), 0));
        let mut came = Vec::new();
        while let Some(part) = backlog.next() {
            came.extend(part.sets.keys().cloned());
            fake.commit(&name("palisade").into(), &Transaction::from(&part)).unwrap();
        }
        came.dedup();
        assert_eq!((came, fake.ruleset()), (["api", "y", "z"].map(name).into(), Some(&states[4])));
    }

    /// A chain that is to go comes back otherwise and goes again before it was written: what it still looks up goes after it.
    #[test]
    fn what_still_names_something_goes_before_it() {
        let rule = |matches, verdict| Statement { matches, action: Action::Verdict(verdict), ..Statement::default() };
        let looks_up = Match::In(Key::Address(Family::Ipv4, AddressField::Saddr), name("web"));
        let holding = |chains: &[(&str, Statement)], sets: Vec<(&'static str, u32)>| {
            let chain = |rule: &Statement| Chain { rules: vec![Rule::Own(rule.clone())], ..Chain::default() };
            let chains = chains.iter().map(|(text, rule)| (name(text), chain(rule))).collect();
            Ruleset { chains, ..ruleset(sets) }
        };
        let [accept, drop] = [Verdict::Accept, Verdict::Drop].map(|verdict| rule(vec![], verdict));
        let states = [
            holding(&[("chain", rule(vec![looks_up], Verdict::Accept))], vec![("web", 1)]),
            ruleset([]),
            holding(&[("chain", accept.clone()), ("other", accept)], vec![]),
            holding(&[("other", drop)], vec![]),
        ];
        let mut fake = Fake::holding(states[0].clone());
        let mut backlog = Backlog::new();
        backlog.retire(diff(Some(&states[0]), &states[1]));
        backlog.take_leave();
        for (before, after) in [(1, 2), (2, 3)] {
            backlog.add(diff(Some(&states[before]), &states[after]), 0);
        }
        let mut commit = |step: &Diff| fake.commit(&name("palisade").into(), &Transaction::from(step)).unwrap();
        while let Some(part) = backlog.next() {
            let (comes, goes) = part.split_removals();
            commit(&comes);
            backlog.retire(goes);
        }
        while backlog.has_retired() {
            while let Some(part) = backlog.next_to_leave() {
                commit(&part);
            }
            backlog.take_leave();
        }
        assert_eq!(fake.ruleset(), Some(&states[3]));
    }
}

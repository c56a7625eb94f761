//! Dividing a large difference into parts, each a transaction that the kernel is done with soon.
//!
//! A rule or an element that takes effect at once, a *switch*, comes after all that it leads to; what nothing leads to
//! yet can come in any number of transactions before. So between two parts each base chain and each chain that is looked
//! up by one does what it did before, or what it shall do.

mod apart;
mod needed;
mod removals;
mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use self::needed::Needed;
use self::switches::{Switch, Switches};
use super::{ChainChange, Diff, SetChange, TableChange};
use crate::{Elements, Name, Rule, Set};

/// How a [`Diff`] is divided.
#[derive(Clone, Debug)]
pub struct Division {
    /// How much a part writes at most, where it can be divided so far: an element counts as one, which takes the kernel
    /// about a microsecond, and other objects as what takes it as long.
    pub budget: usize,
    /// How many sets the table has: the kernel looks them up by name in a list.
    pub sets: usize,
    /// Verdict maps whose elements have nothing to do with each other.
    pub entries: BTreeSet<Name>,
}

/// What an object takes as long as, in elements of a hash set.
const RULE: usize = 4;
const CHAIN: usize = 8;
const COUNTER: usize = 8;
const SET: usize = 64;
/// So many sets are passed over in a list in the time of an element.
const PASSED_OVER: usize = 32;

impl Division {
    /// What a difference counts as.
    pub fn weight(&self, diff: &Diff) -> usize {
        let chains = diff.chains.values().map(|change| self.weight_of_chain(change)).sum::<usize>();
        let sets = diff.sets.values().map(|change| self.weight_of_set(change)).sum::<usize>();
        chains + sets + diff.counters.len() * COUNTER
    }

    /// Whether [`Diff::parts`] gives it as it is.
    pub fn is_one_part(&self, diff: &Diff) -> bool {
        diff.is_indivisible() || self.weight(diff) <= self.budget
    }

    fn weight_of_chain(&self, change: &ChainChange) -> usize {
        let rules = |rules: &[Rule]| rules.len() * (RULE + self.sets / PASSED_OVER);
        match change {
            ChainChange::Created(chain) => CHAIN + rules(&chain.rules),
            ChainChange::Removed(_) => CHAIN,
            ChainChange::Rewritten { rules: after, .. } => rules(after),
            ChainChange::Recreated { chain, .. } => 2 * CHAIN + rules(&chain.rules),
        }
    }

    fn weight_of_empty_set(&self) -> usize {
        SET + self.sets / PASSED_OVER
    }

    fn weight_of_set(&self, change: &SetChange) -> usize {
        let set = self.weight_of_empty_set();
        match change {
            SetChange::Created(created) => set + created.elements.len(),
            SetChange::Removed(removed) if removed.elements.kind().is_map() => set + removed.elements.len(),
            SetChange::Removed(_) => set,
            SetChange::Elements { remove, add } => remove.len() + add.len(),
            SetChange::Recreated { set: created, .. } => 2 * set + created.elements.len(),
        }
    }
}

impl Diff {
    /// The same difference in parts, to be committed one after the other: what switches little, with what that needs,
    /// before what switches more, which begins a part; what only takes rules away before everything else, named counters
    /// aside; what goes, at the end.
    ///
    /// One part, where it is within the budget, or where a table or something in it is replaced.
    pub fn parts(self, division: &Division) -> Vec<Self> {
        if division.is_one_part(&self) {
            return vec![self];
        }
        let mut divider =
            Divider { rest: self, parts: Vec::new(), part: Self::default(), room: division.budget, division };
        divider.part.table = mem::take(&mut divider.rest.table);
        divider.counters();
        let switches = Switches::of(&mut divider.rest, &division.entries);
        for (weight, together) in switches.lightest_first(&divider.rest, division) {
            // What follows some of others' small changes does not have to wait for what is large.
            if weight > division.budget {
                divider.close();
            }
            divider.switch(together);
        }
        divider.rest_of_what_comes();
        for (name, removed) in removals::in_order(&divider.rest) {
            divider.remove(&name, removed);
        }
        divider.close();
        divider.parts
    }

    /// Whether a table, or something in it, is replaced: that is one part, however large it is.
    pub fn is_indivisible(&self) -> bool {
        let is_replaced = match self.table {
            TableChange::Kept => self.replaces_base_chains(),
            TableChange::Created { .. } => false,
            TableChange::Recreated { .. } => true,
        };
        is_replaced || self.recreates_objects()
    }
}

/// A chain, a set or map, or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Chain,
    Set,
    Counter,
}

struct Divider<'a> {
    /// What is in no part yet.
    rest: Diff,
    parts: Vec<Diff>,
    /// The part that is being filled, and how much more it may hold.
    part: Diff,
    room: usize,
    division: &'a Division,
}

impl Divider<'_> {
    /// Puts in what switches lead to that belong together, then the switches themselves, with the maps that belong to them.
    fn switch(&mut self, switches: Vec<Switch>) {
        let mut needed = Needed::default();
        switches.iter().for_each(|switch| needed.by(switch, &self.rest));
        for (object, name) in needed.before {
            match object {
                Object::Chain => self.take_chain(&name),
                Object::Set => self.take_set(&name),
                // All of them came first.
                Object::Counter => {}
            }
        }
        let mut whole = Diff::default();
        for map in needed.together {
            whole.sets.extend(self.rest.sets.remove_entry(&map));
        }
        for switch in switches {
            match switch {
                Switch::Chain(name) => whole.chains.extend(self.rest.chains.remove_entry(&name)),
                Switch::Set(name) if self.rest.sets.get(&name).is_some_and(is_of_map) => {
                    whole.sets.extend(self.rest.sets.remove_entry(&name));
                }
                Switch::Set(name) => self.take_set(&name),
                Switch::Entry { map, remove, add } => {
                    let sets = SetChange::of_elements(remove, add).map(|change| (map, change)).into_iter().collect();
                    whole = whole.then(Diff { sets, ..Diff::default() });
                }
            }
        }
        self.put(whole);
    }

    /// What comes although nothing leads to it.
    fn rest_of_what_comes(&mut self) {
        let comes = |change: &ChainChange| !matches!(change, ChainChange::Removed(_));
        let chains: Vec<Name> =
            self.rest.chains.iter().filter(|(_, c)| comes(c)).map(|(name, _)| name.clone()).collect();
        chains.into_iter().for_each(|name| self.switch(vec![Switch::Chain(name)]));
        let comes = |change: &SetChange| !matches!(change, SetChange::Removed(_));
        let sets: Vec<Name> = self.rest.sets.iter().filter(|(_, c)| comes(c)).map(|(name, _)| name.clone()).collect();
        sets.into_iter().for_each(|name| self.switch(vec![Switch::Set(name)]));
    }

    /// What counts comes at once: it takes little, and whatever else comes may count in it.
    fn counters(&mut self) {
        let counters = mem::take(&mut self.rest.counters).into_iter();
        let (gone, come): (BTreeMap<_, _>, BTreeMap<_, _>) = counters.partition(|(_, change)| change.is_removal());
        self.rest.counters = gone;
        for counter in come {
            self.put(Diff { counters: [counter].into(), ..Diff::default() });
        }
    }

    fn remove(&mut self, name: &Name, object: Object) {
        let mut removed = Diff::default();
        match object {
            Object::Chain => removed.chains.extend(self.rest.chains.remove_entry(name)),
            Object::Set => removed.sets.extend(self.rest.sets.remove_entry(name)),
            Object::Counter => removed.counters.extend(self.rest.counters.remove_entry(name)),
        }
        self.put(removed);
    }

    fn take_chain(&mut self, name: &Name) {
        let chains = self.rest.chains.remove_entry(name).into_iter().collect();
        self.put(Diff { chains, ..Diff::default() });
    }

    /// A set or map that nothing looks up yet, or a set whose elements come and go: in as many parts as it needs.
    fn take_set(&mut self, name: &Name) {
        let Some(mut change) = self.rest.sets.remove(name) else { return };
        while self.division.weight_of_set(&change) > self.room {
            let fitting = self.room.saturating_sub(self.division.weight_of_empty_set());
            if fitting > 0 || self.part.is_empty() {
                let first = take_first(&mut change, fitting.max(1));
                self.add(Diff { sets: [(name.clone(), first)].into(), ..Diff::default() });
            }
            self.close();
        }
        if self.division.weight_of_set(&change) > 0 {
            self.put(Diff { sets: [(name.clone(), change)].into(), ..Diff::default() });
        }
    }

    /// Puts it into this part, or into the next if there is no room.
    fn put(&mut self, diff: Diff) {
        if self.division.weight(&diff) > self.room {
            self.close();
        }
        self.add(diff);
    }

    fn add(&mut self, diff: Diff) {
        self.room = self.room.saturating_sub(self.division.weight(&diff));
        let part = mem::take(&mut self.part);
        self.part = Diff { table: part.table.clone(), ..part.then(diff) };
    }

    fn close(&mut self) {
        if !self.part.is_empty() {
            self.parts.push(mem::take(&mut self.part));
        }
        self.room = self.division.budget;
    }
}

/// Whether it changes a map that is there already.
fn is_of_map(change: &SetChange) -> bool {
    matches!(change, SetChange::Elements { add, .. } if add.kind().is_map())
}

/// Divides the first `count` elements that come or go from a change.
fn take_first(change: &mut SetChange, count: usize) -> SetChange {
    match change {
        SetChange::Created(Set { elements, comment }) => {
            let first = Set { elements: elements.take_first(count), comment: comment.take() };
            let rest = mem::replace(elements, Elements::empty(first.elements.kind()));
            *change = SetChange::Elements { remove: Elements::empty(rest.kind()), add: rest };
            SetChange::Created(first)
        }
        SetChange::Elements { remove, add } => {
            let (removed, added) = if remove.is_empty() {
                (Elements::empty(remove.kind()), add.take_first(count))
            } else {
                (remove.take_first(count), Elements::empty(add.kind()))
            };
            SetChange::Elements { remove: removed, add: added }
        }
        SetChange::Removed(_) | SetChange::Recreated { .. } => unreachable!("only what comes is divided"),
    }
}

//! What can be committed ahead of what was decided before.

use std::collections::BTreeSet;
use std::mem;

use super::{Object, removals, switches};
use crate::diff::steps::is_removed;
use crate::{ChainChange, CounterChange, Diff, Name, SetChange};

impl Diff {
    /// Whether it can be committed ahead of `pending`, although it was made after it: neither changes what the other changes
    /// or refers to. What it removes aside: that may still be named. Nor does it make anything anew: `pending` may take away
    /// what still refers to that.
    pub fn is_apart_from(&self, pending: &Self) -> bool {
        if self.recreates_objects() {
            return false;
        }
        let is_in = |(object, name): &(Object, Name)| match object {
            Object::Chain => pending.chains.contains_key(name),
            Object::Set => pending.sets.contains_key(name),
            Object::Counter => pending.counters.contains_key(name),
        };
        let leads_to_pending = |references: BTreeSet<(Object, Name)>| references.iter().any(is_in);
        let chains = self.chains.iter().all(|(name, change)| {
            !pending.chains.contains_key(name) && !leads_to_pending(switches::references_of_chain(Some(change)))
        });
        let sets = self.sets.iter().all(|(name, change)| {
            let is_same = pending.sets.get(name).is_some_and(|pending| !pending.commutes_with(change));
            !is_same && !leads_to_pending(switches::references_of_set(Some(change)))
        });
        chains && sets && !self.counters.keys().any(|name| pending.counters.contains_key(name))
    }

    /// What it adds or changes, and what it takes away.
    pub fn split_removals(mut self) -> (Self, Self) {
        let is_gone = |change: &ChainChange| matches!(change, ChainChange::Removed(_));
        let gone = self.extract(is_gone, is_removed, CounterChange::is_removal);
        (self, gone)
    }

    /// Whether what it takes away names anything that `other` takes away, which can go only after it.
    pub fn goes_before(&self, other: &Self) -> bool {
        removals::references_in(self).any(|(object, name)| match object {
            Object::Chain => matches!(other.chains.get(&name), Some(ChainChange::Removed(_))),
            Object::Set => other.sets.get(&name).is_some_and(is_removed),
            Object::Counter => other.counters.get(&name).is_some_and(CounterChange::is_removal),
        })
    }

    /// Whether both change something of one name.
    pub fn shares_names_with(&self, other: &Self) -> bool {
        let is_chain = |name: &Name| self.chains.contains_key(name);
        let is_set = |name: &Name| self.sets.contains_key(name);
        let is_counter = |name: &Name| self.counters.contains_key(name);
        other.chains.keys().any(is_chain) || other.sets.keys().any(is_set) || other.counters.keys().any(is_counter)
    }

    /// Takes out what it changes of that which `other` changes, too.
    pub fn extract_names_of(&mut self, other: &Self) -> Self {
        let chains = other.chains.keys().filter_map(|name| self.chains.remove_entry(name)).collect();
        let sets = other.sets.keys().filter_map(|name| self.sets.remove_entry(name)).collect();
        let counters = other.counters.keys().filter_map(|name| self.counters.remove_entry(name)).collect();
        Self { chains, sets, counters, ..Self::default() }
    }

    /// Joins what it changes of the elements of `set`, which is no map, with the change of that set in `pending`.
    pub fn move_elements_into(&mut self, pending: &mut Self, set: &Name) {
        let is_movable = |change: &SetChange| matches!(change, SetChange::Elements { add, .. } if !add.kind().is_map());
        if !(self.sets.get(set).is_some_and(is_movable) && pending.sets.contains_key(set)) {
            return;
        }
        let sets = self.sets.remove_entry(set).into_iter().collect();
        *pending = mem::take(pending).then(Self { sets, ..Self::default() });
    }
}

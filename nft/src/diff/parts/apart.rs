//! What can be committed ahead of what was decided before.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::{Object, removals, switches};
use crate::diff::steps::is_removed;
use crate::{ChainChange, CounterChange, Diff, Name, SetChange, TableChange};

/// What some differences change, and what they refer to.
#[derive(Default)]
struct Footprint<'a> {
    /// All but the sets that are changed.
    names: BTreeSet<(Object, Name)>,
    sets: BTreeMap<&'a Name, Vec<&'a SetChange>>,
}

impl<'a> Footprint<'a> {
    fn include(&mut self, diff: &'a Diff) {
        self.names.extend(diff.chains.keys().map(|name| (Object::Chain, name.clone())));
        self.names.extend(diff.counters.keys().map(|name| (Object::Counter, name.clone())));
        self.names.extend(diff.chains.values().flat_map(|change| switches::references_of_chain(Some(change))));
        self.names.extend(diff.sets.values().flat_map(|change| switches::references_of_set(Some(change))));
        diff.sets.iter().for_each(|(name, change)| self.sets.entry(name).or_default().push(change));
    }

    /// Whether these can be committed ahead of `pending`, although they were made after it: they neither change nor refer to
    /// what it changes. What they remove aside: that may still be named.
    fn is_apart_from(&self, pending: &Diff) -> bool {
        if pending.table != TableChange::Kept {
            return false;
        }
        let is_pending = |(object, name): &(Object, Name)| match object {
            Object::Chain => pending.chains.contains_key(name),
            Object::Set => pending.sets.contains_key(name),
            Object::Counter => pending.counters.contains_key(name),
        };
        let is_named = |object| move |name: &Name| self.names.contains(&(object, name.clone()));
        let commutes = |name: &Name, change: &SetChange| {
            self.sets.get(name).into_iter().flatten().all(|own| own.commutes_with(change))
        };
        let names = pending.chains.len() + pending.sets.len() + pending.counters.len();
        if self.names.len() + self.sets.len() < names {
            let has_changed = |name: &&Name| pending.sets.get(name).is_some_and(|change| !commutes(name, change));
            !self.names.iter().any(is_pending) && !self.sets.keys().any(has_changed)
        } else {
            !pending.chains.keys().any(is_named(Object::Chain))
                && !pending.counters.keys().any(is_named(Object::Counter))
                && !pending.sets.keys().any(is_named(Object::Set))
                && pending.sets.iter().all(|(name, change)| commutes(name, change))
        }
    }
}

impl Diff {
    /// Takes out of `pending` what this, which was made after all of it, cannot be committed ahead of, and what that cannot
    /// be committed ahead of in turn: all this can be committed before the rest, what it removes aside. In order, with how
    /// much of the rest came before the first of it.
    ///
    /// `pending` removes nothing, and neither makes anything anew: what still refers to that may be taken away later.
    pub fn extract_what_precedes(&self, pending: &mut Vec<Self>) -> (Vec<Self>, usize) {
        let mut footprint = Footprint::default();
        footprint.include(self);
        let mut precedes = vec![false; pending.len()];
        for (part, precedes) in pending.iter().zip(&mut precedes).rev() {
            if !footprint.is_apart_from(part) {
                *precedes = true;
                footprint.include(part);
            }
        }
        let at = precedes.iter().take_while(|precedes| !**precedes).count();
        let mut precedes = precedes.into_iter();
        (pending.extract_if(.., |_| precedes.next() == Some(true)).collect(), at)
    }

    /// What it adds or changes, and what it takes away.
    pub fn split_removals(mut self) -> (Self, Self) {
        let is_gone = |change: &ChainChange| matches!(change, ChainChange::Removed(_));
        let is_any_gone = self.chains.values().any(is_gone)
            || self.sets.values().any(is_removed)
            || self.counters.values().any(CounterChange::is_removal);
        if !is_any_gone {
            return (self, Self::default());
        }
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
    pub(crate) fn shares_names_with(&self, other: &Self) -> bool {
        share_keys(&self.chains, &other.chains)
            || share_keys(&self.sets, &other.sets)
            || share_keys(&self.counters, &other.counters)
    }

    /// Takes out what it changes of that which `other` changes, too.
    pub fn extract_names_of(&mut self, other: &Self) -> Self {
        if !self.shares_names_with(other) {
            return Self::default();
        }
        let chains = other.chains.keys().filter_map(|name| self.chains.remove_entry(name)).collect();
        let sets = other.sets.keys().filter_map(|name| self.sets.remove_entry(name)).collect();
        let counters = other.counters.keys().filter_map(|name| self.counters.remove_entry(name)).collect();
        Self { chains, sets, counters, ..Self::default() }
    }

    /// The sets, no maps, that stay and have other elements then.
    pub fn sets_with_other_elements(&self) -> impl Iterator<Item = &Name> {
        self.sets.iter().filter(|(_, change)| has_other_elements(change)).map(|(name, _)| name)
    }

    /// Joins what it changes of the elements of `set`, which is no map, with the change of that set in `pending`.
    pub fn move_elements_into(&mut self, pending: &mut Self, set: &Name) {
        if !(self.sets.get(set).is_some_and(has_other_elements) && pending.sets.contains_key(set)) {
            return;
        }
        let sets = self.sets.remove_entry(set).into_iter().collect();
        *pending = mem::take(pending).then(Self { sets, ..Self::default() });
    }
}

fn has_other_elements(change: &SetChange) -> bool {
    matches!(change, SetChange::Elements { add, .. } if !add.kind().is_map())
}

fn share_keys<C>(one: &BTreeMap<Name, C>, other: &BTreeMap<Name, C>) -> bool {
    let (fewer, more) = if one.len() < other.len() { (one, other) } else { (other, one) };
    fewer.keys().any(|name| more.contains_key(name))
}

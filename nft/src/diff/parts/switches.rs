//! What takes effect at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::{Division, Object};
use crate::{Chain, ChainChange, Diff, Elements, Name, SetChange, Statement, Verdict};

/// A change that takes effect at once.
#[derive(Clone, Debug)]
pub(super) enum Switch {
    /// A base chain comes, or a chain has other rules.
    Chain(Name),
    /// A set or map that may be looked up has other elements.
    Set(Name),
    /// An element of a map whose elements have nothing to do with each other.
    Entry { map: Name, remove: Elements, add: Elements },
}

pub(super) struct Switches(Vec<Switch>);

impl Switches {
    /// Those of `diff`, from which elements of `entries` are taken.
    pub(super) fn of(diff: &mut Diff, entries: &BTreeSet<Name>) -> Self {
        let mut switches = Vec::new();
        for map in entries {
            let (remove, add) = match diff.sets.get_mut(map) {
                Some(SetChange::Created(set)) => {
                    let none = Elements::empty(set.elements.kind());
                    (none.clone(), mem::replace(&mut set.elements, none))
                }
                Some(SetChange::Elements { .. }) => match diff.sets.remove(map) {
                    Some(SetChange::Elements { remove, add }) => (remove, add),
                    _ => unreachable!("it was just found"),
                },
                _ => continue,
            };
            let entry = |(remove, add)| Switch::Entry { map: map.clone(), remove, add };
            switches.extend(remove.by_key(&add).into_iter().map(entry));
        }
        let chains = diff.chains.iter().filter(|(_, change)| match change {
            ChainChange::Created(chain) => chain.base.is_some(),
            ChainChange::Rewritten { .. } => true,
            ChainChange::Removed(_) | ChainChange::Recreated { .. } => false,
        });
        switches.extend(chains.map(|(name, _)| Switch::Chain(name.clone())));
        let sets = diff.sets.iter().filter(|(_, change)| matches!(change, SetChange::Elements { .. }));
        switches.extend(sets.map(|(name, _)| Switch::Set(name.clone())));
        Self(switches)
    }

    /// By what has to be written for each: first what only takes rules away.
    pub(super) fn lightest_first(self, diff: &Diff, division: &Division) -> Vec<Switch> {
        let mut weights = Weights { diff, division, known: BTreeMap::new() };
        let mut weighed: Vec<_> = self.0.into_iter().map(|switch| (weights.of(&switch), switch)).collect();
        // Base chains at last of those that weigh the same: what they lead to may come with them.
        weighed.sort_by_key(|(weight, switch)| (*weight, Reverse(matches!(switch, Switch::Chain(_)))));
        weighed.into_iter().map(|(_, switch)| switch).collect()
    }
}

/// What objects and all that they lead to weigh: what several lead to counts for each of them.
struct Weights<'a> {
    diff: &'a Diff,
    division: &'a Division,
    known: BTreeMap<(Object, Name), usize>,
}

impl Weights<'_> {
    fn of(&mut self, switch: &Switch) -> usize {
        let diff = self.diff;
        let (own, references) = match switch {
            Switch::Chain(name) => {
                let change = diff.chains.get(name);
                (change.map_or(0, |change| self.division.weight_of_chain(change)), references_of_chain(change))
            }
            Switch::Set(name) => {
                let change = diff.sets.get(name);
                (change.map_or(0, |change| self.division.weight_of_set(change)), references_of_set(change))
            }
            Switch::Entry { remove, add, .. } => (remove.len() + add.len(), references_of(add)),
        };
        references.into_iter().fold(own, |sum, reference| sum.saturating_add(self.of_object(reference)))
    }

    fn of_object(&mut self, object: (Object, Name)) -> usize {
        if let Some(weight) = self.known.get(&object) {
            return *weight;
        }
        let weight = match &object {
            (Object::Chain, name) if matches!(self.diff.chains.get(name), Some(ChainChange::Created(_))) => {
                self.of(&Switch::Chain(name.clone()))
            }
            (Object::Chain, _) => 0,
            (Object::Set, name) => self.of(&Switch::Set(name.clone())),
        };
        self.known.insert(object, weight);
        weight
    }
}

/// What a chain leads to and looks up as it comes.
pub(super) fn references_of_chain(change: Option<&ChainChange>) -> BTreeSet<(Object, Name)> {
    let rules = match change {
        Some(ChainChange::Created(chain)) => &chain.rules,
        Some(ChainChange::Rewritten { rules, .. }) => rules,
        Some(ChainChange::Removed(_) | ChainChange::Recreated { .. }) | None => return BTreeSet::new(),
    };
    let statements = Chain::statements_of(rules);
    statements.flat_map(references_of_statement).collect()
}

fn references_of_statement(statement: &Statement) -> impl Iterator<Item = (Object, Name)> {
    let sets = statement.lookups().map(|(_, set)| (Object::Set, set.clone()));
    sets.chain(statement.target().map(|chain| (Object::Chain, chain.clone())))
}

/// Where the elements of a map lead that come.
pub(super) fn references_of_set(change: Option<&SetChange>) -> BTreeSet<(Object, Name)> {
    match change {
        Some(SetChange::Created(set)) => references_of(&set.elements),
        Some(SetChange::Elements { add, .. }) => references_of(add),
        Some(SetChange::Removed(_) | SetChange::Recreated { .. }) | None => BTreeSet::new(),
    }
}

pub(super) fn references_of(elements: &Elements) -> BTreeSet<(Object, Name)> {
    elements.verdicts().filter_map(Verdict::target).map(|chain| (Object::Chain, chain.clone())).collect()
}

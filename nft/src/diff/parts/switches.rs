//! What takes effect at once.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::{Division, Object, is_of_map};
use crate::{Chain, ChainChange, Diff, Elements, Name, Rule, SetChange, Statement, Verdict};

/// A change that takes effect at once.
#[derive(Clone, Debug)]
pub(super) enum Switch {
    /// A base chain comes, or a chain has other rules.
    Chain(Name),
    /// A set that may be looked up has other elements, or a map has whose chain keeps its rules.
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
                // Ranges that come and ranges that go may overlap.
                Some(SetChange::Elements { add, .. }) if add.kind().is_interval() => continue,
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
        let with_rules = diff.chains.values().flat_map(|change| references_of_chain(Some(change)));
        let with_rules: BTreeSet<_> =
            with_rules.filter(|(_, name)| diff.sets.get(name).is_some_and(is_of_map)).collect();
        let sets = diff.sets.iter().filter(|(name, change)| {
            matches!(change, SetChange::Elements { .. }) && !with_rules.contains(&(Object::Set, (*name).clone()))
        });
        switches.extend(sets.map(|(name, _)| Switch::Set(name.clone())));
        Self(switches)
    }

    /// Those that belong together, with the weight of what has to be written for them, by that: first what only takes rules
    /// away.
    pub(super) fn lightest_first(self, diff: &Diff, division: &Division) -> Vec<(usize, Vec<Switch>)> {
        let mut weights = Weights { diff, division, known: BTreeMap::new() };
        let groups = self.groups(diff).into_iter();
        let weigh = |group: Vec<Switch>| (group.iter().map(|switch| weights.of(switch)).sum::<usize>(), group);
        let mut weighed: Vec<_> = groups.map(weigh).collect();
        weighed.sort_by_key(|(weight, _)| *weight);
        weighed
    }

    /// What leads, or led, to a chain whose rules change belongs to that: it was never to be judged by what the one was and
    /// the other is.
    fn groups(self, diff: &Diff) -> Vec<Vec<Switch>> {
        let mut reach = Reach { diff, known: BTreeMap::new() };
        let mut groups: Vec<(BTreeSet<Name>, Vec<Switch>)> = Vec::new();
        let mut alone = Vec::new();
        for switch in self.0 {
            let mut chains = reach.of_switch(&switch);
            if chains.is_empty() {
                alone.push(vec![switch]);
                continue;
            }
            let mut group = vec![switch];
            let joined: Vec<_> = groups.extract_if(.., |(others, _)| !others.is_disjoint(&chains)).collect();
            for (others, members) in joined {
                chains.extend(others);
                group.extend(members);
            }
            groups.push((chains, group));
        }
        alone.extend(groups.into_iter().map(|(_, group)| group));
        alone
    }
}

/// Which chains whose rules change are led to, before or after.
struct Reach<'a> {
    diff: &'a Diff,
    known: BTreeMap<(Object, Name), BTreeSet<Name>>,
}

impl Reach<'_> {
    fn of_switch(&mut self, switch: &Switch) -> BTreeSet<Name> {
        match switch {
            Switch::Chain(name) => {
                let (before, after) = match self.diff.chains.get(name) {
                    Some(ChainChange::Rewritten { before, rules }) => (&**before, &**rules),
                    Some(ChainChange::Created(chain)) => (&[][..], &*chain.rules),
                    _ => return BTreeSet::new(),
                };
                let mut reached = self.of(references_of_rules(before).chain(references_of_rules(after)));
                if matches!(self.diff.chains.get(name), Some(ChainChange::Rewritten { .. })) {
                    reached.insert(name.clone());
                }
                reached
            }
            Switch::Set(name) => self.of_object(&(Object::Set, name.clone())),
            Switch::Entry { remove, add, .. } => self.of(references_of(remove).into_iter().chain(references_of(add))),
        }
    }

    fn of(&mut self, references: impl Iterator<Item = (Object, Name)>) -> BTreeSet<Name> {
        references.flat_map(|reference| self.of_object(&reference)).collect()
    }

    fn of_object(&mut self, object: &(Object, Name)) -> BTreeSet<Name> {
        if let Some(known) = self.known.get(object) {
            return known.clone();
        }
        let reached = match object {
            (Object::Chain, name) => match self.diff.chains.get(name) {
                Some(ChainChange::Rewritten { .. }) => [name.clone()].into(),
                Some(ChainChange::Created(chain) | ChainChange::Removed(chain)) => {
                    self.of(references_of_rules(&chain.rules))
                }
                Some(ChainChange::Recreated { .. }) | None => BTreeSet::new(),
            },
            (Object::Counter, _) => BTreeSet::new(),
            (Object::Set, name) => match self.diff.sets.get(name) {
                Some(SetChange::Created(set) | SetChange::Removed(set)) => {
                    self.of(references_of(&set.elements).into_iter())
                }
                Some(SetChange::Elements { remove, add }) => {
                    self.of(references_of(remove).into_iter().chain(references_of(add)))
                }
                Some(SetChange::Recreated { .. }) | None => BTreeSet::new(),
            },
        };
        self.known.insert(object.clone(), reached.clone());
        reached
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
            (Object::Counter, _) => 0,
        };
        self.known.insert(object, weight);
        weight
    }
}

/// What a chain leads to, looks up and counts in as it comes.
pub(super) fn references_of_chain(change: Option<&ChainChange>) -> BTreeSet<(Object, Name)> {
    let rules = match change {
        Some(ChainChange::Created(chain)) => &chain.rules,
        Some(ChainChange::Rewritten { rules, .. }) => rules,
        Some(ChainChange::Removed(_) | ChainChange::Recreated { .. }) | None => return BTreeSet::new(),
    };
    references_of_rules(rules).collect()
}

pub(super) fn references_of_rules(rules: &[Rule]) -> impl Iterator<Item = (Object, Name)> {
    Chain::statements_of(rules).flat_map(references_of_statement)
}

fn references_of_statement(statement: &Statement) -> impl Iterator<Item = (Object, Name)> {
    let sets = statement.lookups().map(|(_, set)| (Object::Set, set.clone()));
    let counter = statement.named_counter().map(|counter| (Object::Counter, counter.clone()));
    sets.chain(counter).chain(statement.target().map(|chain| (Object::Chain, chain.clone())))
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

//! What differs between two rulesets. That an edit gives the same difference as a comparison, and that its transaction
//! makes the one ruleset of the other, is held by `tests::laws` against the fake and by `tests::kernel` against nft.

mod dependents;
mod parts;
mod steps;
mod summary;
mod then;

pub use parts::Division;
pub use summary::Summary;

use std::collections::BTreeMap;

use crate::{Chain, Comment, Elements, Name, NamedCounter, Rule, Ruleset, Set};

/// What must change to make one ruleset another: only what really differs.
///
/// A chain or set that changes in what the kernel cannot change (hook, type, comment) is re-created, and then whatever
/// refers to it and stays is among the changes too, since its references must be released and made anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What becomes of the table itself.
    pub table: TableChange,
    /// What becomes of chains.
    pub chains: BTreeMap<Name, ChainChange>,
    /// What becomes of sets.
    pub sets: BTreeMap<Name, SetChange>,
    /// What becomes of named counters.
    pub counters: BTreeMap<Name, CounterChange>,
}

/// What becomes of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TableChange {
    /// It stays.
    #[default]
    Kept,
    /// It is not there. All that it shall hold is created.
    Created {
        /// Its comment.
        comment: Option<Comment>,
    },
    /// It has another comment, or holds foreign objects, which only go with the table. All that it shall hold is
    /// created.
    Recreated {
        /// Its comment.
        comment: Option<Comment>,
    },
}

/// What becomes of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainChange {
    /// It is new.
    Created(Chain),
    /// It goes.
    Removed(Chain),
    /// It stays, its rules are written anew.
    Rewritten {
        /// Its rules so far.
        before: Vec<Rule>,
        /// Its rules from now on.
        rules: Vec<Rule>,
    },
    /// It goes and comes under the same name.
    Recreated {
        /// As it was.
        before: Chain,
        /// As it shall be.
        chain: Chain,
    },
}

/// What becomes of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetChange {
    /// It is new.
    Created(Set),
    /// It goes.
    Removed(Set),
    /// It stays, its elements change. A key of a map whose verdict changes is in both.
    Elements {
        /// What goes, with the verdicts that it had.
        remove: Elements,
        /// What then comes.
        add: Elements,
    },
    /// It goes and comes under the same name.
    Recreated {
        /// As it was.
        before: Set,
        /// As it shall be.
        set: Set,
    },
}

/// What becomes of a named counter. One that stays is as it is: what it has counted goes on, and its comment with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CounterChange {
    /// It is new, and begins with nothing.
    Created(NamedCounter),
    /// It goes, and what it has counted with it.
    Removed(NamedCounter),
}

/// The difference between what a table holds (`None`: there is no such table) and what it shall hold.
///
/// Both are of the same table: a `from` of another name counts as none. Foreign rules and objects in `to` are never
/// written.
pub fn diff(from: Option<&Ruleset>, to: &Ruleset) -> Diff {
    let Ruleset { table, comment, chains, sets, counters, foreign } = to;
    let comment = comment.clone();
    match from.filter(|from| from.table == *table) {
        None => everything(TableChange::Created { comment }, to),
        Some(from) if from.comment != comment || from.foreign != *foreign => {
            everything(TableChange::Recreated { comment }, to)
        }
        Some(from) => {
            let mut diff = Diff {
                table: TableChange::Kept,
                chains: compare(&from.chains, chains, ChainChange::between),
                sets: compare(&from.sets, sets, SetChange::between),
                counters: compare(&from.counters, counters, CounterChange::between),
            };
            diff.include_dependents(to);
            diff
        }
    }
}

impl Diff {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { table, chains, sets, counters } = self;
        *table == TableChange::Kept && chains.is_empty() && sets.is_empty() && counters.is_empty()
    }
}

impl ChainChange {
    /// What makes `to` of `from`, where they differ.
    pub(crate) fn between(from: Option<&Chain>, to: Option<&Chain>) -> Option<Self> {
        match (from, to) {
            (None, None) => None,
            (None, Some(to)) => Some(Self::Created(to.clone())),
            (Some(from), None) => Some(Self::Removed(from.clone())),
            (Some(from), Some(to)) if from == to => None,
            (Some(from), Some(to)) if from.base == to.base && from.comment == to.comment => {
                Some(Self::Rewritten { before: from.rules.clone(), rules: to.rules.clone() })
            }
            (Some(from), Some(to)) => Some(Self::Recreated { before: from.clone(), chain: to.clone() }),
        }
    }
}

impl SetChange {
    /// What makes `to` of `from`, where they differ.
    pub(crate) fn between(from: Option<&Set>, to: Option<&Set>) -> Option<Self> {
        match (from, to) {
            (None, None) => None,
            (None, Some(to)) => Some(Self::Created(to.clone())),
            (Some(from), None) => Some(Self::Removed(from.clone())),
            (Some(from), Some(to)) => {
                let same_comment = from.comment == to.comment;
                match from.elements.difference_to(&to.elements) {
                    Some((remove, add)) if same_comment => Self::of_elements(remove, add),
                    _ => Some(Self::Recreated { before: from.clone(), set: to.clone() }),
                }
            }
        }
    }

    /// The change of elements, where there is any.
    pub(crate) fn of_elements(remove: Elements, add: Elements) -> Option<Self> {
        let nothing = remove.is_empty() && add.is_empty();
        (!nothing).then_some(Self::Elements { remove, add })
    }
}

impl CounterChange {
    /// What makes `to` of `from`, where there is one and not the other.
    pub(crate) fn between(from: Option<&NamedCounter>, to: Option<&NamedCounter>) -> Option<Self> {
        match (from, to) {
            (None, Some(to)) => Some(Self::Created(to.clone())),
            (Some(from), None) => Some(Self::Removed(from.clone())),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    /// Whether it goes.
    pub(crate) fn is_removal(&self) -> bool {
        matches!(self, Self::Removed(_))
    }
}

fn everything(table: TableChange, to: &Ruleset) -> Diff {
    Diff {
        table,
        chains: compare(&BTreeMap::new(), &to.chains, ChainChange::between),
        sets: compare(&BTreeMap::new(), &to.sets, SetChange::between),
        counters: compare(&BTreeMap::new(), &to.counters, CounterChange::between),
    }
}

fn compare<T, C>(
    from: &BTreeMap<Name, T>,
    to: &BTreeMap<Name, T>,
    between: impl Fn(Option<&T>, Option<&T>) -> Option<C>,
) -> BTreeMap<Name, C> {
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    gone.chain(to.keys()).filter_map(|name| Some((name.clone(), between(from.get(name), to.get(name))?))).collect()
}

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::diff::{ChainChange, CounterChange, SetChange};
use crate::{Chain, Diff, Elements, ElementsKind, Name, NamedCounter, Rule, Ruleset, Set, Table, TableChange};

/// A replacement of some objects of a [`Ruleset`], by name. What it does not name stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Chains as they shall be; `None`: gone.
    pub chains: BTreeMap<Name, Option<Chain>>,
    /// Sets.
    pub sets: BTreeMap<Name, SetEdit>,
    /// Counters that shall be there, whatever their comments; `None`: gone.
    pub counters: BTreeMap<Name, Option<NamedCounter>>,
}

/// What becomes of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetEdit {
    /// It shall be this, whatever it was.
    Put(Set),
    /// Some of its elements go, then others come: both of the set's own type. An element to add that is there already
    /// (in a map: with the same verdict), or one to remove that is not, is not an error and changes nothing. In a map,
    /// adding a key that is there gives it the new verdict.
    Elements {
        /// What comes.
        add: Elements,
        /// What goes (in a map the verdicts do not matter).
        remove: Elements,
    },
    /// It shall be gone.
    Remove,
}

/// Why a ruleset cannot be edited so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// Elements are edited of a set that is not there: put the set first.
    #[error("cannot edit the elements of set {0}: there is no such set")]
    NoSuchSet(Name),
    /// Elements are of another type than the set's: put a set of the new type instead.
    #[error("cannot put elements of type {given:?} into set {set}, or take them out: it is of type {kind:?}")]
    WrongKind {
        /// The set.
        set: Name,
        /// Its type.
        kind: ElementsKind,
        /// The type of the elements.
        given: ElementsKind,
    },
    /// A foreign rule is put into a chain: such rules can only be found, never written.
    #[error("cannot put a foreign rule into chain {0}")]
    ForeignRule(Name),
}

impl Ruleset {
    /// The table `table` with nothing in it.
    pub fn empty(table: impl Into<Table>) -> Self {
        Self {
            table: table.into(),
            comment: None,
            chains: BTreeMap::new(),
            sets: BTreeMap::new(),
            counters: BTreeMap::new(),
            foreign: BTreeSet::new(),
        }
    }

    /// Replaces what `edit` names, and gives what really changed: the same as [`crate::diff`] of the ruleset before and
    /// after.
    ///
    /// Costs in proportion to the edit and to what it replaces. Only where it re-creates something (a chain with another
    /// hook or comment, a set with another type or comment) is the whole ruleset searched for references.
    ///
    /// # Errors
    /// [`EditError`]: then nothing is changed. That what rules and verdicts name is there is not looked at.
    pub fn apply(&mut self, edit: Edit) -> Result<Diff, EditError> {
        self.check(&edit)?;
        let Edit { chains, sets, counters } = edit;
        let mut diff = Diff {
            table: TableChange::Kept,
            chains: collect(chains, |name, chain| self.replace_chain(name, chain)),
            sets: collect(sets, |name, edit| self.edit_set(name, edit)),
            counters: collect(counters, |name, counter| self.edit_counter(name, counter)),
        };
        diff.include_dependents(self);
        Ok(diff)
    }

    fn check(&self, edit: &Edit) -> Result<(), EditError> {
        for (name, chain) in &edit.chains {
            if chain.iter().any(|chain| chain.rules.contains(&Rule::Foreign)) {
                return Err(EditError::ForeignRule(name.clone()));
            }
        }
        for (name, edit) in &edit.sets {
            if let SetEdit::Elements { add, remove } = edit {
                let kind = self.sets.get(name).ok_or_else(|| EditError::NoSuchSet(name.clone()))?.elements.kind();
                if let Some(given) = [add.kind(), remove.kind()].into_iter().find(|given| *given != kind) {
                    return Err(EditError::WrongKind { set: name.clone(), kind, given });
                }
            }
        }
        Ok(())
    }

    fn replace_chain(&mut self, name: &Name, chain: Option<Chain>) -> Option<ChainChange> {
        let change = ChainChange::between(self.chains.get(name), chain.as_ref())?;
        match chain {
            Some(chain) => self.chains.insert(name.clone(), chain),
            None => self.chains.remove(name),
        };
        Some(change)
    }

    fn edit_set(&mut self, name: &Name, edit: SetEdit) -> Option<SetChange> {
        match edit {
            SetEdit::Put(set) => {
                let change = SetChange::between(self.sets.get(name), Some(&set))?;
                self.sets.insert(name.clone(), set);
                Some(change)
            }
            SetEdit::Remove => self.sets.remove(name).map(SetChange::Removed),
            SetEdit::Elements { add, remove } => {
                let (removed, added) = self.sets.get_mut(name)?.elements.edit(&remove, &add)?;
                SetChange::of_elements(removed, added)
            }
        }
    }

    /// One that is there stays as it is.
    fn edit_counter(&mut self, name: &Name, counter: Option<NamedCounter>) -> Option<CounterChange> {
        let change = CounterChange::between(self.counters.get(name), counter.as_ref())?;
        match counter {
            Some(counter) => self.counters.insert(name.clone(), counter),
            None => self.counters.remove(name),
        };
        Some(change)
    }
}

fn collect<E, C>(edits: BTreeMap<Name, E>, mut apply: impl FnMut(&Name, E) -> Option<C>) -> BTreeMap<Name, C> {
    edits.into_iter().filter_map(|(name, edit)| apply(&name, edit).map(|change| (name, change))).collect()
}

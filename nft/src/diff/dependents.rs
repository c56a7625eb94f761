use std::collections::BTreeSet;

use super::{ChainChange, Diff, SetChange};
use crate::{Chain, Elements, Name, Ruleset, Set};

impl Diff {
    /// Adds what stays and refers to something that is re-created. Looks through `to`, the ruleset after the change,
    /// only where anything is.
    pub(crate) fn include_dependents(&mut self, to: &Ruleset) {
        let recreated = Recreated::of(self);
        if recreated.chains.is_empty() && recreated.sets.is_empty() {
            return;
        }
        for (name, chain) in &to.chains {
            if !self.chains.contains_key(name) && recreated.concerns(chain) {
                let rewritten = ChainChange::Rewritten { before: chain.rules.clone(), rules: chain.rules.clone() };
                self.chains.insert(name.clone(), rewritten);
            }
        }
        for (name, set) in &to.sets {
            self.renew_elements(name, set, &recreated);
        }
    }

    fn renew_elements(&mut self, name: &Name, set: &Set, recreated: &Recreated) {
        let mut renewed = recreated.concerned(&set.elements);
        if renewed.is_empty() {
            return;
        }
        match self.sets.get_mut(name) {
            None => {
                self.sets.insert(name.clone(), SetChange::Elements { remove: renewed.clone(), add: renewed });
            }
            Some(SetChange::Elements { remove, add }) => {
                let none = Elements::empty(set.elements.kind());
                renewed.edit(add, &none);
                remove.edit(&none, &renewed);
                add.edit(&none, &renewed);
            }
            Some(SetChange::Created(_) | SetChange::Removed(_) | SetChange::Recreated { .. }) => {}
        }
    }
}

struct Recreated {
    chains: BTreeSet<Name>,
    sets: BTreeSet<Name>,
}

impl Recreated {
    fn of(diff: &Diff) -> Self {
        let chains = diff.chains.iter().filter(|(_, change)| matches!(change, ChainChange::Recreated { .. }));
        let sets = diff.sets.iter().filter(|(_, change)| matches!(change, SetChange::Recreated { .. }));
        Self {
            chains: chains.map(|(name, _)| name.clone()).collect(),
            sets: sets.map(|(name, _)| name.clone()).collect(),
        }
    }

    fn concerns(&self, chain: &Chain) -> bool {
        chain.statements().any(|statement| {
            statement.target().is_some_and(|chain| self.chains.contains(chain))
                || statement.lookups().any(|(_, set)| self.sets.contains(set))
        })
    }

    /// Those elements that lead to a chain that is re-created.
    fn concerned(&self, elements: &Elements) -> Elements {
        elements.with_verdict(|verdict| verdict.target().is_some_and(|chain| self.chains.contains(chain)))
    }
}

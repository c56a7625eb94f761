use super::{ChainChange, Diff, SetChange};
use crate::{Chain, Elements, Name, Ruleset};

impl Diff {
    /// Adds what stays and refers to something that is re-created. Looks through `to`, the ruleset after the change,
    /// only where anything is.
    pub(crate) fn include_dependents(&mut self, to: &Ruleset) {
        if !self.recreates_objects() {
            return;
        }
        to.chains.iter().for_each(|(name, chain)| self.renew_chain(name, chain));
        to.sets.iter().for_each(|(name, set)| self.renew_elements(name, &set.elements));
    }

    /// The same of a chain that stays as it is.
    pub(super) fn renew_chain(&mut self, name: &Name, chain: &Chain) {
        if !self.chains.contains_key(name) && self.refers_to_new(chain) {
            let rewritten = ChainChange::Rewritten { before: chain.rules.clone(), rules: chain.rules.clone() };
            self.chains.insert(name.clone(), rewritten);
        }
    }

    /// The same of elements that the set holds afterwards.
    pub(super) fn renew_elements(&mut self, name: &Name, elements: &Elements) {
        let mut renewed =
            elements.with_verdict(|verdict| verdict.target().is_some_and(|chain| self.recreates_chain(chain)));
        if renewed.is_empty() {
            return;
        }
        match self.sets.get_mut(name) {
            None => {
                self.sets.insert(name.clone(), SetChange::Elements { remove: renewed.clone(), add: renewed });
            }
            Some(SetChange::Elements { remove, add }) => {
                let none = Elements::empty(elements.kind());
                renewed.edit(add, &none);
                remove.edit(&none, &renewed);
                add.edit(&none, &renewed);
            }
            Some(SetChange::Created(_) | SetChange::Removed(_) | SetChange::Recreated { .. }) => {}
        }
    }

    /// Whether a rule refers to something that is re-created.
    fn refers_to_new(&self, chain: &Chain) -> bool {
        let is_recreated = |set: &Name| matches!(self.sets.get(set), Some(SetChange::Recreated { .. }));
        chain.statements().any(|statement| {
            statement.target().is_some_and(|chain| self.recreates_chain(chain))
                || statement.lookups().any(|(_, set)| is_recreated(set))
        })
    }

    fn recreates_chain(&self, chain: &Name) -> bool {
        matches!(self.chains.get(chain), Some(ChainChange::Recreated { .. }))
    }
}

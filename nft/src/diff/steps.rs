//! Differences that packets in flight must not see as one.
//!
//! A packet that is in a base chain while that goes may still be judged by its rules, but no longer finds the elements
//! that they look up: it passes where it would have been dropped. And the chain that comes in its place, if it stands
//! earlier, may have let it through a moment before, when it had no rules. (Measured with two chains replaced by two of
//! other priorities: one packet of 300,000 in 600 rounds, and with it the connection that it began.) So both judge for a
//! while.

use std::borrow::Cow;

use super::{ChainChange, Diff, SetChange, TableChange};

impl Diff {
    /// The same difference in the steps that are safe for packets in flight, each to be committed by itself: for nearly
    /// every difference that is one. Where base chains go and others come, first all that comes does, then the base
    /// chains go, and then what they used.
    ///
    /// Not where something is re-created under its name: it cannot be there twice. Layouts that differ in what a name is
    /// differ in the name too.
    pub fn steps(&self) -> Vec<Cow<'_, Self>> {
        if !self.replaces_base_chains() || self.recreates() {
            return vec![Cow::Borrowed(self)];
        }
        let of_base = |change: &ChainChange| matches!(change, ChainChange::Removed { base: Some(_), .. });
        let of_other = |change: &ChainChange| matches!(change, ChainChange::Removed { base: None, .. });
        let comes = self.part(|chain| !of_base(chain) && !of_other(chain), |set| !is_removed(set));
        let unhooked = self.part(of_base, |_| false);
        let retired = self.part(of_other, is_removed);
        [comes, unhooked, retired].into_iter().filter(|step| !step.is_empty()).map(Cow::Owned).collect()
    }

    fn replaces_base_chains(&self) -> bool {
        let goes = |change: &ChainChange| matches!(change, ChainChange::Removed { base: Some(_), .. });
        let comes = |change: &ChainChange| matches!(change, ChainChange::Created(chain) if chain.base.is_some());
        self.chains.values().any(goes) && self.chains.values().any(comes)
    }

    fn recreates(&self) -> bool {
        self.table != TableChange::Kept
            || self.chains.values().any(|change| matches!(change, ChainChange::Recreated { .. }))
            || self.sets.values().any(|change| matches!(change, SetChange::Recreated { .. }))
    }

    fn part(&self, of_chains: impl Fn(&ChainChange) -> bool, of_sets: impl Fn(&SetChange) -> bool) -> Self {
        let chains = self.chains.iter().filter(|(_, change)| of_chains(change));
        let sets = self.sets.iter().filter(|(_, change)| of_sets(change));
        Self {
            table: self.table.clone(),
            chains: chains.map(|(name, change)| (name.clone(), change.clone())).collect(),
            sets: sets.map(|(name, change)| (name.clone(), change.clone())).collect(),
        }
    }
}

fn is_removed(change: &SetChange) -> bool {
    matches!(change, SetChange::Removed { .. })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{BaseChain, Chain, Elements, ElementsKind, Name, Ruleset, Set, Transaction, diff};

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    /// A base chain, a chain and a set, all called after `word`.
    fn layout(word: &str, priority: i32) -> Ruleset {
        let base = Chain { base: Some(BaseChain { priority }), ..Chain::default() };
        let chains = [(format!("base-{word}"), base), (format!("chain-{word}"), Chain::default())];
        let set = Set { elements: Elements::empty(ElementsKind::Ipv4), comment: None };
        Ruleset {
            chains: chains.map(|(word, chain)| (name(&word), chain)).into(),
            sets: BTreeMap::from([(name(&format!("set-{word}")), set)]),
            ..Ruleset::empty(name("palisade"))
        }
    }

    fn steps(before: &Ruleset, after: &Ruleset) -> Vec<String> {
        let commands = |diff: &crate::Diff| Transaction::from(diff).to_string().replace('\n', "; ");
        diff(Some(before), after).steps().iter().map(|step| commands(step)).collect()
    }

    #[test]
    fn what_comes_is_there_before_what_was_goes() {
        let steps = steps(&layout("old", -5), &layout("new", -20));
        assert_eq!(steps.len(), 3, "{steps:#?}");
        assert!(steps[0].contains("base-new") && !steps[0].contains("old"), "{steps:#?}");
        assert_eq!(steps[1].trim_end_matches("; "), "delete chain base-old");
        assert!(steps[2].contains("chain-old") && steps[2].contains("set-old"), "{steps:#?}");
    }

    #[test]
    fn everything_else_is_one_step() {
        let ruleset = layout("old", -5);
        let mut hooked = ruleset.clone();
        hooked.chains.insert(name("more"), ruleset.chains[&name("base-old")].clone());
        let mut renamed = layout("new", -5);
        renamed.chains.insert(name("base-old"), ruleset.chains[&name("base-old")].clone());
        renamed.chains.remove(&name("base-new"));
        for (before, after) in [
            (&ruleset, &hooked),
            (&hooked, &ruleset),
            (&ruleset, &renamed),
            (&ruleset, &layout("old", -20)),
            (&ruleset, &Ruleset::empty(name("palisade"))),
        ] {
            assert_eq!(steps(before, after).len(), 1);
        }
    }
}

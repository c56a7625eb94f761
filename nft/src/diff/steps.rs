//! Differences that packets in flight must not see as one. What the kernel (6.18) does, and what was measured with 6,000
//! packets a second:
//!
//! - A packet goes through a base chain with the rules of the moment in which it came in, but looks up the elements of the
//!   moment of the lookup. If what rules look up goes together with them, an allowed packet is dropped on its way: one in
//!   some hundred edits of policies.
//! - A set of ranges finds its elements only when the rest of the transaction is in force already. If rules that look it up
//!   come together with it, allowed packets are dropped for a moment: two in some hundred edits.
//! - Where a base chain takes the place of another, a forbidden packet can pass the one while it has no rules yet, and the
//!   other when it has none any more: one in some 2,000 replacements, and with it the connection that it began.

use std::collections::BTreeMap;
use std::mem;

use super::{ChainChange, CounterChange, Diff, SetChange, TableChange};
use crate::Name;

impl Diff {
    /// The same difference in the steps that are safe for packets in flight, each to be committed by itself: first, if
    /// there are sets of ranges, all that is new and that nothing leads to yet; then all that changes what is judged; then,
    /// if there is any, base chains that go, and what nothing leads to any more ([`Diff::is_retirement`]). One step, where
    /// no set of ranges comes, and neither a set nor a base chain goes.
    ///
    /// Also one where the table is new, or something is re-created under its name: it cannot be there twice. Layouts that
    /// differ in what a name is differ in the name too.
    pub fn into_steps(mut self) -> Vec<Self> {
        let prepares = self.adds_ranges();
        if self.recreates() || !(prepares || self.removes_sets() || self.removes_base_chains()) {
            return vec![self];
        }
        let is_new = |chain: &ChainChange| matches!(chain, ChainChange::Created(chain) if chain.base.is_none());
        let is_retired = |chain: &ChainChange| matches!(chain, ChainChange::Removed(chain) if chain.base.is_none());
        let prepared = self.extract(
            |chain| prepares && is_new(chain),
            |set| prepares && matches!(set, SetChange::Created(_)),
            |counter| prepares && !counter.is_removal(),
        );
        let unhooked = self.extract(is_unhooked, |_| false, |_| false);
        let retired = self.extract(is_retired, is_removed, CounterChange::is_removal);
        [prepared, self, unhooked, retired].into_iter().filter(|step| !step.is_empty()).collect()
    }

    /// Whether it only takes away: as a later one of the [steps](Diff::into_steps), what packets in flight may still meet.
    pub fn is_retirement(&self) -> bool {
        self.table == TableChange::Kept
            && self.chains.values().all(|change| matches!(change, ChainChange::Removed(_)))
            && self.sets.values().all(is_removed)
            && self.counters.values().all(CounterChange::is_removal)
    }

    fn adds_ranges(&self) -> bool {
        self.sets.values().any(|change| matches!(change, SetChange::Created(set) if set.elements.kind().is_interval()))
    }

    fn removes_sets(&self) -> bool {
        self.sets.values().any(is_removed)
    }

    fn removes_base_chains(&self) -> bool {
        self.chains.values().any(is_unhooked)
    }

    pub(super) fn replaces_base_chains(&self) -> bool {
        let comes = |change: &ChainChange| matches!(change, ChainChange::Created(chain) if chain.base.is_some());
        self.removes_base_chains() && self.chains.values().any(comes)
    }

    fn recreates(&self) -> bool {
        self.table != TableChange::Kept || self.recreates_objects()
    }

    /// Whether something goes and comes under the same name.
    pub fn recreates_objects(&self) -> bool {
        self.chains.values().any(|change| matches!(change, ChainChange::Recreated { .. }))
            || self.sets.values().any(|change| matches!(change, SetChange::Recreated { .. }))
    }

    pub(super) fn extract(
        &mut self,
        of_chains: impl Fn(&ChainChange) -> bool,
        of_sets: impl Fn(&SetChange) -> bool,
        of_counters: impl Fn(&CounterChange) -> bool,
    ) -> Self {
        Self {
            table: TableChange::Kept,
            chains: extract(&mut self.chains, of_chains),
            sets: extract(&mut self.sets, of_sets),
            counters: extract(&mut self.counters, of_counters),
        }
    }
}

fn extract<C>(changes: &mut BTreeMap<Name, C>, wanted: impl Fn(&C) -> bool) -> BTreeMap<Name, C> {
    let (extracted, rest) = mem::take(changes).into_iter().partition(|(_, change)| wanted(change));
    *changes = rest;
    extracted
}

fn is_unhooked(change: &ChainChange) -> bool {
    matches!(change, ChainChange::Removed(chain) if chain.base.is_some())
}

pub(super) fn is_removed(change: &SetChange) -> bool {
    matches!(change, SetChange::Removed(_))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{
        Action, BaseChain, Chain, Elements, ElementsKind, Hook, Name, Rule, Ruleset, Set, Statement, Transaction,
        Verdict, diff,
    };

    fn name(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    /// A base chain, a chain and a set, all called after `word`.
    fn layout(word: &str, priority: i32) -> Ruleset {
        let base = Chain { base: Some(BaseChain { hook: Hook::Forward, priority }), ..Chain::default() };
        let chains = [(format!("base-{word}"), base), (format!("chain-{word}"), Chain::default())];
        let set = Set { elements: Elements::empty(ElementsKind::Ipv4), comment: None };
        Ruleset {
            chains: chains.map(|(word, chain)| (name(&word), chain)).into(),
            sets: BTreeMap::from([(name(&format!("set-{word}")), set)]),
            ..Ruleset::empty(name("palisade"))
        }
    }

    fn jump(to: &str) -> Statement {
        let action = Action::Verdict(Verdict::Jump(name(to)));
        Statement { action, ..Statement::default() }
    }

    fn steps(before: &Ruleset, after: &Ruleset) -> Vec<String> {
        let commands = |diff: &crate::Diff| Transaction::from(diff).to_string().replace('\n', "; ");
        diff(Some(before), after).into_steps().iter().map(commands).collect()
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
    fn what_was_looked_up_goes_after_the_rules() {
        let ruleset = layout("old", -5);
        let mut without = ruleset.clone();
        without.chains.remove(&name("chain-old"));
        without.sets.clear();
        without.chains.insert(name("more"), Chain::default());
        let steps = steps(&ruleset, &without);
        assert_eq!(steps.len(), 2, "{steps:#?}");
        assert!(steps[0].contains("add chain more") && !steps[0].contains("delete"), "{steps:#?}");
        assert!(steps[1].contains("delete chain chain-old") && steps[1].contains("delete set set-old"), "{steps:#?}");
    }

    #[test]
    fn ranges_are_there_before_the_rules_that_look_them_up() {
        let before = layout("old", -5);
        let mut after = before.clone();
        let ranges = Set { elements: Elements::empty(ElementsKind::Ipv4Ranges), comment: None };
        after.sets.insert(name("ranges"), ranges);
        after.chains.insert(name("new"), Chain::default());
        let base = after.chains.get_mut(&name("base-old")).unwrap();
        base.rules = vec![Rule::Own(jump("new"))];
        let steps = steps(&before, &after);
        assert_eq!(steps.len(), 2, "{steps:#?}");
        assert!(steps[0].contains("add set ranges") && steps[0].contains("add chain new"), "{steps:#?}");
        assert!(steps[1].contains("jump new") && !steps[0].contains("jump"), "{steps:#?}");
    }

    #[test]
    fn everything_else_is_one_step() {
        let ruleset = layout("old", -5);
        let mut hooked = ruleset.clone();
        hooked.chains.insert(name("more"), ruleset.chains[&name("base-old")].clone());
        for (before, after) in [(&ruleset, &hooked), (&hooked, &ruleset), (&ruleset, &layout("old", -20))] {
            assert_eq!(steps(before, after).len(), 1);
        }
    }
}

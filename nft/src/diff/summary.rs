use super::{ChainChange, CounterChange, Diff, SetChange};

/// How much a [`Diff`] writes, for logs and metrics. What is re-created, or written anew, counts on both sides; what a
/// re-created table held does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "counts of what they are named after")]
pub struct Summary {
    pub chains_added: usize,
    pub chains_removed: usize,
    pub rules_added: usize,
    pub rules_removed: usize,
    pub sets_added: usize,
    pub sets_removed: usize,
    pub elements_added: usize,
    pub elements_removed: usize,
    pub counters_added: usize,
    pub counters_removed: usize,
}

impl Diff {
    /// How much it writes.
    pub fn summary(&self) -> Summary {
        let Self { table: _, chains, sets, counters } = self;
        let mut summary = Summary::default();
        chains.values().for_each(|change| summary.count_chain(change));
        sets.values().for_each(|change| summary.count_set(change));
        counters.values().for_each(|change| summary.count_counter(change));
        summary
    }
}

impl Summary {
    fn count_chain(&mut self, change: &ChainChange) {
        match change {
            ChainChange::Created(chain) => {
                self.chains_added += 1;
                self.rules_added += chain.rules.len();
            }
            ChainChange::Removed(chain) => {
                self.chains_removed += 1;
                self.rules_removed += chain.rules.len();
            }
            ChainChange::Rewritten { before, rules } => {
                self.rules_added += rules.len();
                self.rules_removed += before.len();
            }
            ChainChange::Recreated { before, chain } => {
                self.chains_added += 1;
                self.chains_removed += 1;
                self.rules_added += chain.rules.len();
                self.rules_removed += before.rules.len();
            }
        }
    }

    fn count_set(&mut self, change: &SetChange) {
        match change {
            SetChange::Created(set) => {
                self.sets_added += 1;
                self.elements_added += set.elements.len();
            }
            SetChange::Removed(set) => {
                self.sets_removed += 1;
                self.elements_removed += set.elements.len();
            }
            SetChange::Elements { remove, add } => {
                self.elements_added += add.len();
                self.elements_removed += remove.len();
            }
            SetChange::Recreated { before, set } => {
                self.sets_added += 1;
                self.sets_removed += 1;
                self.elements_added += set.elements.len();
                self.elements_removed += before.elements.len();
            }
        }
    }

    fn count_counter(&mut self, change: &CounterChange) {
        match change {
            CounterChange::Created(_) => self.counters_added += 1,
            CounterChange::Removed(_) => self.counters_removed += 1,
        }
    }
}

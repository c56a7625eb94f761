//! Two differences, one after the other, as one.

use std::collections::BTreeMap;

use super::{ChainChange, CounterChange, Diff, SetChange, TableChange};
use crate::{Chain, Name, Set};

impl Diff {
    /// What makes of a ruleset what this, and then `later`, would make of it. Costs in proportion to `later`.
    ///
    /// What is written anew by both is written anew, although the second may take back what the first did.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        if later.table != TableChange::Kept || self.is_empty() {
            return later;
        }
        compose(&mut self.chains, later.chains, ChainChange::then);
        compose(&mut self.sets, later.sets, SetChange::then);
        compose(&mut self.counters, later.counters, CounterChange::then);
        self
    }
}

fn compose<C>(changes: &mut BTreeMap<Name, C>, later: BTreeMap<Name, C>, then: fn(C, C) -> Option<C>) {
    for (name, later) in later {
        let change = match changes.remove(&name) {
            Some(earlier) => then(earlier, later),
            None => Some(later),
        };
        changes.extend(change.map(|change| (name, change)));
    }
}

impl ChainChange {
    fn then(self, later: Self) -> Option<Self> {
        match (self, later) {
            (Self::Created(chain), Self::Rewritten { rules, .. }) => Some(Self::Created(Chain { rules, ..chain })),
            (Self::Created(_), later) => Self::between(None, later.after()),
            (Self::Removed(before), later) => Self::between(Some(&before), later.after()),
            (Self::Rewritten { before, .. }, Self::Rewritten { rules, .. }) => Some(Self::Rewritten { before, rules }),
            (Self::Rewritten { before: rules, .. }, Self::Removed(chain)) => {
                Some(Self::Removed(Chain { rules, ..chain }))
            }
            (Self::Rewritten { before: rules, .. }, Self::Recreated { before, chain }) => {
                Some(Self::Recreated { before: Chain { rules, ..before }, chain })
            }
            (Self::Recreated { before, chain }, Self::Rewritten { rules, .. }) => {
                Some(Self::Recreated { before, chain: Chain { rules, ..chain } })
            }
            (Self::Recreated { before, .. }, Self::Recreated { chain, .. }) => Some(Self::Recreated { before, chain }),
            (Self::Recreated { before, .. }, later) => Self::between(Some(&before), later.after()),
            (Self::Rewritten { .. }, later @ Self::Created(_)) => Some(later),
        }
    }

    /// The chain then, where that is known of a change alone.
    fn after(&self) -> Option<&Chain> {
        match self {
            Self::Created(chain) | Self::Recreated { chain, .. } => Some(chain),
            Self::Removed(_) | Self::Rewritten { .. } => None,
        }
    }
}

impl CounterChange {
    /// One that shall go and then come again stays.
    fn then(self, later: Self) -> Option<Self> {
        (self.is_removal() == later.is_removal()).then_some(later)
    }
}

impl SetChange {
    fn then(self, later: Self) -> Option<Self> {
        match (self, later) {
            (Self::Created(mut set), Self::Elements { remove, add }) => {
                set.elements.edit(&remove, &add);
                Some(Self::Created(set))
            }
            (Self::Created(_), later) => Self::between(None, later.after()),
            (Self::Removed(before), later) => Self::between(Some(&before), later.after()),
            (Self::Elements { mut remove, mut add }, Self::Elements { remove: then_remove, add: then_add }) => {
                remove.compose(&mut add, &then_remove, &then_add);
                Self::of_elements(remove, add)
            }
            (Self::Elements { remove, add }, Self::Removed(mut set)) => {
                set.elements.edit(&add, &remove);
                Some(Self::Removed(set))
            }
            (Self::Elements { remove, add }, Self::Recreated { mut before, set }) => {
                before.elements.edit(&add, &remove);
                Some(Self::Recreated { before, set })
            }
            (Self::Elements { .. }, later @ Self::Created(_)) => Some(later),
            (Self::Recreated { before, mut set }, Self::Elements { remove, add }) => {
                set.elements.edit(&remove, &add);
                Some(Self::Recreated { before, set })
            }
            (Self::Recreated { before, .. }, Self::Recreated { set, .. }) => Some(Self::Recreated { before, set }),
            (Self::Recreated { before, .. }, later) => Self::between(Some(&before), later.after()),
        }
    }

    /// Whether it makes no difference which of both comes first.
    pub(super) fn commutes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Elements { remove, add }, Self::Elements { remove: other_remove, add: other_add }) => {
                let others = [other_remove, other_add];
                [remove, add].iter().all(|elements| others.iter().all(|other| elements.has_no_key_of(other)))
            }
            _ => false,
        }
    }

    /// The set then, where that is known of a change alone.
    fn after(&self) -> Option<&Set> {
        match self {
            Self::Created(set) | Self::Recreated { set, .. } => Some(set),
            Self::Removed(_) | Self::Elements { .. } => None,
        }
    }
}

//! Two differences, one after the other, as one.

use std::collections::BTreeMap;

use super::{ChainChange, CounterChange, Diff, SetChange, TableChange};
use crate::{Chain, Elements, Name, Set};

/// What an object is after two changes that leave it as it was before, if there is one then.
type AsBefore<T> = Option<T>;

impl Diff {
    /// What makes of a ruleset what this, and then `later`, would make of it. Costs in proportion to `later`.
    ///
    /// What is written anew by both is written anew, although the second may take back what the first did; so is what leads
    /// to something that is re-created, although both leave it as it was.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        if later.table != TableChange::Kept || self.is_empty() {
            return later;
        }
        let (mut chains, mut elements) = (Vec::new(), Vec::new());
        compose(&mut self.chains, later.chains, |name, earlier, later| {
            let change = earlier.then(later);
            change.map_err(|same| chains.extend(same.map(|chain| (name.clone(), chain)))).ok()
        });
        compose(&mut self.sets, later.sets, |name, earlier, later| {
            let (change, same) = earlier.then(later);
            elements.extend(same.filter(|same| same.kind().is_map()).map(|same| (name.clone(), same)));
            change
        });
        compose(&mut self.counters, later.counters, |_, earlier, later| earlier.then(later));
        chains.iter().for_each(|(name, chain)| self.renew_chain(name, chain));
        elements.iter().for_each(|(name, elements)| self.renew_elements(name, elements));
        self
    }
}

fn compose<C>(
    changes: &mut BTreeMap<Name, C>,
    later: BTreeMap<Name, C>,
    mut then: impl FnMut(&Name, C, C) -> Option<C>,
) {
    for (name, later) in later {
        let change = match changes.remove(&name) {
            Some(earlier) => then(&name, earlier, later),
            None => Some(later),
        };
        changes.extend(change.map(|change| (name, change)));
    }
}

impl ChainChange {
    fn then(self, later: Self) -> Result<Self, AsBefore<Chain>> {
        match (self, later) {
            (Self::Created(chain), Self::Rewritten { rules, .. }) => Ok(Self::Created(Chain { rules, ..chain })),
            (Self::Created(_), later) => Self::since(None, &later),
            (Self::Removed(before), later) => Self::since(Some(before), &later),
            (Self::Rewritten { before, .. }, Self::Rewritten { rules, .. }) => Ok(Self::Rewritten { before, rules }),
            (Self::Rewritten { before: rules, .. }, Self::Removed(chain)) => {
                Ok(Self::Removed(Chain { rules, ..chain }))
            }
            (Self::Rewritten { before: rules, .. }, Self::Recreated { before, chain }) => {
                Ok(Self::Recreated { before: Chain { rules, ..before }, chain })
            }
            (Self::Recreated { before, chain }, Self::Rewritten { rules, .. }) => {
                Ok(Self::Recreated { before, chain: Chain { rules, ..chain } })
            }
            (Self::Recreated { before, .. }, Self::Recreated { chain, .. }) => Ok(Self::Recreated { before, chain }),
            (Self::Recreated { before, .. }, later) => Self::since(Some(before), &later),
            (Self::Rewritten { .. }, later @ Self::Created(_)) => Ok(later),
        }
    }

    fn since(before: Option<Chain>, later: &Self) -> Result<Self, AsBefore<Chain>> {
        Self::between(before.as_ref(), later.after()).ok_or(before)
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
    /// With elements that are in it afterwards, those among them that were before.
    fn then(self, later: Self) -> (Option<Self>, AsBefore<Elements>) {
        let change = match (self, later) {
            (Self::Created(mut set), Self::Elements { remove, add }) => {
                set.elements.edit(&remove, &add);
                Self::Created(set)
            }
            (Self::Created(_), later) => return Self::since(None, later),
            (Self::Removed(before), later) => return Self::since(Some(&before), later),
            (Self::Elements { mut remove, mut add }, Self::Elements { remove: then_remove, add: then_add }) => {
                let same = remove.compose(&mut add, &then_remove, &then_add);
                return (Self::of_elements(remove, add), Some(same));
            }
            (Self::Elements { remove, add }, Self::Removed(mut set)) => {
                set.elements.edit(&add, &remove);
                Self::Removed(set)
            }
            (Self::Elements { remove, add }, Self::Recreated { mut before, set }) => {
                before.elements.edit(&add, &remove);
                Self::Recreated { before, set }
            }
            (Self::Elements { .. }, later @ Self::Created(_)) => later,
            (Self::Recreated { before, mut set }, Self::Elements { remove, add }) => {
                set.elements.edit(&remove, &add);
                Self::Recreated { before, set }
            }
            (Self::Recreated { before, .. }, Self::Recreated { set, .. }) => Self::Recreated { before, set },
            (Self::Recreated { before, .. }, later) => return Self::since(Some(&before), later),
        };
        (Some(change), None)
    }

    fn since(before: Option<&Set>, later: Self) -> (Option<Self>, AsBefore<Elements>) {
        let after = match later {
            Self::Created(set) | Self::Recreated { set, .. } => Some(set),
            Self::Removed(_) | Self::Elements { .. } => None,
        };
        (Self::between(before, after.as_ref()), after.map(|set| set.elements))
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
}

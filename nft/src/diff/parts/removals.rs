//! What goes, in an order in which nothing is taken away that is still named.

use std::collections::{BTreeMap, BTreeSet};

use super::{Object, switches};
use crate::{ChainChange, Diff, Name, SetChange};

/// What `diff` removes: what names comes before what is named.
pub(super) fn in_order(diff: &Diff) -> Vec<(Name, Object)> {
    let counters = diff.counters.iter().filter(|(_, change)| change.is_removal());
    let counters = counters.map(|(name, _)| ((Object::Counter, name.clone()), BTreeSet::new()));
    let removed: BTreeMap<_, _> = chains_and_sets(diff).chain(counters).collect();
    let mut named = BTreeMap::<_, usize>::new();
    for reference in removed.values().flatten() {
        *named.entry(reference).or_default() += 1;
    }
    let mut order = Vec::new();
    let mut free: Vec<_> = removed.keys().filter(|object| !named.contains_key(object)).collect();
    while let Some(object) = free.pop() {
        order.push((object.1.clone(), object.0));
        for reference in removed.get(object).into_iter().flatten() {
            let by = named.get_mut(reference).expect("it was counted");
            *by -= 1;
            if *by == 0 {
                free.push(reference);
            }
        }
    }
    order.retain(|(name, object)| removed.contains_key(&(*object, name.clone())));
    order
}

/// What is named by what `diff` removes.
pub(super) fn references_in(diff: &Diff) -> impl Iterator<Item = (Object, Name)> {
    chains_and_sets(diff).flat_map(|(_, references)| references)
}

fn chains_and_sets(diff: &Diff) -> impl Iterator<Item = ((Object, Name), BTreeSet<(Object, Name)>)> {
    let chains = diff.chains.iter().filter_map(|(name, change)| match change {
        ChainChange::Removed(chain) => {
            Some(((Object::Chain, name.clone()), switches::references_of_rules(&chain.rules).collect()))
        }
        _ => None,
    });
    let sets = diff.sets.iter().filter_map(|(name, change)| match change {
        SetChange::Removed(set) => Some(((Object::Set, name.clone()), switches::references_of(&set.elements))),
        _ => None,
    });
    chains.chain(sets)
}

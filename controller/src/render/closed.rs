//! A table that is soon written, for as long as it takes to write the right one.

use std::collections::BTreeMap;

use palisade_nft::{Chain, Elements, Name, Ruleset, Set, Verdict};

use super::{dispatch_maps, names, pod};

/// Of `whole` all that does not depend on policies; and nothing is let to or from whoever is isolated, or judged by cluster
/// policies, in that direction. Who is only audited is open here.
pub fn closed(whole: &Ruleset) -> Ruleset {
    let mut closed = Ruleset { comment: whole.comment.clone(), ..Ruleset::empty(whole.table.clone()) };
    for name in dispatch_maps() {
        let Some(map) = whole.sets.get(&name) else { continue };
        closed.sets.insert(name, Set { elements: dropping(whole, &map.elements), comment: map.comment.clone() });
    }
    let is_first = |(name, chain): &(&Name, &Chain)| chain.base.is_some() || **name == names::layout();
    let mut left: Vec<Name> = whole.chains.iter().filter(is_first).map(|(name, _)| name.clone()).collect();
    while let Some(name) = left.pop() {
        let Some(chain) = whole.chains.get(&name).filter(|_| !closed.chains.contains_key(&name)) else { continue };
        for statement in chain.statements() {
            for (_, name) in statement.lookups() {
                if let Some(set) = whole.sets.get(name).filter(|_| !closed.sets.contains_key(name)) {
                    closed.sets.insert(name.clone(), set.clone());
                }
            }
            let counter = statement.named_counter().and_then(|name| whole.counters.get_key_value(name));
            closed.counters.extend(counter.map(|(name, counter)| (name.clone(), counter.clone())));
        }
        closed.chains.insert(name.clone(), chain.clone());
        // Those of pods are not among them: nothing leads there.
        left.extend(closed.targets(&name).cloned());
    }
    closed
}

/// A dispatch map that drops what led to chains that judge.
fn dropping(whole: &Ruleset, map: &Elements) -> Elements {
    match map {
        Elements::Ipv4Verdicts(map) => Elements::Ipv4Verdicts(judged(whole, map)),
        Elements::Ipv6Verdicts(map) => Elements::Ipv6Verdicts(judged(whole, map)),
        other => other.clone(),
    }
}

fn judged<A: Ord + Copy>(whole: &Ruleset, map: &BTreeMap<A, Verdict>) -> BTreeMap<A, Verdict> {
    let comment = |to: &Verdict| whole.chains.get(to.target()?)?.comment.as_ref();
    let judged = map.iter().filter(|(_, to)| !comment(to).is_some_and(pod::is_audit));
    judged.map(|(address, _)| (*address, Verdict::Drop)).collect()
}

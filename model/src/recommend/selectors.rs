//! Selectors that select these pods and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::stable::{is_naming, rank};
use crate::{Labels, Requirement, Selector};

/// Up to how many requirements the fewest are looked for; beyond that, few.
const SEARCHED: usize = 3;

/// A requirement that all of the pods meet, and which of the others do not, as bits.
struct Candidate {
    requirement: Requirement,
    excludes: Vec<u64>,
}

/// The selector of the fewest requirements that all `inside` meet and none of those `outside`: of labels that name workloads
/// where they do, then of any label, then of several values of one, then of labels that must be absent. It asks for one label
/// at least, if there is one that all of them have.
///
/// # Errors
/// Where there is none: the selector that selects the fewest others.
pub(super) fn exact(inside: &[&Labels], outside: &[&Labels]) -> Result<Selector, Selector> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut positive = 0;
    for tier in tiers(inside, outside) {
        let is_absence = matches!(tier, Tier::Absent(_));
        candidates.extend(tier.requirements().map(|requirement| Candidate::new(requirement, outside)));
        positive = if is_absence { positive } else { candidates.len() };
        if let Some(fewest) = fewest(&candidates, positive, outside.len()) {
            return Ok(fewest);
        }
    }
    if outside.is_empty() {
        return Ok(Selector::default());
    }
    Err(candidates.into_iter().map(|candidate| candidate.requirement).collect())
}

enum Tier {
    /// Labels that all have, with these values.
    Values(Vec<(Arc<str>, BTreeSet<Arc<str>>)>),
    /// Labels that none has.
    Absent(Vec<Arc<str>>),
}

impl Tier {
    fn requirements(self) -> Box<dyn Iterator<Item = Requirement>> {
        // What is no valid label, which the API server lets nobody write, is of no use.
        match self {
            Self::Values(labels) => {
                Box::new(labels.into_iter().filter_map(|(key, values)| Requirement::new(key, "In", values).ok()))
            }
            Self::Absent(keys) => {
                Box::new(keys.into_iter().filter_map(|key| Requirement::new::<&str>(key, "DoesNotExist", []).ok()))
            }
        }
    }
}

fn tiers(inside: &[&Labels], outside: &[&Labels]) -> [Tier; 4] {
    let mut values = BTreeMap::<&Arc<str>, (usize, BTreeSet<Arc<str>>)>::new();
    for (key, value) in inside.iter().flat_map(|labels| labels.iter()) {
        let (count, values) = values.entry(key).or_default();
        *count += 1;
        values.insert(value.clone());
    }
    let others = outside.iter().flat_map(|labels| labels.iter()).map(|(key, _)| key);
    let absent: BTreeSet<&Arc<str>> = others.filter(|key| !values.contains_key(key)).collect();
    let of_all = values.into_iter().filter(|(_, (count, _))| *count == inside.len());
    let mut of_all: Vec<(Arc<str>, BTreeSet<Arc<str>>)> =
        of_all.map(|(key, (_, values))| (key.clone(), values)).collect();
    of_all.sort_by(|(one, _), (other, _)| (rank(one), one).cmp(&(rank(other), other)));
    let (single, several): (Vec<_>, Vec<_>) = of_all.into_iter().partition(|(_, values)| values.len() == 1);
    let (naming, single): (Vec<_>, Vec<_>) = single.into_iter().partition(|(key, _)| is_naming(key));
    let absent = absent.into_iter().cloned().collect();
    [Tier::Values(naming), Tier::Values(single), Tier::Values(several), Tier::Absent(absent)]
}

impl Candidate {
    fn new(requirement: Requirement, outside: &[&Labels]) -> Self {
        let mut excludes = vec![0; outside.len().div_ceil(64)];
        for (at, labels) in outside.iter().enumerate() {
            excludes[at / 64] |= u64::from(!requirement.matches(labels)) << (at % 64);
        }
        Self { requirement, excludes }
    }
}

/// The fewest of the candidates that together exclude all of `outside`, those that come first; `None` where they do not. One
/// of them is among the first `positive`, if there are any.
fn fewest(candidates: &[Candidate], positive: usize, outside: usize) -> Option<Selector> {
    let all: Vec<usize> = (0..candidates.len()).collect();
    if candidates.is_empty() || missed(candidates, &all, outside) > 0 {
        return None;
    }
    let is_enough = |chosen: &[usize]| {
        (positive == 0 || chosen.iter().any(|at| *at < positive)) && missed(candidates, chosen, outside) == 0
    };
    let searched = (1..=SEARCHED.min(all.len())).find_map(|size| choose(all.len(), size, &is_enough));
    let chosen = searched.unwrap_or_else(|| few(candidates, all, &is_enough));
    Some(chosen.into_iter().map(|at| candidates[at].requirement.clone()).collect())
}

/// How many of `outside` none of the chosen excludes.
fn missed(candidates: &[Candidate], chosen: &[usize], outside: usize) -> usize {
    let words = 0..outside.div_ceil(64);
    let excluded = |word: usize| chosen.iter().fold(0, |bits, at| bits | candidates[*at].excludes[word]);
    outside - words.map(|word| excluded(word).count_ones() as usize).sum::<usize>()
}

/// The first `size` of `count` that are enough.
fn choose(count: usize, size: usize, is_enough: &impl Fn(&[usize]) -> bool) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        if is_enough(&chosen) {
            return Some(chosen);
        }
        let last = (0..size).rev().find(|at| chosen[*at] < count - size + at)?;
        let first = chosen[last] + 1;
        chosen.iter_mut().skip(last).zip(first..).for_each(|(at, next)| *at = next);
    }
}

/// All, without those that are not needed: the last ones go first.
fn few(candidates: &[Candidate], all: Vec<usize>, is_enough: &impl Fn(&[usize]) -> bool) -> Vec<usize> {
    let mut kept = all;
    for at in (0..candidates.len()).rev() {
        let without: Vec<usize> = kept.iter().copied().filter(|one| *one != at).collect();
        if is_enough(&without) {
            kept = without;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        text.split(',').filter_map(|label| label.split_once('=')).collect()
    }

    fn selects(inside: &[&str], outside: &[&str]) -> (bool, String) {
        let [inside, outside] = [inside, outside].map(|all| all.iter().map(|one| labels(one)).collect::<Vec<_>>());
        let selector = exact(&inside.iter().collect::<Vec<_>>(), &outside.iter().collect::<Vec<_>>());
        (selector.is_ok(), selector.unwrap_or_else(|narrowest| narrowest).to_string())
    }

    #[test]
    fn the_fewest_labels_select_exactly_those_that_name_first() {
        for (inside, outside, expected) in [
            (&["app=web,team=a"][..], &["app=db,team=a"][..], "app=web"),
            (&["app=web,app.kubernetes.io/name=shop"], &["app=db,app.kubernetes.io/name=shop"], "app=web"),
            (&["app=web,tier=a"], &["app=web,tier=b", "app=db,tier=a"], "app=web,tier=a"),
            (&["app=web,tier=a,team=x"], &["app=web,tier=b", "app=db,tier=a"], "app=web,tier=a"),
            (&["app=web,tier=a,team=x"], &["app=web,tier=a,team=y"], "team=x"),
            (&["app=web,version=2"], &["app=api,version=2"], "app=web"),
            (&["app=web"], &[], "app=web"),
            (&["team=x"], &[], "team=x"),
            (&[""], &[], "{}"),
            (&["app=web", "app=api"], &["app=db"], "app in (api,web)"),
            (&["app=web"], &["app=web,canary=yes"], "app=web,!canary"),
            (&[""], &["app=web"], "!app"),
        ] {
            assert_eq!(selects(inside, outside), (true, expected.to_owned()), "{inside:?} {outside:?}");
        }
    }

    #[test]
    fn where_no_selector_does_the_narrowest_is_told() {
        assert_eq!(selects(&["app=web"], &["app=web", "app=db"]), (false, "app=web".to_owned()));
        assert_eq!(selects(&[""], &[""]), (false, "{}".to_owned()));
        assert_eq!(selects(&["a=1,b=1", "a=2,b=2"], &["a=1,b=2"]), (false, "a in (1,2),b in (1,2)".to_owned()));
    }

    #[test]
    fn more_labels_than_are_searched_for_are_few() {
        let outside = ["a=0,b=1,c=1,d=1,e=1", "a=1,b=0,c=1,d=1,e=1", "a=1,b=1,c=0,d=1,e=1", "a=1,b=1,c=1,d=0,e=1"];
        assert_eq!(selects(&["a=1,b=1,c=1,d=1,e=1"], &outside), (true, "a=1,b=1,c=1,d=1".to_owned()));
    }

    #[test]
    fn what_is_no_valid_label_is_asked_for_by_nobody() {
        assert_eq!(selects(&["a b=1,app=web"], &["app=web"]), (false, "app=web".to_owned()));
    }
}

//! Which labelled things a selector may match, without trying them all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::postings::filed_under;
use crate::{Labels, Operator, Selector};

/// Things by their labels.
///
/// Invariant: a selector finds what it matches, and finds it once.
#[derive(Debug)]
pub(crate) struct Labelled<E> {
    all: BTreeSet<E>,
    /// By key, then by value.
    keys: HashMap<Arc<str>, HashMap<Arc<str>, BTreeSet<E>>>,
}

impl<E: Ord + Copy> Labelled<E> {
    pub(crate) fn insert(&mut self, labels: &Labels, thing: E) {
        self.all.insert(thing);
        for (key, value) in labels.iter() {
            self.keys.entry(key.clone()).or_default().entry(value.clone()).or_default().insert(thing);
        }
    }

    pub(crate) fn remove(&mut self, labels: &Labels, thing: E) {
        self.all.remove(&thing);
        for (key, value) in labels.iter() {
            let Some(values) = self.keys.get_mut(key) else { continue };
            if values.get_mut(value).is_some_and(|things| things.remove(&thing) && things.is_empty()) {
                values.remove(value);
            }
            if values.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    /// What the selector may match.
    pub(crate) fn candidates(&self, selector: &Selector) -> impl Iterator<Item = E> {
        self.sets(selector).into_iter().flatten().copied()
    }

    /// How much the selector may match.
    pub(crate) fn count(&self, selector: &Selector) -> usize {
        self.sets(selector).into_iter().map(BTreeSet::len).sum()
    }

    fn sets(&self, selector: &Selector) -> Vec<&BTreeSet<E>> {
        match filed_under(selector) {
            None => vec![&self.all],
            Some(requirement) => {
                let values = self.keys.get(requirement.key());
                match requirement.operator() {
                    Operator::In(asked) => values.iter().flat_map(|v| asked.iter().filter_map(|a| v.get(a))).collect(),
                    Operator::Exists | Operator::NotIn(_) | Operator::DoesNotExist => {
                        values.iter().flat_map(|values| values.values()).collect()
                    }
                }
            }
        }
    }
}

impl<E> Default for Labelled<E> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), keys: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Requirement;

    #[test]
    fn selectors_find_what_has_the_labels_they_ask_for() {
        let labels = [vec![], vec![("app", "web")], vec![("app", "db"), ("tier", "back")]].map(Labels::from_iter);
        let mut labelled = Labelled::default();
        for (thing, labels) in labels.iter().enumerate() {
            labelled.insert(labels, thing);
        }
        for (key, operator, values, expected) in [
            ("app", "In", &["web", "db"][..], &[1, 2][..]),
            ("app", "In", &["db"], &[2]),
            ("app", "In", &["cache"], &[]),
            ("tier", "Exists", &[], &[2]),
            ("absent", "Exists", &[], &[]),
            ("app", "NotIn", &["web"], &[0, 1, 2]),
        ] {
            let requirement = Requirement::new(key, operator, values.iter().copied()).unwrap();
            let mut found: Vec<usize> = labelled.candidates(&Selector::from_iter([requirement])).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{key} {operator} {values:?}");
        }
        for (thing, labels) in labels.iter().enumerate() {
            labelled.remove(labels, thing);
        }
        assert!(labelled.all.is_empty() && labelled.keys.is_empty());
    }
}

//! Which selectors may match some labels, without trying them all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::{Labels, Operator, Requirement, Selector};

/// Entries filed under one label that their selector asks for.
///
/// Invariant: labels that satisfy a selector find its entry, and find it once.
#[derive(Debug)]
pub(super) struct Postings<E> {
    keys: HashMap<Arc<str>, Key<E>>,
    /// The entries whose selectors ask for no label.
    rest: BTreeSet<E>,
}

#[derive(Debug)]
struct Key<E> {
    /// Asked for with any value.
    any: BTreeSet<E>,
    /// Asked for with this value, among others.
    values: HashMap<Arc<str>, BTreeSet<E>>,
}

impl<E: Ord + Clone> Postings<E> {
    pub(super) fn insert(&mut self, selector: &Selector, entry: E) {
        let Some(requirement) = filed_under(selector) else {
            self.rest.insert(entry);
            return;
        };
        let key = self.keys.entry(requirement.key().clone()).or_default();
        match requirement.operator() {
            Operator::In(values) => {
                for value in values {
                    key.values.entry(value.clone()).or_default().insert(entry.clone());
                }
            }
            Operator::Exists | Operator::NotIn(_) | Operator::DoesNotExist => {
                key.any.insert(entry);
            }
        }
    }

    pub(super) fn remove(&mut self, selector: &Selector, entry: &E) {
        let Some(requirement) = filed_under(selector) else {
            self.rest.remove(entry);
            return;
        };
        let Some(key) = self.keys.get_mut(requirement.key()) else { return };
        key.any.remove(entry);
        if let Operator::In(values) = requirement.operator() {
            for value in values {
                if key.values.get_mut(value).is_some_and(|entries| entries.remove(entry) && entries.is_empty()) {
                    key.values.remove(value);
                }
            }
        }
        if key.any.is_empty() && key.values.is_empty() {
            self.keys.remove(requirement.key());
        }
    }

    /// The entries whose selectors may match.
    pub(super) fn candidates(&self, labels: &Labels) -> impl Iterator<Item = &E> {
        let under_labels = labels.iter().filter_map(|(key, value)| {
            let key = self.keys.get(key)?;
            Some(key.any.iter().chain(key.values.get(value).into_iter().flatten()))
        });
        self.rest.iter().chain(under_labels.flatten())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.rest.is_empty()
    }
}

impl<E> Default for Postings<E> {
    fn default() -> Self {
        Self { keys: HashMap::new(), rest: BTreeSet::new() }
    }
}

impl<E> Default for Key<E> {
    fn default() -> Self {
        Self { any: BTreeSet::new(), values: HashMap::new() }
    }
}

/// The requirement on a label that must be there, the narrowest if there are several.
pub(super) fn filed_under(selector: &Selector) -> Option<&Requirement> {
    let narrowness = |requirement: &&Requirement| match requirement.operator() {
        Operator::In(values) => Some(values.len()),
        Operator::Exists => Some(usize::MAX),
        Operator::NotIn(_) | Operator::DoesNotExist => None,
    };
    selector.requirements().iter().filter(|r| narrowness(r).is_some()).min_by_key(narrowness)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(requirements: &[(&str, &str, &[&str])]) -> Selector {
        requirements.iter().map(|(k, op, v)| Requirement::new(*k, op, v.iter().copied()).unwrap()).collect()
    }

    #[test]
    fn labels_find_the_selectors_that_ask_for_them() {
        let selectors = [
            selector(&[]),
            selector(&[("app", "In", &["web", "db"])]),
            selector(&[("app", "Exists", &[]), ("tier", "In", &["front"])]),
            selector(&[("app", "Exists", &[])]),
            selector(&[("app", "NotIn", &["web"]), ("tier", "DoesNotExist", &[])]),
        ];
        let mut postings = Postings::default();
        for (entry, selector) in selectors.iter().enumerate() {
            postings.insert(selector, entry);
        }
        let found = |postings: &Postings<usize>, labels: &[(&str, &str)]| {
            let mut found: Vec<usize> = postings.candidates(&labels.iter().copied().collect()).copied().collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(&postings, &[]), [0, 4]);
        assert_eq!(found(&postings, &[("app", "web")]), [0, 1, 3, 4]);
        assert_eq!(found(&postings, &[("app", "cache"), ("tier", "front")]), [0, 2, 3, 4]);
        for (entry, selector) in selectors.iter().enumerate() {
            postings.remove(selector, &entry);
        }
        assert!(postings.is_empty());
    }
}

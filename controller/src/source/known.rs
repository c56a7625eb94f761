//! Which objects there are, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_model::NamespacedName;

/// The names of the objects of a kind, each with the list that named it last. Names alone: a cluster has many pods.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By namespace, then by name: no namespace is empty.
    names: BTreeMap<Arc<str>, BTreeMap<Box<str>, u32>>,
    len: usize,
}

impl Known {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an object, or marks it as named by the list `round`. Whether it was known before.
    pub(super) fn insert(&mut self, id: &NamespacedName, round: u32) -> bool {
        let names = match self.names.get_mut(&id.namespace) {
            Some(names) => names,
            None => self.names.entry(id.namespace.clone()).or_default(),
        };
        if let Some(seen) = names.get_mut(&*id.name) {
            *seen = round;
            return true;
        }
        names.insert((&*id.name).into(), round);
        self.len += 1;
        false
    }

    /// Removes an object. Whether it was known.
    pub(super) fn remove(&mut self, id: &NamespacedName) -> bool {
        let Some(names) = self.names.get_mut(&id.namespace) else { return false };
        let removed = names.remove(&*id.name).is_some();
        if names.is_empty() {
            self.names.remove(&id.namespace);
        }
        self.len -= usize::from(removed);
        removed
    }

    /// Removes what the list `round` did not name: in ascending order.
    pub(super) fn remove_others(&mut self, round: u32) -> Vec<NamespacedName> {
        let mut gone = Vec::new();
        for (namespace, names) in &mut self.names {
            names.retain(|name, seen| {
                let named = *seen == round;
                if !named {
                    gone.push(NamespacedName::new(namespace.clone(), &**name));
                }
                named
            });
        }
        self.names.retain(|_, names| !names.is_empty());
        self.len -= gone.len();
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NamespacedName {
        let (namespace, name) = name.split_once('/').unwrap();
        NamespacedName::new(namespace, name)
    }

    #[test]
    fn what_a_list_does_not_name_is_removed() {
        let mut known = Known::default();
        for name in ["b/z", "b/a", "a/x", "c/x"] {
            assert!(!known.insert(&id(name), 1));
        }
        assert!(known.insert(&id("b/a"), 2));
        assert_eq!(known.remove_others(2), [id("a/x"), id("b/z"), id("c/x")]);
        assert_eq!((known.len(), known.names.len()), (1, 1));
        assert_eq!(known.remove_others(2), []);
    }

    #[test]
    fn nothing_is_left_of_what_is_removed() {
        let mut known = Known::default();
        known.insert(&id("a/x"), 1);
        assert!(!known.remove(&id("a/y")) && !known.remove(&id("b/x")));
        assert_eq!(known.len(), 1);
        assert!(known.remove(&id("a/x")));
        assert!(!known.remove(&id("a/x")));
        assert_eq!((known.len(), known.names.len()), (0, 0));
    }
}

//! What has to come before what takes effect.

use std::collections::BTreeSet;

use super::switches::{self, Switch};
use super::{Object, is_of_map};
use crate::{ChainChange, Diff, Name, SetChange};

/// What has to be there before a switch, in order, and which maps change together with it.
#[derive(Default)]
pub(super) struct Needed {
    seen: BTreeSet<(Object, Name)>,
    pub(super) before: Vec<(Object, Name)>,
    pub(super) together: Vec<Name>,
}

impl Needed {
    pub(super) fn by(&mut self, switch: &Switch, rest: &Diff) {
        match switch {
            Switch::Chain(name) => self.by_references(switches::references_of_chain(rest.chains.get(name)), rest),
            Switch::Set(name) => self.by_references(switches::references_of_set(rest.sets.get(name)), rest),
            Switch::Entry { map, add, .. } => {
                self.by_references([(Object::Set, map.clone())].into(), rest);
                self.by_references(switches::references_of(add), rest);
            }
        }
    }

    fn by_references(&mut self, references: BTreeSet<(Object, Name)>, rest: &Diff) {
        for reference in references {
            let (object, name) = &reference;
            let references = match object {
                Object::Chain => match rest.chains.get(name) {
                    change @ Some(ChainChange::Created(_)) => switches::references_of_chain(change),
                    _ => continue,
                },
                Object::Set => match rest.sets.get(name) {
                    change @ Some(SetChange::Created(_) | SetChange::Elements { .. }) => {
                        switches::references_of_set(change)
                    }
                    _ => continue,
                },
                Object::Counter => continue,
            };
            if !self.seen.insert(reference.clone()) {
                continue;
            }
            self.by_references(references, rest);
            let is_live_map = *object == Object::Set && rest.sets.get(name).is_some_and(is_of_map);
            if is_live_map {
                self.together.push(reference.1);
            } else {
                self.before.push(reference);
            }
        }
    }
}

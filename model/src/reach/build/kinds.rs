//! Pods of one namespace with the same labels are of one kind.

use std::collections::HashMap;
use std::sync::Arc;

use crate::index::labelled::Labelled;
use crate::reach::PartyId;
use crate::reference::Cluster;
use crate::{Labels, NamespaceScope, PodGroup, Selector};

/// The number of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KindId(u32);

/// All kinds of pods.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    all: Vec<Kind>,
    spaces: Vec<Space>,
    /// The numbers of spaces, by name.
    names: HashMap<Arc<str>, usize>,
    /// The spaces whose namespaces are known.
    known: Labelled<usize>,
}

#[derive(Debug)]
struct Kind {
    labels: Labels,
    parties: Vec<PartyId>,
    /// How many pods these are.
    pods: usize,
}

/// A namespace.
#[derive(Debug, Default)]
struct Space {
    /// Where it is known.
    labels: Option<Labels>,
    ids: HashMap<Labels, KindId>,
    labelled: Labelled<KindId>,
}

impl Kinds {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let mut kinds = Self::default();
        for namespace in cluster.namespaces.values() {
            let space = kinds.space(&namespace.name);
            kinds.known.insert(&namespace.labels, space);
            kinds.spaces[space].labels = Some(namespace.labels.clone());
        }
        kinds
    }

    fn space(&mut self, name: &Arc<str>) -> usize {
        *self.names.entry(name.clone()).or_insert_with(|| {
            self.spaces.push(Space::default());
            self.spaces.len() - 1
        })
    }

    pub(super) fn of(&mut self, namespace: &Arc<str>, labels: &Labels) -> KindId {
        let space = self.space(namespace);
        let space = &mut self.spaces[space];
        if let Some(id) = space.ids.get(labels) {
            return *id;
        }
        let id = KindId(u32::try_from(self.all.len()).expect("fewer kinds than memory has room for"));
        self.all.push(Kind { labels: labels.clone(), parties: Vec::new(), pods: 0 });
        space.ids.insert(labels.clone(), id);
        space.labelled.insert(labels, id);
        id
    }

    /// Parties come in ascending order. `pods` of them are in none before.
    pub(super) fn add_party(&mut self, kind: KindId, party: PartyId, pods: usize) {
        let kind = &mut self.all[kind.number()];
        kind.parties.push(party);
        kind.pods += pods;
    }

    /// How many pods are of these kinds.
    pub(super) fn pods(&self, kinds: &[KindId]) -> usize {
        kinds.iter().map(|kind| self.all[kind.number()].pods).sum()
    }

    /// The parties of these kinds: ascending, each once.
    pub(super) fn parties(&self, kinds: &[KindId]) -> Vec<PartyId> {
        let mut parties: Vec<PartyId> =
            kinds.iter().flat_map(|kind| &self.all[kind.number()].parties).copied().collect();
        parties.sort_unstable();
        parties
    }

    /// The kinds of one namespace that a selector matches, each once.
    pub(super) fn within(&self, namespace: &str, pods: &Selector) -> Vec<KindId> {
        let space = self.names.get(namespace).map(|space| &self.spaces[*space]);
        space.into_iter().flat_map(|space| self.in_space(space, pods)).collect()
    }

    /// The kinds of a group, each once.
    pub(super) fn matching(&self, group: &PodGroup) -> Vec<KindId> {
        match &group.namespaces {
            NamespaceScope::Named(name) => self.within(name, &group.pods),
            NamespaceScope::Matching(selector) => {
                let spaces = self.known.candidates(selector).map(|space| &self.spaces[space]);
                let matches = |space: &&Space| space.labels.as_ref().is_some_and(|labels| selector.matches(labels));
                spaces.filter(matches).flat_map(|space| self.in_space(space, &group.pods)).collect()
            }
        }
    }

    fn in_space<'a>(&'a self, space: &'a Space, pods: &'a Selector) -> impl Iterator<Item = KindId> + 'a {
        space.labelled.candidates(pods).filter(|kind| pods.matches(&self.all[kind.number()].labels))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl KindId {
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

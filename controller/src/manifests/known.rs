//! What a directory held when it was last read.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use palisade_model::{Change, NamespacedName};

use super::Manifests;

/// The objects of a state of the directory, each as a fingerprint of 64 bits, keyed anew in every process: the objects themselves
/// are many times as large.
#[derive(Clone, Debug, Default)]
pub struct Known {
    keyed: RandomState,
    namespaces: BTreeMap<Arc<str>, u64>,
    nodes: BTreeMap<Arc<str>, u64>,
    pods: BTreeMap<NamespacedName, u64>,
    policies: BTreeMap<NamespacedName, u64>,
    cluster_policies: BTreeMap<Arc<str>, u64>,
}

impl Known {
    /// The events that lead to a new state, which is known then: for namespaces, then nodes, pods and policies of both kinds, first
    /// what came or changed, then what is gone, each by name.
    pub fn follow(&mut self, new: Manifests) -> Vec<Change> {
        let mut changes = Vec::new();
        let keyed = &self.keyed;
        follow(keyed, &mut self.namespaces, new.namespaces, Change::Namespace, Change::NamespaceGone, &mut changes);
        follow(keyed, &mut self.nodes, new.nodes, Change::Node, Change::NodeGone, &mut changes);
        follow(keyed, &mut self.pods, new.pods, Change::Pod, Change::PodGone, &mut changes);
        follow(keyed, &mut self.policies, new.policies, Change::Policy, Change::PolicyGone, &mut changes);
        let (known, new) = (&mut self.cluster_policies, new.cluster_policies);
        follow(keyed, known, new, Change::ClusterPolicy, Change::ClusterPolicyGone, &mut changes);
        changes
    }
}

fn follow<K: Ord, V: Hash>(
    keyed: &RandomState,
    known: &mut BTreeMap<K, u64>,
    new: BTreeMap<K, V>,
    set: impl Fn(V) -> Change,
    gone: impl Fn(K) -> Change,
    changes: &mut Vec<Change>,
) {
    let mut old = std::mem::take(known);
    *known = new
        .into_iter()
        .map(|(key, value)| {
            let print = keyed.hash_one(&value);
            if old.remove(&key) != Some(print) {
                changes.push(set(value));
            }
            (key, print)
        })
        .collect();
    changes.extend(old.into_keys().map(gone));
}

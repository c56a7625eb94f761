//! Lenient policies, while it is not known which pods other nodes have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Index;
use crate::{Change, ClusterPolicy, NamespacedName, Policy};

/// Policies as they are in whose stead others are enforced.
#[derive(Debug, Default)]
pub(super) struct Exact {
    policies: BTreeMap<NamespacedName, Policy>,
    cluster_policies: BTreeMap<Arc<str>, ClusterPolicy>,
}

impl Exact {
    /// What is to be taken in instead of `change`.
    pub(super) fn stand_in(&mut self, change: Change) -> Change {
        match &change {
            Change::Policy(Policy { id, .. }) | Change::PolicyGone(id) => drop(self.policies.remove(id)),
            Change::ClusterPolicy(ClusterPolicy { name, .. }) | Change::ClusterPolicyGone(name) => {
                drop(self.cluster_policies.remove(name));
            }
            _ => {}
        }
        match change {
            Change::Policy(policy) => match policy.lenient() {
                Some(lenient) => {
                    self.policies.insert(policy.id.clone(), policy);
                    Change::Policy(lenient)
                }
                None => Change::Policy(policy),
            },
            Change::ClusterPolicy(policy) => match policy.lenient() {
                Some(lenient) => {
                    self.cluster_policies.insert(policy.name.clone(), policy);
                    Change::ClusterPolicy(lenient)
                }
                None => Change::ClusterPolicy(policy),
            },
            change => change,
        }
    }
}

impl Index {
    /// Until [`Index::be_exact`] policies allow what they [allow at most](Policy::lenient) whichever pods other nodes have.
    pub fn be_lenient(&mut self) {
        if self.exact.is_some() {
            return;
        }
        self.exact = Some(Exact::default());
        let policies = self.cluster.spaces.iter().flat_map(|(_, space)| space.policies.values());
        let policies = policies.map(|policy| Change::Policy(Policy::clone(policy)));
        let cluster_policies = self.tiers.wanted().into_values().flatten().map(Change::ClusterPolicy);
        let changes: Vec<Change> = policies.chain(cluster_policies).collect();
        changes.into_iter().for_each(|change| self.apply(change));
    }

    /// Policies say what they say. No cluster policy falls back to what it was before.
    pub fn be_exact(&mut self) {
        let Some(Exact { policies, cluster_policies }) = self.exact.take() else { return };
        policies.into_values().for_each(|policy| self.apply(Change::Policy(policy)));
        self.offer_cluster_policies_anew(cluster_policies);
    }
}

//! Pods that are deleted, though their processes may run on: a deletion with `--force` does not wait for them.
//!
//! Invariant: a lingering pod is the only claimant of its one address. It isolates, and is nobody's peer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Index;
use super::objects::{Claim, ClassKey};
use super::slots::PodId;
use crate::{NamespacedName, Pod};

impl Index {
    /// Makes the index judge an address of a deleted local pod by that pod's policies until the address is another
    /// pod's, or [released](Index::release). As a peer the pod is gone at once.
    ///
    /// What lingers follows from what happened, not from the objects that there are: after a restart nothing does.
    #[must_use]
    pub fn keep_lingering(mut self) -> Self {
        self.keeps_lingering = true;
        self
    }

    /// An address of this node belongs to no pod any more: its route or its link is gone.
    pub fn release(&mut self, address: IpAddr) {
        if let Some(pod) = self.lingering.remove(&address) {
            let id = Pod::lingering_id(&pod, address);
            self.set_claim(&id, self.cluster.pod(&id), None);
        }
    }

    /// The addresses of deleted pods that are still judged, with the pods that had them.
    pub fn lingering(&self) -> &BTreeMap<IpAddr, NamespacedName> {
        &self.lingering
    }

    /// What a pod would leave behind if it were replaced by `next`, which may be another of its name, or gone.
    pub(super) fn left_behind(&self, pod: Option<PodId>, next: Option<&Pod>) -> Option<(ClassKey, Vec<IpAddr>)> {
        let pod = pod.filter(|_| self.keeps_lingering)?;
        let record = &self.cluster.pods[pod];
        let is_over = next.is_none_or(|next| next.age.created != record.claim.age.created);
        let key = || self.cluster.classes[record.class].key.clone();
        (record.claim.local && is_over).then(|| (key(), self.cluster.owned(pod).collect()))
    }

    pub(super) fn linger(&mut self, id: &NamespacedName, left: Option<&(ClassKey, Vec<IpAddr>)>) {
        for (key, address) in left.into_iter().flat_map(|(key, addresses)| addresses.iter().map(move |at| (key, *at))) {
            if self.cluster.owner(address).is_none() {
                let claim = (key.clone(), Claim::lingering(address));
                self.set_claim(&Pod::lingering_id(id, address), None, Some(claim));
                self.lingering.insert(address, id.clone());
            }
        }
    }
}

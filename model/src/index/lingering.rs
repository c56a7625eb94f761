//! Pods that are deleted, though their processes may run on: a deletion with `--force` does not wait for them.
//!
//! Invariants:
//! - A lingering pod is the only claimant of its one address. It isolates, and is nobody's peer.
//! - That a pod lingers does not take its address from it ([`Delta::disowned`](crate::Delta)): that comes when it is
//!   released.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::objects::{Claim, ClassKey};
use super::slots::PodId;
use super::{Index, is_judged};
use crate::{Age, NamespacedName, Phase, Pod};

/// What a pod leaves behind.
pub(super) struct Left {
    key: ClassKey,
    addresses: Vec<IpAddr>,
    /// Those of them that an earlier pod has lost since the last delta.
    disowned: BTreeSet<IpAddr>,
}

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

    /// The same, each as a pod with that address.
    pub fn lingering_pods(&self) -> impl Iterator<Item = Pod> {
        self.lingering.iter().filter_map(|(address, id)| {
            let entry = self.cluster.pod(&Pod::lingering_id(id, *address))?;
            let key = &self.cluster.classes[self.cluster.pods[entry].class].key;
            Some(Pod {
                id: id.clone(),
                uid: None,
                labels: key.labels.clone(),
                node: Some(self.node.clone()),
                ips: vec![*address],
                host_ips: Vec::new(),
                host_network: false,
                phase: Phase::Active,
                terminating: true,
                age: Age::default(),
                ports: key.ports.to_vec(),
            })
        })
    }

    /// Has a deleted pod of this node linger, of which another index told ([`Index::lingering_pods`]), at those of its addresses
    /// that no pod has.
    pub fn set_lingering(&mut self, pod: &Pod) {
        let left =
            Left { key: ClassKey::new(&pod.labels, &pod.ports), addresses: pod.ips.clone(), disowned: BTreeSet::new() };
        self.linger(&pod.id, Some(&left));
    }

    /// How many of them are isolated.
    pub(super) fn isolated_lingering(&self) -> usize {
        let is_isolated = |(address, id): &(&IpAddr, &NamespacedName)| {
            self.pods.get(&Pod::lingering_id(id, **address)).is_some_and(is_judged)
        };
        self.lingering.iter().filter(is_isolated).count()
    }

    /// What a pod would leave behind if it were replaced by `next`, which may be another of its name, or gone.
    pub(super) fn left_behind(&self, pod: Option<PodId>, next: Option<&Pod>) -> Option<Left> {
        let pod = pod.filter(|_| self.keeps_lingering)?;
        let record = &self.cluster.pods[pod];
        let is_over = next.is_none_or(|next| next.age.created != record.claim.age.created);
        (record.claim.local && is_over).then(|| {
            let addresses: Vec<_> = self.cluster.owned(pod).collect();
            let disowned = addresses.iter().copied().filter(|address| self.disowned.contains(address)).collect();
            Left { key: self.cluster.classes[record.class].key.clone(), addresses, disowned }
        })
    }

    pub(super) fn linger(&mut self, id: &NamespacedName, left: Option<&Left>) {
        for (left, address) in left.into_iter().flat_map(|left| left.addresses.iter().map(move |at| (left, *at))) {
            if self.cluster.owner(address).is_none() {
                let claim = (left.key.clone(), Claim::lingering(address));
                self.set_claim(&Pod::lingering_id(id, address), None, Some(claim));
                self.lingering.insert(address, id.clone());
                if !left.disowned.contains(&address) {
                    self.disowned.remove(&address);
                }
            }
        }
    }
}

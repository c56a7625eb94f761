//! Whose an address is, as it is told to people.

use std::net::IpAddr;
use std::sync::Arc;

use super::Index;
use super::slots::PodId;
use crate::{Labels, NamespacedName, workload};

/// Whose an address is, as far as the index knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerName {
    /// The pod that has it, or had it last where it is deleted.
    pub pod: Option<NamespacedName>,
    /// What that pod is one of ([`workload()`]).
    pub workload: Option<Arc<str>>,
    /// Whether that pod is deleted or has ended, so that it is nobody's peer.
    pub is_gone: bool,
    /// The node that has the address: this one, or one of the nodes that the index has been told of.
    pub node: Option<Arc<str>>,
}

impl Index {
    /// Whose an address is.
    pub fn peer(&self, address: IpAddr) -> PeerName {
        let owner = self.cluster.owner(address);
        PeerName {
            pod: owner.map(|pod| self.object_name(pod)),
            workload: owner.map(|pod| self.workload_of(pod)),
            is_gone: owner.is_some_and(|pod| self.cluster.pods[pod].claim.lingering),
            node: self.node_at(address),
        }
    }

    /// The local pod that has an address, by the name that the index puts it out under.
    pub fn local_owner(&self, address: IpAddr) -> Option<NamespacedName> {
        let owner = self.cluster.owner(address).filter(|pod| self.cluster.pods[*pod].claim.local)?;
        Some(self.cluster.pod_name(owner))
    }

    /// The local pods that own addresses, by the names that the index puts them out under.
    pub fn local_pods(&self) -> impl Iterator<Item = &NamespacedName> {
        self.locals.keys()
    }

    /// The addresses that they own.
    pub fn local_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.locals.values().flat_map(|pod| pod.addresses.iter().copied())
    }

    /// The pod of the API that the index puts out under a name: another where that one is deleted.
    pub fn object(&self, id: &NamespacedName) -> Option<NamespacedName> {
        Some(self.object_name(self.cluster.pod(id)?))
    }

    /// What a pod is one of ([`workload()`]), by the name that the index puts it out under.
    pub fn workload(&self, id: &NamespacedName) -> Option<Arc<str>> {
        Some(self.workload_of(self.cluster.pod(id)?))
    }

    /// The labels of a pod, by the name that the index puts it out under.
    pub fn labels(&self, id: &NamespacedName) -> Option<&Labels> {
        let pod = self.cluster.pod(id)?;
        Some(&self.cluster.classes[self.cluster.pods[pod].class].key.labels)
    }

    fn workload_of(&self, pod: PodId) -> Arc<str> {
        let labels = &self.cluster.classes[self.cluster.pods[pod].class].key.labels;
        workload(&self.object_name(pod).name, labels).into()
    }

    /// The name of the object, also where that is gone.
    fn object_name(&self, pod: PodId) -> NamespacedName {
        let record = &self.cluster.pods[pod];
        let gone = record.claim.addresses.iter().filter(|_| record.claim.lingering).find_map(|address| {
            let sandbox = self.sandbox_at(*address).and_then(|id| self.sandboxes().get(id));
            sandbox.map(|sandbox| &sandbox.pod.id).or_else(|| self.lingering.get(address))
        });
        gone.cloned().unwrap_or_else(|| self.cluster.pod_name(pod))
    }

    fn node_at(&self, address: IpAddr) -> Option<Arc<str>> {
        let is_own = self.bound_pods().any(|pod| pod.host_ips.contains(&address));
        let known = || self.cluster.nodes.values().find(|node| node.addresses.contains(&address));
        if is_own { Some(self.node.clone()) } else { known().map(|node| node.name.clone()) }
    }
}

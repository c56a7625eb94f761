//! Pods whose addresses are known from the node itself.
//!
//! Invariants:
//! - No two sandboxes have an address in common, and no claim without a sandbox prevails over one with.
//! - A sandbox is part of its pod's entry while the API has that pod on this node; otherwise it has an entry of its own,
//!   which isolates and is nobody's peer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Index;
use super::changes::Owner;
use super::objects::{Claim, ClassKey};
use crate::{NamespacedName, Phase, Pod, Sandbox};

/// The sandboxes of this node, and its pods.
#[derive(Debug, Default)]
pub(super) struct Sandboxes {
    all: BTreeMap<Arc<str>, Sandbox>,
    by_address: BTreeMap<IpAddr, Arc<str>>,
    by_pod: BTreeMap<NamespacedName, BTreeSet<Arc<str>>>,
    /// The pods that are bound to this node, as the API shows them.
    bound: BTreeMap<NamespacedName, Pod>,
    /// Those whose pods have other labels or ports since that was last asked.
    changed: BTreeSet<Arc<str>>,
    /// What sandboxes of those pods had that are gone.
    given_back: BTreeMap<NamespacedName, BTreeSet<IpAddr>>,
}

impl Index {
    /// A pod of this node has these addresses from now on, and nobody else has.
    pub fn set_sandbox(&mut self, mut sandbox: Sandbox) {
        if self.sandboxes.all.get(&sandbox.id).is_some_and(|before| !before.is_of(&sandbox.pod)) {
            self.drop_sandbox(&sandbox.id.clone());
        }
        self.disown_for(&sandbox);
        self.drop_from_maps(&sandbox.id);
        let mut touched: BTreeSet<NamespacedName> = BTreeSet::from([sandbox.pod.id.clone()]);
        for address in &sandbox.addresses {
            touched.extend(self.sandboxes.take_address(*address));
            self.release(*address);
        }
        let sandboxes = &mut self.sandboxes;
        sandboxes.by_address.extend(sandbox.addresses.iter().map(|address| (*address, sandbox.id.clone())));
        sandboxes.by_pod.entry(sandbox.pod.id.clone()).or_default().insert(sandbox.id.clone());
        if let Some(bound) = sandboxes.bound.get(&sandbox.pod.id).filter(|pod| sandbox.is_of(pod)) {
            sandbox.see(bound);
        }
        sandboxes.all.insert(sandbox.id.clone(), sandbox);
        touched.iter().for_each(|pod| self.place_sandboxes(pod));
    }

    /// The sandbox is gone: its addresses are nobody's, also where the API still shows them.
    pub fn drop_sandbox(&mut self, id: &str) {
        let Some(sandbox) = self.drop_from_maps(id) else { return };
        let pod = sandbox.pod.id.clone();
        if self.sandboxes.bound.get(&pod).is_some_and(|bound| sandbox.is_of(bound)) {
            self.sandboxes.given_back.entry(pod.clone()).or_default().extend(sandbox.addresses);
        }
        self.remove_entry(&Pod::sandbox_id(&pod, id));
        self.place_sandboxes(&pod);
    }

    /// The sandboxes that there are, by their ids.
    pub fn sandboxes(&self) -> &BTreeMap<Arc<str>, Sandbox> {
        &self.sandboxes.all
    }

    /// The sandboxes whose pods have come to have other labels or ports, since this was last asked.
    pub fn take_changed_sandboxes(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.sandboxes.changed)
    }

    /// The pod of this name that the API shows on this node.
    pub fn bound_pod(&self, id: &NamespacedName) -> Option<&Pod> {
        self.sandboxes.bound.get(id)
    }

    /// All pods that the API shows on this node.
    pub(super) fn bound_pods(&self) -> impl Iterator<Item = &Pod> {
        self.sandboxes.bound.values()
    }

    /// The pods of this node that have addresses, and no sandbox: ascending.
    pub fn unplugged(&self) -> impl Iterator<Item = &NamespacedName> {
        let bound = self.sandboxes.bound.iter();
        let has_addresses = |id: &NamespacedName| self.locals.contains_key(id);
        bound.map(|(id, _)| id).filter(move |id| has_addresses(id) && !self.sandboxes.by_pod.contains_key(*id))
    }

    /// Takes note of what the API says of a pod. Gives the pod with the time at which it was given its addresses, where it
    /// is one of this node.
    pub(super) fn bind(&mut self, id: &NamespacedName, pod: Option<&Pod>) -> Option<Pod> {
        let pod = pod.filter(|pod| pod.node.as_ref() == Some(&self.node));
        let sandboxes = &mut self.sandboxes;
        let before = match pod {
            Some(_) => sandboxes.bound.get(id),
            None if sandboxes.bound.is_empty() => return None,
            None => {
                sandboxes.bound.remove(id);
                sandboxes.given_back.remove(id);
                return None;
            }
        };
        let pod = pod?;
        if !before.is_some_and(|before| before.uid == pod.uid && before.age.created == pod.age.created) {
            sandboxes.given_back.remove(id);
        }
        let shown = match before {
            Some(before) => Some(Claim::new(before, &self.node)),
            None => self.cluster.pod(id).map(|pod| self.cluster.pods[pod].claim.clone()),
        };
        let Claim { age, .. } = Claim::new(pod, &self.node).after(shown.as_ref());
        let pod = Pod { age, ..pod.clone() };
        sandboxes.bound.insert(id.clone(), pod.clone());
        for sandbox in sandboxes.by_pod.get(id).into_iter().flatten() {
            if let Some(sandbox) = sandboxes.all.get_mut(sandbox).filter(|sandbox| sandbox.is_of(&pod)) {
                if sandbox.pod.labels != pod.labels || sandbox.pod.ports != pod.ports {
                    sandboxes.changed.insert(sandbox.id.clone());
                }
                sandbox.see(&pod);
            }
        }
        Some(pod)
    }

    /// Enters the sandboxes of this name's pods: into the entry of the pod that there is, or each into one of its own.
    pub(super) fn place_sandboxes(&mut self, pod: &NamespacedName) {
        if !self.sandboxes.by_pod.contains_key(pod) && !self.sandboxes.given_back.contains_key(pod) {
            return;
        }
        let bound = self.sandboxes.bound.get(pod).filter(|pod| !pod.host_network).cloned();
        let of_name: Vec<Sandbox> = self.sandboxes.of_name(pod).cloned().collect();
        let is_alone = |sandbox: &&Sandbox| bound.as_ref().is_none_or(|bound| !sandbox.is_of(bound));
        for sandbox in of_name.iter().filter(|sandbox| !is_alone(sandbox)) {
            self.remove_entry(&Pod::sandbox_id(pod, &sandbox.id));
        }
        if let Some(bound) = &bound {
            let new = (ClassKey::new(&bound.labels, &bound.ports), self.claim(bound));
            self.set_claim(pod, self.cluster.pod(pod), Some(new));
        }
        for sandbox in of_name.iter().filter(is_alone) {
            let id = Pod::sandbox_id(pod, &sandbox.id);
            let new = (ClassKey::new(&sandbox.pod.labels, &sandbox.pod.ports), Claim::of_sandbox(&sandbox.addresses));
            self.set_claim(&id, self.cluster.pod(&id), Some(new));
        }
    }

    /// What a pod of this node claims: the addresses of its sandboxes, or else what the API shows.
    pub(super) fn claim(&self, pod: &Pod) -> Claim {
        let claim = Claim::new(pod, &self.node);
        if pod.host_network {
            return claim;
        }
        let mut own = self.sandboxes.of_name(&pod.id).filter(|sandbox| sandbox.is_of(pod)).peekable();
        if own.peek().is_some() {
            let addresses: Vec<IpAddr> = own.flat_map(|sandbox| sandbox.addresses.iter().copied()).collect();
            let lingering = pod.phase == Phase::Finished;
            return Claim { lingering, terminating: pod.terminating, age: pod.age, ..Claim::of_sandbox(&addresses) };
        }
        match self.sandboxes.given_back.get(&pod.id) {
            Some(given_back) => claim.without(given_back),
            None => claim,
        }
    }

    /// Which sandbox has an address.
    pub(super) fn sandbox_at(&self, address: IpAddr) -> Option<&Arc<str>> {
        self.sandboxes.by_address.get(&address)
    }

    /// The entries of sandboxes that have one of their own.
    pub(super) fn lone_sandboxes(&self) -> impl Iterator<Item = NamespacedName> {
        let ids = self.sandboxes.all.values().map(|sandbox| Pod::sandbox_id(&sandbox.pod.id, &sandbox.id));
        ids.filter(|id| self.cluster.pod(id).is_some())
    }

    /// What others had of its addresses is no more; whether or not somebody had, they are owned now.
    fn disown_for(&mut self, sandbox: &Sandbox) {
        for address in &sandbox.addresses {
            match self.owner(*address) {
                Some(Owner::Sandbox(id)) if id == sandbox.id => {}
                Some(_) => drop(self.disowned.insert(*address)),
                None => self.owned.push(*address),
            }
        }
    }

    fn drop_from_maps(&mut self, id: &str) -> Option<Sandbox> {
        let sandbox = self.sandboxes.all.remove(id)?;
        self.sandboxes.by_address.retain(|_, of| &**of != id);
        if let Some(ids) = self.sandboxes.by_pod.get_mut(&sandbox.pod.id) {
            ids.remove(id);
            if ids.is_empty() {
                self.sandboxes.by_pod.remove(&sandbox.pod.id);
            }
        }
        Some(sandbox)
    }

    fn remove_entry(&mut self, id: &NamespacedName) {
        self.set_claim(id, self.cluster.pod(id), None);
    }
}

impl Sandboxes {
    fn of_name(&self, pod: &NamespacedName) -> impl Iterator<Item = &Sandbox> {
        self.by_pod.get(pod).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// Takes an address from the sandbox that has it. Gives that one's pod.
    fn take_address(&mut self, address: IpAddr) -> Option<NamespacedName> {
        let id = self.by_address.remove(&address)?;
        let sandbox = self.all.get_mut(&id)?;
        sandbox.addresses.retain(|other| *other != address);
        Some(sandbox.pod.id.clone())
    }
}

//! The objects that the index has been told of, and what follows from them alone.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::Addresses;
use super::labelled::Labelled;
use super::objects::{Claim, Class, ClassKey, PodRecord, Space};
use super::slots::{ClassId, GroupId, PodId, Slots, SpaceId};
use super::strings::Strings;
use crate::{Age, ContainerPort, Labels, NamespacedName, Node, Policy, Selector};

/// Namespaces, pods, their classes and addresses, nodes, and policies.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) spaces: Slots<SpaceId, Space>,
    pub(super) classes: Slots<ClassId, Class>,
    pub(super) pods: Slots<PodId, PodRecord>,
    pub(super) nodes: BTreeMap<Arc<str>, Node>,
    names: HashMap<Arc<str>, SpaceId>,
    /// The known namespaces.
    known: Labelled<SpaceId>,
    addresses: Addresses,
    strings: Strings,
}

impl Cluster {
    pub(super) fn space(&self, name: &str) -> Option<SpaceId> {
        self.names.get(name).copied()
    }

    pub(super) fn space_or_new(&mut self, name: &Arc<str>) -> SpaceId {
        if let Some(space) = self.space(name) {
            return space;
        }
        let space = self.spaces.insert(Space::new(name.clone()));
        self.names.insert(name.clone(), space);
        space
    }

    /// Labels a namespace, or makes it unknown. Gives whether that is new.
    pub(super) fn relabel(&mut self, id: SpaceId, labels: Option<Labels>) -> bool {
        let space = &mut self.spaces[id];
        if space.labels == labels {
            return false;
        }
        if let Some(old) = &space.labels {
            self.known.remove(old, id);
        }
        if let Some(new) = &labels {
            self.known.insert(new, id);
        }
        space.labels = labels;
        true
    }

    /// The known namespaces that may match.
    pub(super) fn candidates(&self, selector: &Selector) -> impl Iterator<Item = SpaceId> {
        self.known.candidates(selector)
    }

    /// Forgets the namespace if nothing is left of it.
    pub(super) fn retire_space(&mut self, id: SpaceId) {
        let space = &self.spaces[id];
        if space.labels.is_none() && space.pods.is_empty() && space.policies.is_empty() {
            let space = self.spaces.remove(id);
            self.names.remove(&space.name);
        }
    }

    pub(super) fn pod(&self, id: &NamespacedName) -> Option<PodId> {
        self.spaces[self.space(&id.namespace)?].pods.get(&id.name).copied()
    }

    pub(super) fn pod_name(&self, pod: PodId) -> NamespacedName {
        let pod = &self.pods[pod];
        NamespacedName { namespace: self.spaces[self.classes[pod.class].space].name.clone(), name: pod.name.clone() }
    }

    /// A new class without pods and groups, its strings shared with the others.
    pub(super) fn insert_class(&mut self, space: SpaceId, key: &ClassKey) -> ClassId {
        let strings = &mut self.strings;
        let ports = key.ports.iter().map(|port| ContainerPort { name: strings.share(&port.name), ..*port }).collect();
        let labels = key.labels.iter().map(|(k, v)| (strings.share(k), strings.share(v))).collect();
        let key = ClassKey { labels, ports };
        let class =
            self.classes.insert(Class { space, key: key.clone(), pods: Vec::new(), owned: 0, groups: Vec::new() });
        self.spaces[space].classes.insert(key, class);
        class
    }

    /// Takes out a class without pods. Gives the groups that it was of.
    pub(super) fn remove_class(&mut self, id: ClassId) -> Vec<GroupId> {
        let Class { space, key, groups, .. } = self.classes.remove(id);
        self.spaces[space].classes.remove(&key);
        let strings: Vec<Arc<str>> = key.strings().cloned().collect();
        drop(key);
        for string in strings {
            self.strings.give_back(string);
        }
        groups
    }

    /// Enters a pod into its class and its claims on addresses.
    pub(super) fn attach(&mut self, class: ClassId, name: &Arc<str>, claim: Claim) {
        let place = u32::try_from(self.classes[class].pods.len()).expect("there are fewer pods than pod slots");
        let space = self.classes[class].space;
        if claim.local {
            self.spaces[space].local.insert(name.clone());
        }
        let pod = self.pods.insert(PodRecord { class, place, name: name.clone(), claim });
        self.spaces[space].pods.insert(name.clone(), pod);
        self.classes[class].pods.push(pod);
        let Self { pods, classes, spaces, addresses, .. } = self;
        for address in &pods[pod].claim.addresses {
            addresses.claim(*address, pod, |pod| rank(pods, classes, spaces, pod));
        }
    }

    /// Takes out a pod and its claims. Its class stays, even without pods.
    pub(super) fn detach(&mut self, pod: PodId) -> PodRecord {
        let Self { pods, classes, spaces, addresses, .. } = self;
        for address in &pods[pod].claim.addresses {
            addresses.release(*address, pod, |pod| rank(pods, classes, spaces, pod));
        }
        let record = pods.remove(pod);
        let class = &mut classes[record.class];
        class.pods.swap_remove(record.place as usize);
        if let Some(moved) = class.pods.get(record.place as usize) {
            pods[*moved].place = record.place;
        }
        let space = &mut spaces[class.space];
        space.pods.remove(&record.name);
        space.local.remove(&record.name);
        record
    }

    /// Replaces, adds or removes a policy.
    pub(super) fn replace_policy(&mut self, space: SpaceId, name: &Arc<str>, policy: Option<Policy>) {
        let Space { policies, selecting, .. } = &mut self.spaces[space];
        if let Some(old) = policies.remove(name) {
            selecting.remove(&old.selector, name);
        }
        if let Some(policy) = policy {
            selecting.insert(&policy.selector, name.clone());
            policies.insert(name.clone(), Box::new(policy));
        }
    }

    /// The addresses that several live pods claim, with the pod that owns each first.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = (IpAddr, Vec<PodId>)> {
        let is_live = |pod: &PodId| !self.pods[*pod].claim.terminating;
        let claimants = self.addresses.contested();
        let live = claimants.map(move |(address, pods)| (address, pods.filter(is_live).collect::<Vec<_>>()));
        live.filter(|(_, pods)| pods.len() > 1)
    }

    pub(super) fn owner(&self, address: IpAddr) -> Option<PodId> {
        self.addresses.owner(address)
    }

    /// The addresses at which the pod is a peer: ascending.
    pub(super) fn peers(&self, pod: PodId) -> impl Iterator<Item = IpAddr> {
        self.owned(pod).filter(move |_| !self.pods[pod].claim.lingering)
    }

    /// The addresses that the pod owns: ascending.
    pub(super) fn owned(&self, pod: PodId) -> impl Iterator<Item = IpAddr> {
        self.pods[pod].claim.addresses.iter().copied().filter(move |address| self.addresses.owns(pod, *address))
    }
}

/// Of several pods that claim an address the one of the highest rank owns it: whose sandbox has it, then the live before the
/// terminating, then who was given it last, then, so that the order is total, the greater name.
fn rank<'a>(
    pods: &'a Slots<PodId, PodRecord>,
    classes: &Slots<ClassId, Class>,
    spaces: &'a Slots<SpaceId, Space>,
    pod: PodId,
) -> (bool, bool, Age, &'a str, &'a str) {
    let pod = &pods[pod];
    let name = &spaces[classes[pod.class].space].name;
    (pod.claim.sandboxed, !pod.claim.terminating, pod.claim.age, name, &pod.name)
}

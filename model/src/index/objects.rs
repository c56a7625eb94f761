//! Namespaces, pods and their classes, as the index keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::postings::Postings;
use super::slots::{ClassId, GroupId, PodId, SpaceId};
use crate::{Age, ContainerPort, Labels, Pod, Policy, Protocol};

/// A namespace. It lives as long as it is known, or there are pods or policies in it.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) name: Arc<str>,
    /// `None` while the namespace itself is not known.
    pub(super) labels: Option<Labels>,
    pub(super) pods: BTreeMap<Arc<str>, PodId>,
    /// The pods of this node that claim addresses.
    pub(super) local: BTreeSet<Arc<str>>,
    pub(super) classes: BTreeMap<ClassKey, ClassId>,
    pub(super) policies: BTreeMap<Arc<str>, Box<Policy>>,
    /// The policies by their podSelector.
    pub(super) selecting: Postings<Arc<str>>,
}

/// What pods of one class have in common, beside the namespace: what policy can select them by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassKey {
    pub(super) labels: Labels,
    /// Ascending, each once.
    pub(super) ports: Arc<[ContainerPort]>,
}

/// Pods of one namespace that no policy can tell apart but by their addresses. It lives as long as it has pods.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) space: SpaceId,
    pub(super) key: ClassKey,
    pub(super) pods: Vec<PodId>,
    /// How many addresses its pods own.
    pub(super) owned: u32,
    /// The listed groups that match it: ascending.
    pub(super) groups: Vec<GroupId>,
}

/// A pod, as far as the index needs it.
#[derive(Debug)]
pub(super) struct PodRecord {
    pub(super) class: ClassId,
    /// Its place in the pods of its class.
    pub(super) place: u32,
    pub(super) name: Arc<str>,
    pub(super) claim: Claim,
}

/// The addresses that a pod claims, and with what right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Ascending, each once.
    pub(super) addresses: Box<[IpAddr]>,
    pub(super) terminating: bool,
    pub(super) age: Age,
    /// Whether the pod is to be enforced on this node.
    pub(super) local: bool,
    /// Whether the pod is deleted, so that it is judged but nobody's peer.
    pub(super) lingering: bool,
    /// Whether the node itself says so: then no claim prevails over it for which the API alone speaks.
    pub(super) sandboxed: bool,
}

impl ClassKey {
    pub(super) fn new(labels: &Labels, ports: &[ContainerPort]) -> Self {
        let ports: BTreeSet<&ContainerPort> = ports.iter().collect();
        Self { labels: labels.clone(), ports: ports.into_iter().cloned().collect() }
    }

    /// The numbers that are declared under a name.
    pub(super) fn numbers(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        self.ports.iter().filter(move |port| *port.name == *name && port.protocol == protocol).map(|port| port.port)
    }

    pub(super) fn strings(&self) -> impl Iterator<Item = &Arc<str>> {
        self.labels.iter().flat_map(|(key, value)| [key, value]).chain(self.ports.iter().map(|port| &port.name))
    }
}

impl Claim {
    /// What `pod` claims, seen from `node`.
    pub(super) fn new(pod: &Pod, node: &str) -> Self {
        let addresses: BTreeSet<IpAddr> = pod.addresses().iter().copied().collect();
        Self {
            local: pod.node.as_deref() == Some(node) && !addresses.is_empty(),
            addresses: addresses.into_iter().collect(),
            terminating: pod.terminating,
            age: pod.age,
            lingering: false,
            sandboxed: false,
        }
    }

    /// The claim of a deleted pod of this node on an address that it had.
    pub(super) fn lingering(address: IpAddr) -> Self {
        Self {
            addresses: [address].into(),
            terminating: true,
            age: Age::default(),
            local: true,
            lingering: true,
            sandboxed: false,
        }
    }

    /// The claim of a sandbox whose pod is gone.
    pub(super) fn of_sandbox(addresses: &[IpAddr]) -> Self {
        let addresses: BTreeSet<IpAddr> = addresses.iter().copied().collect();
        let local = !addresses.is_empty();
        let addresses = addresses.into_iter().collect();
        Self { addresses, terminating: true, age: Age::default(), local, lingering: true, sandboxed: true }
    }

    /// The claim without these addresses.
    pub(super) fn without(self, addresses: &BTreeSet<IpAddr>) -> Self {
        let kept: Vec<IpAddr> = self.addresses.into_iter().filter(|address| !addresses.contains(address)).collect();
        Self { local: self.local && !kept.is_empty(), addresses: kept.into(), ..self }
    }

    /// The claim of a pod that claimed this before: it was given the same addresses when it was.
    pub(super) fn after(self, before: Option<&Self>) -> Self {
        let is_same = |before: &&Self| before.addresses == self.addresses && before.age.created == self.age.created;
        let age = before.filter(is_same).map_or(self.age, |before| before.age);
        Self { age, ..self }
    }
}

impl Space {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            labels: None,
            pods: BTreeMap::new(),
            local: BTreeSet::new(),
            classes: BTreeMap::new(),
            policies: BTreeMap::new(),
            selecting: Postings::default(),
        }
    }

    /// The policies that select pods with these labels: ascending.
    pub(super) fn selecting(&self, labels: &Labels) -> Vec<&Policy> {
        let candidates: BTreeSet<&Arc<str>> = self.selecting.candidates(labels).collect();
        let policies = candidates.into_iter().map(|name| &*self.policies[name]);
        policies.filter(|policy| policy.selector.matches(labels)).collect()
    }
}

//! What has to be known of a connection's ends.

use std::net::IpAddr;
use std::sync::Arc;

use crate::{ClusterPolicy, ContainerPort, Direction, Labels, NamespaceScope, PodGroup, Policy, Traffic};

/// Both ends of a connection, and what judges the end that is asked about.
pub(crate) struct Facts<'a> {
    pub(crate) direction: Direction,
    pub(crate) traffic: Traffic,
    /// The pod whose policies judge.
    pub(crate) subject: PodFacts<'a>,
    /// Those that isolate it in the direction: ascending.
    pub(crate) policies: Vec<&'a Policy>,
    /// All cluster policies whose subject it may be, in any order.
    pub(crate) cluster_policies: Vec<&'a ClusterPolicy>,
    /// Whether its namespace is closed.
    pub(crate) closed: bool,
    pub(crate) peer: PeerFacts<'a>,
    /// How much of the policies may be looked at to decide: entries of rules, and what those ask for.
    pub(crate) looks: usize,
}

/// A pod, as far as rules look at it.
#[derive(Clone, Copy)]
pub(crate) struct PodFacts<'a> {
    pub(crate) namespace: &'a Arc<str>,
    /// `None` where the namespace itself is not known.
    pub(crate) namespace_labels: Option<&'a Labels>,
    pub(crate) labels: &'a Labels,
    /// What its containers declare.
    pub(crate) ports: &'a [ContainerPort],
}

/// The other end.
pub(crate) struct PeerFacts<'a> {
    pub(crate) address: IpAddr,
    /// The pod that has the address.
    pub(crate) pod: Option<PodFacts<'a>>,
    /// The labels of the nodes that have it.
    pub(crate) nodes: Vec<&'a Labels>,
    /// Whether it is the pod itself.
    pub(crate) is_itself: bool,
    /// Whether it is the node that the pod runs on.
    pub(crate) is_own_node: bool,
}

impl<'a> Facts<'a> {
    /// What the pod declares that the connection is opened to; `None` where that is no pod.
    pub(super) fn declared(&self) -> Option<&'a [ContainerPort]> {
        match self.direction {
            Direction::Egress => self.peer.pod.map(|pod| pod.ports),
            Direction::Ingress => Some(self.subject.ports),
        }
    }
}

impl PodFacts<'_> {
    /// Whether the pod is one of the group.
    pub(super) fn is_in(&self, group: &PodGroup) -> bool {
        self.is_covered(&group.namespaces) && group.pods.matches(self.labels)
    }

    /// Whether its namespace is one of these.
    pub(super) fn is_covered(&self, namespaces: &NamespaceScope) -> bool {
        match namespaces {
            NamespaceScope::Named(name) => self.namespace == name,
            NamespaceScope::Matching(selector) => self.namespace_labels.is_some_and(|labels| selector.matches(labels)),
        }
    }
}

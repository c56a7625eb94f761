//! What a set is the union of, and whom it matches.

use std::net::IpAddr;
use std::sync::Arc;

use super::cluster::Cluster;
use super::objects::{ClassKey, Space};
use super::postings::filed_under;
use super::slots::ClassId;
use crate::{EndpointGroup, IpBlock, Member, NamespaceScope, Peer, PodGroup, Protocol, Selector, SetKey};

/// One definition of a [`SetKey`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Definition {
    Pods(PodGroup),
    Endpoints(EndpointGroup),
}

/// By what a definition is found from a class that it may match.
pub(super) enum File<'a> {
    /// The name of its namespace, then its podSelector.
    Named(&'a Arc<str>, &'a Selector),
    /// Its podSelector, which asks for a label.
    Pod(&'a Selector),
    /// Its namespaceSelector.
    Namespace(&'a Selector),
    /// The port that its pods declare.
    Port(&'a Arc<str>, Protocol),
}

impl Definition {
    /// The definitions of classes that a set is the union of. Blocks and nodes have none.
    pub(super) fn of(set: &SetKey) -> Vec<Self> {
        match set {
            SetKey::Pods(groups) => groups.iter().cloned().map(Self::Pods).collect(),
            SetKey::Endpoints(groups) => groups.iter().cloned().map(Self::Endpoints).collect(),
            SetKey::Blocks(_) | SetKey::Nodes(_) => Vec::new(),
        }
    }

    pub(super) fn file(&self) -> File<'_> {
        match (self.pods(), self) {
            (None, Self::Endpoints(group)) => File::Port(&group.name, group.protocol),
            (Some(pods), _) | (None, Self::Pods(pods)) => match &pods.namespaces {
                NamespaceScope::Named(name) => File::Named(name, &pods.pods),
                NamespaceScope::Matching(_) if filed_under(&pods.pods).is_some() => File::Pod(&pods.pods),
                NamespaceScope::Matching(namespaces) => File::Namespace(namespaces),
            },
        }
    }

    pub(super) fn matches(&self, space: &Space, class: &ClassKey) -> bool {
        self.covers(space) && self.selects(class)
    }

    /// All classes that match, each once: in no order.
    pub(super) fn find_classes(&self, cluster: &Cluster) -> Vec<ClassId> {
        let spaces = self.spaces(cluster).filter(|space| self.covers(space));
        let classes = spaces.flat_map(|space| &space.classes).filter(|(key, _)| self.selects(key));
        classes.map(|(_, class)| *class).collect()
    }

    /// Whether there are fewer classes than that in the namespaces that may match.
    pub(super) fn is_among_fewer(&self, classes: usize, cluster: &Cluster) -> bool {
        let mut left = classes;
        self.spaces(cluster).all(|space| match left.checked_sub(space.classes.len().max(1)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
    }

    /// The namespaces that may match.
    fn spaces<'a>(&'a self, cluster: &'a Cluster) -> Box<dyn Iterator<Item = &'a Space> + 'a> {
        let those = move |space| &cluster.spaces[space];
        match self.pods().map(|pods| &pods.namespaces) {
            Some(NamespaceScope::Named(name)) => Box::new(cluster.space(name).into_iter().map(those)),
            Some(NamespaceScope::Matching(selector)) => Box::new(cluster.candidates(selector).map(those)),
            None => Box::new(cluster.spaces.iter().map(|(_, space)| space)),
        }
    }

    /// What the address of a pod of a matching class is as a member.
    pub(super) fn members(&self, class: &ClassKey, address: IpAddr) -> impl Iterator<Item = Member> {
        let (address_itself, endpoints) = match self {
            Self::Pods(_) => (Some(Member::Address(address)), None),
            Self::Endpoints(group) => (None, group.reaches(address).then_some(group)),
        };
        let endpoints = endpoints.into_iter().flat_map(move |group| {
            let numbers = class.numbers(&group.name, group.protocol);
            numbers.map(move |port| Member::Endpoint(address, group.protocol, port))
        });
        address_itself.into_iter().chain(endpoints)
    }

    /// Whether pods of the namespace may match.
    fn covers(&self, space: &Space) -> bool {
        self.pods().is_none_or(|pods| pods.covers(space))
    }

    /// Whether the class matches, the namespace aside.
    fn selects(&self, class: &ClassKey) -> bool {
        let declares = match self {
            Self::Pods(_) => true,
            Self::Endpoints(group) => class.numbers(&group.name, group.protocol).next().is_some(),
        };
        declares && self.pods().is_none_or(|pods| pods.pods.matches(&class.labels))
    }

    /// The pods that it is restricted to; `None` for all pods.
    fn pods(&self) -> Option<&PodGroup> {
        match self {
            Self::Pods(pods) | Self::Endpoints(EndpointGroup { peers: Some(Peer::Pods(pods)), .. }) => Some(pods),
            Self::Endpoints(EndpointGroup { peers: Some(Peer::Block(_)) | None, .. }) => None,
        }
    }
}

impl PodGroup {
    /// Whether pods of a class in this namespace match.
    pub(super) fn matches(&self, space: &Space, class: &ClassKey) -> bool {
        self.covers(space) && self.pods.matches(&class.labels)
    }

    fn covers(&self, space: &Space) -> bool {
        match &self.namespaces {
            NamespaceScope::Named(name) => *name == space.name,
            NamespaceScope::Matching(selector) => space.labels.as_ref().is_some_and(|l| selector.matches(l)),
        }
    }
}

impl EndpointGroup {
    /// Whether the group's block, if it has one, holds the address.
    fn reaches(&self, address: IpAddr) -> bool {
        match &self.peers {
            Some(Peer::Block(block)) => holds(block, address),
            Some(Peer::Pods(_)) | None => true,
        }
    }
}

fn holds(block: &IpBlock, address: IpAddr) -> bool {
    block.cidr().contains(&address) && !block.except().iter().any(|net| net.contains(&address))
}

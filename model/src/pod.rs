use std::net::IpAddr;
use std::sync::Arc;

use crate::{Labels, NamespacedName, Protocol};

/// A namespace, as far as policy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels, `kubernetes.io/metadata.name` included.
    pub labels: Labels,
}

/// A pod, as far as policy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// Its namespace and name.
    pub id: NamespacedName,
    /// Tells it from an earlier or later pod of its name; `None` where unknown, as in manifests.
    pub uid: Option<Arc<str>>,
    /// Its labels.
    pub labels: Labels,
    /// The node it is bound to.
    pub node: Option<Arc<str>>,
    /// Its addresses (`status.podIPs`), of both families.
    pub ips: Vec<IpAddr>,
    /// Its node's addresses (`status.hostIPs`), where known: traffic with them is never policed.
    pub host_ips: Vec<IpAddr>,
    /// Whether it shares its node's network, and so is neither subject nor peer.
    pub host_network: bool,
    /// Its phase.
    pub phase: Phase,
    /// Whether its deletion has been asked for. It keeps its addresses until it is gone.
    pub terminating: bool,
    /// Decides which of two pods with one address has it.
    pub age: Age,
    /// The ports that its containers declare, in any order.
    pub ports: Vec<ContainerPort>,
}

/// `status.phase`, as far as addresses depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Pending, Running or Unknown: it has, or will have, its addresses.
    Active,
    /// Succeeded or Failed: its addresses are free for others.
    Finished,
}

/// When a pod was given its addresses: the greater is the one that was given them last.
///
/// Of pods that claim one address that one has it: after a node's restart, both may be live for the API, and which was
/// created first says nothing. The source gives the resourceVersion of the object as it is; who takes changes in (the
/// [`Index`](crate::Index), the [`Cluster`](crate::reference::Cluster)) keeps that of the change with which the addresses
/// came, as long as the pod shows the same ones. Of pods that were listed that is not known: there the one that was
/// written last counts as the one that was given them last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Age {
    /// `metadata.resourceVersion`, which grows with every change in the cluster. 0 where unknown, as in manifests.
    pub revision: u64,
    /// `metadata.creationTimestamp` in seconds since 1970; 0 where unknown.
    pub created: i64,
}

/// A port that a container declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// The name that policies may use.
    pub name: Arc<str>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub port: u16,
}

impl Pod {
    /// By what name a deleted pod goes on to be judged at one of its addresses ([`Index::keep_lingering`]): no object can
    /// have it.
    ///
    /// [`Index::keep_lingering`]: crate::Index::keep_lingering
    pub fn lingering_id(id: &NamespacedName, address: IpAddr) -> NamespacedName {
        NamespacedName::new(id.namespace.clone(), format!("{} (deleted, {address})", id.name))
    }

    /// By what name a [`Sandbox`](crate::Sandbox) is judged whose pod is gone: no object can have it.
    pub fn sandbox_id(id: &NamespacedName, sandbox: &str) -> NamespacedName {
        NamespacedName::new(id.namespace.clone(), format!("{} (sandbox {sandbox})", id.name))
    }

    /// The numbers of the ports that it declares under a name.
    pub fn numbers_of(&self, name: &str, protocol: Protocol) -> Vec<u16> {
        let declared = self.ports.iter().filter(|port| *port.name == *name && port.protocol == protocol);
        declared.map(|port| port.port).collect()
    }

    /// The addresses at which policy sees this pod: none for host network, Succeeded and Failed pods.
    pub fn addresses(&self) -> &[IpAddr] {
        if self.host_network || self.phase == Phase::Finished { &[] } else { &self.ips }
    }
}

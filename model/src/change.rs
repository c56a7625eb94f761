use std::sync::Arc;

use crate::{ClusterPolicy, Namespace, NamespacedName, Node, Pod, Policy};

/// One event: an object as it is now, or the fact that it is gone.
///
/// Changes are idempotent and may repeat; an object that came with its namespace may come before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A namespace was added or relabelled.
    Namespace(Namespace),
    /// A namespace is gone. Its pods and policies go by changes of their own.
    NamespaceGone(Arc<str>),
    /// A pod was added or modified.
    Pod(Pod),
    /// A pod is gone.
    PodGone(NamespacedName),
    /// A policy was added or modified.
    Policy(Policy),
    /// A policy is gone.
    PolicyGone(NamespacedName),
    /// A cluster policy was added or modified.
    ClusterPolicy(ClusterPolicy),
    /// A cluster policy is gone.
    ClusterPolicyGone(Arc<str>),
    /// A node was added, relabelled, or has other addresses.
    Node(Node),
    /// A node is gone.
    NodeGone(Arc<str>),
}

impl Change {
    /// The name of the namespace that it is about, or in; `None` where it is in none.
    pub fn namespace(&self) -> Option<&Arc<str>> {
        match self {
            Self::Namespace(Namespace { name, .. }) | Self::NamespaceGone(name) => Some(name),
            Self::Pod(Pod { id, .. }) | Self::PodGone(id) | Self::Policy(Policy { id, .. }) | Self::PolicyGone(id) => {
                Some(&id.namespace)
            }
            Self::ClusterPolicy(_) | Self::ClusterPolicyGone(_) | Self::Node(_) | Self::NodeGone(_) => None,
        }
    }
}

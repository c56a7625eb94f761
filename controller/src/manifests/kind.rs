//! Which objects are read, and which are skipped.

use std::fmt;

use palisade_model::NamespacedName;

use super::schema::{CLUSTER_NETWORK_POLICY, NAMESPACE, NETWORK_POLICY, NODE, POD, Schema, nearest};

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Namespace,
    Pod,
    NetworkPolicy,
    ClusterNetworkPolicy,
    Node,
}

/// What to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Read(Kind),
    /// A `List` of objects that name their own kinds.
    List,
    /// A list whose items need not name their kind.
    ListOf(Kind),
    Skip,
}

const OUR_GROUPS: [&str; 2] = ["networking.k8s.io", "policy.networking.k8s.io"];

/// Calico has a kind NetworkPolicy of its own, which is none of ours.
const FOREIGN_GROUPS: [&str; 2] = ["projectcalico.org", "crd.projectcalico.org"];

impl Kind {
    const ALL: [Self; 5] = [Self::Namespace, Self::Pod, Self::NetworkPolicy, Self::ClusterNetworkPolicy, Self::Node];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::Node => "Node",
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::Pod | Self::Node => "v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::ClusterNetworkPolicy => "policy.networking.k8s.io/v1alpha2",
        }
    }

    /// What is read of its objects.
    pub(super) fn schema(self) -> &'static Schema {
        match self {
            Self::Namespace => &NAMESPACE,
            Self::Pod => &POD,
            Self::NetworkPolicy => &NETWORK_POLICY,
            Self::ClusterNetworkPolicy => &CLUSTER_NETWORK_POLICY,
            Self::Node => &NODE,
        }
    }

    /// What an object is called: `NetworkPolicy shop/web`.
    pub(super) fn title(self, id: &NamespacedName) -> String {
        if self.is_of_the_cluster() { format!("{self} {}", id.name) } else { format!("{self} {id}") }
    }

    /// Whether its objects are in no namespace.
    pub(super) fn is_of_the_cluster(self) -> bool {
        match self {
            Self::Namespace | Self::ClusterNetworkPolicy | Self::Node => true,
            Self::Pod | Self::NetworkPolicy => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Class {
    /// The class of the objects of a kind.
    ///
    /// # Errors
    /// A message for one of our kinds in a version that is not read, and for what looks like a misspelt or cut off one:
    /// to skip a policy would allow what it forbids.
    pub(super) fn of(api_version: &str, kind: &str) -> Result<Self, String> {
        let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
        let item = kind.strip_suffix("List").unwrap_or(kind);
        let ours = Kind::ALL.into_iter().find(|known| known.name() == item);
        match ours {
            Some(Kind::NetworkPolicy) if FOREIGN_GROUPS.contains(&group) => Ok(Self::Skip),
            Some(known) => {
                expect_version(api_version, kind, known.api_version())?;
                Ok(if item == kind { Self::Read(known) } else { Self::ListOf(known) })
            }
            None if kind == "List" => expect_version(api_version, kind, "v1").map(|()| Self::List),
            None if api_version == "v1" || OUR_GROUPS.contains(&group) => match misspelt(item) {
                Some(name) => Err(format!("no such kind {kind:?} in {api_version}: did you mean {name}?")),
                None => Ok(Self::Skip),
            },
            None => Ok(Self::Skip),
        }
    }
}

fn expect_version(found: &str, kind: &str, wanted: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{kind} of apiVersion {found:?} is not supported: use {wanted}")) }
}

fn misspelt(kind: &str) -> Option<&'static str> {
    let names = Kind::ALL.map(Kind::name);
    let cut = || names.into_iter().chain(["List"]).find(|name| name.starts_with(kind));
    nearest(kind, &names).or_else(cut)
}

//! The labels: all of fixed, small sets of values.

use nix::errno::Errno as SystemErrno;
use palisade_model::Change;
use palisade_nft::{BackendError, ElementsKind, Errno};
use prometheus_client::encoding::EncodeLabelSet;

use crate::enforcer::{EnforceError, SettleError};
use crate::frames::FramesError;
use crate::render::Forger;
use crate::sysctl::Sysctl;

/// A change that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EventLabels {
    resource: &'static str,
    kind: &'static str,
}

impl EventLabels {
    pub(super) fn of(change: &Change) -> Self {
        let (resource, kind) = match change {
            Change::Namespace(_) => ("namespaces", "applied"),
            Change::NamespaceGone(_) => ("namespaces", "gone"),
            Change::Pod(_) => ("pods", "applied"),
            Change::PodGone(_) => ("pods", "gone"),
            Change::Policy(_) => ("networkpolicies", "applied"),
            Change::PolicyGone(_) => ("networkpolicies", "gone"),
            Change::ClusterPolicy(_) => ("clusternetworkpolicies", "applied"),
            Change::ClusterPolicyGone(_) => ("clusternetworkpolicies", "gone"),
            Change::Node(_) => ("nodes", "applied"),
            Change::NodeGone(_) => ("nodes", "gone"),
        };
        Self { resource, kind }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let kinds = |resource| ["applied", "gone"].map(|kind| Self { resource, kind });
        ["namespaces", "pods", "networkpolicies", "clusternetworkpolicies", "nodes"].into_iter().flat_map(kinds)
    }
}

/// Who sent what the guard dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ForgerLabels {
    from: &'static str,
    namespace: String,
    pod: String,
}

impl ForgerLabels {
    pub(super) fn of(forger: &Forger) -> Self {
        let new =
            |from, namespace: &str, pod: &str| Self { from, namespace: namespace.to_owned(), pod: pod.to_owned() };
        match forger {
            Forger::Pod(pod) => new("pod", &pod.namespace, &pod.name),
            Forger::Unknown(_) => new("unknown", "", ""),
            Forger::Elsewhere => new("elsewhere", "", ""),
        }
    }
}

/// A closed namespace, or the empty name for those that have no series of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NamespaceLabel {
    namespace: String,
}

impl NamespaceLabel {
    pub(super) fn of(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }
}

/// A respect in which policies cost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ShareLabel {
    pub(super) what: &'static str,
}

/// What hinders that the kernel holds what the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Hindrance {
    /// The API knows no node of this name.
    Node,
    /// Not everything has been listed.
    Lists,
    /// The last commit failed, or there was none yet.
    Commit,
    /// The thread has been at work for long.
    Work,
}

impl Hindrance {
    pub(super) const ALL: [Self; 4] = [Self::Node, Self::Lists, Self::Commit, Self::Work];
}

impl From<Hindrance> for HindranceLabel {
    fn from(hindrance: Hindrance) -> Self {
        let what = match hindrance {
            Hindrance::Node => "node",
            Hindrance::Lists => "lists",
            Hindrance::Commit => "commit",
            Hindrance::Work => "work",
        };
        Self { what }
    }
}

/// The same, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HindranceLabel {
    what: &'static str,
}

/// Where a connection to a server came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OriginLabel {
    from: &'static str,
}

impl OriginLabel {
    /// The node itself.
    pub(super) const NEAR: Self = Self { from: "node" };
    /// Anybody else.
    pub(super) const FAR: Self = Self { from: "elsewhere" };
}

/// An error of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    operation: &'static str,
    errno: String,
}

impl ErrorLabels {
    pub(super) fn of(error: &EnforceError) -> Self {
        match error {
            EnforceError::Read(error) => Self::new("read", backend_errno(error)),
            EnforceError::Commit(error) => Self::new("commit", name(error.errno())),
            EnforceError::Frames(FramesError::Read(error)) => Self::new("read", backend_errno(error)),
            EnforceError::Frames(FramesError::Commit(error)) => Self::new("commit", name(error.errno())),
        }
    }

    pub(super) fn of_settling(error: &SettleError) -> Self {
        match error {
            SettleError::Sweep(error) => Self::new("sweep", backend_errno(error)),
            SettleError::Commit(error) => Self::new("commit", name(error.errno())),
        }
    }

    /// What is to be expected of a kernel.
    pub(super) fn usual() -> impl Iterator<Item = Self> {
        use SystemErrno::{EAGAIN, EBADMSG, EBUSY, EEXIST, EINVAL, EMSGSIZE, ENOBUFS, ENOENT, ENOMEM, EPERM, ERESTART};
        let errors = [EAGAIN, EBADMSG, EBUSY, EEXIST, EINVAL, EMSGSIZE, ENOBUFS, ENOENT, ENOMEM, EPERM, ERESTART];
        ["read", "commit", "sweep"]
            .into_iter()
            .flat_map(move |operation| errors.map(|errno| Self::new(operation, errno)))
    }

    /// `errno` is named as in the system's headers, as `ENOBUFS`.
    fn new(operation: &'static str, errno: SystemErrno) -> Self {
        Self { operation, errno: format!("{errno:?}") }
    }
}

fn backend_errno(error: &BackendError) -> SystemErrno {
    match error {
        BackendError::System { errno, .. } => name(*errno),
        BackendError::Malformed(_) => SystemErrno::EBADMSG,
    }
}

fn name(Errno(number): Errno) -> SystemErrno {
    SystemErrno::from_raw(number)
}

/// A kernel parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SysctlLabel {
    sysctl: &'static str,
}

impl SysctlLabel {
    pub(super) fn of(sysctl: Sysctl) -> Self {
        Self { sysctl: sysctl.name() }
    }
}

/// A type of chain, or of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub(super) struct KindLabel {
    kind: &'static str,
}

impl KindLabel {
    /// Chains that hook in.
    pub(super) const BASE: Self = Self { kind: "base" };
    /// Chains that are jumped to.
    pub(super) const REGULAR: Self = Self { kind: "regular" };

    pub(super) fn of(kind: ElementsKind) -> Self {
        let kind = match kind {
            ElementsKind::Ipv4 => "ipv4",
            ElementsKind::Ipv6 => "ipv6",
            ElementsKind::Ipv4Ranges => "ipv4_ranges",
            ElementsKind::Ipv6Ranges => "ipv6_ranges",
            ElementsKind::Ipv4Endpoints => "ipv4_endpoints",
            ElementsKind::Ipv6Endpoints => "ipv6_endpoints",
            ElementsKind::Ipv4Verdicts => "ipv4_verdicts",
            ElementsKind::Ipv6Verdicts => "ipv6_verdicts",
            ElementsKind::PortVerdicts => "port_verdicts",
            ElementsKind::PortRangeVerdicts => "port_range_verdicts",
            ElementsKind::Ipv4Pairs => "ipv4_pairs",
            ElementsKind::Ipv6Pairs => "ipv6_pairs",
            ElementsKind::Links => "links",
            ElementsKind::LinkVerdicts => "link_verdicts",
        };
        Self { kind }
    }

    /// Those of all types of elements.
    pub(super) fn of_elements() -> impl Iterator<Item = Self> {
        ElementsKind::ALL.into_iter().map(Self::of)
    }
}

//! NetworkPolicy (networking.k8s.io/v1) and ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) as pure values.
//!
//! The way of the data: a [`Change`] goes into the [`Index`], which says what this node must enforce from now on as a
//! [`Delta`]: the local pods that are judged, the decision [`Table`]s and [`TierTable`]s that judge their packets, and
//! the members of the sets that those tables look up. [`mod@reference`] answers the same question naively, for one flow
//! at a time, and shares no code with the index or the compiler: the two are held against each other in tests. Of one
//! connection [`Index::why`] says what decides about it, and which rule came nearest to letting it pass.
//!
//! Invariants:
//! - Pure: no I/O, no clock, no async, no Kubernetes client types, no nftables.
//! - Valid by construction: selectors, CIDR blocks and port ranges are checked when they are built, so that matching is
//!   total and nothing here has to guess.
//! - Incremental equals fresh: after any sequence of changes the index says what a new index fed with the final objects
//!   would say.
#![forbid(unsafe_code)]

mod change;
mod cidr;
mod cluster_policy;
mod compile;
mod cost;
mod index;
mod labels;
mod lenient;
pub mod lint;
mod name;
mod pod;
mod policy;
mod port;
pub mod reach;
pub mod recommend;
pub mod reference;
pub mod remedy;
mod sandbox;
mod selector;
mod service;
mod spans;
mod stable;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod why;
mod workload;

pub use change::Change;
pub use cidr::{IpBlock, IpBlockError};
pub use cluster_policy::{ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Node, Tier, TierAction};
pub use compile::{compile, compile_tier};
pub use cost::{Closed, Cost, Limit, Shares};
pub use index::{Index, IndexSize, PeerName};
pub use labels::{Labels, NAME_LABEL};
pub use name::NamespacedName;
pub use pod::{Age, ContainerPort, Namespace, Phase, Pod};
pub use policy::{Direction, Enforcement, NamespaceScope, Peer, Peers, PodGroup, Policy, Ports, Rule, RuleRef};
pub use port::{PortMatch, PortRange, PortRangeError, Protocol, Traffic};
pub use sandbox::Sandbox;
pub use selector::{Operator, Requirement, Selector, SelectorError};
pub use service::{Service, ServicePort, TargetPort};
pub use table::{
    Audit, Clause, ClusterRuleRef, Delta, EndpointGroup, LocalPod, Member, PeerMatch, PodEnforcement, PortResolution,
    Segment, SetDelta, SetKey, Table, TableKey, TierClause, TierKey, TierMatch, TierSegment, TierTable, Verdict,
};
pub use why::{AdmittedPorts, Allowed, Attempt, Decision, Denied, Failing, Lack, Miss, Why};
pub use workload::workload;

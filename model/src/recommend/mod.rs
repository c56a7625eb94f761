//! The smallest set of NetworkPolicies that lets pass what is wished, and nothing else.
//!
//! Each namespace that is asked for gets one policy that isolates all of its pods, those to come too, and one for each group
//! of workloads that are wished the same. Workloads are told apart by labels that outlive their pods
//! ([`is_stable`]); those that such labels cannot tell apart are one ([`Recommendation::alike`]).
//!
//! Invariants:
//! - Of the namespaces' pods and the directions that are asked for, what passes is what is wished of any pod that labels do
//!   not tell apart, what blocks stand for that were [widened](Recommendation::widened), and nothing else
//!   (`tests/recommend.rs`).
//! - No policy, rule, peer or port can be left out, and no two rules of a policy can be united.
//! - It says nothing about the policies that are there: whoever applies these replaces those of the namespaces.

mod blocks;
mod grants;
mod groups;
mod policies;
mod rules;
mod selectors;
mod surplus;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use self::grants::Grants;
use self::groups::Spaces;
pub use self::surplus::{Surplus, Whom, surplus};
use crate::reference::Cluster;
pub use crate::stable::is_stable;
use crate::{Direction, NamespacedName, Policy, PortRange, Protocol};

/// How many blocks stand for the addresses that one workload has to do with at the same ports, before they are widened.
pub const MOST_BLOCKS: usize = 16;

/// What is to pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wish {
    /// Who connects.
    pub from: End,
    /// To whom.
    pub to: End,
    /// With what.
    pub protocol: Protocol,
    /// To which of its ports.
    pub ports: PortRange,
}

/// Who connects, or is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// All pods of a workload: its namespace, and its name as its pods [tell](crate::workload()) it.
    Workload(NamespacedName),
    /// Any address of a network.
    Network(IpNet),
}

/// For whom policies are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The namespaces.
    pub namespaces: BTreeSet<Arc<str>>,
    /// In which directions their pods are isolated.
    pub directions: BTreeSet<Direction>,
    /// See [`MOST_BLOCKS`].
    pub most_blocks: usize,
}

/// What is recommended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recommendation {
    /// The policies: by namespace, first the one for all of its pods.
    pub policies: Vec<Recommended>,
    /// Workloads of one namespace that stable labels do not tell apart: what one of them is wished, all may.
    pub alike: Vec<Vec<NamespacedName>>,
    /// Blocks that stand for more addresses than were wished.
    pub widened: Vec<Widened>,
    /// Wishes that these policies say nothing about, by their positions.
    pub left_out: Vec<(usize, LeftOut)>,
}

/// A policy, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommended {
    /// The policy.
    pub policy: Policy,
    /// The workloads that it is for; for all of the namespace there is nothing.
    pub workloads: Vec<Arc<str>>,
    /// By [direction](Direction), then by rule: the positions of the wishes that it is there for, ascending.
    pub reasons: [Vec<Vec<usize>>; 2],
}

/// A block that stands for many networks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Widened {
    /// Of which workloads.
    pub workloads: Vec<NamespacedName>,
    /// In which direction.
    pub direction: Direction,
    /// The block.
    pub block: IpNet,
    /// How many networks it stands for.
    pub networks: usize,
}

/// Why a wish is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// There is no such workload: neither a pod of it, nor what would make one.
    NoWorkload(Direction),
    /// The namespace is not known, so that no policy of another can name it.
    NoNamespace(Direction),
    /// No pod of the namespaces is judged about it in the directions that are asked for.
    NotAsked,
}

/// As the end of a sentence about a wish.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |direction: &Direction| if *direction == Direction::Egress { "connects" } else { "is connected to" };
        match self {
            Self::NoWorkload(of) => write!(f, "there is no pod of the workload that {}", end(of)),
            Self::NoNamespace(of) => write!(f, "the namespace of the workload that {} is not known", end(of)),
            Self::NotAsked => f.write_str("no policy is asked for that would judge it"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(id) => id.fmt(f),
            Self::Network(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Network(net) => net.fmt(f),
        }
    }
}

/// `shop/web -> shop/db TCP 5432`.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {}", self.from, self.to, self.protocol)?;
        if self.ports == PortRange::ALL { Ok(()) } else { write!(f, " {}", self.ports) }
    }
}

/// What lets these wishes pass, and nothing else. A pod without addresses, such as one that need not exist, is a pod.
pub fn recommend(cluster: &Cluster, wishes: &[Wish], scope: &Scope) -> Recommendation {
    let spaces = Spaces::new(cluster, wishes, scope);
    let (mut grants, left_out) = Grants::of(cluster, &spaces, wishes, scope);
    let widened = grants.aggregate(&spaces, &blocks::Taken::of(cluster), scope.most_blocks);
    let asked = scope.namespaces.iter().filter_map(|namespace| Some((namespace, spaces.get(namespace)?)));
    let policies = asked.clone().flat_map(|(namespace, _)| policies::of(namespace, &spaces, &grants, wishes, scope));
    Recommendation { policies: policies.collect(), alike: spaces.alike(), widened, left_out }
}

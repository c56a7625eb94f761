//! Why one direction of a pod lets a connection pass or not, and which rule came nearest to letting it pass.
//!
//! The answer follows from [`Facts`] about both ends, which the [`Index`](crate::Index) (`index/why.rs`) and the
//! [`Cluster`](crate::reference::Cluster) (`reference/why.rs`) each gather in their own way.
//!
//! Invariants:
//! - The decision is the reference verdict's, rule included, and shares no code with it or with the compiler
//!   (`tests/why.rs`).
//! - A rule matches exactly where it lacks nothing: what decides and what explains are one function (`why/rule.rs`).
//! - What a miss says is true: the named rule with the named lacks mended lets the connection pass (`tests/why.rs`).
//! - It takes a few milliseconds at most, whatever tenants write: what is not looked at is said ([`Why::complete`]).

mod decide;
mod facts;
mod looks;
mod miss;
mod nearest;
mod rule;
mod sentence;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;

pub(crate) use self::facts::{Facts, PeerFacts, PodFacts};
use self::looks::Looks;
pub use self::miss::{AdmittedPorts, Failing, Lack, Miss};
use crate::{ClusterRuleRef, Direction, Enforcement, NamespacedName, RuleRef, Traffic};

/// How much is looked at to find the nearest rule: entries of rules, and what those ask for.
const LOOKS: usize = 10_000;

/// A connection as one of its ends sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Whether the pod opens it, or it is opened to the pod.
    pub direction: Direction,
    /// The pod whose policies judge, by the name that the index puts it out under.
    pub pod: NamespacedName,
    /// The other end.
    pub peer: IpAddr,
    /// What it carries.
    pub traffic: Traffic,
    /// Whether audited policies are asked as well, as if they were enforced.
    pub up_to: Enforcement,
}

/// What becomes of an [`Attempt`] now, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The direction that was asked about.
    pub direction: Direction,
    /// What decided.
    pub decision: Decision,
    /// The policies that isolate the pod in the direction: ascending.
    pub isolating: Vec<NamespacedName>,
    /// The rule that lacks least to let it pass. `None` where it passes, where no rule is asked, and where there is
    /// none.
    pub nearest: Option<Miss>,
    /// The most specific block of the policies that judge the pod which holds the peer; `None` where the peer is a pod.
    pub block: Option<IpNet>,
    /// Whether all rules were looked at. Where there are too many (tens of thousands of peers) `nearest` and `block`
    /// are what the first ones give; and where very many, [`Denied::NoRule`] says that none of the first ones admits
    /// it.
    pub complete: bool,
}

/// Whether a connection passes in one direction, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It passes.
    Allowed(Allowed),
    /// It is dropped.
    Denied(Denied),
}

/// Why a connection passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Allowed {
    /// No policy isolates the pod in the direction, and no cluster policy says anything.
    NotIsolated,
    /// The pod itself is the peer.
    Itself,
    /// The pod's own node is the peer.
    OwnNode,
    /// A rule of a policy admits it: the first, in the order of policies.
    Rule(RuleRef),
    /// A rule of a cluster policy accepts it.
    ClusterRule(ClusterRuleRef),
}

/// Why a connection is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// Policies isolate the pod, and no rule of theirs admits it.
    NoRule,
    /// Policies isolate the pod, and its namespace is [closed](crate::Closed), so that no rule of theirs is asked.
    ClosedNamespace,
    /// A rule of a cluster policy denies it.
    ClusterRule(ClusterRuleRef),
}

impl Decision {
    /// Whether it passes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Facts<'_> {
    /// The answer.
    pub(crate) fn why(&self) -> Why {
        let mut deciding = Looks::new(self.looks);
        let mut explaining = Looks::new(LOOKS);
        let mut finding = Looks::new(LOOKS);
        let (decision, candidates) = self.decide(&mut deciding);
        let nearest = self.nearest(&candidates, &mut explaining);
        let block = self.block(&mut finding);
        Why {
            direction: self.direction,
            decision,
            isolating: self.policies.iter().map(|policy| policy.id.clone()).collect(),
            nearest,
            block,
            complete: [deciding, explaining, finding].iter().all(Looks::saw_all),
        }
    }
}

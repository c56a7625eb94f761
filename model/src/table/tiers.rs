//! The ordered tables of cluster policies.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Direction, PortRange, PortResolution, Protocol, SetKey, Tier, TierAction};

/// Names the table of a tier by what defines it: pods that share a key share the table.
///
/// The key does not change when one of its policies is edited, unless the edit changes which port names must be
/// resolved, or whether there are rules for the direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TierKey {
    /// The direction it judges.
    pub direction: Direction,
    /// The tier.
    pub tier: Tier,
    /// The cluster policies of the tier that have rules for the direction and whose subject the pod is: never empty,
    /// ascending by name.
    pub policies: Vec<Arc<str>>,
    /// For ingress, what the port names in those policies mean on the pod itself: ascending, names that the pod does not
    /// declare left out. Empty for egress.
    pub named_ports: Vec<PortResolution>,
}

/// The function (peer, protocol, port) -> [`TierAction`] of all cluster policies of one tier and direction.
///
/// A packet of a protocol with ports is judged by the clauses of the segment that holds its destination port, if any;
/// everything else by `otherwise`. The first clause that matches decides; what none matches is passed on, as with `Pass`.
/// A pure function of the policies: it holds no addresses of pods or nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierTable {
    /// Per protocol the segments of its port space in which other rules apply than elsewhere: disjoint, ascending.
    pub segments: BTreeMap<Protocol, Vec<TierSegment>>,
    /// What holds elsewhere.
    pub otherwise: Arc<[TierClause]>,
}

impl TierTable {
    /// The lists of clauses of its segments, in no order; those that segments share once.
    pub fn lists(&self) -> Vec<&Arc<[TierClause]>> {
        let mut lists: Vec<_> = self.segments.values().flatten().map(|segment| &segment.clauses).collect();
        lists.sort_unstable_by_key(|clauses| clauses.as_ptr());
        lists.dedup_by_key(|clauses| clauses.as_ptr());
        lists
    }

    /// All clauses, those of shared lists once.
    pub fn clauses(&self) -> impl Iterator<Item = &TierClause> {
        self.otherwise.iter().chain(self.lists().into_iter().flat_map(|list| list.iter()))
    }

    /// Whether it denies anything.
    pub fn denies(&self) -> bool {
        self.clauses().any(|clause| clause.action == TierAction::Deny)
    }
}

/// A range of ports in which the same rules apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TierSegment {
    /// The ports.
    pub ports: PortRange,
    /// What applies there, in order; empty where everything is passed on. Equal lists are shared.
    pub clauses: Arc<[TierClause]>,
}

/// Peers, and what is said of them: neighbours in a list of rules that say the same, as far as they are of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TierClause {
    /// Whom it matches.
    pub peers: TierMatch,
    /// What it says.
    pub action: TierAction,
    /// The first rule that it stands for.
    pub rule: ClusterRuleRef,
    /// How many other rules it stands for.
    pub more: usize,
}

/// Whom a [`TierClause`] matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierMatch {
    /// Everybody but the pod itself.
    Others,
    /// The members of a set.
    Set(Arc<SetKey>),
}

/// A rule of a cluster policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterRuleRef {
    /// The policy.
    pub policy: Arc<str>,
    /// The direction of the rule.
    pub direction: Direction,
    /// The position of the rule in `spec.ingress` or `spec.egress`, from 0.
    pub index: usize,
}

/// `lockdown egress[3]`.
impl fmt::Display for ClusterRuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

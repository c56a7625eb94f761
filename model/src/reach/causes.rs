//! The rules behind ways.

use std::fmt;

use super::{PlaceId, PortSet, Reach};
use crate::{ClusterRuleRef, Direction, RuleRef, TierAction};

/// A rule of a policy of either kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleName {
    /// Of a NetworkPolicy, for that direction.
    Policy(Direction, RuleRef),
    /// Of a cluster policy.
    Cluster(ClusterRuleRef),
}

/// A rule, and the ports about which it decides between two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The rule.
    pub rule: RuleName,
    /// What it says; NetworkPolicies only accept.
    pub action: TierAction,
    /// About which ports.
    pub ports: PortSet,
}

/// `shop/db spec.ingress[0]`
impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(direction, RuleRef { policy, index }) => write!(f, "{policy} spec.{direction}[{index}]"),
            Self::Cluster(ClusterRuleRef { policy, direction, index }) => {
                write!(f, "{policy} spec.{direction}[{index}]")
            }
        }
    }
}

impl Reach {
    /// The rules that decide about connections from one to the other, at that end: each once, in the order in which
    /// they are
    /// asked.
    pub fn causes(&self, from: PlaceId, to: PlaceId, end: Direction) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::new();
        for (source, destination) in self.pairs(from, to) {
            let (own, peer) = match end {
                Direction::Egress => (source, destination),
                Direction::Ingress => (destination, source),
            };
            for cause in self.causes_at(own, end, peer) {
                match causes.iter_mut().find(|other| other.rule == cause.rule) {
                    Some(other) => other.ports = other.ports.union(&cause.ports),
                    None => causes.push(cause),
                }
            }
        }
        causes
    }
}

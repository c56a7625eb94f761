//! Edits of policies.

use std::sync::Arc;

use crate::reference::Cluster;
use crate::{ClusterPolicy, ClusterRule, Direction, NamespacedName, Peer, Peers, Policy, PortMatch, Ports, Rule};

/// One edit of one policy. Positions are those of the rule in `spec.ingress` or `spec.egress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A rule admits one more peer.
    AddPeer {
        /// The policy.
        policy: NamespacedName,
        /// Of which list.
        direction: Direction,
        /// The rule.
        rule: usize,
        /// At the end of its peers.
        peer: Peer,
    },
    /// A rule admits one more port.
    AddPort {
        /// The policy.
        policy: NamespacedName,
        /// Of which list.
        direction: Direction,
        /// The rule.
        rule: usize,
        /// At the end of its ports.
        port: PortMatch,
    },
    /// One more rule, at the end.
    AddRule {
        /// The policy.
        policy: NamespacedName,
        /// Of which list.
        direction: Direction,
        /// The rule.
        rule: Rule,
    },
    /// A rule says something else, or nothing any more.
    ReplaceRule {
        /// The policy.
        policy: NamespacedName,
        /// Of which list.
        direction: Direction,
        /// The rule.
        rule: usize,
        /// What stands there instead; `None`: it is taken away, and those behind it move up.
        by: Option<Rule>,
    },
    /// A policy that was not there.
    NewPolicy(Policy),
    /// One more rule of a cluster policy, at this position.
    InsertClusterRule {
        /// The cluster policy.
        policy: Arc<str>,
        /// Of which list.
        direction: Direction,
        /// The position.
        at: usize,
        /// The rule.
        rule: ClusterRule,
    },
    /// A cluster policy that was not there.
    NewClusterPolicy(ClusterPolicy),
}

impl Edit {
    /// Whether it is of a cluster policy, which administrators write.
    pub fn is_of_cluster(&self) -> bool {
        matches!(self, Self::InsertClusterRule { .. } | Self::NewClusterPolicy(_))
    }

    /// Makes the edit. Where there is no such policy or rule, nothing.
    pub fn apply(&self, cluster: &mut Cluster) {
        match self {
            Self::AddPeer { policy, direction, rule, peer } => {
                let rule = rules(cluster, policy, *direction).and_then(|rules| rules.get_mut(*rule));
                if let Some(Peers::AnyOf(peers)) = rule.map(|rule| &mut rule.peers) {
                    peers.push(peer.clone());
                }
            }
            Self::AddPort { policy, direction, rule, port } => {
                let rule = rules(cluster, policy, *direction).and_then(|rules| rules.get_mut(*rule));
                if let Some(Ports::AnyOf(ports)) = rule.map(|rule| &mut rule.ports) {
                    ports.push(port.clone());
                }
            }
            Self::AddRule { policy, direction, rule } => {
                rules(cluster, policy, *direction).into_iter().for_each(|rules| rules.push(rule.clone()));
            }
            Self::ReplaceRule { policy, direction, rule, by } => {
                if let Some(rules) = rules(cluster, policy, *direction).filter(|rules| *rule < rules.len()) {
                    rules.splice(*rule..=*rule, by.clone());
                }
            }
            Self::NewPolicy(policy) => drop(cluster.policies.insert(policy.id.clone(), policy.clone())),
            Self::InsertClusterRule { policy, direction, at, rule } => {
                let policy = cluster.cluster_policies.get_mut(policy);
                let rules = policy.map(|policy| match direction {
                    Direction::Egress => &mut policy.egress,
                    Direction::Ingress => &mut policy.ingress,
                });
                if let Some(rules) = rules.filter(|rules| *at <= rules.len()) {
                    rules.insert(*at, rule.clone());
                }
            }
            Self::NewClusterPolicy(policy) => {
                cluster.cluster_policies.insert(policy.name.clone(), policy.clone());
            }
        }
    }
}

fn rules<'a>(cluster: &'a mut Cluster, policy: &NamespacedName, direction: Direction) -> Option<&'a mut Vec<Rule>> {
    let policy = cluster.policies.get_mut(policy)?;
    match direction {
        Direction::Egress => policy.egress.as_mut(),
        Direction::Ingress => policy.ingress.as_mut(),
    }
}

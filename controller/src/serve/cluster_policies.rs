//! What the cluster's administrator should know of ClusterNetworkPolicies on this node.

use std::fmt;

use palisade_model::{Index, IndexSize};
use serde::{Deserialize, Serialize};

use crate::shares;
use crate::text::some_of;

/// How many refused policies, and groups of tied ones, are listed.
const LISTED: usize = 100;
/// How many are shown in a line, and how much of each, in bytes.
const SHOWN: usize = 5;
const LONGEST_NAME: usize = 63;

/// The cluster policies of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicyStatus {
    /// How many there are, those aside of which no version is in force.
    pub in_force: usize,
    /// How many have a version that is refused, because it would cost too much or the kernel did not take it: the one before
    /// stays in force.
    pub refused_count: usize,
    /// The first hundred of them.
    pub refused: Vec<String>,
    /// Groups of one tier and priority that have a pod of this node as their subject in common, so that their names decide
    /// which is asked first: a hundred at most.
    pub tied: Vec<Vec<String>>,
}

/// The same as figures are taken.
#[derive(Clone, Debug, Default)]
pub struct ClusterPolicyFigures {
    /// What is told of them.
    pub status: ClusterPolicyStatus,
    /// In each respect how much of what they may cost is used.
    pub shares_used: Vec<(&'static str, f64)>,
}

impl ClusterPolicyFigures {
    /// Those of an index of that size, as of its last delta.
    pub fn of(index: &Index, size: &IndexSize) -> Self {
        let names = |names: Vec<_>| names.iter().map(ToString::to_string).collect::<Vec<String>>();
        let refused: Vec<String> = index.refused_cluster_policies().map(ToString::to_string).collect();
        Self {
            status: ClusterPolicyStatus {
                in_force: size.cluster_policies,
                refused_count: refused.len(),
                refused: refused.into_iter().take(LISTED).collect(),
                tied: index.tied_cluster_policies().into_iter().take(LISTED).map(names).collect(),
            },
            shares_used: shares::used_by_cluster_policies(index).into(),
        }
    }
}

/// Nothing where there are none.
impl fmt::Display for ClusterPolicyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_force, refused_count, refused, tied } = self;
        if *in_force > 0 || *refused_count > 0 {
            writeln!(f, "cluster     {in_force} ClusterNetworkPolicies")?;
        }
        if *refused_count > 0 {
            let refused = some_of(refused, SHOWN, LONGEST_NAME, ", ");
            writeln!(
                f,
                "refused     {refused_count} of which a version costs too much, or is refused by the kernel, and the one before stays in force: {refused}"
            )?;
        }
        tied.iter().take(SHOWN).try_for_each(|group| {
            let names = some_of(group, SHOWN, LONGEST_NAME, ", ");
            writeln!(f, "tied        of one priority, so that they are asked in the order of their names: {names}")
        })
    }
}

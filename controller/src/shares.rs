//! What namespaces cost a node, and which are closed because it is too much, as it is told to people and programs.

use std::fmt;
use std::sync::Arc;

use palisade_model::{Closed, Cost, Index, Limit, Shares};
use serde::{Deserialize, Serialize};

use crate::text::some_of;

/// How many of a closed namespace's policies are named.
const POLICIES: usize = 5;

/// A closed namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedNamespace {
    /// Its name.
    pub namespace: String,
    /// What it is over: its own share, or the node's total.
    pub over: Over,
    /// What its policies would cost, and what they may: where it is over its share so much as was counted, and only what
    /// there is too much of. What is over the total is compared with all that there is.
    pub costs: Vec<Part>,
    /// The policies that cost most, the most expensive first: a handful at most.
    pub policies: Vec<String>,
}

/// What a closed namespace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Over {
    /// The share of each namespace.
    Share,
    /// What all namespaces may cost together: others need the rest.
    Total,
    /// What the kernel takes.
    Kernel,
}

/// One respect in which policies cost something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `grants`, `elements`, `sets`, `chains`, `checks` or `bytes`.
    pub what: String,
    /// What they cost.
    pub cost: u64,
    /// What they may cost.
    pub limit: u64,
}

/// The closed namespaces of `index`: ascending.
pub fn closed(index: &Index) -> Vec<ClosedNamespace> {
    index.closed().map(|(namespace, closed)| ClosedNamespace::new(index, namespace, closed)).collect()
}

/// In each respect how much of what all namespaces may cost together is used.
pub fn used(index: &Index) -> [(&'static str, f64); 6] {
    let Shares { total, .. } = index.shares();
    pairs(&index.total_cost(), total).map(|(what, cost, limit)| (what, ratio(cost, limit)))
}

/// The same of what cluster policies may cost.
pub fn used_by_cluster_policies(index: &Index) -> [(&'static str, f64); 6] {
    pairs(&index.cluster_cost(), &index.shares().cluster).map(|(what, cost, limit)| (what, ratio(cost, limit)))
}

#[allow(clippy::cast_precision_loss, reason = "a ratio to look at")]
fn ratio(cost: u64, limit: u64) -> f64 {
    cost as f64 / limit.max(1) as f64
}

fn pairs(cost: &Cost, limit: &Cost) -> [(&'static str, u64, u64); 6] {
    [
        ("grants", cost.grants, limit.grants),
        ("elements", cost.elements, limit.elements),
        ("sets", cost.sets, limit.sets),
        ("chains", cost.chains, limit.chains),
        ("checks", cost.checks, limit.checks),
        ("bytes", cost.bytes, limit.bytes),
    ]
}

/// What `closed` costs, and what would fit.
pub(crate) fn costs(index: &Index, closed: Closed) -> Vec<Part> {
    let Shares { per_namespace, total, .. } = index.shares();
    let part = |(what, cost, limit): (&str, u64, u64)| Part { what: what.to_owned(), cost, limit };
    match closed.limit {
        Limit::Namespace => {
            let parts = pairs(&closed.cost, per_namespace).into_iter();
            parts.filter(|(_, cost, limit)| cost > limit).map(part).collect()
        }
        Limit::Total => pairs(&closed.cost, total).map(part).into(),
        Limit::Kernel => pairs(&closed.cost, per_namespace).map(part).into(),
    }
}

impl ClosedNamespace {
    /// `closed` is what `index` says of it.
    pub fn new(index: &Index, namespace: &Arc<str>, closed: Closed) -> Self {
        let policies = index.most_expensive(namespace, POLICIES).into_iter().map(|(policy, _)| policy.name.to_string());
        let over = match closed.limit {
            Limit::Namespace => Over::Share,
            Limit::Total => Over::Total,
            Limit::Kernel => Over::Kernel,
        };
        let costs = costs(index, closed);
        Self { namespace: namespace.to_string(), over, costs, policies: policies.collect() }
    }

    /// What it costs and what would fit, as a clause.
    pub fn costs(&self) -> String {
        let costs: Vec<String> = self.costs.iter().map(ToString::to_string).collect();
        let costs = costs.join("; ");
        match self.over {
            Over::Share => format!("its policies need more than a namespace's share of this node: {costs}"),
            Over::Total => format!(
                "all namespaces need more than this node has, and its policies most, beside what all may have: {costs}"
            ),
            Over::Kernel => format!("the kernel refuses what its policies need: {costs}"),
        }
    }
}

/// As `1200000 elements (820000 fit)`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, cost, limit } = self;
        if what == "bytes" {
            write!(f, "{:.1} MiB ({:.1} fit)", ratio(*cost, 1 << 20), ratio(*limit, 1 << 20))
        } else {
            write!(f, "{cost} {what} ({limit} fit)")
        }
    }
}

/// As `shop: its policies need ...; most of it: db, web`.
impl fmt::Display for ClosedNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; most of it: {}", self.namespace, self.costs(), some_of(&self.policies, POLICIES, 253, ", "))
    }
}

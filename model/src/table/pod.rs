//! How one pod is judged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::{TableKey, TierKey};
use crate::{Direction, Tier};

/// How a local pod is judged. There is at least one table, be it one of an [`Audit`], and at least one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEnforcement {
    /// The addresses that the pod owns: ascending.
    pub addresses: Vec<IpAddr>,
    /// The table for connections it opens; `None` where it is not isolated for egress.
    pub egress: Option<Arc<TableKey>>,
    /// The table for connections opened to it; `None` where it is not isolated for ingress.
    pub ingress: Option<Arc<TableKey>>,
    /// The tables of cluster policies that it comes under, ascending: at most one a direction and tier. Of Baseline
    /// only in directions in which it is not isolated.
    pub tiers: Vec<Arc<TierKey>>,
    /// What audited policies would make of it, in directions in which they might drop what passes as things are.
    pub audit: BTreeMap<Direction, Audit>,
}

/// The tables of all policies that a pod comes under in one direction, audited ones as if they were enforced.
///
/// What a pod's own tables allow and these do not would be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The table of NetworkPolicies; `None` where none would isolate the pod.
    pub table: Option<Arc<TableKey>>,
    /// The tables of cluster policies, ascending: at most one a tier. Of Baseline only where `table` is `None`.
    pub tiers: Vec<Arc<TierKey>>,
}

impl PodEnforcement {
    /// The table of a tier for one direction.
    pub fn tier(&self, direction: Direction, tier: Tier) -> Option<&Arc<TierKey>> {
        self.tiers.iter().find(|key| key.direction == direction && key.tier == tier)
    }

    /// Whether any table judges one direction, those of its audit aside.
    pub fn is_judged(&self, direction: Direction) -> bool {
        self.table(direction).is_some() || self.is_under_tiers(direction)
    }

    /// Whether cluster policies judge one direction.
    pub fn is_under_tiers(&self, direction: Direction) -> bool {
        self.tiers.iter().any(|key| key.direction == direction)
    }

    /// The table for one direction.
    pub fn table(&self, direction: Direction) -> Option<&Arc<TableKey>> {
        match direction {
            Direction::Egress => self.egress.as_ref(),
            Direction::Ingress => self.ingress.as_ref(),
        }
    }

    /// What audited policies would make of one direction; `None` where they would drop nothing that passes.
    pub fn audit(&self, direction: Direction) -> Option<&Audit> {
        self.audit.get(&direction)
    }
}

impl Audit {
    /// The table of a tier.
    pub fn tier(&self, tier: Tier) -> Option<&Arc<TierKey>> {
        self.tiers.iter().find(|key| key.tier == tier)
    }
}

//! What is told of the cluster when it begins, and when it ends: closed namespaces, pods with one address, cluster policies
//! that are refused or tied.
//!
//! Invariants:
//! - Lines are bounded: 60 a minute at most. What was left out is counted.
//! - Whoever writes Events is never waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{Index, NamespacedName};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::enforcer::Enforcer;
use crate::lines::Lines;
use crate::serve::ClusterPolicyStatus;
use crate::shares::{self, ClosedNamespace, Over};

/// How many closed namespaces may wait for their Events to be written.
const WAITING: usize = 64;

/// Where closed namespaces are told, for the Events on their policies.
pub type Teller = mpsc::Sender<ClosedNamespace>;

/// A teller, and what it tells.
pub fn channel() -> (Teller, mpsc::Receiver<ClosedNamespace>) {
    mpsc::channel(WAITING)
}

/// What was told last, and what of that still is.
#[derive(Debug)]
pub struct Notices {
    closed: BTreeMap<Arc<str>, ClosedNamespace>,
    conflicts: BTreeMap<IpAddr, Vec<NamespacedName>>,
    /// Cluster policies of which a version is refused, and groups of tied ones.
    refused: Vec<String>,
    tied: Vec<Vec<String>>,
    /// The namespaces whose audits are left out.
    unaudited: BTreeSet<Arc<str>>,
    lines: Lines,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            closed: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            refused: vec![],
            tied: vec![],
            unaudited: BTreeSet::new(),
            lines: Lines::new(Instant::now()),
        }
    }
}

impl Notices {
    /// Logs which namespaces were closed or opened since the last call. Gives those that were closed.
    pub fn closings<B: palisade_nft::Backend>(&mut self, enforcer: &mut Enforcer<B>) -> Vec<ClosedNamespace> {
        let mut all = Vec::new();
        for (namespace, closed) in enforcer.take_closings() {
            let may_log = self.may_log();
            let Some(closed) = closed else {
                self.closed.remove(&namespace);
                if may_log {
                    tracing::info!(%namespace, "open again: its policies fit, and are enforced as they are written");
                }
                continue;
            };
            let closed = ClosedNamespace::new(enforcer.index(), &namespace, closed);
            if may_log {
                let (policies, why) = (closed.policies.join(", "), closed.costs());
                let over = match closed.over {
                    Over::Share => "its share",
                    Over::Total => "the total",
                    Over::Kernel => "what the kernel takes",
                };
                tracing::warn!(%namespace, why, policies, "closed: over {over}: its isolated pods here reach themselves and their node alone");
            }
            self.closed.insert(namespace, closed.clone());
            all.push(closed);
        }
        all
    }

    /// All closed namespaces, ascending, with what they cost `index` now.
    pub fn closed(&mut self, index: &Index) -> Vec<ClosedNamespace> {
        for (namespace, closed) in index.closed() {
            if let Some(told) = self.closed.get_mut(namespace)
                && told.costs != shares::costs(index, closed)
            {
                *told = ClosedNamespace::new(index, namespace, closed);
            }
        }
        self.closed.values().cloned().collect()
    }

    /// Logs which addresses several live pods claim that did not before.
    pub fn conflicts(&mut self, now: BTreeMap<IpAddr, Vec<NamespacedName>>) {
        for (address, pods) in &now {
            let is_new = self.conflicts.get(address) != Some(pods);
            if is_new && self.may_log() {
                let pods = crate::text::some_of(pods, 3, 500, ", ");
                tracing::warn!(%address, pods, "several pods claim this address: it is taken to be the first one's, which was given it last");
            }
        }
        self.conflicts = now;
    }

    /// Logs which cluster policies have a version that is refused, and which are tied, that were not before.
    pub fn cluster_policies(&mut self, now: &ClusterPolicyStatus) {
        for policy in now.refused.iter().filter(|policy| !self.refused.contains(policy)).cloned().collect::<Vec<_>>() {
            if self.may_log() {
                tracing::error!(
                    policy,
                    "this version of a ClusterNetworkPolicy is refused: with it they would cost more than their share, or the kernel does not take it; the version before stays in force"
                );
            }
        }
        for policies in now.tied.iter().filter(|group| !self.tied.contains(group)).cloned().collect::<Vec<_>>() {
            if self.may_log() {
                let policies = crate::text::some_of(&policies, 5, 63, ", ");
                tracing::warn!(
                    policies,
                    "ClusterNetworkPolicies of one tier and priority select the same pod: they are asked in the order of their names"
                );
            }
        }
        (self.refused, self.tied) = (now.refused.clone(), now.tied.clone());
    }

    /// Logs of which namespaces audits are left out that were not before.
    pub fn audits(&mut self, index: &Index) {
        let now: BTreeSet<Arc<str>> = index.audits_left_out().map(|(namespace, _)| namespace.clone()).collect();
        for namespace in now.difference(&self.unaudited).cloned().collect::<Vec<_>>() {
            if self.may_log() {
                tracing::warn!(%namespace, "policies under audit say nothing: with them its policies would cost more than their share");
            }
        }
        self.unaudited = now;
    }

    fn may_log(&mut self) -> bool {
        let now = Instant::now();
        if let Some(left_out) = self.lines.left_out(now) {
            tracing::warn!(left_out, "more was closed, opened or in conflict than is logged in a minute");
        }
        self.lines.may_log(now)
    }
}

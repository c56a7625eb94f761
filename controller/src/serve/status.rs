//! The agent's state as one document.

use std::fmt;

use jiff::Timestamp;
use palisade_model::IndexSize;
use palisade_nft::Summary;
use serde::{Deserialize, Serialize};

use super::cluster_policies::ClusterPolicyStatus;
use super::lingering::LingeringPod;
use super::sandboxes::SandboxStatus;
use crate::shares::ClosedNamespace;
use crate::source::Health;

/// What the agent says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node whose pods it judges.
    pub node: String,
    /// The agent's version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// How many seconds ago that was.
    pub uptime_seconds: u64,
    /// Whether the thread that enforces reports as it should, or works.
    pub alive: bool,
    /// Whether every watch has delivered all that there was.
    pub synced: bool,
    /// Whether the kernel holds what the policies say: nothing is behind.
    pub ready: bool,
    /// What hinders it.
    #[serde(default)]
    pub behind: Vec<String>,
    /// The generation of the node's ruleset, when the figures were taken.
    pub generation: Option<u32>,
    /// How much there is.
    #[serde(flatten)]
    pub totals: Totals,
    /// How many namespaces are closed, because their policies cost more than their share.
    #[serde(default)]
    pub closed_namespaces: usize,
    /// The first hundred of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedNamespace>,
    /// The cluster policies.
    #[serde(default)]
    pub cluster_policies: ClusterPolicyStatus,
    /// What the network plugin told.
    #[serde(default)]
    pub sandboxes: SandboxStatus,
    /// Where the node's pod range is guarded: how many addresses of known pods are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_pod_range: Option<usize>,
    /// The deleted pods that are judged as before, each address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lingering: Vec<LingeringPod>,
    /// The last commit that changed something.
    pub last_commit: Option<LastCommit>,
    /// When the table was last read and compared as a whole.
    pub last_check: Option<Timestamp>,
    /// The last commit that failed.
    pub last_error: Option<LastError>,
    /// What the source says.
    #[serde(flatten)]
    pub source: SourceStatus,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Pods that are known, of all nodes.
    pub pods: usize,
    /// Those on this node.
    pub local_pods: usize,
    /// Those of them that are isolated in some direction.
    pub isolated_pods: usize,
    /// Addresses of deleted pods of this node that are judged as before: they lead somewhere still.
    #[serde(default)]
    pub lingering_pods: usize,
    /// Namespaces that are known.
    pub namespaces: usize,
    /// Policies that are known.
    pub policies: usize,
}

impl From<&IndexSize> for Totals {
    fn from(size: &IndexSize) -> Self {
        let IndexSize { pods, local_pods, isolated_pods, lingering_pods, namespaces, policies, .. } = *size;
        Self { pods, local_pods, isolated_pods, lingering_pods, namespaces, policies }
    }
}

/// A commit that changed something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastCommit {
    /// When the kernel acknowledged it.
    pub at: Timestamp,
    /// How many seconds it took.
    pub seconds: f64,
    /// What it changed, in counts.
    pub changes: String,
}

/// A commit that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub message: String,
    /// Whether a later attempt succeeded.
    pub resolved: bool,
}

/// What a source says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Its watches; a directory of manifests has none.
    pub watches: Vec<WatchStatus>,
    /// Whether the API has no Node of this node's name, and no pod on it.
    #[serde(default)]
    pub no_such_node: bool,
    /// What is hardly meant in what holds, each a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// How many policies hold something that cannot be understood.
    pub policies_with_problems: u64,
}

/// What is known of one watch. Counts are since the agent started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchStatus {
    /// What it watches, as `pods`: one of a fixed few.
    pub resource: String,
    /// Whether it has delivered all that there was, once.
    pub synced: bool,
    /// Whether it follows changes right now: not while it lists, or waits to try again.
    pub connected: bool,
    /// Why there is nothing to follow, where there is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// When something last came, bookmarks included.
    pub last_event: Option<Timestamp>,
    /// How often it failed and was begun again.
    pub errors: u64,
    /// How often everything was listed anew, the first time not counted.
    pub relists: u64,
    /// How it failed last; none once it works again.
    pub last_error: Option<String>,
}

/// As `palisade status` and the metrics show it.
impl From<&Health> for SourceStatus {
    fn from(health: &Health) -> Self {
        let watches = health.watches();
        let policies_with_problems = watches
            .iter()
            .filter(|(resource, _)| ["networkpolicies", "clusternetworkpolicies"].contains(resource))
            .map(|(_, state)| state.objects_with_problems as u64)
            .sum();
        let watches = watches.map(|(resource, state)| WatchStatus {
            resource: resource.to_owned(),
            synced: state.synced,
            connected: state.connected,
            without: state.without.map(str::to_owned),
            last_event: state.silence().and_then(|silence| Timestamp::now().checked_sub(silence).ok()),
            errors: state.errors,
            relists: state.lists.saturating_sub(1),
            last_error: state.last_error,
        });
        let hints = if health.outdated_policies() { vec![OUTDATED_POLICIES.to_owned()] } else { vec![] };
        Self { watches: watches.into(), no_such_node: health.no_such_node(), hints, policies_with_problems }
    }
}

const OUTDATED_POLICIES: &str = "AdminNetworkPolicies and BaselineAdminNetworkPolicies (policy.networking.k8s.io/v1alpha1) \
                                 are not enforced: use ClusterNetworkPolicy";

/// What a commit changed, as `1 chains, 3 elements added; 1 rules removed`.
pub(super) fn changes(summary: &Summary) -> String {
    let Summary {
        chains_added,
        chains_removed,
        rules_added,
        rules_removed,
        sets_added,
        sets_removed,
        elements_added,
        elements_removed,
        counters_added,
        counters_removed,
    } = *summary;
    let list = |what, counts: [usize; 5]| {
        let named =
            ["chains", "rules", "sets", "elements", "counters"].into_iter().zip(counts).filter(|(_, count)| *count > 0);
        let named: Vec<_> = named.map(|(name, count)| format!("{count} {name}")).collect();
        (!named.is_empty()).then(|| format!("{} {what}", named.join(", ")))
    };
    let added = list("added", [chains_added, rules_added, sets_added, elements_added, counters_added]);
    let removed = list("removed", [chains_removed, rules_removed, sets_removed, elements_removed, counters_removed]);
    [added, removed].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A screen for a person.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { pods, local_pods, isolated_pods, lingering_pods, namespaces, policies } = self.totals;
        writeln!(f, "node        {}", self.node)?;
        writeln!(f, "agent       {}, up {} (since {:.0})", self.version, Uptime(self.uptime_seconds), self.started)?;
        writeln!(f, "state       {}", self.summary())?;
        self.behind.iter().try_for_each(|what| writeln!(f, "behind      {what}"))?;
        writeln!(f, "generation  {}", self.generation.map_or_else(|| "none yet".to_owned(), |g| g.to_string()))?;
        writeln!(f, "pods        {pods} known, {local_pods} on this node, {isolated_pods} of them isolated")?;
        if lingering_pods > 0 {
            writeln!(
                f,
                "lingering   {lingering_pods} addresses of deleted pods are judged as before: links lead there still"
            )?;
        }
        writeln!(f, "policies    {policies} in {namespaces} namespaces{}", self.source.problems())?;
        self.closed.iter().try_for_each(|closed| writeln!(f, "closed      {closed}"))?;
        if self.closed_namespaces > self.closed.len() {
            writeln!(f, "closed      and {} namespaces more", self.closed_namespaces - self.closed.len())?;
        }
        write!(f, "{}{}", self.cluster_policies, self.sandboxes)?;
        if let Some(outside @ 1..) = self.outside_pod_range {
            writeln!(
                f,
                "pod range   {outside} addresses of known pods are not in it: unknown ones like them are open"
            )?;
        }
        if let Some(LastCommit { at, seconds, changes }) = &self.last_commit {
            writeln!(f, "last commit {at:.0}, in {:.1} ms: {changes}", seconds * 1000.0)?;
        }
        if let Some(at) = self.last_check {
            writeln!(f, "last check  {at:.0}")?;
        }
        if let Some(LastError { at, message, resolved }) = &self.last_error {
            let resolved = if *resolved { ", resolved since" } else { "" };
            writeln!(f, "last error  {at:.0}{resolved}: {message}")?;
        }
        self.source.hints.iter().try_for_each(|hint| writeln!(f, "hint        {hint}"))?;
        self.source.watches.iter().try_for_each(|watch| writeln!(f, "{watch}"))
    }
}

impl Status {
    fn summary(&self) -> &'static str {
        match (self.alive, self.synced, self.ready) {
            (false, _, _) => "not alive: the thread that enforces neither reports nor works",
            (true, false, _) => "waiting for the watches to sync; what was enforced before still is",
            (true, true, false) => "behind; what was enforced before still is",
            (true, true, true) => "enforcing",
        }
    }
}

impl SourceStatus {
    fn problems(&self) -> String {
        match self.policies_with_problems {
            0 => String::new(),
            1 => ", 1 with problems (see its events)".to_owned(),
            n => format!(", {n} with problems (see their events)"),
        }
    }
}

/// As `watch       pods: synced, 0 errors, 0 relists, last heard of 2026-01-01T00:00:00Z`.
impl fmt::Display for WatchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, synced, connected, without, last_event, errors, relists, last_error } = self;
        if let Some(without) = without {
            return write!(f, "watch       {resource}: none: {without}");
        }
        let state = match (synced, connected) {
            (false, _) => "not synced",
            (true, false) => "synced, not connected",
            (true, true) => "synced",
        };
        write!(f, "watch       {resource}: {state}, {errors} errors, {relists} relists")?;
        if let Some(at) = last_event {
            write!(f, ", last heard of {at:.0}")?;
        }
        last_error.iter().try_for_each(|error| write!(f, ", failing: {error}"))
    }
}

/// Seconds as `3d 4h`, `4h 5m`, `5m 6s` or `6s`.
struct Uptime(u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours, minutes, seconds) = (self.0 / 86_400, self.0 / 3_600 % 24, self.0 / 60 % 60, self.0 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds}s"),
            (0, 0, _) => write!(f, "{minutes}m {seconds}s"),
            (0, _, _) => write!(f, "{hours}h {minutes}m"),
            _ => write!(f, "{days}d {hours}h"),
        }
    }
}

#[cfg(test)]
mod tests;

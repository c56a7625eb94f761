//! The metrics, for Prometheus to scrape.
//!
//! Whatever has a known set of labels is there from the start with 0, so that the first increase of a counter is seen.

mod drops;
mod labels;
mod sandboxes;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use palisade_model::{Change, IndexSize};
use palisade_nft::Ruleset;
use procfs::process::Process;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::drops::{DropCollector, Drops};
pub(super) use self::labels::Hindrance;
use self::labels::{
    ErrorLabels, EventLabels, ForgerLabels, HindranceLabel, KindLabel, NamespaceLabel, OriginLabel, ShareLabel,
    SysctlLabel,
};
use self::sandboxes::Sandboxes;
use self::source::{Source, SourceCollector};
use super::status::SourceStatus;
use super::{ClusterPolicyFigures, ClusterPolicyStatus, SandboxFigures, SourceProbe};
use crate::cni::Outcome;
use crate::enforcer::{Commit, EnforceError, SettleError, Settled};
use crate::flows::{DropCounters, Hub};
use crate::forged::Forged;
use crate::render::Forger;
use crate::shares::ClosedNamespace;
use crate::sysctl::{Sysctl, Unmet};

/// Upper bounds of the buckets for the time that a commit takes, or a sweep over the connections, in seconds.
const COMMIT_BUCKETS: [f64; 13] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// What the program was built from; the image's build sets the environment for it.
const BUILD: [(&str, &str); 3] = [
    ("version", env!("CARGO_PKG_VERSION")),
    ("commit", given(option_env!("PALISADE_COMMIT"))),
    ("rustc", given(option_env!("PALISADE_RUSTC"))),
];

type Seconds = Gauge<f64, AtomicU64>;
type Ratio = Gauge<f64, AtomicU64>;

/// How many closed namespaces have a series of their own.
const CLOSED_SERIES: usize = 100;

/// The metrics and their registry.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    source: Arc<Source>,
    drops: Arc<Drops>,
    ready: Gauge,
    resident_memory: Gauge,
    events: Family<EventLabels, Counter>,
    commits: Counter,
    commit_duration: Histogram,
    last_commit: Seconds,
    last_check: Seconds,
    drift_repairs: Counter,
    settled: Gauge,
    epochs: Counter,
    sweep_duration: Histogram,
    netlink_errors: Family<ErrorLabels, Counter>,
    chains: Family<KindLabel, Gauge>,
    sets: Family<KindLabel, Gauge>,
    elements: Family<KindLabel, Gauge>,
    pods: Gauge,
    local_pods: Gauge,
    isolated_pods: Gauge,
    lingering_pods: Gauge,
    namespaces: Gauge,
    policies: Gauge,
    tables: Gauge,
    sysctls: Family<SysctlLabel, Gauge>,
    forged: Family<ForgerLabels, Counter>,
    unknown_pods: Counter,
    outside_pod_range: Gauge,
    namespace_closed: Family<NamespaceLabel, Gauge>,
    shares_used: Family<ShareLabel, Ratio>,
    cluster_policies: Gauge,
    cluster_policies_refused: Gauge,
    cluster_policies_tied: Gauge,
    cluster_shares_used: Family<ShareLabel, Ratio>,
    namespaces_waiting: Gauge,
    behind: Family<HindranceLabel, Gauge>,
    refused: Family<OriginLabel, Counter>,
    sandboxes: Sandboxes,
}

impl Metrics {
    /// Metrics of which nothing has happened yet. `flows` knows what became of records.
    pub(super) fn new(source: SourceProbe, flows: Arc<Hub>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("palisade"),
            source: Arc::new(Source(source)),
            drops: Arc::new(Drops::new(flows)),
            ready: Gauge::default(),
            resident_memory: Gauge::default(),
            events: Family::default(),
            commits: Counter::default(),
            commit_duration: Histogram::new(COMMIT_BUCKETS),
            last_commit: Seconds::default(),
            last_check: Seconds::default(),
            drift_repairs: Counter::default(),
            settled: Gauge::default(),
            epochs: Counter::default(),
            sweep_duration: Histogram::new(COMMIT_BUCKETS),
            netlink_errors: Family::default(),
            chains: Family::default(),
            sets: Family::default(),
            elements: Family::default(),
            pods: Gauge::default(),
            local_pods: Gauge::default(),
            isolated_pods: Gauge::default(),
            lingering_pods: Gauge::default(),
            namespaces: Gauge::default(),
            policies: Gauge::default(),
            tables: Gauge::default(),
            sysctls: Family::default(),
            forged: Family::default(),
            unknown_pods: Counter::default(),
            outside_pod_range: Gauge::default(),
            namespace_closed: Family::default(),
            shares_used: Family::default(),
            cluster_policies: Gauge::default(),
            cluster_policies_refused: Gauge::default(),
            cluster_policies_tied: Gauge::default(),
            cluster_shares_used: Family::default(),
            namespaces_waiting: Gauge::default(),
            behind: Family::default(),
            refused: Family::default(),
            sandboxes: Sandboxes::default(),
        };
        metrics.register();
        metrics.start_at_zero();
        metrics
    }

    /// Changes came in.
    pub(super) fn received(&self, changes: &[Change]) {
        for change in changes {
            self.events.get_or_create(&EventLabels::of(change)).inc();
        }
    }

    /// A commit was acknowledged.
    pub(super) fn committed(&self, at: Timestamp, commit: &Commit) {
        self.commits.inc();
        self.commit_duration.observe(commit.elapsed.as_secs_f64());
        self.last_commit.set(unix(at));
    }

    /// The table was compared as a whole; `repaired`: it was not as it had been left.
    pub(super) fn compared(&self, at: Timestamp, repaired: bool) {
        self.last_check.set(unix(at));
        self.drift_repairs.inc_by(repaired.into());
    }

    /// The table could not be read or written.
    pub(super) fn failed(&self, error: &EnforceError) {
        self.netlink_errors.get_or_create(&ErrorLabels::of(error)).inc();
    }

    /// Established connections were looked after; `settled`: they pass without being judged again.
    pub(super) fn settled(&self, result: &Result<Option<Settled>, SettleError>, settled: bool) {
        self.settled.set(settled.into());
        match result {
            Ok(None) => {}
            Ok(Some(Settled { commit, swept })) => {
                self.epochs.inc_by(commit.is_some().into());
                swept.iter().for_each(|sweep| self.sweep_duration.observe(sweep.elapsed.as_secs_f64()));
            }
            Err(error) => drop(self.netlink_errors.get_or_create(&ErrorLabels::of_settling(error)).inc()),
        }
    }

    /// What the table and the index hold from now on.
    pub(super) fn holds(&self, ruleset: &Ruleset, index: &IndexSize) {
        let regular = ruleset.chains.values().filter(|chain| chain.base.is_none()).count();
        set(&self.chains, KindLabel::REGULAR, regular);
        set(&self.chains, KindLabel::BASE, ruleset.chains.len() - regular);
        let mut sums: BTreeMap<_, _> = KindLabel::of_elements().map(|kind| (kind, (0, 0))).collect();
        for found in ruleset.sets.values() {
            let (sets, elements) = sums.entry(KindLabel::of(found.elements.kind())).or_default();
            *sets += 1;
            *elements += found.elements.len();
        }
        for (kind, (sets, elements)) in sums {
            set(&self.sets, kind, sets);
            set(&self.elements, kind, elements);
        }
        let IndexSize { pods, local_pods, isolated_pods, lingering_pods, namespaces, policies, tables, .. } = *index;
        self.pods.set(signed(pods));
        self.local_pods.set(signed(local_pods));
        self.isolated_pods.set(signed(isolated_pods));
        self.lingering_pods.set(signed(lingering_pods));
        self.namespaces.set(signed(namespaces));
        self.policies.set(signed(policies));
        self.tables.set(signed(tables));
    }

    /// How many sandboxes there are.
    pub(super) fn sandboxes(&self, figures: &SandboxFigures) {
        self.sandboxes.holds(figures);
    }

    /// The network plugin was answered.
    pub(super) fn sandboxes_came(&self, outcome: &Outcome) {
        self.sandboxes.came(outcome);
    }

    /// Whether the network plugin is entered in the runtime's configuration.
    pub(super) fn plugin(&self, is_entered: bool) {
        self.sandboxes.plugin(is_entered);
    }

    /// What of the kernel's parameters is not as it should be.
    pub(super) fn sysctls(&self, unmet: &[Unmet]) {
        for sysctl in Sysctl::ALL {
            let is_unmet = unmet.iter().any(|one| one.sysctl == sysctl);
            self.sysctls.get_or_create(&SysctlLabel::of(sysctl)).set(is_unmet.into());
        }
    }

    /// The guard dropped packets.
    pub(super) fn forged(&self, forged: &Forged) {
        for (forger, packets) in forged {
            match ForgerLabels::of(forger) {
                Some(labels) => self.forged.get_or_create(&labels).inc_by(*packets),
                None => self.unknown_pods.inc_by(*packets),
            };
        }
    }

    /// The kernel's counters of what was dropped, as they are now.
    pub(super) fn dropped(&self, counters: &DropCounters) {
        self.drops.count(counters);
    }

    /// So many pods have series for what was dropped.
    pub(super) fn set_pods(&self, pods: usize) {
        self.drops.set_pods(pods);
    }

    /// How many addresses of known pods are not in the pod range; 0 where no range is guarded.
    pub(super) fn outside_pod_range(&self, addresses: Option<usize>) {
        self.outside_pod_range.set(signed(addresses.unwrap_or_default()));
    }

    /// What there is of cluster policies.
    pub(super) fn cluster_policies(&self, figures: &ClusterPolicyFigures) {
        let ClusterPolicyStatus { in_force, refused_count, tied, .. } = &figures.status;
        self.cluster_policies.set(signed(*in_force));
        self.cluster_policies_refused.set(signed(*refused_count));
        self.cluster_policies_tied.set(signed(tied.len()));
        for (what, ratio) in &figures.shares_used {
            self.cluster_shares_used.get_or_create(&ShareLabel { what }).set(*ratio);
        }
    }

    /// Which namespaces are closed, and how much of what all may cost together is used.
    pub(super) fn shares(&self, closed: &[ClosedNamespace], used: [(&'static str, f64); 6]) {
        self.namespace_closed.clear();
        let rest = closed.len().saturating_sub(CLOSED_SERIES);
        self.namespace_closed.get_or_create(&NamespaceLabel::default()).set(signed(rest));
        for one in closed.iter().take(CLOSED_SERIES) {
            self.namespace_closed.get_or_create(&NamespaceLabel::of(&one.namespace)).set(1);
        }
        for (what, ratio) in used {
            self.shares_used.get_or_create(&ShareLabel { what }).set(ratio);
        }
    }

    /// After a commit, what came in of so many namespaces is not in force yet.
    pub(super) fn waiting(&self, namespaces: usize) {
        self.namespaces_waiting.set(signed(namespaces));
    }

    /// A connection had to go because there were too many; `is_near`: of the node itself.
    pub(super) fn refused(&self, is_near: bool) {
        self.refused.get_or_create(if is_near { &OriginLabel::NEAR } else { &OriginLabel::FAR }).inc();
    }

    /// What the source says of itself.
    pub(super) fn source(&self) -> SourceStatus {
        (self.source.0)()
    }

    /// All metrics, as text in the OpenMetrics format. `behind`: what hinders that the kernel holds what the policies say.
    pub(super) fn encode(&self, behind: &[Hindrance]) -> String {
        self.ready.set(behind.is_empty().into());
        for what in Hindrance::ALL {
            self.behind.get_or_create(&what.into()).set(behind.contains(&what).into());
        }
        self.resident_memory.set(resident_memory().map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("writing into a string does not fail");
        text
    }

    fn start_at_zero(&self) {
        [KindLabel::BASE, KindLabel::REGULAR].into_iter().for_each(|kind| set(&self.chains, kind, 0));
        for kind in KindLabel::of_elements() {
            set(&self.sets, kind, 0);
            set(&self.elements, kind, 0);
        }
        self.sysctls(&[]);
        let unused = ["grants", "elements", "sets", "chains", "checks", "bytes"].map(|what| (what, 0.0));
        self.shares(&[], unused);
        self.cluster_policies(&ClusterPolicyFigures { shares_used: unused.into(), ..ClusterPolicyFigures::default() });
        self.sandboxes.start_at_zero();
        ForgerLabels::of(&Forger::Elsewhere).iter().for_each(|labels| drop(self.forged.get_or_create(labels)));
        [OriginLabel::NEAR, OriginLabel::FAR].iter().for_each(|from| drop(self.refused.get_or_create(from)));
        EventLabels::all().for_each(|labels| drop(self.events.get_or_create(&labels)));
        ErrorLabels::usual().for_each(|labels| drop(self.netlink_errors.get_or_create(&labels)));
    }

    #[rustfmt::skip]
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("build", "The program: its version, and the commit and the compiler it was built with", Info::new(BUILD));
        r.register("ready", "1 where the kernel holds what the policies say: all watches synced, last commit acknowledged", self.ready.clone());
        r.register("behind", "1 for what hinders that: the node's name, lists that have not come, a commit that failed, work that takes long", self.behind.clone());
        r.register("connections_refused", "Connections to probes, metrics and status that had to go because there were too many", self.refused.clone());
        r.register_with_unit("resident_memory", "Memory of the agent's that is in RAM; 0 where the system does not say", Unit::Bytes, self.resident_memory.clone());
        r.register("events", "Changes that came in, by resource and kind", self.events.clone());
        r.register("commits", "Transactions that changed something and were acknowledged", self.commits.clone());
        r.register_with_unit("commit_duration", "Time from the index to the kernel's acknowledgement", Unit::Seconds, self.commit_duration.clone());
        r.register_with_unit("last_commit_timestamp", "Unix time of the last commit; 0 before the first", Unit::Seconds, self.last_commit.clone());
        r.register_with_unit("last_check_timestamp", "Unix time when the kernel's table was last compared as a whole; 0 before the first time", Unit::Seconds, self.last_check.clone());
        r.register("drift_repairs", "Times the kernel's table was not as it had been left, and was repaired", self.drift_repairs.clone());
        r.register("settled", "1 where established connections pass without being judged again, 0 where every packet is judged", self.settled.clone());
        r.register("epochs", "Times that established connections came to pass without being judged again", self.epochs.clone());
        r.register_with_unit("sweep_duration", "Time to clear the marks of all connections, every 254 epochs", Unit::Seconds, self.sweep_duration.clone());
        r.register("netlink_errors", "Reads, commits and sweeps that failed, by the system's error", self.netlink_errors.clone());
        r.register("chains", "Chains in the table", self.chains.clone());
        r.register("sets", "Sets and verdict maps in the table, by type", self.sets.clone());
        r.register("elements", "Elements of sets and verdict maps, by type", self.elements.clone());
        r.register("pods", "Pods that are known, of all nodes", self.pods.clone());
        r.register("local_pods", "Pods on this node that have addresses of their own", self.local_pods.clone());
        r.register("isolated_pods", "Pods on this node that policies isolate in some direction", self.isolated_pods.clone());
        r.register("lingering_pods", "Addresses of deleted pods of this node that are judged as before, because a link leads there still", self.lingering_pods.clone());
        r.register("namespaces", "Namespaces that are known", self.namespaces.clone());
        r.register("policies", "NetworkPolicies that are known", self.policies.clone());
        r.register("tables", "Decision tables in use: pods with the same policies share one", self.tables.clone());
        r.register("guard_dropped_packets", "Packets that cannot be from where they came from: from pods of this node, links of no known pod, or elsewhere in a pod's name", self.forged.clone());
        r.register("pod_range_dropped_packets", "Packets of addresses of this node's pod range that are no known pod's, where that range is guarded", self.unknown_pods.clone());
        r.register("pod_range_outside", "Addresses of known pods of this node that are not in its pod range; 0 where that is not guarded", self.outside_pod_range.clone());
        r.register("sysctl_unmet", "1 where this kernel parameter is not what the node's pods need", self.sysctls.clone());
        r.register("namespace_closed", "1 for a namespace that is closed: its policies cost more than its share. Without a name: how many more are than are named", self.namespace_closed.clone());
        r.register("cluster_policies", "ClusterNetworkPolicies in force", self.cluster_policies.clone());
        r.register("cluster_policies_refused", "ClusterNetworkPolicies of which a version is refused, because they would cost more than their share: the version before stays in force", self.cluster_policies_refused.clone());
        r.register("cluster_policies_tied", "Groups of ClusterNetworkPolicies of one tier and priority that select the same pod of this node: their names decide which is asked first", self.cluster_policies_tied.clone());
        r.register("cluster_shares_used_ratio", "How much is used of what ClusterNetworkPolicies may cost", self.cluster_shares_used.clone());
        r.register("shares_used_ratio", "How much is used of what the policies of all namespaces may cost together", self.shares_used.clone());
        r.register("namespaces_waiting", "Namespaces with changes that are not in force although others' are: their policies take long, and rest for it", self.namespaces_waiting.clone());
        self.sandboxes.register(r);
        r.register_collector(Box::new(DropCollector(Arc::clone(&self.drops))));
        r.register_collector(Box::new(SourceCollector(Arc::clone(&self.source))));
    }
}

/// In bytes.
fn resident_memory() -> Option<u64> {
    let pages = Process::myself().and_then(|process| process.statm()).ok()?.resident;
    Some(pages * procfs::page_size())
}

const fn given(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "unknown",
    }
}

fn set(family: &Family<KindLabel, Gauge>, kind: KindLabel, count: usize) {
    family.get_or_create(&kind).set(signed(count));
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unix(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests;

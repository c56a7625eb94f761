//! What the agent publishes and the servers read.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use palisade_model::{Change, IndexSize, NamespacedName};
use palisade_nft::Ruleset;

use super::cluster_policies::{ClusterPolicyFigures, ClusterPolicyStatus};
use super::lingering::LingeringPod;
use super::metrics::{Hindrance, Metrics};
use super::pulse::{Limits, Pulse, Thread};
use super::sandboxes::{SandboxFigures, SandboxStatus};
use super::status::{LastCommit, LastError, SourceStatus, Status, Totals, WatchStatus, changes};
use crate::agent::LONGEST_ERROR;
use crate::cni::Outcome;
use crate::dropped::Counted;
use crate::enforcer::{Commit, EnforceError, SettleError, Settled};
use crate::flows::{DropCounters, Hub};
use crate::forged::Forged;
use crate::notices::Teller;
use crate::shares::ClosedNamespace;
use crate::sysctl::Unmet;
use crate::text::{shorten, some_of};

/// Asks the source how it is. Called at each scrape and status request: it must be quick.
pub type SourceProbe = Box<dyn Fn() -> SourceStatus + Send + Sync>;

/// How old figures may get. They are not taken at every commit: that costs time in proportion to the ruleset.
const FIGURES_INTERVAL: Duration = Duration::from_secs(1);

/// How many closed namespaces are listed.
const LISTED: usize = 100;
/// How many namespaces are named whose changes are not in force.
const NAMED: usize = 3;
/// What an API server that is there may not serve: then it is not known what they say now.
const MAY_FAIL_ALONE: [&str; 2] = ["clusternetworkpolicies", "nodes"];
/// The API allows no longer one, in bytes.
const LONGEST_NAME: usize = 63;

/// The agent's state, shared by its thread, which writes, and the servers, which read.
#[derive(Debug)]
pub struct State {
    node: String,
    started: Timestamp,
    start: Instant,
    figures_interval: Duration,
    metrics: Metrics,
    flows: Arc<Hub>,
    /// The agent's, once it has begun.
    thread: OnceLock<Thread>,
    /// Who is told of namespaces that were closed.
    teller: Option<Teller>,
    progress: Mutex<Progress>,
}

/// What there is to publish after a commit.
#[derive(Clone, Debug)]
pub struct Figures<'a> {
    /// The generation of the node's ruleset, where it could be read.
    pub generation: Option<u32>,
    /// The ruleset in force.
    pub ruleset: &'a Ruleset,
    /// How much the index holds.
    pub index: IndexSize,
    /// The namespaces that are closed: ascending.
    pub closed: Vec<ClosedNamespace>,
    /// In each respect how much of what all namespaces may cost together is used.
    pub shares_used: [(&'static str, f64); 6],
    /// The cluster policies.
    pub cluster_policies: ClusterPolicyFigures,
    /// The sandboxes of the node.
    pub sandboxes: SandboxFigures,
    /// How many addresses of known pods are not in the pod range; `None` where no range is guarded.
    pub outside_pod_range: Option<usize>,
    /// The deleted pods that are judged as before.
    pub lingering: Vec<LingeringPod>,
    /// The pods of this node, by the names that they are judged under.
    pub local_pods: Vec<NamespacedName>,
}

#[derive(Debug)]
struct Progress {
    pulse: Pulse,
    synced: bool,
    /// Whether what does not depend on pods of other nodes is enforced before that.
    early: bool,
    /// Whether nothing else is missing.
    lacks_pod_range: bool,
    /// Whether the kernel holds what was last asked of it.
    in_force: bool,
    /// The namespaces of the changes that came in and are not in force.
    waiting: HashSet<Arc<str>>,
    /// When figures were last published.
    published: Option<Instant>,
    /// Whether they have changed since.
    outdated: bool,
    generation: Option<u32>,
    totals: Totals,
    closed_namespaces: usize,
    /// The first of them.
    closed: Vec<ClosedNamespace>,
    cluster_policies: ClusterPolicyStatus,
    sandboxes: SandboxStatus,
    outside_pod_range: Option<usize>,
    lingering: Vec<LingeringPod>,
    counted: Counted,
    last_commit: Option<LastCommit>,
    last_check: Option<Timestamp>,
    last_error: Option<LastError>,
}

impl State {
    /// The state of an agent that starts now.
    pub fn new(node: impl Into<String>, source: SourceProbe) -> Self {
        Self::with(node, source, FIGURES_INTERVAL, Limits::default())
    }

    fn with(node: impl Into<String>, source: SourceProbe, figures_interval: Duration, limits: Limits) -> Self {
        let (node, start) = (node.into(), Instant::now());
        let flows = Arc::new(Hub::new(node.clone()));
        Self {
            node,
            started: Timestamp::now(),
            start,
            figures_interval,
            metrics: Metrics::new(source, Arc::clone(&flows)),
            flows,
            thread: OnceLock::new(),
            teller: None,
            progress: Mutex::new(Progress::new(Pulse::new(limits, start))),
        }
    }

    /// Namespaces that were closed are told to `teller`, too.
    #[must_use]
    pub fn with_teller(self, teller: Teller) -> Self {
        Self { teller: Some(teller), ..self }
    }

    /// So many pods have series of their own for what was dropped.
    #[must_use]
    pub fn with_metrics_pods(self, pods: usize) -> Self {
        self.metrics.set_pods(pods);
        self
    }

    /// The kernel's counters of what was dropped, as they are now. A pod without any is gone: what was dropped of it is in
    /// the sums from then on.
    pub fn dropped(&self, counters: &DropCounters) {
        self.metrics.dropped(counters);
    }

    /// Whose counters of what was dropped there are.
    pub fn counted(&self) -> Counted {
        self.progress().counted.clone()
    }

    /// Where records of what is dropped come together.
    pub fn flows(&self) -> &Arc<Hub> {
        &self.flows
    }

    /// These namespaces were closed. Who is told and cannot keep up misses some: the log and the status have them too.
    pub fn closed(&self, closed: Vec<ClosedNamespace>) {
        let Some(teller) = &self.teller else { return };
        for closed in closed {
            if let Err(error) = teller.try_send(closed) {
                tracing::debug!(%error, "no event will tell of a closed namespace");
            }
        }
    }

    /// This thread is the agent's, from now on.
    pub fn begins(&self) {
        self.thread.get_or_init(Thread::current);
        self.acts();
    }

    /// The agent's thread has something to do.
    pub fn acts(&self) {
        self.progress().pulse.acts(Instant::now());
    }

    /// The agent's thread has nothing to do before `due` unless something comes in: until when to rest. That is earlier
    /// where there are figures to publish.
    pub fn rest(&self, due: Instant) -> Instant {
        let mut progress = self.progress();
        let due = progress.figures_due(self.figures_interval).map_or(due, |figures| figures.min(due));
        progress.pulse.rests(due);
        due
    }

    /// Changes came in.
    pub fn received(&self, changes: &[Change]) {
        self.metrics.received(changes);
        self.progress().await_commit_of(changes);
    }

    /// Every watch has delivered all that there was, and only the pod range is missing.
    pub fn lacks_pod_range(&self) {
        self.progress().lacks_pod_range = true;
    }

    /// What does not depend on pods of other nodes is enforced before these are known.
    pub fn early(&self) {
        self.progress().early = true;
    }

    /// Every watch has delivered all that there was.
    pub fn synced(&self) {
        self.progress().synced = true;
    }

    /// The kernel's parameters were looked at.
    pub fn sysctls(&self, unmet: &[Unmet]) {
        self.metrics.sysctls(unmet);
    }

    /// The guard dropped these since it was last told.
    pub fn forged(&self, forged: &Forged) {
        self.metrics.forged(forged);
    }

    /// A connection to one of the servers had to go because there were too many; `is_near`: of the node itself.
    pub(super) fn refused(&self, is_near: bool) {
        self.metrics.refused(is_near);
    }

    /// The network plugin was answered.
    pub fn sandboxes_came(&self, outcome: &Outcome) {
        self.metrics.sandboxes_came(outcome);
    }

    /// What became of entering the network plugin into the runtime's configuration, as a sentence, too.
    pub fn plugin(&self, is_entered: bool, state: String) {
        self.metrics.plugin(is_entered);
        self.progress().sandboxes.plugin = Some(state);
    }

    /// A commit was tried. `compared`: it read the table first and compared it with what it was to put in force.
    pub fn attempted<'a>(
        &self,
        result: &Result<Option<Commit>, EnforceError>,
        compared: bool,
        figures: impl FnOnce() -> Figures<'a>,
    ) {
        let now = Timestamp::now();
        let mut progress = self.progress();
        let undisturbed = progress.begin(result.is_ok());
        match result {
            Ok(commit) => {
                if let Some(commit) = commit {
                    progress.committed(now, commit);
                    self.metrics.committed(now, commit);
                }
                if compared {
                    progress.last_check = Some(now);
                    self.metrics.compared(now, commit.is_some() && undisturbed);
                }
                if progress.figures_due(self.figures_interval).is_some_and(|due| due <= Instant::now()) {
                    let figures = figures();
                    let Figures {
                        generation,
                        ruleset,
                        index,
                        mut closed,
                        shares_used,
                        cluster_policies,
                        sandboxes,
                        outside_pod_range,
                        lingering,
                        local_pods,
                    } = figures;
                    let closed_names = closed.iter().map(|closed| closed.namespace.clone()).collect();
                    progress.counted = Counted { pods: local_pods, closed: closed_names };
                    self.metrics.cluster_policies(&cluster_policies);
                    progress.cluster_policies = cluster_policies.status;
                    progress.outside_pod_range = outside_pod_range;
                    progress.lingering = lingering;
                    self.metrics.outside_pod_range(outside_pod_range);
                    self.metrics.holds(ruleset, &index);
                    self.metrics.sandboxes(&sandboxes);
                    progress.sandboxes.figures = sandboxes;
                    self.metrics.shares(&closed, shares_used);
                    progress.closed_namespaces = closed.len();
                    closed.truncate(LISTED);
                    progress.closed = closed;
                    progress.publish(generation, &index);
                }
            }
            Err(error) => {
                let message = shorten(&error.to_string(), LONGEST_ERROR).into_owned();
                progress.last_error = Some(LastError { at: now, message, resolved: false });
                self.metrics.failed(error);
            }
        }
    }

    /// What came in of these namespaces is not in force yet, although a commit succeeded.
    pub fn awaits(&self, namespaces: impl IntoIterator<Item = Arc<str>>) {
        let mut progress = self.progress();
        progress.waiting.extend(namespaces);
        self.metrics.waiting(progress.waiting.len());
    }

    /// After a commit, established connections were looked after; `settled`: they pass without being judged again.
    pub fn settled(&self, result: &Result<Option<Settled>, SettleError>, settled: bool) {
        self.metrics.settled(result, settled);
        if let Ok(Some(Settled { commit: Some(_), .. })) = result {
            self.progress().outdated = true;
        }
    }

    /// Whether the agent's thread reports as it promised, or works.
    pub fn is_alive(&self) -> bool {
        let now = Instant::now();
        let is_late = self.progress().pulse.late(now).is_some();
        let activity = if is_late { self.thread.get().and_then(|thread| thread.activity()) } else { None };
        self.progress().pulse.is_alive(now, activity)
    }

    /// Whether the kernel holds what the policies say: nothing is [`behind`](Self::behind).
    pub fn is_ready(&self) -> bool {
        self.behind().is_empty()
    }

    /// What hinders that the kernel holds what the policies say: what has not been listed, a commit that failed or that
    /// takes long, a node that does not exist. Of objects it names a few namespaces.
    pub fn behind(&self) -> Vec<String> {
        self.behind_of(&self.metrics.source())
    }

    fn behind_of(&self, source: &SourceStatus) -> Vec<String> {
        self.hindrances(source).into_iter().map(|(_, says)| says).collect()
    }

    /// What is behind, each with its kind.
    fn hindrances(&self, source: &SourceStatus) -> Vec<(Hindrance, String)> {
        let progress = self.progress();
        let mut all = Vec::new();
        if source.no_such_node {
            let says = format!("the API has no Node {}, and no pod is on it: see --node-name", self.node);
            all.push((Hindrance::Node, says));
        }
        if !progress.synced {
            let waiting = source.watches.iter().filter(|watch| !watch.synced);
            all.extend(waiting.map(|watch| (Hindrance::Lists, format!("{} have not been listed", watch.resource))));
            if all.is_empty() {
                let missing = if progress.lacks_pod_range { ", the Node's podCIDRs" } else { "" };
                all.push((Hindrance::Lists, format!("not everything has come in{missing}")));
            }
            if progress.early {
                let says =
                    "policies that name pods allow everybody until those of other nodes are known, others are enforced";
                all.push((Hindrance::Lists, says.to_owned()));
            }
        } else if !progress.in_force {
            let what =
                if progress.last_error.is_some() { "the last commit failed" } else { "nothing has been committed" };
            all.push((Hindrance::Commit, format!("{what}{}", progress.whose(", of"))));
        }
        let may_fail_alone = |watch: &&WatchStatus| MAY_FAIL_ALONE.contains(&watch.resource.as_str()) && watch.synced;
        let is_there = source.watches.iter().any(|watch| watch.connected);
        for watch in source.watches.iter().filter(may_fail_alone).filter(|_| is_there) {
            let says = |error| format!("{} are not followed: {error}", watch.resource);
            all.extend(watch.last_error.as_ref().map(|error| (Hindrance::Lists, says(error))));
        }
        if let Some(late) = progress.pulse.late(Instant::now()) {
            let (seconds, whose) = (late.as_secs(), progress.whose(", with"));
            all.push((Hindrance::Work, format!("busy for {seconds} s, and what has changed since waits{whose}")));
        }
        all
    }

    /// All metrics, as text in the OpenMetrics format.
    pub fn metrics(&self) -> String {
        let hindrances = self.hindrances(&self.metrics.source());
        self.metrics.encode(&hindrances.into_iter().map(|(what, _)| what).collect::<Vec<_>>())
    }

    /// The whole state.
    pub fn status(&self) -> Status {
        let source = self.metrics.source();
        let (alive, behind) = (self.is_alive(), self.behind_of(&source));
        let progress = self.progress();
        Status {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            uptime_seconds: self.start.elapsed().as_secs(),
            alive,
            synced: progress.synced,
            ready: behind.is_empty(),
            behind,
            generation: progress.generation,
            totals: progress.totals,
            closed_namespaces: progress.closed_namespaces,
            closed: progress.closed.clone(),
            cluster_policies: progress.cluster_policies.clone(),
            sandboxes: progress.sandboxes.clone(),
            outside_pod_range: progress.outside_pod_range,
            lingering: progress.lingering.clone(),
            last_commit: progress.last_commit.clone(),
            last_check: progress.last_check,
            last_error: progress.last_error.clone(),
            source,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("nothing panics while it holds this lock")
    }
}

impl Progress {
    fn new(pulse: Pulse) -> Self {
        Self {
            pulse,
            synced: false,
            early: false,
            lacks_pod_range: false,
            in_force: false,
            waiting: HashSet::new(),
            published: None,
            outdated: false,
            generation: None,
            totals: Totals::default(),
            closed_namespaces: 0,
            closed: Vec::new(),
            cluster_policies: ClusterPolicyStatus::default(),
            sandboxes: SandboxStatus::default(),
            outside_pod_range: None,
            lingering: Vec::new(),
            counted: Counted::default(),
            last_commit: None,
            last_check: None,
            last_error: None,
        }
    }

    fn await_commit_of(&mut self, changes: &[Change]) {
        for namespace in changes.iter().filter_map(Change::namespace) {
            if !self.waiting.contains(namespace) {
                self.waiting.insert(namespace.clone());
            }
        }
    }

    /// Whose changes are not in force, behind `word`; nothing where there are none.
    fn whose(&self, word: &str) -> String {
        let mut namespaces: Vec<_> = self.waiting.iter().collect();
        namespaces.sort_unstable();
        let some = || some_of(&namespaces, NAMED, LONGEST_NAME, ", ");
        if namespaces.is_empty() { String::new() } else { format!("{word} changes in namespaces: {}", some()) }
    }

    /// Takes note of an attempt. Whether nothing of ours called for it: the kernel held what was asked, and no changes
    /// have come since.
    fn begin(&mut self, succeeded: bool) -> bool {
        let undisturbed = self.in_force && self.waiting.is_empty();
        self.outdated |= !self.waiting.is_empty() || self.published.is_none();
        self.in_force = succeeded;
        if succeeded {
            self.waiting = HashSet::new();
        }
        self.resolve();
        undisturbed
    }

    fn resolve(&mut self) {
        if let Some(error) = &mut self.last_error {
            error.resolved |= self.in_force;
        }
    }

    fn committed(&mut self, at: Timestamp, commit: &Commit) {
        self.outdated = true;
        self.last_commit =
            Some(LastCommit { at, seconds: commit.elapsed.as_secs_f64(), changes: changes(&commit.diff.summary()) });
    }

    /// When figures have to be published; `None` where they need not be.
    fn figures_due(&self, interval: Duration) -> Option<Instant> {
        let wanted = self.outdated && self.in_force;
        wanted.then(|| self.published.map_or_else(Instant::now, |at| at + interval))
    }

    fn publish(&mut self, generation: Option<u32>, index: &IndexSize) {
        self.generation = generation;
        self.totals = Totals::from(index);
        self.published = Some(Instant::now());
        self.outdated = false;
    }
}

#[cfg(test)]
mod slow;
#[cfg(test)]
pub(super) mod tests;

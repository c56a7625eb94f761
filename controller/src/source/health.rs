//! How the watches are doing, for readiness, metrics and status.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state of every watch, shared between the source that writes it and whoever shows it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pods: WatchHealth,
    namespaces: WatchHealth,
    policies: WatchHealth,
    cluster_policies: WatchHealth,
    nodes: WatchHealth,
    no_such_node: Arc<AtomicBool>,
    has_outdated_policies: Arc<AtomicBool>,
}

/// The state of one watch. Counters start with the agent and only grow.
#[derive(Clone, Debug, Default)]
pub struct WatchState {
    /// Whether everything has been listed once. Stays so when the API goes away.
    pub synced: bool,
    /// Whether the watch follows changes right now: not while it lists, or waits to try again.
    pub connected: bool,
    /// Why there is nothing to follow, where there is not.
    pub without: Option<&'static str>,
    /// How many objects there are.
    pub objects: usize,
    /// How many of them have a part that could not be understood, and so is left out.
    pub objects_with_problems: usize,
    /// Objects added, modified and deleted.
    pub events: u64,
    /// Lists begun, the first one included.
    pub lists: u64,
    /// Requests that failed, and watches that ended otherwise than in time.
    pub errors: u64,
    /// What failed last, until the watch follows again.
    pub last_error: Option<String>,
    /// When the API server last sent anything, a bookmark too.
    pub last_contact: Option<Instant>,
}

impl WatchState {
    /// How long the API server has not sent anything; `None` if it never has.
    pub fn silence(&self) -> Option<Duration> {
        self.last_contact.map(|at| at.elapsed())
    }
}

impl Health {
    /// Every watch by its resource (`pods`, `namespaces`, ...), as it is now.
    pub fn watches(&self) -> [(&'static str, WatchState); 5] {
        [
            ("pods", self.pods.snapshot()),
            ("namespaces", self.namespaces.snapshot()),
            ("networkpolicies", self.policies.snapshot()),
            ("clusternetworkpolicies", self.cluster_policies.snapshot()),
            ("nodes", self.nodes.snapshot()),
        ]
    }

    /// Whether every watch has listed everything once.
    pub fn synced(&self) -> bool {
        let watches = [&self.pods, &self.namespaces, &self.policies, &self.cluster_policies, &self.nodes];
        watches.iter().all(|watch| watch.lock().synced)
    }

    /// Whether there are policies of an earlier version of the API, which are not enforced.
    pub fn outdated_policies(&self) -> bool {
        self.has_outdated_policies.load(Ordering::Relaxed)
    }

    pub(super) fn has_outdated_policies(&self, has: bool) {
        self.has_outdated_policies.store(has, Ordering::Relaxed);
    }

    /// Whether the API has no Node of this agent's name, and no pod on it.
    pub fn no_such_node(&self) -> bool {
        self.no_such_node.load(Ordering::Relaxed)
    }

    pub(super) fn node_is_missing(&self, missing: bool) {
        self.no_such_node.store(missing, Ordering::Relaxed);
    }

    pub(super) fn pods(&self) -> WatchHealth {
        self.pods.clone()
    }

    pub(super) fn namespaces(&self) -> WatchHealth {
        self.namespaces.clone()
    }

    pub(super) fn policies(&self) -> WatchHealth {
        self.policies.clone()
    }

    pub(super) fn cluster_policies(&self) -> WatchHealth {
        self.cluster_policies.clone()
    }

    pub(super) fn nodes(&self) -> WatchHealth {
        self.nodes.clone()
    }
}

/// The one watch's side of [`Health`].
#[derive(Clone, Debug, Default)]
pub(super) struct WatchHealth(Arc<Mutex<WatchState>>);

impl WatchHealth {
    pub(super) fn listing(&self) {
        let mut state = self.lock();
        if state.without.is_none() {
            state.lists += 1;
            state.connected = false;
        }
    }

    pub(super) fn listed(&self) {
        self.lock().synced = true;
    }

    pub(super) fn following(&self) {
        let mut state = self.lock();
        state.connected = true;
        if state.without.take().is_some() {
            state.lists += 1;
        }
        state.last_error = None;
    }

    /// There is nothing to follow: all that there is, nothing, is known.
    pub(super) fn without(&self, reason: &'static str) {
        let mut state = self.lock();
        state.synced = true;
        state.connected = true;
        state.without = Some(reason);
        state.last_error = None;
    }

    pub(super) fn contact(&self) {
        self.lock().last_contact = Some(Instant::now());
    }

    pub(super) fn event(&self) {
        self.lock().events += 1;
    }

    pub(super) fn objects(&self, objects: usize, objects_with_problems: usize) {
        let mut state = self.lock();
        state.objects = objects;
        state.objects_with_problems = objects_with_problems;
    }

    pub(super) fn failed(&self, error: &impl ToString) {
        let mut state = self.lock();
        state.errors += 1;
        state.connected = false;
        state.last_error = Some(error.to_string());
    }

    pub(super) fn snapshot(&self) -> WatchState {
        self.lock().clone()
    }

    /// A holder that panicked left a state that is still whole: every field stands for itself.
    fn lock(&self) -> MutexGuard<'_, WatchState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use palisade_model::NamespacedName;
use palisade_nft::{BackendError, BaseChain, Chain, CommitError, Elements, Errno, Hook, Name, Set, diff};

use super::*;
use crate::serve::WatchStatus;
use crate::shares::Over;

/// A state whose figures are always due.
pub(crate) fn state() -> State {
    state_with(Duration::ZERO)
}

fn state_with(figures_interval: Duration) -> State {
    let watch = |resource: &str, synced: bool| WatchStatus {
        resource: resource.to_owned(),
        synced,
        connected: synced,
        without: None,
        last_event: synced.then(|| Timestamp::from_second(1_700_000_000).unwrap()),
        errors: 3,
        relists: 2,
        last_error: None,
    };
    let watches = vec![watch("pods", true), watch("namespaces", false)];
    let status = SourceStatus { watches, policies_with_problems: 4, ..SourceStatus::default() };
    State::with("worker-1", Box::new(move || status.clone()), figures_interval, Limits::default())
}

impl State {
    /// As if the agent's thread, of which nothing can be seen, had promised to report an hour ago.
    pub(crate) fn fall_silent(&self) {
        self.progress().pulse.rests(Instant::now().checked_sub(Duration::from_secs(3600)).unwrap());
    }
}

/// One base and one regular chain, one set of two addresses.
fn ruleset() -> Ruleset {
    let name = |name: &str| Name::new(name).unwrap();
    let mut ruleset = Ruleset::empty(name("palisade"));
    let base = Chain { base: Some(BaseChain { hook: Hook::Forward, priority: 0 }), ..Chain::default() };
    ruleset.chains = [(name("egress"), base), (name("pod"), Chain::default())].into();
    let addresses = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
    ruleset.sets = [(name("web"), Set { elements: Elements::Ipv4(addresses.into()), comment: None })].into();
    ruleset
}

/// What the agent reports of one attempt.
pub(crate) struct Attempt {
    result: Result<Option<Commit>, EnforceError>,
    compared: bool,
}

impl Attempt {
    pub(crate) fn nothing_to_do() -> Self {
        Self { result: Ok(None), compared: false }
    }

    pub(crate) fn failed(errno: i32) -> Self {
        Self { result: Err(CommitError::Unacknowledged { errno: Errno(errno) }.into()), compared: false }
    }

    pub(crate) fn unreadable(error: BackendError) -> Self {
        Self { result: Err(error.into()), compared: true }
    }

    pub(crate) fn committed(micros: u64) -> Self {
        Self { result: Ok(Some(commit(micros))), compared: false }
    }

    pub(crate) fn comparing(self) -> Self {
        Self { compared: true, ..self }
    }

    pub(crate) fn report(&self, state: &State) {
        let ruleset = ruleset();
        let index = IndexSize { pods: 9, local_pods: 3, isolated_pods: 2, policies: 5, ..IndexSize::default() };
        let figures = Figures {
            generation: Some(7),
            ruleset: &ruleset,
            index,
            closed: closed(150),
            shares_used: used(),
            cluster_policies: ClusterPolicyFigures::default(),
            sandboxes: SandboxFigures::default(),
            outside_pod_range: None,
            lingering: vec![],
            local_pods: vec![],
        };
        state.attempted(&self.result, self.compared, || figures);
    }
}

pub(crate) fn commit(micros: u64) -> Commit {
    let diff = diff(None, &ruleset());
    Commit { diff, from_backend: false, elapsed: Duration::from_micros(micros) }
}

/// So many closed namespaces.
fn closed(count: usize) -> Vec<ClosedNamespace> {
    let closed =
        |n| ClosedNamespace { namespace: format!("ns-{n:03}"), over: Over::Share, costs: vec![], policies: vec![] };
    (0..count).map(closed).collect()
}

fn used() -> [(&'static str, f64); 6] {
    ["grants", "elements", "sets", "chains", "checks", "bytes"].map(|what| (what, 0.25))
}

#[test]
fn closed_namespaces_are_listed_up_to_a_hundred_and_hinder_nothing() {
    let (teller, mut told) = crate::notices::channel();
    let state = state().with_teller(teller);
    state.synced();
    Attempt::committed(1).report(&state);
    state.closed(closed(1));
    let status = state.status();
    assert_eq!((status.closed_namespaces, status.closed.len(), status.ready), (150, 100, true));
    assert_eq!(told.try_recv().unwrap().namespace, "ns-000");
}

fn gone() -> Vec<Change> {
    vec![Change::PodGone(NamespacedName::new("shop", "web"))]
}

#[test]
fn a_failure_is_told_until_it_is_resolved_and_after() {
    let state = state();
    state.synced();
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    let error = state.status().last_error.unwrap();
    assert!(error.message.contains("No buffer space"), "{}", error.message);
    assert!(!error.resolved && !state.status().ready);
    Attempt::nothing_to_do().report(&state);
    assert!(state.status().last_error.unwrap().resolved && state.status().ready);
}

#[test]
fn whose_changes_are_behind_is_told_until_they_are_in_force() {
    let state = state();
    state.synced();
    Attempt::committed(1).report(&state);
    let gone = |namespace: &str| Change::PodGone(NamespacedName::new(namespace, "web"));
    state.received(&[gone("shop"), Change::NamespaceGone("office".into()), gone("shop")]);
    assert!(state.is_ready(), "it will be, at once");
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    assert_eq!(state.behind(), ["the last commit failed, of changes in namespaces: office, shop"]);
    state.received(&["a", "b"].map(gone));
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    let expected = "the last commit failed, of changes in namespaces: a, b, office, and 1 more";
    assert_eq!(state.status().behind, [expected]);
    Attempt::committed(1).report(&state);
    assert_eq!(state.behind(), [""; 0]);
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    assert_eq!(state.behind(), ["the last commit failed"], "nobody's changes wait for a repair");
}

/// Not to be settled costs time, and opens nothing.
#[test]
fn what_could_not_be_settled_makes_nothing_unready() {
    let state = state();
    state.synced();
    Attempt::committed(1).report(&state);
    let error = BackendError::System { what: "list connections".to_owned(), errno: Errno(nix::libc::ENOBUFS) };
    state.settled(&Err(error.into()), false);
    assert!(state.status().ready && state.status().last_error.is_none());
    state.settled(&Ok(Some(Settled { commit: Some(commit(5)), swept: None })), true);
    assert_eq!(state.status().last_commit.unwrap().seconds, 0.000_001, "it is no commit of what came in");
}

#[test]
fn the_last_commit_is_one_that_changed_something() {
    let state = state();
    Attempt::committed(1500).report(&state);
    Attempt::nothing_to_do().report(&state);
    let status = state.status();
    assert_eq!(status.generation, Some(7));
    let last = status.last_commit.unwrap();
    assert_eq!((last.seconds, last.changes.as_str()), (0.0015, "2 chains, 1 sets, 2 elements added"));
    assert_eq!(status.totals.isolated_pods, 2);
}

#[test]
fn only_what_nobody_asked_for_is_a_repair() {
    let state = state();
    let repairs = || {
        let text = state.metrics();
        text.lines().find_map(|line| line.strip_prefix("palisade_drift_repairs_total ")).unwrap().to_owned()
    };
    Attempt::committed(1).comparing().report(&state);
    assert_eq!(repairs(), "0", "the start");
    state.received(&gone());
    Attempt::committed(1).comparing().report(&state);
    assert_eq!(repairs(), "0", "a change of ours came in between");
    Attempt::failed(1).report(&state);
    Attempt::committed(1).comparing().report(&state);
    assert_eq!(repairs(), "0", "after an error");
    Attempt::nothing_to_do().comparing().report(&state);
    assert_eq!(repairs(), "0", "the table was as it had been left");
    Attempt::committed(1).comparing().report(&state);
    assert_eq!(repairs(), "1");
    assert!(state.status().last_check.is_some());
}

#[test]
fn figures_are_taken_at_intervals_and_the_last_ones_are_not_forgotten() {
    let hour = Duration::from_secs(3600);
    let (soon, late) = (Instant::now() + hour, Instant::now() + hour * 2);
    let state = state_with(hour / 2);
    assert_eq!(state.rest(late), late, "there is nothing to publish yet");
    Attempt::committed(1).report(&state);
    assert_eq!(state.status().totals.pods, 9, "the first ones are taken at once");
    assert_eq!(state.rest(late), late, "what is published is right");
    let untaken = |attempt: Attempt| state.attempted(&attempt.result, false, || panic!("they were just taken"));
    untaken(Attempt::committed(1));
    assert!(state.rest(late) < soon, "the thread must wake to publish them");
    untaken(Attempt::failed(1));
    assert_eq!(state.rest(late), late, "there is nothing to publish while commits fail");
}

#[test]
fn events_without_a_commit_make_figures_outdated_too() {
    let hour = Duration::from_secs(3600);
    let (soon, late) = (Instant::now() + hour, Instant::now() + hour * 2);
    let state = state_with(hour / 2);
    Attempt::nothing_to_do().report(&state);
    assert_eq!(state.rest(late), late);
    state.received(&gone());
    Attempt::nothing_to_do().report(&state);
    assert!(state.rest(late) < soon);
}

#[test]
fn resting_is_promising_to_report() {
    let state = state();
    state.fall_silent();
    assert!(!state.is_alive());
    let due = Instant::now();
    assert_eq!(state.rest(due), due);
    assert!(state.is_alive());
}

/// While the API server is away nothing is known to have changed; one that is there, and does not serve what others see, is
/// another matter.
#[test]
fn a_watch_that_fails_alone_makes_the_agent_unready() {
    let watch = |resource: &str, connected: bool| WatchStatus {
        resource: resource.to_owned(),
        synced: true,
        connected,
        without: None,
        last_event: None,
        errors: 1,
        relists: 0,
        last_error: (!connected).then(|| "403 Forbidden".to_owned()),
    };
    let behind = |watches: &[(&str, bool)]| {
        let watches = watches.iter().map(|(resource, connected)| watch(resource, *connected)).collect();
        let status = SourceStatus { watches, ..SourceStatus::default() };
        let state = State::with("worker-1", Box::new(move || status.clone()), Duration::ZERO, Limits::default());
        state.synced();
        Attempt::nothing_to_do().report(&state);
        state.behind()
    };
    assert_eq!(behind(&[("pods", true), ("clusternetworkpolicies", true), ("nodes", true)]), Vec::<String>::new());
    assert_eq!(
        behind(&[("pods", true), ("clusternetworkpolicies", false)]),
        ["clusternetworkpolicies are not followed: 403 Forbidden"]
    );
    assert_eq!(behind(&[("pods", false), ("clusternetworkpolicies", false)]), Vec::<String>::new());
    assert_eq!(behind(&[("pods", false), ("clusternetworkpolicies", true)]), Vec::<String>::new());
}

//! The agent's loop over a backend that fails: it writes nothing before it knows everything, and tries till it holds.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::libc;
use palisade::agent;
use palisade::enforcer::Enforcer;
use palisade::input::Input;
use palisade::render::Epoch;
use palisade::serve::{SourceStatus, State};
use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Age, Change, Enforcement, Labels, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy, Ports, Rule,
    Selector,
};
use palisade_nft::{Backend, BackendError, CommitError, Errno, Fake, Ruleset, Table, Transaction};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::backend::{Fault, Faulty};
use crate::table;

/// Far longer than anything takes: only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// A backend that the test sees, too; it fails as often as it is told.
#[derive(Clone)]
struct Shared(Arc<Mutex<(Faulty, Vec<Fault>)>>, Arc<Mutex<Guard>>);

/// How often it was asked to shut others out, and how often more it refuses to.
#[derive(Default)]
struct Guard {
    asked: usize,
    refuses: usize,
}

impl Shared {
    fn new(fake: Fake, faults: &[Fault]) -> Self {
        Self(Arc::new(Mutex::new((Faulty::new(fake, None), faults.to_vec()))), Arc::default())
    }

    fn held(&self) -> Option<Ruleset> {
        self.0.lock().unwrap().0.fake.ruleset().cloned()
    }

    fn faults_left(&self) -> usize {
        let guard = self.0.lock().unwrap();
        guard.1.len() + usize::from(guard.0.next.is_some())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Faulty) -> T) -> T {
        let (faulty, faults) = &mut *self.0.lock().unwrap();
        if faulty.next.is_none() {
            faulty.next = faults.pop();
        }
        work(faulty)
    }
}

impl Backend for Shared {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.with(Faulty::read)
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        self.with(|faulty| faulty.commit(table, transaction))
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.0.lock().unwrap().0.generation()
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        let mut guard = self.1.lock().unwrap();
        guard.asked += 1;
        let Some(left) = guard.refuses.checked_sub(1) else { return Ok(true) };
        guard.refuses = left;
        Err(CommitError::Rejected { what: "read the table's owner".to_owned(), errno: Errno(libc::EINTR) })
    }
}

struct Running {
    inputs: UnboundedSender<Input>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(backend: Shared) -> Self {
        let (inputs, mut receiver) = unbounded_channel();
        let thread = thread::spawn(move || {
            let state = State::new(NODE, Box::new(SourceStatus::default));
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(agent::run(&mut Enforcer::new(NODE, table(), backend), &mut receiver, &state));
        });
        Self { inputs, thread }
    }

    fn tell(&self, changes: Vec<Change>) {
        self.inputs.send(Input::Changes(changes)).unwrap();
    }

    fn stop(self) {
        self.inputs.send(Input::Stop).unwrap();
        self.thread.join().unwrap();
    }
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

fn pod(name: &str, address: &str) -> Change {
    Change::Pod(Pod {
        labels: Labels::from_iter([("app", name)]),
        node: Some(NODE.into()),
        age: Age { created: 1, revision: 1 },
        ..bare_pod(id(name), [address.parse().unwrap()])
    })
}

fn deny_all() -> Change {
    Change::Policy(Policy {
        id: id("deny"),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(vec![]),
        egress: None,
    })
}

/// What is enforced when all of it is known.
fn enforced(changes: &[Change]) -> Fake {
    let mut enforcer = Enforcer::new(NODE, table(), Fake::new(table()));
    changes.iter().cloned().for_each(|change| enforcer.apply(change));
    enforcer.commit().unwrap();
    enforcer.backend().clone()
}

/// Whether `backend` holds what `goal` does, be established connections judged at the moment or not.
fn reaches(backend: &Shared, goal: &Fake) -> bool {
    let in_one_epoch = |mut ruleset: Ruleset| {
        ruleset.apply(Epoch::LAST.begin()).unwrap();
        ruleset
    };
    backend.held().map(in_one_epoch) == goal.ruleset().cloned().map(in_one_epoch)
}

#[track_caller]
fn eventually(reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "it does not come");
        sleep(Duration::from_millis(1));
    }
}

/// The pods are known, and a new one, but no policies yet: what was enforced stays; and then the new pod is closed, too.
#[test]
fn pods_whose_policies_may_not_be_complete_are_not_opened() {
    let before = [pod("web", "10.0.0.1"), deny_all()];
    let after = [pod("web", "10.0.0.1"), pod("new", "10.0.0.2"), deny_all()];
    let mut backend = Shared::new(enforced(&before), &[]);
    let (held, generation) = (backend.held(), backend.generation().unwrap());
    let running = Running::start(backend.clone());
    running.tell(after[..2].to_vec());
    running.inputs.send(Input::Disturbed("process 1 (nft)".to_owned())).unwrap();
    running.inputs.send(Input::KnownHere).unwrap();
    // It has taken all of that when it takes what is sent last of a channel that holds nothing else.
    running.tell(vec![]);
    sleep(Duration::from_millis(100));
    assert_eq!((backend.held(), backend.generation().unwrap()), (held, generation));
    running.tell(vec![deny_all()]);
    running.inputs.send(Input::Synced).unwrap();
    let goal = enforced(&after);
    eventually(|| reaches(&backend, &goal));
    let commits = backend.generation().unwrap() - generation;
    assert!((1..=2).contains(&commits), "{commits}: all of it at once, and then it settles");
    running.stop();
}

/// Nothing is in force, and which pods other nodes have is not known yet: who lets nobody in is closed, and who lets pods in is
/// open to all of them.
#[test]
fn where_nothing_is_in_force_what_depends_on_no_other_pod_comes_first() {
    let web = [pod("web", "10.0.0.1"), deny_all()];
    let peers = Peers::AnyOf(vec![Peer::Pods(PodGroup {
        namespaces: NamespaceScope::Named("shop".into()),
        pods: Selector::default(),
    })]);
    let allows = |peers: Peers| {
        let Change::Policy(policy) = deny_all() else { unreachable!("it is one") };
        let rule = Rule { peers, ports: Ports::All };
        let namespace = NamespacedName::new("bank", "allow");
        Change::Policy(Policy { id: namespace, ingress: Some(vec![rule]), ..policy })
    };
    let vault = || {
        let ip = "10.0.0.2".parse().unwrap();
        Change::Pod(Pod { node: Some(NODE.into()), ..bare_pod(NamespacedName::new("bank", "vault"), [ip]) })
    };
    let elsewhere = || Change::Pod(bare_pod(id("elsewhere"), ["10.0.0.3".parse().unwrap()]));
    let before: Vec<Change> = web.iter().cloned().chain([vault(), allows(Peers::All)]).collect();
    let after: Vec<Change> = web.iter().cloned().chain([vault(), allows(peers.clone()), elsewhere()]).collect();
    let backend = Shared::new(Fake::new(table()), &[]);
    let running = Running::start(backend.clone());
    running.tell(web.to_vec());
    running.tell(vec![vault(), allows(peers)]);
    running.inputs.send(Input::KnownHere).unwrap();
    let goal = enforced(&before);
    eventually(|| reaches(&backend, &goal));
    running.tell(vec![elsewhere()]);
    running.inputs.send(Input::Synced).unwrap();
    let goal = enforced(&after);
    eventually(|| reaches(&backend, &goal));
    running.stop();
}

/// Nobody tells it to: it tries again until all faults are over.
#[test]
fn it_tries_again_until_it_holds() {
    let faults = [
        Fault::Unreadable(libc::EINTR),
        Fault::Rejected(libc::ENOBUFS),
        Fault::Rejected(libc::EPERM),
        Fault::Refused(libc::ENOMEM),
        Fault::Dropped,
        Fault::Truncated,
        Fault::Stale,
    ];
    let changes = [pod("web", "10.0.0.1"), deny_all()];
    let backend = Shared::new(Fake::new(table()), &faults);
    let running = Running::start(backend.clone());
    running.tell(changes.to_vec());
    running.inputs.send(Input::Synced).unwrap();
    let goal = enforced(&changes);
    eventually(|| reaches(&backend, &goal) && backend.faults_left() == 0);
    running.stop();
}

#[test]
fn what_another_hand_does_is_undone() {
    let changes = [pod("web", "10.0.0.1"), deny_all()];
    let goal = enforced(&changes);
    let backend = Shared::new(goal.clone(), &[]);
    let running = Running::start(backend.clone());
    running.tell(changes.to_vec());
    running.inputs.send(Input::Synced).unwrap();
    for _ in 0..3 {
        backend.0.lock().unwrap().0.fake.tamper(|held| *held = None);
        running.inputs.send(Input::Disturbed("process 1 (nft)".to_owned())).unwrap();
        eventually(|| reaches(&backend, &goal));
    }
    running.stop();
}

/// It has nothing to write. Not before it knows everything, once when it does, and again only if that fails.
#[test]
fn it_shuts_others_out_when_it_begins_to_enforce() {
    let changes = [pod("web", "10.0.0.1"), deny_all()];
    let backend = Shared::new(enforced(&changes), &[]);
    backend.1.lock().unwrap().refuses = 2;
    let asked = || backend.1.lock().unwrap().asked;
    let running = Running::start(backend.clone());
    running.tell(changes[..1].to_vec());
    sleep(Duration::from_millis(50));
    assert_eq!(asked(), 0);
    running.tell(changes[1..].to_vec());
    running.inputs.send(Input::Synced).unwrap();
    eventually(|| asked() == 3);
    running.inputs.send(Input::Disturbed("process 1 (nft)".to_owned())).unwrap();
    running.tell(vec![pod("more", "10.0.0.2")]);
    let goal = enforced(&[pod("web", "10.0.0.1"), pod("more", "10.0.0.2"), deny_all()]);
    eventually(|| reaches(&backend, &goal));
    running.stop();
    assert_eq!(asked(), 3);
}

//! The agent's loop over a backend whose commit takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use palisade_model::testing::NODE;
use palisade_nft::{Backend, BackendError, CommitError, Fake, Name, Table, Transaction};
use tokio::runtime::Builder;
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::agent;
use crate::enforcer::Enforcer;
use crate::input::Input;

/// How long a thread may use no CPU time. More than it waits for a processor on a busy machine.
const STILL: Duration = Duration::from_secs(2);
/// Far longer than anything takes: only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Its commits work until they are told to stop, and then wait until they are told to go on.
struct Slow {
    fake: Fake,
    works: Arc<AtomicBool>,
    go_on: Receiver<()>,
}

impl Backend for Slow {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.fake.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        while self.works.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let _ = self.go_on.recv();
        self.fake.commit(table, transaction)
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }
}

#[track_caller]
fn eventually(reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "it does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_long_commit_is_alive_while_it_works_and_not_ready() {
    let limits =
        Limits { grace: Duration::from_millis(100), still: STILL, longest: LIMIT * 60, unseen: Duration::ZERO };
    let source = Box::new(SourceStatus::default);
    let state = Arc::new(State::with(NODE, source, Duration::ZERO, limits));
    let (inputs, mut receiver) = unbounded_channel();
    let (tell, go_on) = channel();
    let works = Arc::new(AtomicBool::new(true));
    let running = {
        let (state, works) = (Arc::clone(&state), Arc::clone(&works));
        thread::spawn(move || {
            let table = Name::new("palisade").unwrap();
            let backend = Slow { fake: Fake::new(table.clone()), works, go_on };
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(agent::run(&mut Enforcer::new(NODE, table, backend), &mut receiver, &state));
        })
    };
    inputs.send(Input::Changes(vec![Change::NamespaceGone("shop".into())])).unwrap();
    inputs.send(Input::Synced).unwrap();
    let is_busy = |what: &String| what.starts_with("busy for ") && what.ends_with(", with changes in namespaces: shop");
    eventually(|| state.behind().iter().any(is_busy));
    let working = Instant::now();
    while working.elapsed() < 3 * STILL {
        assert!(state.is_alive() && state.status().alive && !state.is_ready());
        thread::sleep(Duration::from_millis(20));
    }
    works.store(false, Ordering::Relaxed);
    eventually(|| !state.is_alive());
    drop(tell);
    eventually(|| state.is_alive() && state.is_ready());
    inputs.send(Input::Stop).unwrap();
    running.join().unwrap();
}

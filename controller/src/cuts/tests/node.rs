//! A node with connections in memory.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_model::Change;
use palisade_nft::{BackendError, Connection, Conntrack, Errno, Fake, Name, Outcome, Selection, Transport, walk};

use crate::cuts::{CutError, Cuts};
use crate::enforcer::Enforcer;
use crate::render::{CUT_MARK, TABLE};

/// A bit of somebody else's.
pub(super) const OTHERS: u32 = 0x40_0001;

/// Connections in memory.
#[derive(Clone, Default)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    gate: Arc<Mutex<()>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) connections: Vec<Connection>,
    /// What was asked for, in order.
    pub(super) asked: Vec<Selection>,
    pub(super) settled: usize,
    pub(super) marked: usize,
    pub(super) fails: bool,
}

impl Memory {
    pub(super) fn new(flows: impl IntoIterator<Item = (IpAddr, IpAddr, Transport)>) -> Self {
        let connections = flows.into_iter().enumerate().map(|(number, (source, destination, transport))| {
            let key = Box::from(number.to_be_bytes());
            Connection { source, destination, transport, mark: OTHERS, key }
        });
        let connections = connections.collect();
        Self { state: Arc::new(Mutex::new(State { connections, ..State::default() })), ..Self::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Till this is dropped packets are on their way.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }

    fn check(&self) -> Result<(), BackendError> {
        let what = "list connections".to_owned();
        if self.state().fails { Err(BackendError::System { what, errno: Errno(105) }) } else { Ok(()) }
    }
}

impl Conntrack for Memory {
    fn list(&mut self, selection: Selection, each: &mut dyn FnMut(Connection)) -> Result<(), BackendError> {
        self.state().asked.push(selection);
        self.check()?;
        let all = self.state().connections.clone();
        let selected = all.into_iter().filter(|connection| match selection {
            Selection::All => true,
            Selection::Marked(bits) => connection.mark & bits != 0,
            Selection::Of(end) => [connection.source, connection.destination].contains(&end),
        });
        selected.for_each(each);
        Ok(())
    }

    fn mark(&mut self, connections: &[Connection], bits: u32, set: bool) -> Result<usize, BackendError> {
        let mut state = self.state();
        let keys: Vec<_> = connections.iter().map(|connection| &connection.key).collect();
        for connection in state.connections.iter_mut().filter(|connection| keys.contains(&&connection.key)) {
            connection.mark = connection.mark & !bits | if set { bits } else { 0 };
        }
        state.marked += connections.len();
        Ok(connections.len())
    }

    fn settle(&mut self) {
        drop(self.hold());
        self.state().settled += 1;
    }
}

/// A node with connections.
pub(super) struct Node {
    pub(super) enforcer: Enforcer<Fake>,
    memory: Memory,
}

impl Node {
    pub(super) fn new(node: &str, memory: &Memory) -> Self {
        Self { enforcer: enforcer(node).with_connections_of(memory.clone()), memory: memory.clone() }
    }

    pub(super) fn in_background(node: &str, memory: &Memory) -> Self {
        let enforcer = enforcer(node).with_connections_in_background(memory.clone()).unwrap();
        Self { enforcer, memory: memory.clone() }
    }

    /// What the look comes to that is under way, or due next.
    pub(super) fn looked(&mut self) -> Result<Cuts, CutError> {
        let limit = Instant::now() + Duration::from_secs(30);
        while Instant::now() < limit {
            self.enforcer.cutter().resting_until = Instant::now();
            if let Some(cuts) = self.enforcer.cut()? {
                return Ok(cuts);
            }
            sleep(Duration::from_millis(1));
        }
        panic!("no look is over");
    }

    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<Option<Cuts>, CutError> {
        changes.into_iter().for_each(|change| self.enforcer.apply(change));
        self.enforcer.commit().unwrap();
        self.enforcer.cutter().resting_until = Instant::now();
        self.enforcer.cut()
    }

    /// How many connections a change leads to judge, to cut and to restore; and what was listed.
    pub(super) fn change(&mut self, changes: impl IntoIterator<Item = Change>) -> ([usize; 3], Vec<Selection>) {
        self.memory.state().asked.clear();
        let cuts = self.apply(changes).unwrap().unwrap_or_default();
        ([cuts.judged, cuts.cut, cuts.restored], self.memory.state().asked.clone())
    }

    /// The connections that are marked otherwise than the ruleset judges them.
    pub(super) fn wrong(&self) -> Vec<Connection> {
        let forbidden = |connection: &Connection| {
            walk(self.enforcer.desired(), &connection.first_packet()).unwrap().verdict == Outcome::Drop
        };
        let expected = |one: &Connection| if forbidden(one) { OTHERS | CUT_MARK } else { OTHERS };
        let connections = self.memory.state().connections.clone();
        connections.into_iter().filter(|connection| connection.mark != expected(connection)).collect()
    }
}

fn enforcer(node: &str) -> Enforcer<Fake> {
    let table = || Name::new(TABLE).unwrap();
    Enforcer::new(node, table(), Fake::new(table()))
}

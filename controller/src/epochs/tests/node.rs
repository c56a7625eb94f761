//! A node with connections in memory.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use futures::executor::block_on;
use palisade_model::Change;
use palisade_nft::{BackendError, Conntrack, Errno, Fake, Mark, Name, Packet, PacketState, Ruleset, Transport, walk};

use super::accepted;
use crate::enforcer::{Enforcer, SettleError, Settled};
use crate::render::TABLE;

/// Bits of somebody else's.
pub(super) const OTHERS: u32 = 0x40_0001;

/// Connections in memory.
#[derive(Clone, Default)]
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    gate: Arc<Mutex<()>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) marks: Vec<u32>,
    pub(super) swept: usize,
    pub(super) fails: bool,
}

impl Memory {
    pub(super) fn with(connections: usize) -> Self {
        let state = State { marks: vec![OTHERS; connections], ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), ..Self::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn mark(&self, connection: usize) -> u32 {
        self.state().marks[connection]
    }

    /// Till this is dropped packets are on their way.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }
}

impl Conntrack for Memory {
    fn clear(&mut self, bits: u32, but: Option<Mark>) -> Result<usize, BackendError> {
        let mut state = self.state();
        if state.fails {
            return Err(BackendError::System { what: "clear the marks of connections".to_owned(), errno: Errno(105) });
        }
        state.swept += 1;
        let stays = |mark: u32| but.is_some_and(|but| but.is_on(mark));
        let marked = state.marks.iter_mut().filter(|mark| **mark & bits != 0 && !stays(**mark));
        Ok(marked.map(|mark| *mark &= !bits).count())
    }

    fn forget(&mut self, _: &BTreeSet<IpAddr>) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn ends(&mut self, _: usize) -> Result<Option<BTreeSet<IpAddr>>, BackendError> {
        Ok(None)
    }

    fn settle(&mut self) {
        drop(self.hold());
    }
}

/// A node with connections.
pub(super) struct Node {
    pub(super) enforcer: Enforcer<Fake>,
    memory: Memory,
}

impl Node {
    pub(super) fn new(node: &str, memory: &Memory) -> Self {
        let enforcer = Enforcer::new(node, table(), Fake::new(table()));
        Self { enforcer: enforcer.with_connections_of(memory.clone()), memory: memory.clone() }
    }

    pub(super) fn in_background(node: &str, memory: &Memory) -> Self {
        let enforcer = Enforcer::new(node, table(), Fake::new(table()));
        Self {
            enforcer: enforcer.with_connections_in_background(memory.clone(), memory.clone()).unwrap(),
            memory: memory.clone(),
        }
    }

    /// A node on which there is a table already.
    pub(super) fn holding(node: &str, memory: &Memory, table: Ruleset) -> Self {
        let enforcer = Enforcer::new(node, table.table.name.clone(), Fake::holding(table));
        Self { enforcer: enforcer.with_connections_of(memory.clone()), memory: memory.clone() }
    }

    pub(super) fn know(&mut self, changes: impl IntoIterator<Item = Change>) {
        changes.into_iter().for_each(|change| self.enforcer.apply(change));
    }

    pub(super) fn change(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.know(changes);
        self.enforcer.commit().unwrap();
    }

    /// As if it had rested.
    pub(super) fn settle(&mut self) -> Result<Option<Settled>, SettleError> {
        self.enforcer.epochs().resting_until = Instant::now();
        self.enforcer.settle()
    }

    /// What it comes to, sooner or later.
    pub(super) fn settled(&mut self) -> Result<Settled, SettleError> {
        loop {
            if let Some(settled) = self.settle()? {
                return Ok(settled);
            }
            block_on(self.enforcer.settling());
        }
    }

    /// Whether the next packet of this connection passes, which has these ends.
    pub(super) fn passes(
        &mut self,
        connection: usize,
        (source, destination, transport): &(IpAddr, IpAddr, Transport),
    ) -> bool {
        let mut state = self.memory.state();
        let packet = Packet {
            mark: state.marks[connection],
            ..Packet::new(*source, *destination, *transport, PacketState::Established)
        };
        let walk = walk(self.enforcer.backend().ruleset().unwrap(), &packet).unwrap();
        state.marks[connection] = walk.mark;
        accepted(walk.verdict)
    }
}

fn table() -> Name {
    Name::new(TABLE).unwrap()
}

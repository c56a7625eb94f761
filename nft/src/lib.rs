//! The part of nftables that Palisade uses.
//!
//! A [`Ruleset`] is the content of one table as a value. An [`Edit`] replaces some of its objects and gives the
//! [`Diff`]; a [`Diff`] becomes a [`Transaction`], which the kernel (or the in-memory fake) commits whole or not at all.
//!
//! Invariants:
//! - Only our own table is ever written, and of connections' marks only the bits that are asked for.
//! - A `Ruleset` holds what we can write, print and read back; what else is found in the kernel's table is
//!   [`Rule::Foreign`], which is never written.
//! - Unsafe code lives in `netlink/` alone.

mod backend;
mod collection;
mod conntrack;
mod counter;
mod depth;
mod diff;
mod edit;
mod elements;
mod fake;
mod interpreter;
mod log;
mod name;
mod netlink;
mod references;
mod ruleset;
mod text;
mod transaction;

pub use backend::{Backend, BackendError, CommitError, Errno, Owner, Process};
pub use conntrack::{Connection, Conntrack, NoConntrack};
pub use counter::{Counter, CounterValue, NamedCounter};
pub use diff::{ChainChange, CounterChange, Diff, Division, SetChange, Summary, TableChange, diff};
pub use edit::{Edit, EditError, SetEdit};
pub use elements::{Elements, ElementsKind, Endpoint, Pair, Range};
pub use fake::{Fake, Fault};
pub use interpreter::{Met, Outcome, Packet, PacketState, Step, Transport, Walk, WalkError, walk, walk_at};
pub use log::{Limit, Log, LogPrefix, LogPrefixError};
pub use name::{Comment, LinkName, LinkNameError, Name, NameError};
pub use netlink::{
    ConnectionEvent, ConnectionEvents, ConnectionPhase, Ender, Event, Kernel, KernelConntrack, LiveConnection,
    LogError, LogReader, LogRecord, Monitor, OpenError, Ownership, Tuple,
};
pub use ruleset::{
    Action, AddressField, BaseChain, Chain, CtState, End, Family, Group, Hook, Key, LinkField, Mark, Match, Rule,
    Ruleset, Set, Statement, Table, TableFamily, Verdict,
};
pub use transaction::{Operation, Transaction};

#[cfg(test)]
mod tests;

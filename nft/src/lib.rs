//! The part of nftables that Palisade uses.
//!
//! A [`Ruleset`] is the content of one `inet` table as a value. An [`Edit`] replaces some of its objects and gives the
//! [`Diff`]; a [`Diff`] becomes a [`Transaction`], which the kernel (or the in-memory fake) commits whole or not at all.
//!
//! Invariants:
//! - Only our own table is ever written.
//! - A `Ruleset` holds what we can write, print and read back; what else is found in the kernel's table is
//!   [`Rule::Foreign`], which is never written.
//! - Unsafe code lives in `netlink/` alone.

mod elements;
mod name;
mod ruleset;

pub use elements::{Elements, ElementsKind, Endpoint, Range};
pub use name::{Comment, Name, NameError};
pub use ruleset::{
    Action, AddressField, BaseChain, Chain, CtState, Edit, Family, Key, Match, Rule, Ruleset, Set, SetEdit, Statement,
    Verdict,
};

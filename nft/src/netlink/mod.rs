//! The kernel's nf_tables over netlink: the one [`Backend`](crate::Backend) with consequences.
//!
//! [`Kernel`] writes and reads our table, [`Monitor`] hears who changes it, [`LogReader`] of what packets its rules tell,
//! [`KernelConntrack`] marks connections, [`ConnectionEvents`] hears of them. Below them everything is a function from values to bytes or back: a [`Transaction`](crate::Transaction) becomes messages (`encode`), messages a batch
//! (`batch`), and what the kernel lists a [`Ruleset`](crate::Ruleset) (`read`). nftnl carries the messages and mnl the
//! batch; the messages themselves are written here, because nftnl has no verdict maps, comments, table flags or dumps.
//!
//! Invariants:
//! - A transaction is one datagram, with one acknowledgement, whatever its size.
//! - What is written is what `nft` makes of [the same text](crate::Ruleset::to_text).
//! - Garbage is an error, never a panic.
//! - A table that another process owns, or whose generation is not the expected one, is not written.
//! - There is no other unsafe code in this crate: an `NlMsg`, a socket option, a borrowed descriptor, and `Send`.

mod attributes;
mod batch;
mod chain;
mod conntrack;
mod constants;
mod elements;
mod encode;
mod expression;
mod kernel;
mod listener;
mod log;
mod message;
mod monitor;
mod object;
mod passage;
mod read;
mod rule;
mod set;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
mod userdata;
mod verdict;

pub use conntrack::{ConnectionEvent, ConnectionEvents, ConnectionPhase, KernelConntrack, LiveConnection, Tuple};
pub use kernel::{Kernel, OpenError, Ownership};
pub use listener::Ender;
pub use log::{LogError, LogReader, LogRecord};
pub use monitor::{Event, Monitor};

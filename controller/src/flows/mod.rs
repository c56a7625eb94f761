//! What is dropped, and what else is told of flows: from a [`Record`] on.
//!
//! Whoever reads the kernel's log publishes records in the [`Hub`], which remembers them ([`Store`]) and tells whoever follows.
//!
//! Invariants:
//! - What is remembered is bounded, and so is what a follower costs.
//! - Records are told as the objects were at that moment: nothing here looks anything up.

mod attribution;
mod counters;
mod flow;
mod hub;
mod latest;
mod line;
mod listen;
mod log;
mod message;
mod protocol;
mod record;
mod shared;
mod store;
mod throttle;
mod told;

pub use attribution::Attribution;
pub use counters::{DropCounters, DropKey, Dropped};
pub use hub::{Figures, Follower, Header, Heard, Hub, Wanted};
pub use line::Lines;
pub(crate) use line::{printable, service};
pub use listen::{Waiting, listen, supported};
pub use log::log_drops;
pub use message::{Message, Messages};
pub use protocol::IpProtocol;
pub use record::{LocalPod, Nearest, Peer, PeerPod, Reason, Record, Rule, Verdict};
pub use store::{Entry, Gone, Store};
pub use throttle::Throttle;
pub use told::Told;

#[cfg(test)]
pub(crate) use record::tests;

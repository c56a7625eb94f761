//! What is dropped, and what is allowed: from what the kernel tells to [`Record`]s.
//!
//! A thread reads the kernel's log ([`listen`]), another one conntrack's events ([`watch_connections`]); the agent makes records
//! of what they tell ([`Attribution`]) and publishes them in the [`Hub`], which remembers them ([`Store`]) and tells whoever
//! follows.
//!
//! Invariants:
//! - What is remembered is bounded, and so is what a follower costs.
//! - Records are told as the objects were at that moment: nothing here looks anything up.

mod admission;
mod attribution;
mod connections;
mod counters;
mod ends;
mod explain;
mod flow;
mod hub;
mod latest;
mod line;
mod listen;
mod log;
mod message;
mod protocol;
mod record;
mod recorded;
mod shared;
mod store;
mod throttle;
mod told;

pub use attribution::Attribution;
pub use connections::{Connections, Locals, watch as watch_connections};
pub use counters::{DropCounters, DropKey, Dropped};
pub use hub::{AllowedFigures, Figures, Follower, Header, Heard, Hub, Wanted};
pub use line::Lines;
pub(crate) use line::{printable, service};
pub use listen::{Waiting, listen, supported};
pub use log::log_drops;
pub use message::{Message, Messages};
pub use protocol::IpProtocol;
pub(crate) use record::add_known;
pub use record::{LocalPod, Nearest, Peer, PeerPod, Reason, Record, Rule, Verdict};
pub use recorded::{Recorded, RecordedEnd, RecordedError, RecordedFlow};
pub use store::{Entry, Gone, Store};
pub use throttle::Throttle;
pub use told::Told;

#[cfg(test)]
pub(crate) use record::tests;

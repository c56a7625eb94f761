//! Network namespaces, and networks of them.

mod batches;
mod daemon;
mod host;
mod namespace;
mod network;

pub use daemon::Daemon;
pub use host::Host;
pub use namespace::{Namespace, NetnsError};
pub use network::{Network, Node, Place};

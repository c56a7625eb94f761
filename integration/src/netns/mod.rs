//! Network namespaces, and networks of them.

mod batches;
mod bridge;
mod conntrack;
mod daemon;
mod host;
mod namespace;
mod network;
mod node;
mod owned;
mod topology;
mod tunnel;

pub use bridge::{BRIDGE, pass_to_netfilter};
pub use daemon::Daemon;
pub use host::Host;
pub use namespace::{Namespace, NetnsError};
pub use network::{Network, Place};
pub use node::Node;
pub use owned::owns_tables;
pub use topology::{Fabric, PodLinks, Topology};

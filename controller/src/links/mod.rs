//! How pods hang on this node, as rtnetlink tells it of the network namespace that the caller is in.
//!
//! Invariants:
//! - What is told is a function of what the kernel said (`snapshot`); hearing it (`channel`, `watch`) is apart from that.
//! - Which address is whose is taken from the far end of a veth pair, which a container without `NET_ADMIN` cannot
//!   change: never from what a packet claims.
//! - Nothing is polled: while nothing happens nothing is done, but for a rare look at ports whose far end cannot be heard.
//! - What routes lead elsewhere than over links that may be pods' is not kept, however many there are.
//! - Names that cannot stand in a ruleset are in no snapshot.

mod channel;
mod events;
mod far;
mod hints;
mod link;
mod look;
mod lookup;
mod message;
mod ports;
mod request;
mod route;
mod routes;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::RouteNetlinkMessage;
use thiserror::Error;

use channel::Channel;

pub use watch::{Nudge, read, watch};

/// How pods hang on this node: a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLinks {
    /// Links that are a pod's alone: one end of a veth pair whose other end is in another network namespace, on no bridge
    /// and no uplink. By name.
    pub pods: BTreeSet<String>,
    /// The bridges that have such links as ports and are no uplink, by name.
    pub bridges: BTreeMap<String, PodBridge>,
    /// Where unicast routes lead that lead over one of these links or bridges with no gateway: destination and
    /// interface, sorted. Neither link-local destinations nor multicast. Of the routes of a table to the same destination
    /// only those that the kernel prefers (lowest metric).
    pub routes: Vec<(IpNet, String)>,
    /// What this node decapsulates.
    pub tunnels: Tunnels,
}

/// A bridge that pods are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodBridge {
    /// The ports that are veth pairs with their other end in another network namespace, by name.
    pub ports: BTreeMap<String, Port>,
}

/// A port of a bridge that leads to a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// The addresses of the other end, link-local ones included; `None` where it cannot be asked.
    pub addresses: Option<BTreeSet<IpAddr>>,
    /// The hardware address of the other end; `None` where it cannot be asked.
    pub mac: Option<[u8; 6]>,
    /// Whether a route of the node leads through an address of this port to further ones: it forwards for others.
    pub forwards: bool,
}

/// What a node decapsulates: what comes out of these is not what it went in as. Devices that are down do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnels {
    /// The UDP ports that VXLAN, Geneve and bareudp devices listen on.
    pub udp_ports: BTreeSet<u16>,
    /// The IP protocols of IPIP (4), SIT (41), GRE (47) and IPv6 tunnel (4, 41) devices.
    pub protocols: BTreeSet<u8>,
    /// The devices, by name.
    pub links: BTreeSet<String>,
}

/// Why links and routes are not known.
#[derive(Debug, Error)]
pub enum LinksError {
    /// The kernel cannot be asked.
    #[error("cannot ask for links and routes over rtnetlink: {0}")]
    System(#[from] io::Error),
    /// The kernel answered with something that is not understood.
    #[error("an answer of rtnetlink is not understood: {0}")]
    Malformed(String),
}

/// Everything that the kernel answers to a request for all of a kind.
pub(crate) fn list(request: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, LinksError> {
    Channel::asking()?.list(request, Vec::push)
}

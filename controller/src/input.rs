//! What the agent is told, by sources and watchers.

use ipnet::IpNet;
use palisade_model::Change;

use crate::cni::Call;
use crate::flows::{Connections, Told, Waiting};
use crate::links::NodeLinks;

/// What the agent is told.
#[derive(Debug)]
pub enum Input {
    /// What a source saw, in order.
    Changes(Vec<Change>),
    /// How pods hang on the node now.
    Links(NodeLinks),
    /// What the network plugin asks.
    Cni(Call),
    /// The networks that this node has for its pods; where nobody wants to know, it is not told.
    PodRange(Vec<IpNet>),
    /// Rules told of packets.
    Told(Vec<Told>, Waiting),
    /// Connections began or ended.
    Connections(Vec<Connections>, Waiting),
    /// Of what there was at the start all has been sent but pods of other nodes.
    KnownHere,
    /// All that there was at the start has been sent.
    Synced,
    /// Somebody else, named here, changed our table; or may have.
    Disturbed(String),
    /// The agent shall stop; what is enforced stays.
    Stop,
}

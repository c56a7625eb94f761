//! Node.

use palisade_model as model;

use super::{address, labels};
use crate::objects::Node;

/// The node's labels, and those of its addresses that are addresses: names of hosts are none.
pub fn node(node: &Node) -> model::Node {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    model::Node {
        name: node.metadata.name.as_deref().unwrap_or_default().into(),
        labels: labels(&node.metadata).collect(),
        addresses: addresses.filter_map(|one| address(one.address.as_deref()?).ok()).collect(),
    }
}

//! What a snapshot says of one address.

use std::net::IpAddr;

use super::{NodeLinks, PodBridge, Port};

impl NodeLinks {
    /// The link or bridge over which the node reaches an address directly: that of the longest prefix. `None` where there
    /// is none, and where routes with that prefix lead over several.
    ///
    /// Routes over other links are not known here: one of them may have a longer prefix.
    pub fn link_of(&self, address: IpAddr) -> Option<&str> {
        let leading = || self.routes.iter().filter(|(to, _)| to.contains(&address));
        let longest = leading().map(|(to, _)| to.prefix_len()).max()?;
        only(leading().filter(|(to, _)| to.prefix_len() == longest).map(|(_, link)| link.as_str()))
    }

    /// The bridge and its port whose other end has the address. `None` where none has it, and where several claim it.
    pub fn port_of(&self, address: IpAddr) -> Option<(&str, &str)> {
        let ports = self.bridges.iter().flat_map(|(bridge, PodBridge { ports })| {
            ports.iter().map(move |(name, port)| (bridge.as_str(), name.as_str(), port))
        });
        let has = |port: &Port| port.addresses.as_ref().is_some_and(|addresses| addresses.contains(&address));
        only(ports.filter(|(_, _, port)| has(port)).map(|(bridge, name, _)| (bridge, name)))
    }
}

/// What all items are, if there are any and they are the same.
fn only<T: PartialEq>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}

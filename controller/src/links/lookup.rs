//! What a snapshot says of one address.

use std::net::IpAddr;

use super::{NodeLinks, PodBridge, Port};

impl NodeLinks {
    /// The link or bridge over which the node reaches an address directly: that of the longest prefix. `None` where there
    /// is none, and where routes with that prefix lead over several.
    ///
    /// Routes over other links are not known here: one of them may have a longer prefix.
    pub fn link_of(&self, address: IpAddr) -> Option<&str> {
        only(self.nearest(address))
    }

    /// Whether somebody here may still have an address: a port of a bridge has it, or the node reaches it directly over a
    /// link that is no bridge. Over a bridge it reaches a whole subnet, whoever is there.
    pub fn may_have(&self, address: IpAddr) -> bool {
        let on_port = |port: &Port| port.addresses.as_ref().is_some_and(|addresses| addresses.contains(&address));
        let mut ports = self.bridges.values().flat_map(|bridge| bridge.ports.values());
        ports.any(on_port) || self.nearest(address).any(|link| !self.bridges.contains_key(link))
    }

    /// The bridge and its port whose other end has the address. `None` where none has it, and where several claim it.
    pub fn port_of(&self, address: IpAddr) -> Option<(&str, &str)> {
        let ports = self.bridges.iter().flat_map(|(bridge, PodBridge { ports })| {
            ports.iter().map(move |(name, port)| (bridge.as_str(), name.as_str(), port))
        });
        let has = |port: &Port| port.addresses.as_ref().is_some_and(|addresses| addresses.contains(&address));
        only(ports.filter(|(_, _, port)| has(port)).map(|(bridge, name, _)| (bridge, name)))
    }

    /// Where the routes with the longest prefix lead.
    fn nearest(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let leading = move || self.routes.iter().filter(move |(to, _)| to.contains(&address));
        let longest = leading().map(|(to, _)| to.prefix_len()).max();
        leading().filter(move |(to, _)| Some(to.prefix_len()) == longest).map(|(_, link)| link.as_str())
    }
}

/// What all items are, if there are any and they are the same.
fn only<T: PartialEq>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}

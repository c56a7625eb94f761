//! What the other end of a veth pair has, asked across namespaces.
//!
//! An id of a namespace may come to mean another one. So the addresses are asked first, and then whether the pair is still
//! this one: its ends name each other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::LinkAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::channel::Channel;
use super::link::Far;
use super::table::address;
use super::{LinksError, request};

/// What the other end has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its addresses; `None` where it cannot be asked.
    pub(super) addresses: Option<BTreeSet<IpAddr>>,
    /// Its hardware address; likewise.
    pub(super) mac: Option<[u8; 6]>,
}

impl Answer {
    /// Whether it says where the other end can be reached from elsewhere.
    pub(super) fn is_reachable(&self) -> bool {
        let is_global = |address: &IpAddr| match address {
            IpAddr::V4(v4) => !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        };
        self.addresses.as_ref().is_some_and(|addresses| addresses.iter().any(is_global))
    }
}

/// Asks the other end of the link with the index `near`; `None` where it cannot be asked now. One that is no longer the other
/// end has nothing.
pub(super) fn ask(asking: &mut Channel, near: u32, far: Far) -> Option<Answer> {
    let answer = addresses(asking, far).and_then(|addresses| {
        let mac = mac(asking, near, far)?;
        Ok(mac.map(|mac| Answer { addresses: Some(addresses), mac: Some(mac) }).unwrap_or_default())
    });
    let log = |error: &LinksError| tracing::debug!(near, ?far, %error, "the other end of a link cannot be asked");
    answer.inspect_err(log).ok()
}

fn addresses(asking: &mut Channel, far: Far) -> Result<BTreeSet<IpAddr>, LinksError> {
    let mut all = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = AddressMessage::default();
        request.header.family = family;
        request.header.index = far.index;
        request.attributes.push(AddressAttribute::TargetNetNsId(far.namespace));
        // Older kernels answer for this namespace.
        let is_there = AddressAttribute::TargetNetNsId(far.namespace);
        let take = |addresses: &mut BTreeSet<IpAddr>, message| match message {
            RouteNetlinkMessage::NewAddress(found)
                if found.header.index == far.index && found.attributes.contains(&is_there) =>
            {
                addresses.extend(address(&found));
            }
            _ => {}
        };
        all.append(&mut asking.list(&RouteNetlinkMessage::GetAddress(request), take)?);
    }
    Ok(all)
}

/// `None` where it is not, or no longer, the other end.
fn mac(asking: &mut Channel, near: u32, far: Far) -> Result<Option<[u8; 6]>, LinksError> {
    let there = LinkAttribute::IfNetnsId(far.namespace);
    let mut request = request::link(far.index);
    request.attributes.push(there.clone());
    let Some(RouteNetlinkMessage::NewLink(link)) = asking.get(&RouteNetlinkMessage::GetLink(request))? else {
        return Ok(None);
    };
    let has = |wanted: &LinkAttribute| link.attributes.contains(wanted);
    if link.header.index != far.index || !has(&there) || !has(&LinkAttribute::Link(near)) {
        return Ok(None);
    }
    let mac = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(mac) => mac.first_chunk().copied(),
        _ => None,
    });
    Ok(mac)
}

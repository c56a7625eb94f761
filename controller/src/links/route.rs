//! A route, so far as it matters here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteType, RouteVia,
};

/// What a route goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) table: u32,
    pub(super) to: IpNet,
    tos: u8,
    /// The metric: the lowest is preferred.
    priority: u32,
}

/// One of the ways that a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    /// Over this link, by index.
    pub(super) link: u32,
    /// To this router, if it is not direct.
    pub(super) gateway: Option<IpAddr>,
    /// Whether the kernel made the route, for an address of the link's.
    pub(super) is_connected: bool,
    /// Whether a neighbour told of it (a router advertisement, a redirect).
    pub(super) is_learned: bool,
    /// The address that packets are sent from, if the route says so: it goes with that address.
    pub(super) source: Option<IpAddr>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) key: Key,
    /// None unless it is unicast.
    pub(super) leads: Vec<Lead>,
}

impl Route {
    /// `None` if it is no route by destination.
    pub(super) fn new(message: RouteMessage) -> Option<Self> {
        let header = message.header;
        if header.flags.contains(RouteFlags::Cloned) {
            return None;
        }
        let unspecified: IpAddr = match header.address_family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let is_connected = header.protocol == RouteProtocol::Kernel;
        let mut is_learned = matches!(header.protocol, RouteProtocol::Ra | RouteProtocol::IcmpRedirect);
        let (mut to, mut table, mut priority, mut source) = (unspecified, u32::from(header.table), 0, None);
        let (mut link, mut gateway, mut leads) = (None, None, Vec::new());
        for attribute in message.attributes {
            match attribute {
                RouteAttribute::Destination(value) => to = address(&value)?,
                RouteAttribute::Table(value) => table = value,
                RouteAttribute::Priority(value) => priority = value,
                RouteAttribute::PrefSource(value) => source = address(&value),
                RouteAttribute::Oif(value) => link = Some(value),
                RouteAttribute::MultiPath(hops) => leads.extend(hops.iter().map(|hop| {
                    let gateway = hop.attributes.iter().find_map(router);
                    Lead { link: hop.interface_index, gateway, is_connected: false, is_learned, source: None }
                })),
                // What the kernel makes of an advertised prefix expires.
                RouteAttribute::CacheInfo(info) => is_learned |= info.expires != 0,
                other => gateway = gateway.or_else(|| router(&other)),
            }
        }
        leads.extend(link.map(|link| Lead { link, gateway, is_connected, is_learned, source: None }));
        leads.iter_mut().for_each(|lead| (lead.source, lead.is_learned) = (source, is_learned));
        if header.kind != RouteType::Unicast {
            leads.clear();
        }
        let to = IpNet::new(to, header.destination_prefix_length).ok()?;
        Some(Self { key: Key { table, to, priority, tos: header.tos }, leads })
    }
}

impl Key {
    /// Whether what goes by default goes this way.
    pub(super) fn is_default(&self) -> bool {
        self.to.prefix_len() == 0
    }

    /// Whether it is about IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        self.to.addr().is_ipv6()
    }

    /// Whether the kernel takes this route where it could take the other.
    pub(super) fn is_preferred_to(&self, other: &Self) -> bool {
        (self.table, self.to, self.tos) == (other.table, other.to, other.tos) && self.priority < other.priority
    }

    /// Whether it leads to several addresses that are more than a link's own.
    pub(super) fn is_subnet(&self) -> bool {
        self.to.prefix_len() + 1 < self.to.max_prefix_len() && !self.is_local()
    }

    /// Whether it leads to link-local or multicast addresses, which say nothing about what is where.
    pub(super) fn is_local(&self) -> bool {
        match self.to.addr() {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
        }
    }
}

fn router(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(gateway) => address(gateway),
        RouteAttribute::Via(RouteVia::Inet(gateway)) => Some((*gateway).into()),
        RouteAttribute::Via(RouteVia::Inet6(gateway)) => Some((*gateway).into()),
        _ => None,
    }
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

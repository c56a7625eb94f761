//! The links and routes of this network namespace, as rtnetlink tells them: unlike `/sys/class/net`, it is always about
//! the namespace that the caller is in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::link::{InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Family;
use crate::links::{LinksError, list};

/// How pods hang on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The bridges that have pods on them (ports that are veth pairs), by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// The families in which a route leads to a pod's link or to a bridge.
    pub routed: BTreeSet<Family>,
    /// The names of the links over which IPv4 does.
    pub routes_ipv4: BTreeSet<String>,
}

/// Which packets a bridge hands to netfilter on its own account, whatever the parameter for all bridges says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Those of IPv4.
    pub calls_ipv4: bool,
    /// Those of IPv6.
    pub calls_ipv6: bool,
}

impl Links {
    /// Reads them from the kernel.
    ///
    /// # Errors
    /// [`LinksError`].
    pub fn read() -> Result<Self, LinksError> {
        let links: Vec<_> = list(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?
            .into_iter()
            .filter_map(|message| if let RouteNetlinkMessage::NewLink(link) = message { Link::new(link) } else { None })
            .collect();
        let ports = links.iter().filter(|link| link.bridge.is_none()).filter_map(|link| link.master);
        let masters: BTreeSet<u32> = ports.collect();
        let is_of_pods = |link: &&Link| link.bridge.is_none() || masters.contains(&link.index);
        let of_pods: Vec<_> = links.iter().filter(is_of_pods).collect();
        let bridges = of_pods.iter().filter_map(|link| Some((link.name.clone(), link.bridge?))).collect();
        let names: BTreeMap<u32, &str> = of_pods.iter().map(|link| (link.index, link.name.as_str())).collect();
        let routes_ipv4 = lead_to(&names, AddressFamily::Inet)?;
        let is_routed = [
            (Family::Ipv4, !routes_ipv4.is_empty()),
            (Family::Ipv6, !lead_to(&names, AddressFamily::Inet6)?.is_empty()),
        ];
        let routed = is_routed.into_iter().filter_map(|(family, is_routed)| is_routed.then_some(family)).collect();
        Ok(Self { bridges, routed, routes_ipv4 })
    }

    /// The bridges that hand packets of a family to netfilter only if the parameter for all bridges says so.
    pub(super) fn bridges_past_netfilter(&self, family: Family) -> BTreeSet<String> {
        let calls = |bridge: &Bridge| match family {
            Family::Ipv4 => bridge.calls_ipv4,
            Family::Ipv6 => bridge.calls_ipv6,
        };
        self.bridges.iter().filter(|(_, bridge)| !calls(bridge)).map(|(name, _)| name.clone()).collect()
    }
}

/// A link that matters here: a bridge, or one end of a veth pair.
struct Link {
    index: u32,
    name: String,
    master: Option<u32>,
    bridge: Option<Bridge>,
}

impl Link {
    fn new(message: LinkMessage) -> Option<Self> {
        let index = message.header.index;
        let (mut name, mut master, mut kind, mut bridge) = (String::new(), None, None, Bridge::default());
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(value) => name = value,
                LinkAttribute::Controller(value) => master = Some(value),
                LinkAttribute::LinkInfo(infos) => infos.into_iter().for_each(|info| match info {
                    LinkInfo::Kind(value) => kind = Some(value),
                    LinkInfo::Data(InfoData::Bridge(settings)) => bridge = Bridge::new(&settings),
                    _ => {}
                }),
                _ => {}
            }
        }
        match kind? {
            InfoKind::Bridge => Some(Self { index, name, master, bridge: Some(bridge) }),
            InfoKind::Veth => Some(Self { index, name, master, bridge: None }),
            _ => None,
        }
    }
}

impl Bridge {
    fn new(settings: &[InfoBridge]) -> Self {
        Self {
            calls_ipv4: settings.contains(&InfoBridge::NfCallIpTables(true)),
            calls_ipv6: settings.contains(&InfoBridge::NfCallIp6Tables(true)),
        }
    }
}

/// Those of these links that a route of the family, but for link-local ones and the default, leads to.
fn lead_to(links: &BTreeMap<u32, &str>, family: AddressFamily) -> Result<BTreeSet<String>, LinksError> {
    let mut request = RouteMessage::default();
    request.header.address_family = family;
    let routes = list(&RouteNetlinkMessage::GetRoute(request))?;
    let link = |message: &RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewRoute(route) = message else { return None };
        let to = route.attributes.iter().any(|attribute| match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(to)) => !is_link_local((*to).into()),
            RouteAttribute::Destination(RouteAddress::Inet6(to)) => !is_link_local((*to).into()),
            _ => false,
        });
        let through = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => links.get(index),
            _ => None,
        });
        through.filter(|_| to && route.header.kind == RouteType::Unicast).map(|name| (*name).to_owned())
    };
    Ok(routes.iter().filter_map(link).collect())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

//! What the kernel tells, made by hand.

use std::collections::BTreeMap;

use netlink_packet_core::NLM_F_REPLACE;
use netlink_packet_route::link::{InfoData, InfoGeneve, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use proptest::prelude::*;

use super::super::message::messages;
use super::super::snapshot::snapshot;
use super::super::table::{Change, Table};
use super::*;

const VETH: u32 = 7;

fn link(index: u32, name: &str, info: Vec<LinkInfo>, more: &[LinkAttribute]) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    (link.header.index, link.header.flags) = (index, LinkFlags::Up);
    link.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::LinkInfo(info)];
    link.attributes.extend_from_slice(more);
    RouteNetlinkMessage::NewLink(link)
}

fn veth(index: u32, name: &str) -> RouteNetlinkMessage {
    let other_end = [LinkAttribute::Link(2), LinkAttribute::LinkNetNsId(3)];
    link(index, name, vec![LinkInfo::Kind(InfoKind::Veth)], &other_end)
}

fn default_route(protocol: RouteProtocol) -> RouteNetlinkMessage {
    let mut route = RouteMessage::default();
    (route.header.address_family, route.header.kind) = (AddressFamily::Inet6, RouteType::Unicast);
    route.header.protocol = protocol;
    route.attributes.push(RouteAttribute::Oif(VETH));
    RouteNetlinkMessage::NewRoute(route)
}

fn told(messages: impl IntoIterator<Item = RouteNetlinkMessage>) -> NodeLinks {
    let mut table = Table::default();
    for message in messages {
        table.apply(message, 0);
    }
    snapshot(&table, &BTreeMap::new())
}

#[test]
fn devices_decapsulate_what_their_kind_does() {
    let protocols = |kind| told([link(1, "tunnel", vec![LinkInfo::Kind(kind)], &[])]).tunnels.protocols;
    assert_eq!(Vec::from_iter(protocols(InfoKind::IpIp)), [4]);
    assert_eq!(Vec::from_iter(protocols(InfoKind::Ip6Tnl)), [4, 41]);
    assert_eq!(Vec::from_iter(protocols(InfoKind::GreTap)), [47]);
    assert!(protocols(InfoKind::SitTun).contains(&41));
    assert!(protocols(InfoKind::Dummy).is_empty());
    let geneve = InfoData::Geneve(vec![InfoGeneve::Port(6081)]);
    let tunnels = told([link(1, "gen0", vec![LinkInfo::Kind(InfoKind::Geneve), LinkInfo::Data(geneve)], &[])]).tunnels;
    assert_eq!((Vec::from_iter(tunnels.udp_ports), tunnels.links), (vec![6081], ["gen0".to_owned()].into()));
}

#[test]
fn a_router_advertisement_makes_no_uplink() {
    let pods = |protocol| told([veth(VETH, "veth7"), default_route(protocol)]).pods;
    assert!(pods(RouteProtocol::Static).is_empty());
    for protocol in [RouteProtocol::Ra, RouteProtocol::IcmpRedirect] {
        assert_eq!(pods(protocol), ["veth7".to_owned()].into());
    }
}

#[test]
fn what_a_bridge_says_of_its_ports_is_not_about_links() {
    let mut table = Table::default();
    table.apply(veth(VETH, "veth7"), 0);
    let mut port = LinkMessage::default();
    (port.header.index, port.header.interface_family) = (VETH, AddressFamily::Bridge);
    assert_eq!(table.apply(RouteNetlinkMessage::DelLink(port), 0), Change::Nothing);
    assert_eq!(snapshot(&table, &BTreeMap::new()).pods, ["veth7".to_owned()].into());
}

#[test]
fn what_comes_again_changes_nothing() {
    let mut table = Table::default();
    table.apply(veth(VETH, "veth7"), 0);
    let route = || default_route(RouteProtocol::Static);
    assert_eq!(table.apply(route(), 0), Change::Table);
    assert_eq!(table.apply(route(), 0), Change::Nothing);
    table.apply(route(), NLM_F_REPLACE);
    let RouteNetlinkMessage::NewRoute(gone) = route() else { unreachable!() };
    table.apply(RouteNetlinkMessage::DelRoute(gone), 0);
    assert_eq!(snapshot(&table, &BTreeMap::new()).pods, ["veth7".to_owned()].into());
}

proptest! {
    #[test]
    fn garbage_is_left_out(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..40_u16) {
        let mut datagram = u32::try_from(bytes.len() + 16).unwrap().to_ne_bytes().to_vec();
        datagram.extend(kind.to_ne_bytes());
        datagram.extend([0; 10]);
        datagram.extend(bytes);
        let mut table = Table::default();
        for message in messages(&datagram).chain(messages(&datagram[16..])).flatten() {
            message.is_last().ok();
            message.parse().map(|content| table.apply(content, 0));
        }
    }
}

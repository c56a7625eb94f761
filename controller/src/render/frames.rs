//! The table of frames: what the ports of pods on a bridge may send each other. The inet table sees a bridge as one link, and
//! only the IP packets on it; this one sees its ports, and all frames.
//!
//! | object | name | holds |
//! |---|---|---|
//! | mark | `layout-1` | nothing: the version of this layout |
//! | base chain | `guard` | where frames come in: `ports`, and from elsewhere none with a pod's address |
//! | map | `ports` | port of a pod : goto its chain |
//! | set | `pod-ports` | those of pods that are known: who is none may answer who asks for an address |
//! | port chain | `port-LINK-HASH` | the pod's addresses as sources, and what asks for an address; then count and drop |
//! | set | `bridged-4`, `bridged-6` | the addresses of all those |
//! | base chain | `forward` | what goes from port to port and no policy judges: link-local, broadcast, multicast |
//! | set, map | `isolated-egress`, `isolated-ingress` | ports of isolated pods |
//! | chain | `to-LINK-HASH` | the addresses of such a pod, whose packets policies judge; then [`TO_ISOLATED`] |
//!
//! Invariants:
//! - What leaves a port is what its far end has ([`Port::addresses`]), in IP, ARP and neighbour advertisements. A pod is
//!   no router: it advertises none, and redirects nobody.
//! - Frames are IP, IPv6 or ARP: what wears a tag, or is wrapped otherwise, is judged by nobody and goes nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use palisade_model::{Direction, NamespacedName};
use palisade_nft::{
    Action, AddressField, BaseChain, Chain, Comment, Diff, Edit, Elements, Family, Group, Hook, Key, LinkField,
    LinkName, Match, Name, Range, Ruleset, Set, SetEdit, Statement, Table, TableFamily, Verdict,
};

use super::objects::{HIGHEST_HOP_LIMIT, ICMPV6, accept, statement};
use super::origin::{addresses, chain, counted_drop, goto, set};
use super::{TABLE, names};
use crate::links::Port;

const IIFNAME: Key = Key::Link(LinkField::Iifname);
const OIFNAME: Key = Key::Link(LinkField::Oifname);

const ETHER_IP: u16 = 0x0800;
const ETHER_ARP: u16 = 0x0806;
const ETHER_IPV6: u16 = 0x86dd;

const ROUTER_ADVERT: u8 = 134;
const NEIGHBOR_ADVERT: u8 = 136;
const REDIRECT: u8 = 137;
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const DHCPV6_CLIENT: u16 = 546;
const DHCPV6_SERVER: u16 = 547;

/// The chain of what no policy judges on its way to an isolated pod.
const TO_ISOLATED: &str = "to-isolated";
const LINK_LOCAL: &str = "link-local";
/// The set of what may be sent to from a link-local address.
const ON_LINK: &str = "on-link-6";

/// A port of a pod, and what is known of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodPort {
    /// The port.
    pub(super) port: Port,
    /// The pod behind it, where it is known.
    pub(super) pod: Option<NamespacedName>,
    /// The directions in which that is isolated.
    pub(super) isolated: BTreeSet<Direction>,
}

/// What is rendered of the ports.
#[derive(Debug)]
pub(super) struct Frames {
    ruleset: Ruleset,
    ports: BTreeMap<LinkName, PodPort>,
}

impl Frames {
    /// Without ports.
    pub(super) fn new() -> Self {
        Self { ruleset: skeleton(), ports: BTreeMap::new() }
    }

    /// The table as it shall be.
    pub(super) fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// Whether there are any ports: without them no table is needed.
    pub(super) fn is_needed(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Takes in the ports as they are now; what differs.
    pub(super) fn update(&mut self, ports: BTreeMap<LinkName, PodPort>) -> Diff {
        if ports == self.ports {
            return Diff::default();
        }
        let mut edit = Edit::default();
        for (link, port) in &ports {
            if self.ports.get(link) == Some(port) {
                continue;
            }
            edit.chains.insert(names::port_chain(link), Some(port_chain(link, port)));
            let isolated = port.isolated.contains(&Direction::Ingress);
            edit.chains.insert(names::to_port_chain(link), isolated.then(|| to_port_chain(port)));
        }
        for link in self.ports.keys().filter(|link| !ports.contains_key(*link)) {
            edit.chains.extend([(names::port_chain(link), None), (names::to_port_chain(link), None)]);
        }
        edit.sets.extend(sets(&ports).into_iter().map(|(name, set)| (name, SetEdit::Put(set))));
        self.ports = ports;
        self.ruleset.apply(edit).expect("a rendered edit fits the ruleset rendered before")
    }
}

fn name(text: &str) -> Name {
    names::of_frames(text)
}

fn bridged(family: Family) -> Name {
    name(match family {
        Family::Ipv4 => "bridged-4",
        Family::Ipv6 => "bridged-6",
    })
}

fn skeleton() -> Ruleset {
    let base = |hook, priority| Some(BaseChain { hook, priority });
    let elsewhere = Family::ALL.map(|family| {
        let bridged = Match::In(Key::Address(family, AddressField::Saddr), bridged(family));
        counted_drop([bridged], "with the address of a pod of this bridge, from elsewhere")
    });
    let ports = statement([], Action::Vmap(IIFNAME, name("ports")));
    let guard = chain("where frames come from", [ports].into_iter().chain(elsewhere));
    // What rules out most packets is asked first: each set costs them as much as all comparisons together.
    let local = [
        Match::In(Key::Address(Family::Ipv6, AddressField::Saddr), name("link-local-6")),
        Match::In(IIFNAME, name("isolated-egress")),
    ];
    // Who has no address yet asks for one, but no pod.
    let nobody = [
        saddr(Ipv4Addr::UNSPECIFIED.into()),
        Match::In(IIFNAME, name("isolated-egress")),
        Match::In(OIFNAME, name("pod-ports")),
    ];
    let forward = [
        counted_drop(nobody, "from an isolated pod without an address, to a pod"),
        goto(local, name(LINK_LOCAL)),
        statement([], Action::Vmap(OIFNAME, name("isolated-ingress"))),
    ];
    let chains = [
        ("layout-1", chain("the version of this table's layout", [])),
        ("guard", Chain { base: base(Hook::Prerouting, -300), ..guard }),
        ("forward", Chain { base: base(Hook::Forward, -200), ..chain("what no policy judges", forward) }),
        (LINK_LOCAL, link_local()),
        (TO_ISOLATED, to_isolated()),
    ];
    let comment = Comment::new("where frames of this node's pods come from, kept by palisade");
    Ruleset {
        comment: Some(comment),
        chains: chains.into_iter().map(|(key, chain)| (name(key), chain)).collect(),
        sets: sets(&BTreeMap::new()),
        ..Ruleset::empty(table())
    }
}

/// The table, which has the name of the one of packets.
pub fn table() -> Table {
    Table { family: TableFamily::Bridge, name: Name::new(TABLE).expect("a constant that is a name") }
}

fn sets(ports: &BTreeMap<LinkName, PodPort>) -> BTreeMap<Name, Set> {
    let isolated = |direction| ports.iter().filter(move |(_, port)| port.isolated.contains(&direction));
    let proven = ports.values().flat_map(|port| port.port.addresses.iter().flatten().copied());
    let global: BTreeSet<IpAddr> = proven.filter(|address| !is_link_local(*address)).collect();
    let by_link = ports.keys().map(|link| (link.clone(), Verdict::Goto(names::port_chain(link)))).collect();
    let to_isolated = isolated(Direction::Ingress);
    let to_isolated = to_isolated.map(|(link, _)| (link.clone(), Verdict::Goto(names::to_port_chain(link)))).collect();
    let known = ports.iter().filter(|(_, port)| port.pod.is_some()).map(|(link, _)| link.clone()).collect();
    let from_isolated = isolated(Direction::Egress).map(|(link, _)| link.clone()).collect();
    let range = |first: u128, length: u32| {
        let first = first << 112;
        Range { first: Ipv6Addr::from_bits(first), last: Ipv6Addr::from_bits(first | u128::MAX >> length) }
    };
    let (link_local, multicast) = (range(0xfe80, 10), range(0xff00, 8));
    [
        (name("ports"), set(Elements::LinkVerdicts(by_link), "ports of pods")),
        (name("pod-ports"), set(Elements::Links(known), "ports of pods that are known")),
        (name("isolated-ingress"), set(Elements::LinkVerdicts(to_isolated), "ports of pods isolated for ingress")),
        (name("isolated-egress"), set(Elements::Links(from_isolated), "ports of pods isolated for egress")),
        (name("link-local-6"), set(Elements::Ipv6Ranges([link_local].into()), "addresses that no policy knows")),
        (name(ON_LINK), set(Elements::Ipv6Ranges([link_local, multicast].into()), "destinations on the same link")),
        (bridged(Family::Ipv4), set(addresses(Family::Ipv4, &global), "addresses of pods on bridges")),
        (bridged(Family::Ipv6), set(addresses(Family::Ipv6, &global), "addresses of pods on bridges")),
    ]
    .into()
}

/// What a frame from a port has to be. Whoever forwards for others may send from any address that is no pod's: that the node
/// has a route for it is for the guard of packets to see.
fn port_chain(link: &LinkName, port: &PodPort) -> Chain {
    let PodPort { port: Port { addresses, mac, forwards }, pod, .. } = port;
    let whose = pod.as_ref().map_or_else(|| format!("port {}", link.as_str()), |pod| format!("pod {pod}"));
    let drop = |matches: Vec<Match>, what: &str| counted_drop(matches, &format!("{what} of {whose}"));
    let mut rules =
        vec![drop([ETHER_IP, ETHER_IPV6, ETHER_ARP].map(Match::EtherTypeIsNot).into(), "tags and wrappings")];
    if let Some(mac) = mac.filter(|_| !forwards) {
        rules.push(drop(vec![Match::EtherSaddrIsNot(mac)], "not from the link address"));
    }
    // A bridge has netfilter take these in for the node, too, and conntrack note them, whatever becomes of them.
    let to_everybody = |family| {
        [Group::Broadcast, Group::Multicast].map(|group| {
            let pods = Match::In(Key::Address(family, AddressField::Daddr), bridged(family));
            drop(vec![Match::ToGroup(group), pods], "to everybody, for one")
        })
    };
    rules.extend(to_everybody(Family::Ipv4));
    // Most packets get no further than here.
    let proven = addresses.iter().flatten();
    rules.extend(proven.filter(|address| address.is_ipv4()).map(|address| accept([saddr(*address)])));
    rules.extend(to_everybody(Family::Ipv6));
    for kind in [ROUTER_ADVERT, REDIRECT] {
        rules.push(drop(vec![icmpv6(kind)], "a router's words, out of the mouth"));
    }
    match addresses {
        Some(addresses) => rules.extend(other_sources(addresses)),
        None => rules.push(accept([])),
    }
    if *forwards {
        for family in Family::ALL {
            let others = Match::In(Key::Address(family, AddressField::Saddr), bridged(family));
            rules.push(drop(vec![others], "with another pod's address, out of the mouth"));
        }
        rules.push(accept([Match::EtherTypeIsNot(ETHER_ARP)]));
    }
    rules.push(drop(vec![], "not an address"));
    chain(&format!("{FRAMES_OF}{whose}"), rules)
}

const FRAMES_OF: &str = "frames of ";

/// Whose frames a chain with this comment counts that the guard drops: `pod NAMESPACE/NAME`, or `port LINK`.
pub(super) fn sender_of(comment: &str) -> Option<&str> {
    comment.strip_prefix(FRAMES_OF)
}

fn saddr(address: IpAddr) -> Match {
    Match::Address(AddressField::Saddr, address)
}

/// What whoever has these addresses may send beside IPv4 from them.
fn other_sources(addresses: &BTreeSet<IpAddr>) -> Vec<Statement> {
    let v4 = addresses.iter().filter_map(|address| if let IpAddr::V4(v4) = address { Some(*v4) } else { None });
    let v6 = || addresses.iter().filter_map(|address| if let IpAddr::V6(v6) = address { Some(*v6) } else { None });
    let arp = v4.chain([Ipv4Addr::UNSPECIFIED]).map(|address| accept([Match::ArpSaddr(address)]));
    let mut rules: Vec<Statement> = arp.collect();
    rules.extend(v6().map(|address| accept([Match::NeighborAdvert(address)])));
    rules.push(counted_drop([icmpv6(NEIGHBOR_ADVERT)], "advertises what it does not have"));
    // Routers do not forward what comes from a link-local address; a node does where it goes back to the same bridge.
    let on_link = || Match::In(Key::Address(Family::Ipv6, AddressField::Daddr), name(ON_LINK));
    let scope = |address: Ipv6Addr| is_link_local(address.into()).then(on_link);
    rules.extend(v6().map(|address| accept([saddr(address.into())].into_iter().chain(scope(address)))));
    // Who has no address yet looks whether it is free, and asks for one.
    rules.push(accept([saddr(Ipv6Addr::UNSPECIFIED.into()), Match::L4Proto(ICMPV6)]));
    let to_all = Match::Address(AddressField::Daddr, Ipv4Addr::BROADCAST.into());
    rules.push(accept([saddr(Ipv4Addr::UNSPECIFIED.into()), to_all, Match::UdpDport(DHCP_SERVER)]));
    rules
}

/// Policies judge what is sent to the addresses of an isolated pod, but for link-local ones.
fn to_port_chain(port: &PodPort) -> Chain {
    let proven = port.port.addresses.iter().flatten().filter(|address| !is_link_local(**address));
    let judged = proven.map(|address| accept([Match::Address(AddressField::Daddr, *address)]));
    let whose = port.pod.as_ref().map(ToString::to_string).unwrap_or_default();
    let rules = match port.port.addresses {
        Some(_) => judged.chain([goto([], name(TO_ISOLATED))]).collect(),
        None => vec![accept([])],
    };
    chain(&format!("what is sent to pod {whose} in one link"), rules)
}

/// Neighbours have to find each other, and whoever is no pod may answer who asks for an address.
fn to_isolated() -> Chain {
    let no_pod = || Match::NotIn(IIFNAME, name("pod-ports"));
    let rules = [
        counted_drop([ETHER_IP, ETHER_IPV6, ETHER_ARP].map(Match::EtherTypeIsNot), "tags and wrappings"),
        accept([ETHER_IP, ETHER_IPV6].map(Match::EtherTypeIsNot)),
        neighbour_discovery(),
        accept([no_pod(), Match::UdpDport(DHCP_CLIENT)]),
        accept([no_pod(), Match::UdpDport(DHCPV6_CLIENT)]),
        counted_drop([], "link-local, broadcast and multicast to an isolated pod"),
    ];
    chain("what no policy judges, to a pod that is isolated", rules)
}

/// From a pod that is isolated for egress, with a link-local address.
fn link_local() -> Chain {
    let rules = [
        neighbour_discovery(),
        accept([Match::NotIn(OIFNAME, name("pod-ports")), Match::UdpDport(DHCPV6_SERVER)]),
        counted_drop([], "link-local from an isolated pod"),
    ];
    chain("link-local, from a pod that is isolated", rules)
}

fn neighbour_discovery() -> Statement {
    accept([Match::Icmpv6Types { first: 133, last: REDIRECT }, Match::HopLimit(HIGHEST_HOP_LIMIT)])
}

fn icmpv6(kind: u8) -> Match {
    Match::Icmpv6Types { first: kind, last: kind }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

//! A link, so far as it matters here.

use netlink_packet_route::link::{
    InfoBareUdp, InfoData, InfoGeneve, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

/// A link that may be a pod's, may be what pods are on, or decapsulates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What it is a port of, by index.
    pub(super) master: Option<u32>,
    /// Whether it is up.
    pub(super) up: bool,
}

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One end of a veth pair, and where the other is, if it is in another namespace.
    Veth(Option<Far>),
    /// A bridge.
    Bridge,
    /// A routing domain: what is in it remains a link of its own.
    Vrf,
    /// A device that decapsulates what comes by UDP to this port.
    UdpTunnel(Option<u16>),
    /// A device that decapsulates these IP protocols.
    IpTunnel(&'static [u8]),
}

/// The other end of a veth pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Far {
    /// Its namespace, by its id in this one; negative where it has none.
    pub(super) namespace: i32,
    /// Its index there.
    pub(super) index: u32,
}

impl Link {
    /// `None` if it does not matter.
    pub(super) fn new(message: LinkMessage) -> Option<Self> {
        let (mut name, mut master, mut kind, mut port) = (String::new(), None, None, None);
        let (mut far, mut namespace) = (0, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(value) => name = value,
                LinkAttribute::Controller(value) => master = Some(value),
                LinkAttribute::Link(value) => far = value,
                LinkAttribute::LinkNetNsId(value) => namespace = Some(value),
                LinkAttribute::LinkInfo(infos) => infos.into_iter().for_each(|info| match info {
                    LinkInfo::Kind(value) => kind = Some(value),
                    LinkInfo::Data(data) => port = udp_port(&data),
                    _ => {}
                }),
                _ => {}
            }
        }
        let kind = match kind? {
            InfoKind::Veth => Kind::Veth(namespace.map(|namespace| Far { namespace, index: far })),
            InfoKind::Bridge => Kind::Bridge,
            InfoKind::Vrf => Kind::Vrf,
            InfoKind::Vxlan | InfoKind::Geneve | InfoKind::BareUdp => Kind::UdpTunnel(port),
            other => Kind::IpTunnel(protocols(&other)?),
        };
        Some(Self { name, kind, master, up: message.header.flags.contains(LinkFlags::Up) })
    }

    /// The other end, if it is in another namespace.
    pub(super) fn far(&self) -> Option<Far> {
        if let Kind::Veth(far) = self.kind { far } else { None }
    }

    /// Whether it may be a pod's, or pods may be on it.
    pub(super) fn may_be_of_pods(&self) -> bool {
        matches!(self.kind, Kind::Veth(_) | Kind::Bridge)
    }

    /// Whether its name can stand in a ruleset.
    pub(super) fn is_printable(&self) -> bool {
        !self.name.chars().any(|c| matches!(c, '"' | '*' | '\\') || c.is_control())
    }
}

fn udp_port(data: &InfoData) -> Option<u16> {
    match data {
        InfoData::Vxlan(all) => {
            all.iter().find_map(|one| if let InfoVxlan::Port(port) = one { Some(*port) } else { None })
        }
        InfoData::Geneve(all) => {
            all.iter().find_map(|one| if let InfoGeneve::Port(port) = one { Some(*port) } else { None })
        }
        InfoData::BareUdp(all) => {
            all.iter().find_map(|one| if let InfoBareUdp::Port(port) = one { Some(*port) } else { None })
        }
        _ => None,
    }
}

/// What a device of this kind takes. A SIT device may also take IPv4 in IPv4.
fn protocols(kind: &InfoKind) -> Option<&'static [u8]> {
    const IPIP: u8 = 4;
    const IPV6: u8 = 41;
    const GRE: u8 = 47;
    match kind {
        InfoKind::IpIp => Some(&[IPIP]),
        InfoKind::SitTun | InfoKind::Ip6Tnl => Some(&[IPIP, IPV6]),
        InfoKind::GreTun
        | InfoKind::GreTun6
        | InfoKind::GreTap
        | InfoKind::GreTap6
        | InfoKind::ErSpan
        | InfoKind::Ip6ErSpan => Some(&[GRE]),
        _ => None,
    }
}

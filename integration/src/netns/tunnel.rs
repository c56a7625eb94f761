//! VXLAN tunnels between nodes: one pair of devices for each pair of nodes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::Namespace;
use super::batches::{Batches, whole};

/// The UDP port that Linux and flannel use.
const PORT: u16 = 8472;

const FAMILIES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// One end of a tunnel: the node of this number and where it is.
pub(super) struct End<'a> {
    pub(super) number: usize,
    pub(super) node: &'a Arc<Namespace>,
    pub(super) underlay: IpAddr,
}

/// The device that leads to the node of this number.
pub(super) fn device(to: usize) -> String {
    format!("tunnel-{to}")
}

/// The address, of the other's family, that the node of this number has inside all its tunnels.
pub(super) fn address_like(other: IpAddr, number: usize) -> IpAddr {
    let last = u8::try_from(number + 1).expect("a handful of nodes");
    match other {
        IpAddr::V4(_) => Ipv4Addr::new(172, 31, 255, last).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0x31, 0xff, 0, 0, 0, 0, last.into()).into(),
    }
}

/// Connects two nodes.
pub(super) fn connect(one: &End<'_>, other: &End<'_>, batches: &mut Batches) {
    let id = 1 + one.number.min(other.number) * 256 + one.number.max(other.number);
    for (near, far) in [(one, other), (other, one)] {
        let device = device(far.number);
        let (local, remote) = (near.underlay, far.underlay);
        let tunnel = format!("vxlan id {id} local {local} remote {remote} dstport {PORT} dev uplink");
        batches.add(near.node, &format!("link add {device} type {tunnel}"));
        for family in FAMILIES {
            let own = whole(address_like(family, near.number));
            batches.add(near.node, &format!("addr add {own} dev {device}"));
        }
        batches.add(near.node, &format!("link set {device} up"));
        for family in FAMILIES {
            let far = address_like(family, far.number);
            batches.add(near.node, &format!("route add {far} dev {device}"));
        }
    }
}

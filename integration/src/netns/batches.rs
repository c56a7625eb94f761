use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Namespace, NetnsError};

/// The on-link gateway of a leaf: the address of the far end of its link, in each family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gateway {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

pub(super) const NODE_GATEWAY: Gateway =
    Gateway { v4: Ipv4Addr::new(169, 254, 1, 1), v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1) };
pub(super) const UNDERLAY_GATEWAY: Gateway =
    Gateway { v4: Ipv4Addr::new(169, 254, 0, 1), v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2) };

/// `ip -batch` lines, gathered by namespace, since starting `ip` is what takes the time. They run in the order in which
/// the namespaces first came up: a router before its leaves.
#[derive(Default)]
pub(super) struct Batches {
    order: Vec<Arc<Namespace>>,
    lines: BTreeMap<usize, String>,
}

impl Batches {
    pub(super) fn add(&mut self, namespace: &Arc<Namespace>, line: &str) {
        let index = self.order.iter().position(|known| Arc::ptr_eq(known, namespace)).unwrap_or_else(|| {
            self.order.push(Arc::clone(namespace));
            self.order.len() - 1
        });
        let _ = writeln!(self.lines.entry(index).or_default(), "{line}");
    }

    /// A link whose router end, `name`, carries the gateway's addresses.
    pub(super) fn link(
        &mut self,
        router: &Arc<Namespace>,
        name: &str,
        leaf: &Namespace,
        leaf_end: &str,
        gateway: Gateway,
    ) {
        let path = leaf.path();
        self.add(router, &format!("link add {name} type veth peer name {leaf_end} netns {}", path.display()));
        self.gateway(router, name, gateway);
    }

    /// Gives a device the gateway's addresses, and brings it up.
    pub(super) fn gateway(&mut self, router: &Arc<Namespace>, device: &str, gateway: Gateway) {
        self.add(router, &format!("addr add {}/32 dev {device} scope link", gateway.v4));
        self.add(router, &format!("addr add {}/64 dev {device} nodad", gateway.v6));
        self.add(router, &format!("link set {device} up"));
    }

    /// The leaf's end of a link.
    pub(super) fn leaf(&mut self, leaf: &Arc<Namespace>, device: &str, addresses: &[IpAddr], gateway: Gateway) {
        for address in addresses {
            self.add(leaf, &format!("addr add {} dev {device}", whole(*address)));
        }
        self.add(leaf, &format!("link set {device} up"));
        self.add(leaf, &format!("route add {} dev {device} scope link", gateway.v4));
        self.add(leaf, &format!("route add default via {} dev {device}", gateway.v4));
        self.add(leaf, &format!("route add ::/0 via {} dev {device}", gateway.v6));
    }

    pub(super) fn run(self) -> Result<(), NetnsError> {
        self.order.iter().zip(self.lines.values()).try_for_each(|(namespace, lines)| namespace.ip(lines))
    }
}

/// The address with its full prefix length; without duplicate address detection in IPv6.
pub(super) fn whole(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("{v4}/32"),
        IpAddr::V6(v6) => format!("{v6}/128 nodad"),
    }
}

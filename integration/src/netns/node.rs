use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::bridge::Bridge;
use super::conntrack::remember;
use super::{Fabric, Namespace, NetnsError};

/// A machine of the cluster.
#[derive(Debug)]
pub struct Node {
    pub(super) name: String,
    pub(super) namespace: Arc<Namespace>,
    pub(super) addresses: [IpAddr; 2],
    pub(super) bridge: Option<Bridge>,
}

impl Node {
    pub(super) fn new(number: usize) -> Result<Self, NetnsError> {
        let last = u8::try_from(number + 1).expect("a handful of nodes");
        let addresses = [
            Ipv4Addr::new(172, 30, 255, last).into(),
            Ipv6Addr::new(0xfd00, 0x30, 0xff, 0, 0, 0, 0, last.into()).into(),
        ];
        Ok(Self { name: format!("node-{number}"), namespace: Arc::new(Namespace::new()?), addresses, bridge: None })
    }

    /// `node-0`, `node-1`, …
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its kernel's rules are.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its own addresses, one of each family.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its address of the other's family.
    pub(super) fn address_like(&self, other: IpAddr) -> IpAddr {
        self.addresses[usize::from(other.is_ipv6())]
    }
}

/// Remembers what it forwards. Strict about where packets come from, but for tunnels: what a node itself sends to a pod of another node comes out of
/// the tunnel with the address that the node has outside.
pub(super) fn enable_forwarding(namespace: &Namespace, fabric: Fabric) -> Result<(), NetnsError> {
    let rp_filter = match fabric {
        Fabric::Routed => "1",
        Fabric::Vxlan => "2",
    };
    namespace.sysctl(&[
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv4.conf.all.rp_filter", rp_filter),
        ("net.ipv4.conf.default.rp_filter", rp_filter),
    ])?;
    remember(namespace)
}

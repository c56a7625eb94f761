//! Pods of one node on one Linux bridge.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batches::{Batches, NODE_GATEWAY};
use super::{Namespace, NetnsError};

/// The bridge's name on each node.
pub const BRIDGE: &str = "cni0";

/// As the bridge plugin makes it: without one of its own, a bridge takes the lowest of its ports, and so another one when
/// a pod comes, which the others learn late.
const HARDWARE_ADDRESS: &str = "0a:58:a9:fe:01:01";

/// The pods on one bridge. Each has a route to each of the others that leads straight onto the bridge, as the common
/// prefix of a node's pods gives it elsewhere: here addresses are free.
#[derive(Clone, Debug, Default)]
pub(super) struct Bridge(Arc<Mutex<Vec<Port>>>);

#[derive(Clone, Debug)]
struct Port {
    pod: Arc<Namespace>,
    addresses: Vec<IpAddr>,
}

impl Bridge {
    /// Makes the bridge, which carries the gateway's addresses, and hands what it forwards to netfilter.
    pub(super) fn set_up(node: &Arc<Namespace>, batches: &mut Batches) -> Result<Self, NetnsError> {
        pass_to_netfilter(node, true)?;
        batches.add(node, &format!("link add {BRIDGE} address {HARDWARE_ADDRESS} type bridge"));
        batches.gateway(node, BRIDGE, NODE_GATEWAY);
        Ok(Self::default())
    }

    /// Plugs in the link of a pod, and makes it known to the others. The bridge may send packets back where they came
    /// from: a pod reaches itself through a Service.
    pub(super) fn plug(
        &self,
        node: &Arc<Namespace>,
        link: &str,
        pod: &Arc<Namespace>,
        addresses: &[IpAddr],
        batches: &mut Batches,
    ) {
        batches.add(node, &format!("link add {link} type veth peer name eth0 netns {}", pod.path().display()));
        batches.add(node, &format!("link set {link} master {BRIDGE} up"));
        batches.add(node, &format!("link set {link} type bridge_slave hairpin on"));
        batches.leaf(pod, "eth0", addresses, NODE_GATEWAY);
        let mut ports = self.ports();
        for other in ports.iter() {
            on_link("add", &other.pod, addresses, batches);
            on_link("add", pod, &other.addresses, batches);
        }
        ports.push(Port { pod: Arc::clone(pod), addresses: addresses.to_vec() });
    }

    /// Makes the others forget a pod.
    pub(super) fn unplug(&self, pod: &Arc<Namespace>, batches: &mut Batches) {
        let mut ports = self.ports();
        let Some(index) = ports.iter().position(|port| Arc::ptr_eq(&port.pod, pod)) else { return };
        let gone = ports.swap_remove(index);
        for other in ports.iter() {
            on_link("del", &other.pod, &gone.addresses, batches);
        }
    }

    fn ports(&self) -> MutexGuard<'_, Vec<Port>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the bridges of `node` hand the IP packets that they forward to netfilter.
///
/// # Errors
/// Also where the kernel has no `br_netfilter`.
pub fn pass_to_netfilter(node: &Namespace, pass: bool) -> Result<(), NetnsError> {
    if !node.enter(|| Path::new("/proc/sys/net/bridge").exists())? {
        return Err(NetnsError::NoBridgeNetfilter);
    }
    let value = if pass { "1" } else { "0" };
    node.sysctl(&[("net.bridge.bridge-nf-call-iptables", value), ("net.bridge.bridge-nf-call-ip6tables", value)])
}

fn on_link(change: &str, pod: &Arc<Namespace>, addresses: &[IpAddr], batches: &mut Batches) {
    for address in addresses {
        batches.add(pod, &format!("route {change} {address} dev eth0"));
    }
}

use std::net::IpAddr;
use std::sync::Arc;

use super::batches::{Batches, NODE_GATEWAY, UNDERLAY_GATEWAY, whole};
use super::bridge::{BRIDGE, Bridge};
use super::node::{Node, enable_forwarding};
use super::{Fabric, Host, Namespace, NetnsError, PodLinks, Topology, tunnel};

/// Nodes around an underlay; pods behind nodes; external hosts behind the underlay:
///
/// ```text
/// pod ── node ── underlay ── node ── pod
///                   │
///                external
/// ```
///
/// A node has one interface a pod (`pod0`, `pod1`, …) and `uplink`; a pod and an external host have `eth0`. Where pods
/// are on bridges, `pod0`, `pod1`, … are ports of [`BRIDGE`]; where nodes have tunnels, `tunnel-N` leads to node N.
#[derive(Debug)]
pub struct Network {
    underlay: Arc<Namespace>,
    nodes: Vec<Node>,
    fabric: Fabric,
    links: usize,
}

/// Where a host is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind the node of this number, in a namespace of its own, as a pod is.
    Behind(usize),
    /// In the namespace of the node of this number, as a pod with `hostNetwork` is. The addresses may be the node's own.
    OnNode(usize),
    /// Outside the cluster.
    External,
}

impl Place {
    /// Addresses for the host of this number there, one of each family: other places have others.
    pub fn addresses(self, number: u8) -> Vec<IpAddr> {
        let (v4, v6) = match self {
            Self::Behind(node) => (format!("10.1.{node}.{number}"), format!("fd01:{node}::{number:x}")),
            Self::OnNode(node) => (format!("10.2.{node}.{number}"), format!("fd02:{node}::{number:x}")),
            Self::External => (format!("192.0.2.{number}"), format!("2001:db8::{number:x}")),
        };
        [v4, v6].map(|address| address.parse().expect("numbers of few digits in addresses")).into()
    }
}

impl Network {
    /// Nodes (`node-0`, `node-1`, …) that reach each other in both families. A bare number is that many routed ones.
    pub fn new(topology: impl Into<Topology>) -> Result<Self, NetnsError> {
        let Topology { nodes, pods, fabric } = topology.into();
        let mut network = Self { underlay: Arc::new(Namespace::new()?), nodes: Vec::new(), fabric, links: 0 };
        enable_forwarding(&network.underlay, fabric)?;
        let mut batches = Batches::default();
        for number in 0..nodes {
            network.add_node(number, pods, &mut batches)?;
        }
        batches.run()?;
        Ok(network)
    }

    fn add_node(&mut self, number: usize, pods: PodLinks, batches: &mut Batches) -> Result<(), NetnsError> {
        let mut node = Node::new(number)?;
        enable_forwarding(&node.namespace, self.fabric)?;
        batches.link(&self.underlay, &node.name, &node.namespace, "uplink", UNDERLAY_GATEWAY);
        batches.leaf(&node.namespace, "uplink", &node.addresses, UNDERLAY_GATEWAY);
        for address in node.addresses {
            batches.add(&self.underlay, &format!("route add {address} dev {}", node.name));
        }
        if pods == PodLinks::Bridge {
            node.bridge = Some(Bridge::set_up(&node.namespace, batches)?);
        }
        self.nodes.push(node);
        if self.fabric == Fabric::Vxlan {
            let end = |number: usize| {
                let Node { namespace, addresses, .. } = &self.nodes[number];
                tunnel::End { number, node: namespace, underlay: addresses[0] }
            };
            (0..number).for_each(|other| tunnel::connect(&end(number), &end(other), batches));
        }
        Ok(())
    }

    /// The nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What is between the nodes.
    pub fn underlay(&self) -> &Namespace {
        &self.underlay
    }

    /// Attaches one host for each of the given places and address lists.
    ///
    /// # Panics
    /// If a place names a node that there is not.
    pub fn attach(&mut self, hosts: &[(Place, Vec<IpAddr>)]) -> Result<Vec<Host>, NetnsError> {
        let mut batches = Batches::default();
        let hosts = hosts
            .iter()
            .map(|(place, addresses)| match *place {
                Place::Behind(number) => self.attach_pod(number, addresses, &mut batches),
                Place::OnNode(number) => Ok(self.attach_to_node(number, addresses, &mut batches)),
                Place::External => self.attach_external(addresses, &mut batches),
            })
            .collect::<Result<Vec<_>, _>>()?;
        batches.run()?;
        Ok(hosts)
    }

    /// Attaches one host.
    ///
    /// # Panics
    /// If `place` names a node that there is not.
    pub fn attach_one(&mut self, place: Place, addresses: &[IpAddr]) -> Result<Host, NetnsError> {
        let mut hosts = self.attach(&[(place, addresses.to_vec())])?;
        Ok(hosts.pop().expect("one host was asked for"))
    }

    fn attach_pod(&mut self, number: usize, addresses: &[IpAddr], batches: &mut Batches) -> Result<Host, NetnsError> {
        let namespace = Arc::new(Namespace::new()?);
        let link = self.next_link("pod");
        let node = &self.nodes[number];
        let device = match &node.bridge {
            Some(bridge) => {
                bridge.plug(&node.namespace, &link, &namespace, addresses, batches);
                BRIDGE
            }
            None => {
                batches.link(&node.namespace, &link, &namespace, "eth0", NODE_GATEWAY);
                batches.leaf(&namespace, "eth0", addresses, NODE_GATEWAY);
                &link
            }
        };
        let mut detach = Vec::new();
        for address in addresses {
            let source = node.address_like(*address);
            batches.add(&node.namespace, &format!("route add {address} dev {device} src {source}"));
            detach.push((Arc::clone(&node.namespace), format!("route del {address} dev {device}")));
        }
        detach.push((Arc::clone(&node.namespace), format!("link del {link}")));
        detach.extend(self.route_through(number, addresses, batches));
        if self.fabric == Fabric::Vxlan {
            detach.extend(self.tunnel_to(number, addresses, batches));
        }
        Ok(Host::new(namespace, addresses, detach).on(node.bridge.clone()))
    }

    fn attach_to_node(&self, number: usize, addresses: &[IpAddr], batches: &mut Batches) -> Host {
        let node = &self.nodes[number];
        let foreign: Vec<_> = addresses.iter().copied().filter(|address| !node.addresses.contains(address)).collect();
        let mut detach = self.route_through(number, &foreign, batches);
        for address in &foreign {
            batches.add(&node.namespace, &format!("addr add {} dev lo", whole(*address)));
            detach.push((Arc::clone(&node.namespace), format!("addr del {address} dev lo")));
        }
        Host::new(Arc::clone(&node.namespace), addresses, detach)
    }

    fn attach_external(&mut self, addresses: &[IpAddr], batches: &mut Batches) -> Result<Host, NetnsError> {
        let namespace = Arc::new(Namespace::new()?);
        let link = self.next_link("ext");
        batches.link(&self.underlay, &link, &namespace, "eth0", UNDERLAY_GATEWAY);
        batches.leaf(&namespace, "eth0", addresses, UNDERLAY_GATEWAY);
        for address in addresses {
            batches.add(&self.underlay, &format!("route add {address} dev {link}"));
        }
        Ok(Host::new(namespace, addresses, vec![(Arc::clone(&self.underlay), format!("link del {link}"))]))
    }

    /// Routes the addresses through a node; gives what undoes it.
    fn route_through(
        &self,
        number: usize,
        addresses: &[IpAddr],
        batches: &mut Batches,
    ) -> Vec<(Arc<Namespace>, String)> {
        let node = &self.nodes[number];
        let mut undo = Vec::new();
        for address in addresses {
            let via = node.address_like(*address);
            batches.add(&self.underlay, &format!("route add {address} via {via} dev {} onlink", node.name));
            undo.push((Arc::clone(&self.underlay), format!("route del {address} dev {}", node.name)));
        }
        undo
    }

    /// Sends what other nodes have for these addresses through the tunnel to a node; gives what undoes it.
    fn tunnel_to(&self, number: usize, addresses: &[IpAddr], batches: &mut Batches) -> Vec<(Arc<Namespace>, String)> {
        let device = tunnel::device(number);
        let mut undo = Vec::new();
        for (_, other) in self.nodes.iter().enumerate().filter(|(other, _)| *other != number) {
            for address in addresses {
                let (via, source) = (tunnel::address_like(*address, number), other.address_like(*address));
                batches
                    .add(&other.namespace, &format!("route add {address} via {via} dev {device} onlink src {source}"));
                undo.push((Arc::clone(&other.namespace), format!("route del {address} dev {device}")));
            }
        }
        undo
    }

    fn next_link(&mut self, prefix: &str) -> String {
        self.links += 1;
        format!("{prefix}{}", self.links - 1)
    }
}

//! Who is there, and whom else a packet can name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use palisade_integration::forge::{Mac, mac_of};
use palisade_integration::netns::{Fabric, Place, PodLinks, Topology};

use crate::groups::link_local;
use crate::scene::Scene;

#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) v4: IpAddr,
    pub(super) v6: IpAddr,
    pub(super) mac: Mac,
    pub(super) gateway: Mac,
    /// The number of its node.
    pub(super) node: usize,
}

impl Actor {
    pub(super) fn address(&self, v6: bool) -> IpAddr {
        if v6 { self.v6 } else { self.v4 }
    }
}

pub(super) struct Cast {
    actors: Vec<Actor>,
    /// The addresses of the nodes.
    nodes: Vec<[IpAddr; 2]>,
    /// Whether the pods of a node are on one bridge.
    pub(super) bridged: bool,
    /// The hardware addresses of the nodes' ends of the tunnel.
    pub(super) tunnels: Option<[Mac; 2]>,
}

impl Cast {
    pub(super) fn of(scene: &Scene, topology: Topology, hosts: &[(&'static str, Place)]) -> Self {
        let actor = |(name, place): &(&'static str, Place)| {
            let Place::Behind(node) = *place else { panic!("{name} is no pod") };
            let (mac, gateway) = (scene.link(name).mac(), scene.link(name).gateway());
            let [v4, v6] = [false, true].map(|v6| scene.address(name, v6));
            Actor { name, v4, v6, mac, gateway, node }
        };
        let nodes: Vec<_> = scene.network.nodes().iter().map(|node| node.addresses().try_into().unwrap()).collect();
        let end =
            |node: usize| mac_of(scene.network.nodes()[node].namespace(), &format!("tunnel-{}", 1 - node)).unwrap();
        Self {
            actors: hosts.iter().map(actor).collect(),
            nodes,
            bridged: topology.pods == PodLinks::Bridge,
            tunnels: (topology.fabric == Fabric::Vxlan).then(|| [0, 1].map(end)),
        }
    }

    pub(super) fn actor(&self, name: &str) -> &Actor {
        self.actors.iter().find(|actor| actor.name == name).unwrap()
    }

    pub(super) fn node(&self, number: usize, v6: bool) -> IpAddr {
        self.nodes[number][usize::from(v6)]
    }

    /// A source: the sender's, one that anybody else has, or nobody; and what to call it.
    pub(super) fn source(&self, random: &mut Rng, [from, to]: [&Actor; 2], v6: bool) -> (String, IpAddr) {
        let plain = |name: &str, v4: [u8; 4], six: &str| {
            let address = if v6 { six.parse::<Ipv6Addr>().unwrap().into() } else { Ipv4Addr::from(v4).into() };
            (name.to_owned(), address)
        };
        match random.u8(..100) {
            0..45 => ("honest".to_owned(), from.address(v6)),
            45..55 => ("as the victim".to_owned(), to.address(v6)),
            55..75 => {
                let other = &self.actors[random.usize(..self.actors.len())];
                (format!("as {}", other.name), other.address(v6))
            }
            75..83 => plain("as nobody", [10, 1, random.u8(..2), random.u8(100..)], "fd01:0::abcd"),
            83..91 => plain("as a stranger", [198, 51, 100, random.u8(1..)], "2001:db8:7::7"),
            91..96 => {
                let node = random.usize(..self.nodes.len());
                (format!("as node-{node}"), self.node(node, v6))
            }
            96 => plain("as the gateway", [169, 254, 1, 1], "fe80::1"),
            97 if v6 => ("link-local".to_owned(), link_local(from.mac).into()),
            97 | 98 => plain("as nobody yet", [0; 4], "::"),
            _ => plain("as itself", [127, 0, 0, 1], "::1"),
        }
    }
}

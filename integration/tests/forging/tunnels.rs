//! Pods that speak the nodes' tunnels.

use std::net::SocketAddr;

use palisade_integration::forge::transport::{udp, vxlan};
use palisade_integration::forge::{Frame, mac_of};
use palisade_integration::netns::{Place, Topology};

use crate::policies::{admits, isolated, no_egress};
use crate::scene::Scene;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, TUNNELLED, family};

/// As on the nodes.
const PORT: u16 = 8472;
/// The number of the VXLAN between the first node and the second.
const NUMBER: u32 = 2;

/// A frame for `victim` that says it is from `claimed`, from `from` to the end of the tunnel that `node` has.
fn aims(scene: &Scene, [from, claimed, victim]: [&'static str; 3], node: usize) -> Vec<Aim> {
    let (own, gateway) = (scene.link(from).mac(), scene.link(from).gateway());
    let namespace = scene.network.nodes()[node].namespace();
    let end = mac_of(namespace, &format!("tunnel-{}", 1 - node)).unwrap();
    let mut aims = Vec::new();
    for outer in FAMILIES.into_iter().take(1) {
        let ends = [scene.at(from, outer, 4500), SocketAddr::new(scene.network.nodes()[node].addresses()[0], PORT)];
        for v6 in FAMILIES {
            let inner = [scene.at(claimed, v6, 4501), scene.at(victim, v6, 4502)];
            let name = format!("{} as {claimed}, by node-{node}", family(v6));
            aims.push(Aim::new(name, [from, victim], move |mark| {
                let frame = Frame::of(end, [2, 0, 0, 0, 0, 9], &udp(inner[0], inner[1], mark));
                vec![Frame::of(gateway, own, &vxlan(ends[0], ends[1], NUMBER, &frame.bytes()))]
            }));
        }
    }
    aims
}

fn honest(scene: &Scene) -> Vec<Aim> {
    let pairs = [["far", "shop"], ["free", "far-shop"], ["free", "far"], ["far", "free"]];
    let aim = |ends: [&'static str; 2], v6| {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        let [from, to] = ends.map(|name| scene.at(name, v6, 4503));
        Aim::new(format!("{} UDP", family(v6)), ends, move |mark| vec![Frame::of(gateway, own, &udp(from, to, mark))])
    };
    pairs.into_iter().flat_map(|ends| FAMILIES.map(|v6| aim(ends, v6))).collect()
}

fn fail(topology: Topology, through: &[([&'static str; 3], usize)]) {
    let hosts = [("free", 0), ("mute", 0), ("shop", 0), ("closed", 0), ("far", 1), ("far-shop", 1), ("far-closed", 1)];
    let mut scene = Scene::new(topology, &hosts.map(|(name, node)| (name, Place::Behind(node))));
    let forged = through.iter().flat_map(|(names, node)| aims(&scene, *names, *node)).collect();
    let volley = Volley { forged, honest: honest(&scene) };
    let admitted = [admits("shop", &["far"]), admits("far-shop", &["free"])];
    let policies = [no_egress("mute"), isolated("closed"), isolated("far-closed")].into_iter().chain(admitted);
    volley.fails_under(&mut scene, &policies.collect::<Vec<_>>());
}

/// A pod may speak to its own node whatever its policies say.
const BY_ITS_OWN_NODE: [([&str; 3], usize); 3] =
    [(["mute", "far", "free"], 0), (["mute", "far", "shop"], 0), (["closed", "far", "shop"], 0)];
/// And to another, where no policy forbids it.
const BY_ANOTHER_NODE: [([&str; 3], usize); 3] =
    [(["mute", "free", "far"], 1), (["free", "free", "far-closed"], 1), (["closed", "free", "far-shop"], 1)];

#[test]
fn of_its_own_node_routed() {
    fail(TUNNELLED, &BY_ITS_OWN_NODE);
}

#[test]
fn of_its_own_node_bridged() {
    fail(BRIDGED.over_vxlan(), &BY_ITS_OWN_NODE);
}

#[test]
fn of_another_node_routed() {
    fail(TUNNELLED, &BY_ANOTHER_NODE);
}

#[test]
fn of_another_node_bridged() {
    fail(BRIDGED.over_vxlan(), &BY_ANOTHER_NODE);
}

/// `mallory`, whom no policy is about, speaks as who is admitted by the other node's tunnel.
#[test]
fn of_another_node_by_who_is_free() {
    for topology in [TUNNELLED, BRIDGED.over_vxlan()] {
        let hosts = [("mallory", 0), ("free", 0), ("far", 1), ("far-shop", 1), ("shop", 0)];
        let mut scene = Scene::new(topology, &hosts.map(|(name, node)| (name, Place::Behind(node))));
        let forged = aims(&scene, ["mallory", "free", "far-shop"], 1);
        let forged = forged.into_iter().chain(aims(&scene, ["mallory", "far", "shop"], 0)).collect();
        let volley = Volley { forged, honest: honest(&scene) };
        volley.fails_under(&mut scene, &[admits("shop", &["far"]), admits("far-shop", &["free"])]);
    }
}

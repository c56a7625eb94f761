//! ICMPv6 that looks like neighbour discovery, and comes from beyond the link.

use std::net::{IpAddr, Ipv6Addr};

use palisade_integration::forge::transport::{echo, icmp};
use palisade_integration::forge::{Frame, Packet};
use palisade_integration::netns::{Place, Topology};

use crate::policies::isolated;
use crate::scene::Scene;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, ROUTED, TUNNELLED};

const HOSTS: [(&str, Place); 5] = [
    ("one", Place::Behind(0)),
    ("other", Place::Behind(0)),
    ("away", Place::Behind(1)),
    ("free", Place::Behind(0)),
    ("free-away", Place::Behind(1)),
];
/// Router solicitation and advertisement, neighbour solicitation and advertisement, redirect (RFC 4861, section 4).
const TYPES: [u8; 5] = [133, 134, 135, 136, 137];

/// A message of neighbour discovery, with an option that nobody knows.
pub(crate) fn discovery(from: IpAddr, to: IpAddr, kind: u8, target: Ipv6Addr, mark: &[u8]) -> Packet {
    let fixed = match kind {
        134 => [&[64, 0, 7, 8][..], &[0; 8]].concat(),
        135 | 136 => [&[0x20, 0, 0, 0][..], &target.octets()].concat(),
        137 => [&[0; 4][..], &target.octets(), &target.octets()].concat(),
        _ => vec![0; 4],
    };
    icmp(from, to, kind, 0, &[&fixed, &[253, 2][..], mark, &[0; 6]].concat()).hop_limit(255)
}

/// `from` is the sender's, `to` the receiver's; handed to the node.
fn aims(
    scene: &Scene,
    ends: [&'static str; 2],
    wrap: impl Fn(&Packet) -> Frame + Copy + 'static,
    limits: &[u8],
) -> Vec<Aim> {
    let [from, to] = ends.map(|name| scene.address(name, true));
    let target = Ipv6Addr::from_bits(0xfd00 << 112 | 1);
    let choices = TYPES.into_iter().flat_map(|kind| limits.iter().map(move |limit| (kind, *limit)));
    let aim = |(kind, limit)| {
        Aim::new(format!("type {kind}, hop limit {limit}"), ends, move |mark| {
            vec![wrap(&discovery(from, to, kind, target, mark).hop_limit(limit))]
        })
    };
    choices.map(aim).collect()
}

fn through_the_node(scene: &Scene, ends: [&'static str; 2]) -> Vec<Aim> {
    let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
    aims(scene, ends, move |packet| Frame::of(gateway, own, packet), &[255, 64, 5])
}

fn honest(scene: &Scene) -> Vec<Aim> {
    let pairs = [["free", "free-away"], ["free-away", "free"]];
    let aim = |ends: [&'static str; 2]| {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        let packet = ends.map(|name| scene.address(name, true));
        Aim::new("echo request", ends, move |mark| vec![Frame::of(gateway, own, &echo(packet[0], packet[1], 1, mark))])
    };
    pairs.map(aim).into()
}

fn fail(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let pairs = [["one", "other"], ["one", "away"], ["free", "other"], ["one", "free"]];
    let forged = pairs.into_iter().flat_map(|ends| through_the_node(&scene, ends)).collect();
    let volley = Volley { forged, honest: honest(&scene) };
    volley.fails_under(&mut scene, &["one", "other", "away"].map(isolated));
}

#[test]
fn who_is_no_neighbour_routed() {
    fail(ROUTED);
}

#[test]
fn who_is_no_neighbour_bridged() {
    fail(BRIDGED);
}

#[test]
fn who_is_no_neighbour_through_a_tunnel() {
    fail(TUNNELLED);
}

/// In the name of nobody, of a stranger and of another pod.
fn fail_in_others_names(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let names = ["fd01:0::abcd".parse().unwrap(), "2001:db8:7::7".parse().unwrap(), scene.address("free-away", true)];
    let target = Ipv6Addr::from_bits(0xfd00 << 112 | 1);
    let mut forged = Vec::new();
    for ends in [["one", "free"], ["free", "other"], ["one", "free-away"]] {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        let to = scene.address(ends[1], true);
        for (from, kind) in names.into_iter().flat_map(|name| TYPES.map(|kind| (name, kind))) {
            forged.push(Aim::new(format!("type {kind} as {from}"), ends, move |mark| {
                vec![Frame::of(gateway, own, &discovery(from, to, kind, target, mark))]
            }));
        }
    }
    let volley = Volley { forged, honest: honest(&scene) };
    volley.fails_under(&mut scene, &["one", "other", "away"].map(isolated));
}

#[test]
fn who_is_no_neighbour_in_others_names_routed() {
    fail_in_others_names(ROUTED);
}

#[test]
fn who_is_no_neighbour_in_others_names_bridged() {
    fail_in_others_names(BRIDGED);
}

/// Real neighbour discovery has hop limit 255.
#[test]
fn who_is_a_neighbour_and_speaks_from_afar() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let straight = |ends: [&'static str; 2]| {
        let (own, other) = (scene.link(ends[0]).mac(), scene.link(ends[1]).mac());
        aims(&scene, ends, move |packet| Frame::of(other, own, packet), &[254, 64, 1])
    };
    let forged = [["one", "other"], ["free", "other"], ["one", "free"]].into_iter().flat_map(straight).collect();
    let volley = Volley { forged, honest: honest(&scene) };
    volley.fails_under(&mut scene, &["one", "other", "away"].map(isolated));
}

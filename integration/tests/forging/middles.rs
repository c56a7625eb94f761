//! TCP packets that begin nothing, of connections that nobody knows.

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::{Segment, flags, tcp};
use palisade_integration::netns::{Place, Topology};

use crate::policies::{no_egress, no_ingress};
use crate::scene::Scene;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, family};

/// What conntrack takes for the middle of a connection that began before.
const MIDDLE: [(&str, u8); 2] = [("ACK", flags::ACK), ("PSH ACK", flags::PSH | flags::ACK)];
/// What is no part of any.
const NOTHING: [(&str, u8); 5] = [
    ("FIN ACK", flags::FIN | flags::ACK),
    ("SYN ACK", flags::SYN | flags::ACK),
    ("RST", flags::RST),
    ("FIN", flags::FIN),
    ("no flag", 0),
];

fn segments(scene: &Scene, ends: [&'static str; 2], kinds: &[(&'static str, u8)], port: u16) -> Vec<Aim> {
    let mut aims = Vec::new();
    for v6 in FAMILIES {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        for ((name, flags), port) in kinds.iter().copied().zip(port..) {
            let [from, to] = ends.map(|name| scene.at(name, v6, port));
            let segment = Segment { sequence: 1, acknowledged: 1, flags, options: &[] };
            aims.push(Aim::new(format!("{} {name}", family(v6)), ends, move |mark| {
                vec![Frame::of(gateway, own, &tcp(from, to, segment, mark))]
            }));
        }
    }
    aims
}

const FORBIDDEN: [[&str; 2]; 5] =
    [["free", "deaf"], ["mute", "free"], ["far", "deaf"], ["mute", "far"], ["free", "far-deaf"]];
/// Which policy allows.
const OTHER_WAY: [[&str; 2]; 6] =
    [["deaf", "free"], ["free", "mute"], ["deaf", "far"], ["far", "mute"], ["free", "far-mute"], ["far-deaf", "free"]];

/// They do not pass between these, without a connection, and beginnings do that are allowed.
fn fail(topology: Topology, pairs: &[[&'static str; 2]], kinds: &[(&'static str, u8)]) {
    let hosts = [("deaf", 0), ("mute", 0), ("free", 0), ("far-deaf", 1), ("far-mute", 1), ("far", 1)];
    let mut scene = Scene::new(topology, &hosts.map(|(name, node)| (name, Place::Behind(node))));
    let forged = pairs.iter().flat_map(|ends| segments(&scene, *ends, kinds, 6000)).collect();
    let honest = OTHER_WAY.iter().flat_map(|ends| segments(&scene, *ends, &[("SYN", flags::SYN)], 6100)).collect();
    let volley = Volley { forged, honest };
    volley.works(&scene);
    scene.enforce(&[no_ingress("deaf"), no_egress("mute"), no_ingress("far-deaf"), no_egress("far-mute")]);
    for loose in ["1", "0"] {
        scene.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose);
        scene.forget();
        volley.fails(&scene);
    }
    scene.sysctl("net.netfilter.nf_conntrack_tcp_loose", "1");
    scene.forget();
    let between_free = segments(&scene, ["free", "far"], &MIDDLE, 6200);
    Volley { forged: Vec::new(), honest: between_free }.works(&scene);
}

/// It can be of either direction, so that it is not enough that one is allowed.
#[test]
fn a_middle_without_a_beginning_routed() {
    fail(ROUTED, &OTHER_WAY, &MIDDLE);
}

#[test]
fn a_middle_without_a_beginning_bridged() {
    fail(BRIDGED, &OTHER_WAY, &MIDDLE);
}

#[test]
fn what_is_forbidden_and_no_beginning_routed() {
    fail(ROUTED, &FORBIDDEN, &[&MIDDLE[..], &NOTHING].concat());
}

#[test]
fn what_is_forbidden_and_no_beginning_bridged() {
    fail(BRIDGED, &FORBIDDEN, &[&MIDDLE[..], &NOTHING].concat());
}

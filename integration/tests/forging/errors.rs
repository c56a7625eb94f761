//! ICMP errors of who has no part in what they are about.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use palisade_integration::forge::transport::{echo, port_unreachable, too_big, udp};
use palisade_integration::forge::{BROADCAST, Frame};
use palisade_integration::netns::{Node, Place, Topology};
use palisade_integration::patience;

use crate::policies::{admits, isolated, no_ingress};
use crate::scene::Scene;
use crate::talk::{Mouth, Pair};
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, TUNNELLED, family};

const PAUSE: Duration = Duration::from_millis(50);
pub(crate) const PORT: u16 = 4000;
/// Where nobody listens.
pub(crate) const NOWHERE: u16 = 4009;

pub(crate) const HOSTS: [(&str, Place); 6] = [
    ("talker", Place::Behind(0)),
    ("mute", Place::Behind(0)),
    ("free", Place::Behind(0)),
    ("far", Place::Behind(1)),
    ("far-mute", Place::Behind(1)),
    ("outside", Place::External),
];

/// An error from `ends[0]` that quotes what `ends[1]` said to its node, with bytes of its own.
fn aims(scene: &Scene, ends: [&'static str; 2], named: impl Fn(bool) -> IpAddr) -> Vec<Aim> {
    let mut aims = Vec::new();
    for v6 in FAMILIES {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        let (from, talker, node) = (named(v6), scene.at(ends[1], v6, PORT), node(scene, v6));
        let quoted = move |mark: &[u8]| udp(talker, node, &[mark, &[0x55; 352]].concat());
        aims.push(Aim::new(format!("{} unreachable", family(v6)), ends, move |mark| {
            vec![Frame::of(gateway, own, &port_unreachable(from, talker.ip(), &quoted(mark)))]
        }));
        aims.push(Aim::new(format!("{} too big", family(v6)), ends, move |mark| {
            vec![Frame::of(gateway, own, &too_big(from, talker.ip(), 1300, &quoted(mark)))]
        }));
    }
    aims
}

pub(crate) fn node(scene: &Scene, v6: bool) -> SocketAddr {
    SocketAddr::new(scene.network.nodes()[0].addresses()[usize::from(v6)], NOWHERE)
}

fn honest(scene: &Scene) -> Vec<Aim> {
    let ends = ["far", "free"];
    let (own, gateway) = (scene.link("far").mac(), scene.link("far").gateway());
    let aim = |v6| {
        let [from, to] = ends.map(|name| scene.address(name, v6));
        Aim::new(format!("{} echo request", family(v6)), ends, move |mark| {
            vec![Frame::of(gateway, own, &echo(from, to, 9, mark))]
        })
    };
    FAMILIES.map(aim).into()
}

fn fail(topology: Topology, from: &'static str) {
    let mut scene = Scene::new(topology, &HOSTS);
    let forged = aims(&scene, [from, "talker"], |v6| scene.address(from, v6));
    let volley = Volley { forged, honest: honest(&scene) };
    volley.works(&scene);
    scene.enforce(&["talker", "mute", "far-mute"].map(isolated));
    speak(&scene);
    volley.fails(&scene);
}

/// The word that is quoted.
fn speak(scene: &Scene) {
    for v6 in FAMILIES {
        Mouth::open(scene, "talker", v6, PORT).say_to(node(scene, v6));
    }
}

#[test]
fn of_a_pod_that_may_speak_to_nobody_routed() {
    fail(ROUTED, "mute");
}

#[test]
fn of_a_pod_that_may_speak_to_nobody_bridged() {
    fail(BRIDGED, "mute");
}

#[test]
fn of_a_pod_that_has_no_part_in_it_routed() {
    fail(ROUTED, "free");
}

#[test]
fn of_a_pod_that_has_no_part_in_it_bridged() {
    fail(BRIDGED, "free");
}

#[test]
fn of_another_nodes_pod_that_may_speak_to_nobody_routed() {
    fail(ROUTED, "far-mute");
}

#[test]
fn of_another_nodes_pod_that_may_speak_to_nobody_bridged() {
    fail(BRIDGED, "far-mute");
}

#[test]
fn of_another_nodes_pod_that_may_speak_to_nobody_through_a_tunnel() {
    fail(TUNNELLED, "far-mute");
}

#[test]
fn of_another_nodes_pod_that_has_no_part_in_it() {
    fail(ROUTED, "far");
}

/// In the name of the node, whose errors are welcome.
#[test]
fn of_a_pod_in_the_nodes_name() {
    for topology in [ROUTED, BRIDGED] {
        let mut scene = Scene::new(topology, &HOSTS);
        let forged = aims(&scene, ["mute", "talker"], |v6| scene.network.nodes()[1].addresses()[usize::from(v6)]);
        let volley = Volley { forged, honest: honest(&scene) };
        volley.works(&scene);
        scene.enforce(&["talker", "mute", "far-mute"].map(isolated));
        speak(&scene);
        volley.fails(&scene);
    }
}

/// Errors from `from` that quote what `talker` would answer it.
fn of_the_other_end(scene: &Scene, from: &'static str) -> Vec<Aim> {
    let aim = |v6| {
        let (own, gateway) = (scene.link(from).mac(), scene.link(from).gateway());
        let [other, talker] = [from, "talker"].map(|name| scene.at(name, v6, PORT));
        Aim::new(format!("{} unreachable", family(v6)), [from, "talker"], move |mark| {
            let quoted = udp(talker, other, &[&mark[..], &[0x55; 352]].concat());
            vec![Frame::of(gateway, own, &port_unreachable(other.ip(), talker.ip(), &quoted))]
        })
    };
    FAMILIES.map(aim).into()
}

/// Who was cut off has no part in it any more.
fn fail_once_cut(topology: Topology, from: &'static str) {
    let mut scene = Scene::new(topology, &HOSTS);
    let volley = Volley { forged: of_the_other_end(&scene, from), honest: honest(&scene) };
    volley.works(&scene);
    scene.enforce(&[admits("talker", &[from])]);
    let pairs = FAMILIES.map(|v6| Pair::open(&scene, [(from, PORT), ("talker", PORT)], v6));
    pairs.iter().for_each(Pair::talk);
    scene.enforce(&[no_ingress("talker")]);
    settle(&scene);
    volley.fails(&scene);
}

/// Until nodes know what was judged since: errors of what was cut pass for a second or so.
fn settle(scene: &Scene) {
    let is_settled = |node: &Node| {
        let mut list = Command::new("nft");
        let known = node.namespace().run(list.args(["list", "chain", "inet", "palisade", "known"]), "").unwrap();
        String::from_utf8_lossy(&known.stdout).contains("accept")
    };
    let all = || scene.network.nodes().iter().all(is_settled).then_some(());
    patience::eventually(PAUSE, all, || "no epoch begins".to_owned());
}

#[test]
fn of_the_other_end_of_what_was_cut_routed() {
    fail_once_cut(ROUTED, "free");
}

#[test]
fn of_the_other_end_of_what_was_cut_bridged() {
    fail_once_cut(BRIDGED, "free");
}

#[test]
fn of_the_other_end_of_what_was_cut_across_nodes() {
    fail_once_cut(ROUTED, "far");
}

/// A frame to everybody on a bridge is confirmed by conntrack before it is judged, so that there is a connection to which
/// errors can relate, although it never was allowed.
#[test]
fn of_who_spoke_to_everybody_on_the_bridge() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let volley = Volley { forged: of_the_other_end(&scene, "free"), honest: honest(&scene) };
    volley.works(&scene);
    scene.enforce(&[no_ingress("talker")]);
    for v6 in FAMILIES {
        let [free, talker] = ["free", "talker"].map(|name| scene.at(name, v6, PORT));
        let own = scene.link("free").mac();
        scene.link("free").send(&Frame::of(BROADCAST, own, &udp(free, talker, b"all"))).unwrap();
    }
    volley.fails(&scene);
}

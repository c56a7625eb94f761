//! A connection turned round: who may not speak to another sends itself a packet in the other's name, and answers it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, sleep};

use palisade_integration::forge::transport::{SIGNED, Segment, flags, tcp, udp};
use palisade_integration::forge::{Frame, Packet};
use palisade_integration::netns::{Place, Topology};
use socket2::{Domain, Socket, Type};

use crate::policies::{Policy, no_egress, no_ingress};
use crate::scene::Scene;
use crate::talk::{Pair, SILENCE};
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, RP_FILTERS, TUNNELLED, family};

/// `mallory` may not speak to `alice`, who may speak to her.
fn scene(topology: Topology, alice: Place) -> Scene {
    let scene = Scene::new(topology, &[("alice", alice), ("mallory", Place::Behind(0))]);
    control(&scene).works(&scene);
    scene
}

/// What she sends comes back to her.
fn control(scene: &Scene) -> Volley {
    let forged = FAMILIES.map(|v6| {
        let ends = [scene.at("alice", v6, 4000), scene.at("mallory", v6, 4000)];
        let (own, gateway) = (scene.link("mallory").mac(), scene.link("mallory").gateway());
        let name = format!("{} in alice's name", family(v6));
        Aim::new(name, ["mallory", "mallory"], move |mark| vec![Frame::of(gateway, own, &udp(ends[0], ends[1], mark))])
    });
    Volley { forged: forged.into(), honest: Vec::new() }
}

/// Whether `alice` hears something, in a family and by a port that nobody used.
type Trick = fn(&Scene, bool, u16) -> bool;

/// Asserts that `alice` hears nothing by any trick, and that what she begins goes on.
fn holds(topology: Topology, alice: Place, policy: Policy) {
    let mut scene = scene(topology, alice);
    scene.enforce(&[policy]);
    let mut through = Vec::new();
    for rp_filter in RP_FILTERS {
        scene.rp_filter(rp_filter);
        let port = 20_000 + u16::from(rp_filter) * 10;
        let tricks: [(&str, Trick); 2] = [("UDP", datagrams), ("TCP", connects)];
        let tricks = (port..).zip(tricks.into_iter().flat_map(|trick| FAMILIES.map(|v6| (trick, v6))));
        thread::scope(|scope| {
            let scene = &scene;
            let trying: Vec<_> = tricks
                .map(|(port, ((name, trick), v6))| {
                    Pair::open(scene, [("alice", port), ("mallory", port)], v6).talk();
                    let name = format!("{name}, {}, rp_filter {rp_filter}", family(v6));
                    (name, scope.spawn(move || trick(scene, v6, port + 100)))
                })
                .collect();
            through.extend(trying.into_iter().filter_map(|(name, one)| one.join().unwrap().then_some(name)));
        });
    }
    assert!(through.is_empty(), "turned round: {through:#?}");
}

/// To the node, which sends it back, and over the bridge if there is one.
fn send_to_herself(scene: &Scene, packet: &Packet) {
    let (link, alice) = (scene.link("mallory"), scene.link("alice").mac());
    for destination in [link.gateway(), alice, link.mac()] {
        link.send(&Frame::of(destination, link.mac(), packet)).unwrap();
    }
}

/// Whether `mallory`'s datagrams reach `alice`.
fn datagrams(scene: &Scene, v6: bool, port: u16) -> bool {
    let pair = Pair::open(scene, [("mallory", port), ("alice", port)], v6);
    let [mallory, alice] = pair.ends();
    send_to_herself(scene, &udp(alice.at(), mallory.at(), b"forged"));
    for _ in 0..2 {
        sleep(SILENCE / 2);
        mallory.say(alice);
    }
    sleep(SILENCE / 2);
    alice.heard() > 0
}

/// Whether `mallory`'s stack connects to `alice`'s. It has nothing to do with the forged beginning, which is signed.
fn connects(scene: &Scene, v6: bool, port: u16) -> bool {
    let [own, alice] = ["mallory", "alice"].map(|name| scene.at(name, v6, port));
    let listen = || TcpListener::bind(alice).unwrap();
    let listener = scene.host("alice").namespace().enter(listen).unwrap();
    listener.set_nonblocking(true).unwrap();
    let segment = Segment { sequence: 1, flags: flags::SYN, options: SIGNED, ..Segment::default() };
    send_to_herself(scene, &tcp(alice, own, segment, &[]));
    sleep(SILENCE / 2);
    let connecting = scene.host("mallory").namespace().enter(|| connect(own, alice)).unwrap();
    sleep(SILENCE);
    let accepted = listener.accept();
    drop(connecting);
    !matches!(accepted, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Begins to.
fn connect(from: SocketAddr, to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&to.into());
    socket
}

const NEAR: Place = Place::Behind(0);
const FAR: Place = Place::Behind(1);

#[test]
fn to_who_lets_nobody_in_routed() {
    holds(ROUTED, NEAR, no_ingress("alice"));
}

#[test]
fn to_who_lets_nobody_in_bridged() {
    holds(BRIDGED, NEAR, no_ingress("alice"));
}

#[test]
fn by_who_may_speak_to_nobody_routed() {
    holds(ROUTED, NEAR, no_egress("mallory"));
}

#[test]
fn by_who_may_speak_to_nobody_bridged() {
    holds(BRIDGED, NEAR, no_egress("mallory"));
}

#[test]
fn by_who_may_speak_to_nobody_to_another_node_routed() {
    holds(ROUTED, FAR, no_egress("mallory"));
}

#[test]
fn by_who_may_speak_to_nobody_to_another_node_bridged() {
    holds(BRIDGED, FAR, no_egress("mallory"));
}

#[test]
fn by_who_may_speak_to_nobody_through_a_tunnel() {
    holds(TUNNELLED, FAR, no_egress("mallory"));
}

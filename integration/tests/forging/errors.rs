//! ICMP errors: they arrive from where errors can come from, and from nobody else.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::{echo, port_unreachable, too_big, udp};
use palisade_integration::netns::{Place, Topology};

use crate::scene::{Scene, isolated, no_ingress};
use crate::talk::Mouth;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, TUNNELLED, family};

/// Only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);
const PORT: u16 = 4000;
/// Where nobody listens.
const NOWHERE: u16 = 4009;

const HOSTS: [(&str, Place); 6] = [
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

fn node(scene: &Scene, v6: bool) -> SocketAddr {
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

/// Who speaks to a port where nobody listens hears so.
fn refused(scene: &Scene, from: &str, to: SocketAddr) -> bool {
    let bind = || UdpSocket::bind(scene.at(from, to.is_ipv6(), 0)).unwrap();
    let socket = scene.host(from).namespace().enter(bind).unwrap();
    socket.connect(to).unwrap();
    socket.set_nonblocking(true).unwrap();
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if socket.send(b"?").is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        sleep(PAUSE);
    }
    false
}

fn are_heard(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    scene.enforce(&[no_ingress("talker")]);
    for v6 in FAMILIES {
        for to in ["free", "far", "outside"] {
            assert!(refused(&scene, "talker", scene.at(to, v6, NOWHERE)), "{} {to}", family(v6));
        }
        assert!(refused(&scene, "talker", node(&scene, v6)), "{} its node", family(v6));
    }
    narrow(&scene);
    FAMILIES.into_iter().for_each(|v6| flows(&scene, v6));
}

/// A stream from `talker` to `far` comes through, whose first segments are too big for the way.
fn flows(scene: &Scene, v6: bool) {
    const MUCH: usize = 50_000;
    let at = scene.at("far", v6, PORT);
    let listener = scene.host("far").namespace().enter(|| TcpListener::bind(at).unwrap()).unwrap();
    let connect = || TcpStream::connect_timeout(&at, LIMIT).unwrap();
    let mut talker = scene.host("talker").namespace().enter(connect).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(LIMIT)).unwrap();
    talker.write_all(&[0; MUCH]).unwrap();
    far.read_exact(&mut [0; MUCH]).unwrap_or_else(|_| panic!("{}: nobody says that it is too big", family(v6)));
}

/// Makes the way to the second node narrow, and gives the router an address to say so from.
fn narrow(scene: &Scene) {
    let lines = "addr add 203.0.113.1/32 dev lo\naddr add 2001:db8:ff::1/128 dev lo\nlink set node-1 mtu 1280\n";
    scene.network.underlay().ip(lines).unwrap();
}

#[test]
fn of_the_other_end_and_of_routers_are_heard_routed() {
    are_heard(ROUTED);
}

#[test]
fn of_the_other_end_and_of_routers_are_heard_bridged() {
    are_heard(BRIDGED);
}

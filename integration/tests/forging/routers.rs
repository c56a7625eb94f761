//! ICMP errors that are what they say: they are heard.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::netns::Topology;
use palisade_integration::patience::LIMIT;

use crate::errors::{HOSTS, NOWHERE, PORT, node};
use crate::policies::no_ingress;
use crate::scene::Scene;
use crate::{BRIDGED, FAMILIES, ROUTED, family};

const PAUSE: Duration = Duration::from_millis(5);

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

//! Connections that were cut, and come to life again from their middle.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::forge::protocol;
use palisade_integration::forge::transport::{Segment, flags, tcp};
use palisade_integration::netns::{Place, Topology};
use palisade_integration::patience::LIMIT;

use crate::policies::{admits, no_ingress};
use crate::scene::Scene;
use crate::talk::SILENCE;
use crate::{BRIDGED, FAMILIES, ROUTED, family};

const PAUSE: Duration = Duration::from_millis(10);

/// A TCP connection between ordinary sockets.
struct Stream {
    client: TcpStream,
    server: TcpStream,
}

impl Stream {
    fn open(scene: &Scene, names: [&str; 2], v6: bool, port: u16) -> Self {
        let at = scene.at(names[1], v6, port);
        let listener = scene.host(names[1]).namespace().enter(|| TcpListener::bind(at).unwrap()).unwrap();
        let connect = || TcpStream::connect_timeout(&at, LIMIT).unwrap();
        let client = scene.host(names[0]).namespace().enter(connect).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut stream = Self { client, server };
        for end in [&stream.client, &stream.server] {
            end.set_nodelay(true).unwrap();
            end.set_nonblocking(true).unwrap();
        }
        stream.goes_on();
        stream
    }

    /// Each end speaks and is heard, the server first.
    #[track_caller]
    fn goes_on(&mut self) {
        for from_server in [true, false] {
            let (one, other) =
                if from_server { (&mut self.server, &mut self.client) } else { (&mut self.client, &mut self.server) };
            one.write_all(b"word").unwrap();
            let start = Instant::now();
            while heard(other) == 0 {
                assert!(start.elapsed() < LIMIT, "not heard, by the server: {from_server}");
                sleep(PAUSE);
            }
        }
    }

    /// How many bytes either end hears, when both speak, the server first.
    fn revives(&mut self) -> [usize; 2] {
        let _ = self.server.write_all(b"word");
        sleep(SILENCE);
        let _ = self.client.write_all(b"word");
        sleep(SILENCE);
        [heard(&mut self.client), heard(&mut self.server)]
    }

    fn ends(&self) -> [SocketAddr; 2] {
        [self.client.local_addr().unwrap(), self.server.local_addr().unwrap()]
    }
}

fn heard(stream: &mut TcpStream) -> usize {
    match stream.read(&mut [0; 256]) {
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("{error}"),
    }
}

/// What ends the connection, from the client, as its stack would send it: it saw the last acknowledgement of the server.
fn reset(scene: &Scene, client: &str, stream: &Stream, seen: &[Vec<u8>]) {
    let [from, to] = stream.ends();
    let number = seen.iter().filter_map(|frame| acknowledgement(frame, [to.port(), from.port()])).next_back().unwrap();
    let segment = Segment { sequence: number, flags: flags::RST, ..Segment::default() };
    scene.link(client).route(&tcp(from, to, segment, &[])).unwrap();
}

/// Of a TCP segment between these ports.
fn acknowledgement(frame: &[u8], ports: [u16; 2]) -> Option<u32> {
    let (next, start) = match frame.get(12..14)? {
        [8, 0] => (*frame.get(23)?, 34),
        _ => (*frame.get(20)?, 54),
    };
    let segment = frame.get(start..)?;
    let is_one = next == protocol::TCP && segment.get(..4)? == ports.map(u16::to_be_bytes).concat();
    is_one.then(|| Some(u32::from_be_bytes(segment.get(8..12)?.try_into().ok()?)))?
}

/// `client` was cut off, resets the connection, and waits until conntrack has forgotten it; then the server speaks.
fn stays_cut(topology: Topology, client: Place) {
    let mut scene = Scene::new(topology, &[("server", Place::Behind(0)), ("client", client)]);
    let mut through = Vec::new();
    for (number, loose) in (0..).zip(["1", "0"]) {
        scene.enforce(&[admits("server", &["client"])]);
        scene.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose);
        scene.sysctl("net.netfilter.nf_conntrack_tcp_timeout_close", "1");
        let mut streams = FAMILIES.map(|v6| Stream::open(&scene, ["client", "server"], v6, 5000 + number));
        scene.enforce(&[no_ingress("server")]);
        let seen = scene.link("client").seen().unwrap();
        streams.iter().for_each(|stream| reset(&scene, "client", stream, &seen));
        streams.iter().for_each(|stream| is_forgotten(&scene, stream));
        for (v6, stream) in FAMILIES.into_iter().zip(&mut streams) {
            let heard = stream.revives();
            if heard != [0, 0] {
                through.push(format!("{}, loose {loose}: client and server heard {heard:?} bytes", family(v6)));
            }
        }
    }
    assert!(through.is_empty(), "{through:#?}");
}

fn is_forgotten(scene: &Scene, stream: &Stream) {
    let start = Instant::now();
    while scene.connections(stream.ends()) > 0 {
        assert!(start.elapsed() < LIMIT, "the reset does not close the connection");
        sleep(PAUSE);
    }
}

#[test]
fn after_a_dropped_reset_routed() {
    stays_cut(ROUTED, Place::Behind(0));
}

#[test]
fn after_a_dropped_reset_bridged() {
    stays_cut(BRIDGED, Place::Behind(0));
}

#[test]
fn after_a_dropped_reset_across_nodes() {
    stays_cut(ROUTED, Place::Behind(1));
}

/// An operator makes the node forget all connections: what was cut stays so, and what no policy is about goes on.
#[test]
fn after_conntrack_was_flushed() {
    let hosts = [("server", 0), ("client", 0), ("free", 0), ("far", 1)].map(|(name, node)| (name, Place::Behind(node)));
    let mut scene = Scene::new(ROUTED, &hosts);
    scene.enforce(&[admits("server", &["client"])]);
    scene.sysctl("net.netfilter.nf_conntrack_tcp_loose", "1");
    let mut cut = FAMILIES.map(|v6| Stream::open(&scene, ["client", "server"], v6, 5000));
    let mut free = FAMILIES.map(|v6| Stream::open(&scene, ["free", "far"], v6, 5001));
    scene.enforce(&[no_ingress("server")]);
    scene.forget();
    for stream in &mut cut {
        assert_eq!(stream.revives(), [0, 0], "bytes that client and server heard");
    }
    free.iter_mut().for_each(Stream::goes_on);
}

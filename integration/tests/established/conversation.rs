//! Two hosts that talk over one connection, a message at a time.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::netns::Host;
use palisade_integration::patience::LIMIT;
use socket2::{Domain, Protocol, Socket, Type};

use super::sctp::{self, CLIENT_TAG, Chunk, SERVER_TAG};

const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Sctp,
}

/// One connection, on which both sides have spoken and were heard.
pub(super) struct Conversation {
    name: String,
    client: Box<dyn End>,
    server: Box<dyn End>,
    heard: [usize; 2],
}

/// One side's socket.
trait End {
    fn say(&mut self);
    /// How much has come since it was last asked.
    fn listen(&mut self) -> usize;
}

impl Conversation {
    /// Begins one between `from` and `at`, who is found at `called`.
    pub(super) fn begin(kind: Kind, from: (&Host, SocketAddr), at: (&Host, SocketAddr), called: SocketAddr) -> Self {
        let (client, server) = match kind {
            Kind::Tcp => tcp(from, at, called),
            Kind::Udp => udp(from, at, called),
            Kind::Sctp => associate(from, at),
        };
        let name = format!("{kind:?} {} -> {called}", from.1);
        let mut conversation = Self { name, client, server, heard: [0; 2] };
        conversation.goes_on();
        conversation
    }

    pub(super) fn say(&mut self, side: Side) {
        match side {
            Side::Client => self.client.say(),
            Side::Server => self.server.say(),
        }
    }

    /// How much `side` has heard in all.
    pub(super) fn heard(&mut self, side: Side) -> usize {
        match side {
            Side::Client => self.heard[0] += self.client.listen(),
            Side::Server => self.heard[1] += self.server.listen(),
        }
        self.heard[side as usize]
    }

    /// Both sides speak, the client first, and both are heard.
    pub(super) fn goes_on(&mut self) {
        for side in Side::BOTH {
            let before = self.heard(side.other());
            self.say(side);
            let start = Instant::now();
            while self.heard(side.other()) == before {
                assert!(start.elapsed() < LIMIT, "{self}: the {side:?} is not heard");
                sleep(PAUSE);
            }
        }
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

type Ends = (Box<dyn End>, Box<dyn End>);

impl End for TcpStream {
    fn say(&mut self) {
        self.write_all(b"x").unwrap();
    }

    fn listen(&mut self) -> usize {
        self.set_nonblocking(true).unwrap();
        let mut buffer = [0; 64];
        let heard = match self.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        self.set_nonblocking(false).unwrap();
        heard
    }
}

fn tcp((client, from): (&Host, SocketAddr), (server, at): (&Host, SocketAddr), called: SocketAddr) -> Ends {
    let listener = server.namespace().enter(|| TcpListener::bind(at)).unwrap().unwrap();
    let connect = || {
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect_timeout(&called.into(), LIMIT).unwrap();
        TcpStream::from(socket)
    };
    let one = client.namespace().enter(connect).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (Box::new(one), Box::new(other))
}

/// A UDP socket; the server's learns from the first message whom it talks to.
struct Datagrams {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
}

impl End for Datagrams {
    fn say(&mut self) {
        self.socket.send_to(b"x", self.peer.expect("the client speaks first")).unwrap();
    }

    fn listen(&mut self) -> usize {
        let mut heard = 0;
        loop {
            match self.socket.recv_from(&mut [0; 64]) {
                Ok((_, peer)) => {
                    self.peer.get_or_insert(peer);
                    heard += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn udp((client, from): (&Host, SocketAddr), (server, at): (&Host, SocketAddr), called: SocketAddr) -> Ends {
    let socket = |host: &Host, at: SocketAddr| {
        let socket = host.namespace().enter(|| UdpSocket::bind(at)).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let client = Datagrams { socket: socket(client, from), peer: Some(called) };
    (Box::new(client), Box::new(Datagrams { socket: socket(server, at), peer: None }))
}

/// A raw socket, since this kernel need not have SCTP.
struct Association {
    socket: Socket,
    ports: [u16; 2],
    tag: u32,
    peer: SocketAddr,
}

impl Association {
    fn open(host: &Host, own: SocketAddr, peer: SocketAddr, tag: u32) -> Self {
        let sctp = Protocol::from(132);
        let open = || Socket::new(Domain::for_address(own), Type::RAW, Some(sctp));
        let socket = host.namespace().enter(open).unwrap().unwrap();
        socket.bind(&SocketAddr::new(own.ip(), 0).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let ports = [own.port(), peer.port()];
        Self { socket, ports, tag, peer: SocketAddr::new(peer.ip(), 0) }
    }

    fn send(&self, tag: u32, chunk: Chunk) {
        self.socket.send_to(&sctp::packet(self.ports, tag, chunk), &self.peer.into()).unwrap();
    }

    fn received(&self) -> Option<u8> {
        let [own, peer] = self.ports;
        let mut buffer = [0; 256];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            let packet = &buffer[..length];
            let header = if self.peer.is_ipv4() { usize::from(packet[0] & 0xf) * 4 } else { 0 };
            match sctp::read(&packet[header..]) {
                Some((ports, chunk)) if ports == [peer, own] => return Some(chunk),
                _ => {}
            }
        }
        None
    }

    fn expect(&self, chunk: Chunk) {
        let start = Instant::now();
        while self.received() != Some(chunk as u8) {
            assert!(start.elapsed() < LIMIT, "no {chunk:?}");
            sleep(PAUSE);
        }
    }
}

impl End for Association {
    fn say(&mut self) {
        self.send(self.tag, Chunk::Data);
    }

    fn listen(&mut self) -> usize {
        std::iter::from_fn(|| self.received()).filter(|chunk| *chunk == Chunk::Data as u8).count()
    }
}

fn associate((client, from): (&Host, SocketAddr), (server, at): (&Host, SocketAddr)) -> Ends {
    let one = Association::open(client, from, at, SERVER_TAG);
    let other = Association::open(server, at, from, CLIENT_TAG);
    one.send(0, Chunk::Init);
    other.expect(Chunk::Init);
    other.send(CLIENT_TAG, Chunk::InitAck);
    one.expect(Chunk::InitAck);
    one.send(SERVER_TAG, Chunk::CookieEcho);
    other.expect(Chunk::CookieEcho);
    other.send(CLIENT_TAG, Chunk::CookieAck);
    one.expect(Chunk::CookieAck);
    (Box::new(one), Box::new(other))
}

/// The address of `host` in a family, at `port`.
pub(super) fn at(host: &Host, v6: bool, port: u16) -> SocketAddr {
    let address = host.addresses().iter().copied().find(|address: &IpAddr| address.is_ipv6() == v6).unwrap();
    SocketAddr::new(address, port)
}

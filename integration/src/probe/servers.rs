//! What listens at one address, and how it answers.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::sctp;
use super::{Family, Kind, icmp};
use crate::patience::LIMIT;

const IPPROTO_ICMP: i32 = 1;
const IPPROTO_ICMPV6: i32 = 58;
const IPPROTO_SCTP: i32 = 132;

/// A socket of a host that is there for all flows.
#[derive(Debug)]
pub(super) enum Server {
    /// Accepts connections.
    Tcp(TcpListener),
    /// Replies to datagrams.
    Udp(UdpSocket),
    /// Answers INIT to the ports in the set; receives the INIT ACK to what it sent itself.
    Sctp(UdpSocket, BTreeSet<u16>),
    /// Receives echo replies; the kernel answers the requests.
    Echo(UdpSocket),
}

/// An answer that a server socket received on behalf of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// An INIT ACK from this address and port to this port.
    Sctp(IpAddr, u16, u16),
    /// An echo reply from this address with this identifier.
    Echo(IpAddr, u16),
}

impl Server {
    /// Opens what the flows to (`served`) and from (`sent`) `address` need. To be called inside the host's namespace.
    pub(super) fn open(address: IpAddr, served: &BTreeSet<Kind>, sent: &BTreeSet<Kind>) -> io::Result<Vec<Self>> {
        let mut servers = Vec::new();
        for kind in served {
            match *kind {
                Kind::Tcp(port) => servers.push(Self::Tcp(patiently(|| TcpListener::bind((address, port)))?)),
                Kind::Udp(port) => servers.push(Self::Udp(patiently(|| UdpSocket::bind((address, port)))?)),
                Kind::Sctp(_) | Kind::Echo => {}
            }
        }
        if served.iter().chain(sent).any(|kind| matches!(kind, Kind::Sctp(_))) {
            let ports = served.iter().filter_map(|kind| if let Kind::Sctp(port) = kind { Some(*port) } else { None });
            servers.push(Self::Sctp(raw(address, IPPROTO_SCTP)?, ports.collect()));
        }
        if sent.contains(&Kind::Echo) {
            servers.push(Self::Echo(raw(address, echo_protocol(address))?));
        }
        for server in &servers {
            server.set_nonblocking()?;
        }
        Ok(servers)
    }

    /// Sends what asks for an answer that this socket receives, under `port` or an identifier of that value. Gives the
    /// answer to look for, or nothing if `kind` is not asked through this socket.
    pub(super) fn ask(&self, kind: Kind, destination: IpAddr, port: u16) -> Option<Answer> {
        let to = SocketAddr::new(destination, 0);
        match (self, kind) {
            (Self::Sctp(socket, _), Kind::Sctp(service)) => {
                let _ = socket.send_to(&sctp::Packet::init(port, service).encode(), to);
                Some(Answer::Sctp(destination, service, port))
            }
            (Self::Echo(socket), Kind::Echo) => {
                let _ = socket.send_to(&icmp::request(family(destination), port), to);
                Some(Answer::Echo(destination, port))
            }
            _ => None,
        }
    }

    /// Answers all that has arrived, and hands what answers our own packets to `received`.
    pub(super) fn serve(&self, mut received: impl FnMut(Answer)) {
        let mut buffer = [0; 2048];
        match self {
            Self::Tcp(listener) => while listener.accept().is_ok() {},
            Self::Udp(socket) => {
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
            Self::Sctp(socket, ports) => {
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    match sctp::Packet::decode(payload(&buffer[..length], from)) {
                        Some(packet) if packet.is_ack => {
                            received(Answer::Sctp(from.ip(), packet.source, packet.destination));
                        }
                        Some(packet) if ports.contains(&packet.destination) => {
                            let _ = socket.send_to(&packet.acknowledge().encode(), SocketAddr::new(from.ip(), 0));
                        }
                        Some(_) | None => {}
                    }
                }
            }
            Self::Echo(socket) => {
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    if let Some(identifier) = icmp::reply(family(from.ip()), payload(&buffer[..length], from)) {
                        received(Answer::Echo(from.ip(), identifier));
                    }
                }
            }
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Udp(socket) | Self::Sctp(socket, _) | Self::Echo(socket) => socket.set_nonblocking(true),
        }
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Udp(socket) | Self::Sctp(socket, _) | Self::Echo(socket) => socket.as_fd(),
        }
    }
}

/// Binds again for a moment while the address is in use: a process that another thread is just starting still holds
/// sockets that were closed here, until it runs its own program.
pub(super) fn patiently<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let started = Instant::now();
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && started.elapsed() < LIMIT => {
                sleep(Duration::from_millis(1));
            }
            bound => return bound,
        }
    }
}

/// The family of an address.
pub(super) fn family(address: IpAddr) -> Family {
    if address.is_ipv6() { Family::Ipv6 } else { Family::Ipv4 }
}

/// A raw socket, in the type that the standard library has for sockets that send and receive single packets.
fn raw(address: IpAddr, protocol: i32) -> io::Result<UdpSocket> {
    let bound = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(bound), Type::RAW, Some(Protocol::from(protocol)))?;
    socket.bind(&bound.into())?;
    Ok(socket.into())
}

fn echo_protocol(address: IpAddr) -> i32 {
    if address.is_ipv6() { IPPROTO_ICMPV6 } else { IPPROTO_ICMP }
}

/// What a raw socket received, without the IP header, which only IPv4 sockets deliver.
fn payload(packet: &[u8], from: SocketAddr) -> &[u8] {
    let header = match (from, packet.first()) {
        (SocketAddr::V4(_), Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    packet.get(header..).unwrap_or_default()
}

//! The sockets that ask.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::epoll::EpollFlags;
use socket2::{Domain, Socket, Type};

use super::Kind;
use crate::netns::Host;

/// How many source ports are tried, in case a server of the same host has one of them.
const PORTS_TO_TRY: usize = 50;

/// A socket that belongs to one flow.
#[derive(Debug)]
pub(super) enum Client {
    /// A connection on its way.
    Tcp(Socket),
    /// A connected datagram socket.
    Udp(UdpSocket),
}

/// What has become of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The other side answered.
    Answered,
    /// The attempt failed: another may be made.
    Failed,
    /// Nothing yet.
    Waiting,
}

impl Client {
    /// Opens a socket for a flow of `kind` and asks; nothing for kinds that a server's socket asks. To be called inside
    /// the host's namespace. A refusal by the kernel looks like silence.
    pub(super) fn ask(host: &Host, source: IpAddr, kind: Kind, destination: IpAddr) -> io::Result<Option<Self>> {
        match kind {
            Kind::Tcp(port) => connect(host, source, SocketAddr::new(destination, port)).map(Self::Tcp).map(Some),
            Kind::Udp(port) => send(host, source, SocketAddr::new(destination, port)).map(Self::Udp).map(Some),
            Kind::Sctp(_) | Kind::Echo => Ok(None),
        }
    }

    /// What to poll it for.
    pub(super) fn events(&self) -> EpollFlags {
        match self {
            Self::Tcp(_) => EpollFlags::EPOLLOUT,
            Self::Udp(_) => EpollFlags::EPOLLIN,
        }
    }

    /// Looks at what has happened.
    pub(super) fn progress(&self) -> Progress {
        match self {
            Self::Tcp(socket) => match socket.take_error() {
                Ok(None) if socket.peer_addr().is_ok() => Progress::Answered,
                Ok(_) | Err(_) => Progress::Failed,
            },
            Self::Udp(socket) => match socket.recv(&mut [0; 16]) {
                Ok(_) => Progress::Answered,
                Err(_) => Progress::Waiting,
            },
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

fn connect(host: &Host, source: IpAddr, destination: SocketAddr) -> io::Result<Socket> {
    let socket = with_fresh_port(host, source, |bound| {
        let socket = Socket::new(Domain::for_address(bound), Type::STREAM, None)?;
        socket.bind(&bound.into())?;
        Ok(socket)
    })?;
    socket.set_nonblocking(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    let _ = socket.connect(&destination.into());
    Ok(socket)
}

fn send(host: &Host, source: IpAddr, destination: SocketAddr) -> io::Result<UdpSocket> {
    let socket = with_fresh_port(host, source, UdpSocket::bind)?;
    socket.set_nonblocking(true)?;
    socket.connect(destination)?;
    let _ = socket.send(b"probe");
    Ok(socket)
}

fn with_fresh_port<T>(host: &Host, source: IpAddr, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut result = open(SocketAddr::new(source, host.fresh_port()));
    for _ in 1..PORTS_TO_TRY {
        match result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                result = open(SocketAddr::new(source, host.fresh_port()));
            }
            done => return done,
        }
    }
    result
}

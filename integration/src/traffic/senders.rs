//! What sends. Each sender paces itself: one that is late does not catch up, so that no queue overflows.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{ECHO_PORT, Going, SINK_PORT, Sent};
use crate::patience::LIMIT;

/// Sends from one address to another, until it is told to end.
pub(super) type Sender = fn((IpAddr, IpAddr), &Going, &Sent);

/// What the friend sends.
pub(super) const FRIEND: [Sender; 4] = [new_flows_allowed, one_flow_allowed, short_connections, long_connection];
/// What the stranger sends.
pub(super) const STRANGER: [Sender; 3] = [new_flows_forbidden, one_flow_forbidden, connection_attempts];

const PERIOD: Duration = Duration::from_micros(2_500);
const CONNECTION_PERIOD: Duration = Duration::from_millis(10);
const FIRST_PORT: u16 = 1_024;

fn new_flows_allowed(ends: (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    new_flows(ends, going, &sent.allowed);
}

fn new_flows_forbidden(ends: (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    new_flows(ends, going, &sent.forbidden);
}

fn one_flow_allowed(ends: (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    one_flow(ends, going, &sent.allowed);
}

fn one_flow_forbidden(ends: (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    one_flow(ends, going, &sent.forbidden);
}

/// Datagrams that come from another port each.
fn new_flows((from, to): (IpAddr, IpAddr), going: &Going, count: &AtomicU64) {
    let mut ports = (FIRST_PORT..=u16::MAX).cycle();
    pace(going, PERIOD, || {
        let socket = ports.by_ref().find_map(|port| UdpSocket::bind((from, port)).ok());
        if let Some(socket) = socket {
            send(&socket, SocketAddr::new(to, SINK_PORT), count);
        }
    });
}

/// Datagrams that come from one port, and are answered.
fn one_flow((from, to): (IpAddr, IpAddr), going: &Going, count: &AtomicU64) {
    let Ok(socket) = UdpSocket::bind((from, 0)) else { return };
    pace(going, PERIOD, || send(&socket, SocketAddr::new(to, ECHO_PORT), count));
}

/// The first segments of connections.
fn connection_attempts((_, to): (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    let to = SocketAddr::new(to, ECHO_PORT);
    pace(going, PERIOD, || {
        let Ok(socket) = Socket::new(Domain::for_address(to), Type::STREAM, None) else { return };
        if socket.set_nonblocking(true).is_ok() {
            // It is under way, and nobody waits for it.
            let _ = socket.connect(&to.into());
            sent.forbidden.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Connections of one question and one answer, from another port each: that a port is taken again while its last
/// connection is still tracked may cost a packet.
fn short_connections((from, to): (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    let mut ports = (FIRST_PORT..=u16::MAX).cycle();
    pace(going, CONNECTION_PERIOD, || {
        let Some(socket) = ports.by_ref().find_map(|port| bound((from, port).into()).ok()) else { return };
        match connect(socket, to).and_then(|mut stream| ask(&mut stream)) {
            Ok(()) => drop(sent.connections.fetch_add(1, Ordering::Relaxed)),
            Err(_) => drop(sent.broken.fetch_add(1, Ordering::Relaxed)),
        }
    });
}

/// One connection, over which a question is asked after the other.
fn long_connection((from, to): (IpAddr, IpAddr), going: &Going, sent: &Sent) {
    let connected = bound((from, 0).into()).and_then(|socket| connect(socket, to));
    let mut broken = connected.is_err();
    sent.broken.fetch_add(broken.into(), Ordering::Relaxed);
    let Ok(mut stream) = connected else { return };
    pace(going, PERIOD, || {
        if !broken {
            broken = ask(&mut stream).is_err();
            sent.broken.fetch_add(broken.into(), Ordering::Relaxed);
        }
    });
}

fn bound(from: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
    socket.bind(&from.into())?;
    Ok(socket)
}

fn connect(socket: Socket, to: IpAddr) -> io::Result<TcpStream> {
    socket.connect_timeout(&SocketAddr::new(to, ECHO_PORT).into(), LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    // Closing resets it: no port stays taken.
    socket.set_linger(Some(Duration::ZERO))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; 32];
    stream.write_all(&answer)?;
    stream.read_exact(&mut answer)
}

fn send(socket: &UdpSocket, to: SocketAddr, count: &AtomicU64) {
    if socket.send_to(&[0; 32], to).is_ok() {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn pace(going: &Going, period: Duration, mut work: impl FnMut()) {
    let mut next = Instant::now();
    while going.sending() {
        work();
        next = Instant::now().max(next + period);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

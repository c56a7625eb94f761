//! Datagrams, as many as can be.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};

/// Sends one to each of these, so often, from one socket in the namespace of the calling thread.
pub(crate) fn send(from: Ipv4Addr, targets: &[SocketAddrV4], times: usize) -> Duration {
    let socket = UdpSocket::bind((from, 0)).expect("a port is free");
    let iov = vec![[IoSlice::new(b"x")]; targets.len()];
    let targets: Vec<_> = targets.iter().map(|target| Some(SockaddrIn::from(*target))).collect();
    let mut headers = MultiHeaders::preallocate(targets.len(), None);
    let start = Instant::now();
    for _ in 0..times {
        let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &iov, &targets, [], MsgFlags::empty());
        sent.expect("datagrams can be sent");
    }
    start.elapsed()
}

/// What one of them took, of so many.
pub(crate) fn nanoseconds_each(elapsed: Duration, count: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = elapsed.as_nanos() as f64 / count as f64;
    each
}

//! Sockets to the kernel's rtnetlink.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{NETLINK_LISTEN_ALL_NSID, SOL_NETLINK};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeVal;

/// The kernel fills datagrams up to 32 KiB, and further where one message is longer.
const DATAGRAM: usize = 1 << 17;
/// Answers are made within the call that asks for them: whoever waits this long (s) waits for nothing.
const PATIENCE: i64 = 10;

/// A socket that asks, or hears.
pub(super) struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

/// What came.
pub(super) enum Heard<'a> {
    /// A datagram, and the namespace that it is about, by its id in this one, if it is another.
    Datagram(&'a [u8], Option<i32>),
    /// What did not fit the buffer is lost.
    Lost,
    /// There is no more.
    Nothing,
}

impl Channel {
    /// One for requests. Kernels before 4.20 do not filter: whoever asks about one thing must look at what answers are
    /// about.
    pub(super) fn asking() -> io::Result<Self> {
        let mut channel = Self::open()?;
        if let Err(error) = channel.socket.set_netlink_get_strict_chk(true) {
            tracing::debug!(%error, "this kernel does not filter answers");
        }
        setsockopt(&channel, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
        channel.socket.bind_auto()?;
        channel.socket.connect(&SocketAddr::new(0, 0))?;
        Ok(channel)
    }

    /// One that hears multicast groups, without blocking, with room for so many bytes.
    pub(super) fn hearing(groups: &[u32], room: usize) -> io::Result<Self> {
        let mut channel = Self::open()?;
        setsockopt(&channel, sockopt::RcvBufForce, &room).or_else(|_| setsockopt(&channel, sockopt::RcvBuf, &room))?;
        channel.socket.set_non_blocking(true)?;
        channel.socket.bind_auto()?;
        groups.iter().try_for_each(|group| channel.join(*group))?;
        Ok(channel)
    }

    /// It hears one more group.
    pub(super) fn join(&mut self, group: u32) -> io::Result<()> {
        self.socket.add_membership(group)
    }

    fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::new(NETLINK_ROUTE)?, buffer: vec![0; DATAGRAM], sequence: 0 })
    }

    /// Whether it hears of all namespaces that have an id in this one: that takes `CAP_NET_BROADCAST`.
    pub(super) fn hear_all_namespaces(&self) -> bool {
        self.socket.set_listen_all_namespaces(true).is_ok()
    }

    /// Sends a request.
    pub(super) fn send(&self, request: &[u8]) -> io::Result<()> {
        self.socket.send(request, 0).map(drop)
    }

    /// The number of the next request.
    pub(super) fn number(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// What has come.
    pub(super) fn receive(&mut self) -> io::Result<Heard<'_>> {
        let mut control = cmsg_space!(i32);
        let (length, namespace) = loop {
            let mut into = [IoSliceMut::new(&mut self.buffer)];
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut into, Some(&mut control), MsgFlags::empty()) {
                Ok(received) => break (received.bytes, received.cmsgs()?.find_map(namespace)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(Heard::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Heard::Lost),
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Heard::Datagram(&self.buffer[..length], namespace))
    }
}

fn namespace(message: ControlMessageOwned) -> Option<i32> {
    let ControlMessageOwned::Unknown(message) = message else { return None };
    let (level, kind) = (message.cmsg_header.cmsg_level, message.cmsg_header.cmsg_type);
    let is_it = (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID);
    message.data_bytes.first_chunk().filter(|_| is_it).map(|id| i32::from_ne_bytes(*id))
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

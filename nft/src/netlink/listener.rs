//! A socket that a thread of its own reads, until another one ends that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::socket::{Channel, retry};

/// How many datagrams are received at a time.
const AT_A_TIME: usize = 64;

/// Ends a [`LogReader`](super::LogReader) or [`ConnectionEvents`](super::ConnectionEvents), from whichever thread.
#[derive(Clone, Debug)]
pub struct Ender(Arc<EventFd>);

impl Ender {
    fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?)))
    }

    /// Whoever waits in `recv` gets nothing, now and from now on.
    pub fn end(&self) {
        // It fails where it was called 2⁶⁴ times before, which is as well.
        let _ = self.0.write(1);
    }
}

/// What was received.
pub(super) enum Heard {
    /// Messages.
    Datagram(Vec<u8>),
    /// There was no room for some.
    Overrun,
}

/// A socket, and what ends waiting for it.
pub(super) struct Listener {
    pub(super) channel: Channel,
    ender: Ender,
}

impl Listener {
    /// One that hears the multicast `groups` (a bit each), and keeps so many bytes until they are read.
    pub(super) fn open(groups: u32, receive_buffer: usize) -> io::Result<Self> {
        let channel = Channel::open(groups)?;
        channel.set_receive_buffer(receive_buffer)?;
        Ok(Self { channel, ender: Ender::new()? })
    }

    pub(super) fn ender(&self) -> Ender {
        self.ender.clone()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }

    /// Some of what is there already. An error that is met after something is told the next time, if it is still met.
    pub(super) fn receive(&mut self) -> Result<Vec<Heard>, Errno> {
        let mut heard = Vec::new();
        while heard.len() < AT_A_TIME {
            match self.channel.receive() {
                Ok(Some(datagram)) => heard.push(Heard::Datagram(datagram)),
                Ok(None) => break,
                Err(Errno::ENOBUFS) => heard.push(Heard::Overrun),
                Err(error) if heard.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(heard)
    }

    /// Waits until there is something to receive: true. False: it was ended.
    pub(super) fn wait(&self) -> Result<bool, Errno> {
        let mut fds = [self.ender.0.as_fd(), self.channel.fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        retry(|| poll(&mut fds, PollTimeout::NONE))?;
        Ok(fds[0].any() == Some(false))
    }
}

//! A socket that a thread of its own reads, until another one ends that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::socket::{Channel, retry};

/// Ends a [`LogReader`](super::LogReader), from whichever thread.
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

    /// Waits until there is something to receive: true. False: it was ended.
    pub(super) fn wait(&self) -> Result<bool, Errno> {
        let mut fds = [self.ender.0.as_fd(), self.channel.fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        retry(|| poll(&mut fds, PollTimeout::NONE))?;
        Ok(fds[0].any() == Some(false))
    }
}

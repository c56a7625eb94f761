use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use mnl::{Bus, Socket};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use thiserror::Error;

use super::attributes::Malformed;
use super::batch::Reply;
use super::constants::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use super::message::{Message, Messages};

/// Answers are made within the call that asks for them: whoever waits this long (ms) waits for nothing.
const PATIENCE: u16 = 10_000;
/// The kernel fills datagrams up to 32 KiB, and further where one attribute, of less than 64 KiB, is longer.
const DATAGRAM: usize = 1 << 17;
/// Room for the errors of a batch and for bursts of events.
const RECEIVE_BUFFER: usize = 4 << 20;
/// What fits into the send buffer as it is on every kernel.
const SEND_BUFFER: usize = 1 << 16;
const ON: libc::c_int = 1;
/// `SO_MEMINFO` gives so many numbers, of which the last is that of the datagrams that were dropped.
const SK_MEMINFO_VARS: usize = 9;
/// Requests are numbered from here on: the messages of a batch from 1.
const FIRST_REQUEST: u32 = 1 << 31;

/// A request to the kernel failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] Errno),
    /// The kernel refused the request.
    #[error("{}", Errno::from_raw(.0.errno))]
    Refused(Reply),
    /// The ruleset changed while it was listed.
    #[error("the ruleset changed while it was listed")]
    Interrupted,
    /// The answer makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// A netlink socket to the kernel's netfilter. It does not block, and no other program inherits it.
pub(super) struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
    send_buffer: usize,
    next_request: u32,
}

// SAFETY: `mnl::Socket` is not `Send` only because it is a pointer. What that points to, `struct mnl_socket`, is a heap
// allocation of a descriptor and an address, which no one else points to and which belongs to no thread.
unsafe impl Send for Channel {}

impl Channel {
    /// A socket that hears the multicast `groups` (a bit each).
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        const AUTOMATIC: i32 = 0;
        let socket = Socket::open(Bus::Netfilter)?;
        let channel = Self {
            socket,
            buffer: vec![0; DATAGRAM + align_of::<libc::nlmsghdr>()],
            send_buffer: SEND_BUFFER,
            next_request: FIRST_REQUEST,
        };
        channel.configure()?;
        channel.socket.bind(groups, AUTOMATIC)?;
        Ok(channel)
    }

    /// Makes room for this much that is not read yet, as far as the process may.
    pub(super) fn set_receive_buffer(&self, length: usize) -> Result<(), Errno> {
        setsockopt(&self.fd(), sockopt::RcvBufForce, &length)
            .or_else(|_| setsockopt(&self.fd(), sockopt::RcvBuf, &length))
    }

    /// How many datagrams found no room so far, modulo 2³²; `None` where the kernel does not say.
    pub(super) fn drops(&self) -> Option<u32> {
        let mut info = [0_u32; SK_MEMINFO_VARS];
        let mut length = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the option is written to the `length` bytes of `info`, at most.
        let result = unsafe {
            libc::getsockopt(
                self.fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        (result == 0 && length as usize == size_of_val(&info)).then_some(info[libc::SK_MEMINFO_DROPS as usize])
    }

    /// The port that the kernel knows this socket by: for a process' first netlink socket, the process' id.
    pub(super) fn port(&self) -> u32 {
        self.socket.portid()
    }

    /// The descriptor.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket lives, and so as long as this borrow of it.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    /// Asks for one object (`NLM_F_ACK`: that ends the answer) or for many (`NLM_F_DUMP`): the datagrams of the answer, one
    /// after the other.
    pub(super) fn request(&mut self, message: &Message) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.stream(message, |datagram| {
            bytes.extend_from_slice(datagram);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// [`Channel::request`] for answers that are too long to be held: gives `each` the datagrams as they come.
    pub(super) fn stream(
        &mut self,
        message: &Message,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.discard()?;
        let sequence = self.number(1);
        self.send(&message.to_bytes(sequence))?;
        let mut answer = Answer { sequence, interrupted: false };
        loop {
            let datagram = self.receive_in_time()?;
            let complete = answer.is_completed_by(&datagram)?;
            each(&datagram)?;
            match complete {
                false => {}
                true if answer.interrupted => return Err(Failure::Interrupted),
                true => return Ok(()),
            }
        }
    }

    /// Sends requests that are answered by nothing but errors, as one datagram: those errors.
    pub(super) fn request_all(&mut self, messages: &[Message]) -> Result<Vec<Reply>, Failure> {
        let Some((last, rest)) = messages.split_last() else { return Ok(Vec::new()) };
        self.discard()?;
        let first = self.number(messages.len());
        let mut bytes: Vec<u8> = rest.iter().zip(first..).flat_map(|(one, sequence)| one.to_bytes(sequence)).collect();
        let end = first + u32::try_from(rest.len()).unwrap_or(u32::MAX);
        bytes.extend(last.clone().acknowledged().to_bytes(end));
        self.send(&bytes)?;
        let mut errors = Vec::new();
        loop {
            for reply in Reply::read_all(&self.receive_in_time()?)? {
                let is_last = reply.sequence == end;
                errors.extend(Some(reply).filter(|reply| reply.errno != 0));
                if is_last {
                    return Ok(errors);
                }
            }
        }
    }

    /// Sends `bytes` as one datagram.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.make_room(bytes.len());
        let sent = retry(|| self.socket.send(bytes).map_err(|error| errno(&error)))?;
        if sent == bytes.len() { Ok(()) } else { Err(Errno::EMSGSIZE) }
    }

    /// The next datagram that is there.
    pub(super) fn receive(&mut self) -> Result<Option<Vec<u8>>, Errno> {
        let skip = self.buffer.as_ptr().align_offset(align_of::<libc::nlmsghdr>());
        let buffer = &mut self.buffer[skip..];
        match retry(|| self.socket.recv_raw(buffer).map_err(|error| errno(&error))) {
            Ok(length) => Ok(Some(buffer[..length].to_vec())),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Forgets what is there: what is left of an answer that nobody waited for.
    pub(super) fn discard(&mut self) -> Result<(), Errno> {
        loop {
            match self.receive() {
                Ok(Some(_)) | Err(Errno::ENOBUFS) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The first of `count` numbers for requests.
    fn number(&mut self, count: usize) -> u32 {
        let after = |first: u32| u32::try_from(count).ok().and_then(|count| first.checked_add(count));
        let first = if after(self.next_request).is_some() { self.next_request } else { FIRST_REQUEST };
        self.next_request = after(first).unwrap_or(FIRST_REQUEST);
        first
    }

    fn receive_in_time(&mut self) -> Result<Vec<u8>, Errno> {
        loop {
            if let Some(datagram) = self.receive()? {
                return Ok(datagram);
            }
            let mut ready = [PollFd::new(self.fd(), PollFlags::POLLIN)];
            if retry(|| poll(&mut ready, PollTimeout::from(PATIENCE)))? == 0 {
                return Err(Errno::ETIMEDOUT);
            }
        }
    }

    fn configure(&self) -> Result<(), Errno> {
        fcntl(self.fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(self.fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        set_netlink_option(self.fd(), libc::NETLINK_EXT_ACK, ON)?;
        set_netlink_option(self.fd(), libc::NETLINK_CAP_ACK, ON)?;
        self.set_receive_buffer(RECEIVE_BUFFER)
    }

    /// A datagram must fit the send buffer whole. Where that cannot grow, sending says so.
    fn make_room(&mut self, length: usize) {
        if length > self.send_buffer {
            let grown = setsockopt(&self.fd(), sockopt::SndBufForce, &length)
                .or_else(|_| setsockopt(&self.fd(), sockopt::SndBuf, &length));
            if grown.is_ok() {
                self.send_buffer = length;
            }
        }
    }
}

/// What has come of an answer.
struct Answer {
    sequence: u32,
    interrupted: bool,
}

impl Answer {
    fn is_completed_by(&mut self, datagram: &[u8]) -> Result<bool, Failure> {
        for message in Messages(datagram) {
            let message = message?;
            if message.sequence != self.sequence {
                continue;
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_ERROR => {
                    let reply = Reply::read(message)?;
                    return if reply.errno == 0 { Ok(true) } else { Err(Failure::Refused(reply)) };
                }
                NLMSG_DONE => {
                    let errno = message.body.first_chunk().map_or(0, |errno| i32::from_ne_bytes(*errno));
                    return if errno < 0 { Err(Errno::from_raw(errno.saturating_neg()).into()) } else { Ok(true) };
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Sets an option of level `SOL_NETLINK` that is a number.
pub(super) fn set_netlink_option(fd: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the option's value is `length` bytes at `&value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, std::ptr::from_ref(&value).cast(), length)
    };
    Errno::result(result).map(drop)
}

pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

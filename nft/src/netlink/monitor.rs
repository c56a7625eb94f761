use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno as Raw;
use nix::sys::socket::{MsgFlags, send};
use socket2::{SockFilter, SockRef};

use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::message::{Message, Messages};
use super::read::is_named;
use super::socket::{Channel, retry, set_netlink_option};
use crate::{BackendError, Errno, Table, TableFamily};

/// Hears of every change to nf_tables in this network namespace, whoever makes it, or of those that others make
/// ([`Kernel::monitor`](super::Kernel::monitor)).
///
/// It does not block: poll its descriptor, then take events till there are none. That something listens makes large
/// commits cost several times as much, everybody's, in all network namespaces.
pub struct Monitor {
    channel: Channel,
    table: Table,
    /// Whether something may have been missed while it did [not listen](Ear::listen).
    missed: Arc<AtomicBool>,
    /// Whether what has been heard of the change now being told was about our table.
    touched: bool,
    events: VecDeque<Event>,
}

/// Something happened to nf_tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction was committed.
    NewGeneration {
        /// The ruleset's generation from then on.
        generation: u32,
        /// The netlink port that it came from: one's own changes come from one's own [`Kernel::port`](super::Kernel::port).
        port: u32,
        /// The id of the process that it came from.
        pid: u32,
        /// The name of that process.
        process: String,
        /// Whether it was about our table.
        touched: bool,
    },
    /// Events were lost: anything may have changed.
    Lost,
}

impl Monitor {
    /// Hears from now on; `table` is the one whose changes are [`touched`](Event::NewGeneration::touched).
    ///
    /// # Errors
    /// Where the socket could not be opened: [`Kernel::open`](super::Kernel::open) says why more clearly.
    pub fn open(table: impl Into<Table>) -> io::Result<Self> {
        let channel = Channel::open(1 << (NFNLGRP_NFTABLES - 1))?;
        let missed = Arc::default();
        Ok(Self { channel, table: table.into(), missed, touched: false, events: VecDeque::new() })
    }

    /// The next event, `None` where there is none yet.
    ///
    /// # Errors
    /// [`BackendError`] where the socket failed, or made no sense.
    pub fn try_next(&mut self) -> Result<Option<Event>, BackendError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match self.channel.receive() {
                Ok(Some(datagram)) => {
                    self.hear(&datagram).map_err(|error| BackendError::Malformed(error.to_string()))?;
                }
                Ok(None) => return Ok(None),
                Err(Raw::ENOBUFS) => self.events.push_back(Event::Lost),
                Err(error) => {
                    let what = "hear of changes to nf_tables".to_owned();
                    return Err(BackendError::System { what, errno: Errno(error as i32) });
                }
            }
        }
    }

    /// A transaction is told as a message for each object, and then its generation.
    fn hear(&mut self, datagram: &[u8]) -> Result<(), Malformed> {
        for message in Messages(datagram) {
            let message = message?;
            let Some(kind) = message.nftables_kind() else { continue };
            if message.port == self.channel.port() {
                // The answer that woke it: it has changed nothing itself.
                let missed = self.missed.swap(false, Ordering::Relaxed);
                self.events.extend(missed.then_some(Event::Lost));
                continue;
            }
            let (family, attributes) = message.content()?;
            if kind == NFT_MSG_NEWGEN {
                let touched = std::mem::take(&mut self.touched);
                self.events.push_back(new_generation(attributes, message.port, touched)?);
            } else {
                let name = attributes.find(NFTA_TABLE_NAME)?;
                self.touched |= is_named(&self.table, family, name);
            }
        }
        Ok(())
    }
}

/// Makes a [`Monitor`] listen, or not.
pub(super) struct Ear {
    socket: OwnedFd,
    missed: Arc<AtomicBool>,
}

impl Ear {
    /// That of `monitor`, which shall not hear of what comes from `port`: that is neither read, nor does it wake whoever
    /// waits, nor can it crowd out what others do.
    pub(super) fn of(monitor: &Monitor, port: u32) -> io::Result<Self> {
        SockRef::from(monitor).attach_filter(&all_but(port))?;
        Ok(Self { socket: monitor.as_fd().try_clone_to_owned()?, missed: monitor.missed.clone() })
    }

    /// Listens from now on, or no longer.
    pub(super) fn listen(&self, listens: bool) -> Result<(), Raw> {
        const GROUP: libc::c_int = NFNLGRP_NFTABLES as libc::c_int;
        let option = if listens { libc::NETLINK_ADD_MEMBERSHIP } else { libc::NETLINK_DROP_MEMBERSHIP };
        set_netlink_option(self.socket.as_fd(), option, GROUP)
    }

    /// Has the monitor tell that events were lost. A question to the kernel wakes whoever waits for it: with the answer.
    pub(super) fn miss(&self) {
        self.missed.store(true, Ordering::Relaxed);
        let question = Message::new(NFT_MSG_GETGEN, 0, TableFamily::Inet, Writer::default());
        let question = question.expect("nothing is short").to_bytes(0);
        if let Err(error) = retry(|| send(self.socket.as_raw_fd(), &question, MsgFlags::empty())) {
            tracing::warn!(%error, "changes by others may have been missed");
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.channel.fd().as_raw_fd()
    }
}

/// A program of the classic BPF that takes a datagram unless its first message comes from `port`. The messages of a
/// datagram all tell of one transaction.
fn all_but(port: u32) -> [SockFilter; 4] {
    const PORT_OFFSET: u32 = std::mem::offset_of!(libc::nlmsghdr, nlmsg_pid) as u32;
    const WHOLE: u32 = u32::MAX;
    const NOTHING: u32 = 0;
    let code = |parts: [u32; 3]| u16::try_from(parts.into_iter().sum::<u32>()).expect("a code is a byte");
    let load = code([libc::BPF_LD, libc::BPF_W, libc::BPF_ABS]);
    let jump_if_equal = code([libc::BPF_JMP, libc::BPF_JEQ, libc::BPF_K]);
    let take = code([libc::BPF_RET, libc::BPF_K, 0]);
    // What is loaded is taken to be in network order.
    let port = u32::from_be_bytes(port.to_ne_bytes());
    [
        SockFilter::new(load, 0, 0, PORT_OFFSET),
        SockFilter::new(jump_if_equal, 0, 1, port),
        SockFilter::new(take, 0, 0, NOTHING),
        SockFilter::new(take, 0, 0, WHOLE),
    ]
}

fn new_generation(attributes: Attributes<'_>, port: u32, touched: bool) -> Result<Event, Malformed> {
    let number = |kind| attributes.find(kind)?.map_or(Ok(0), |attribute| attribute.be32());
    let process = attributes.find(NFTA_GEN_PROC_NAME)?;
    Ok(Event::NewGeneration {
        generation: number(NFTA_GEN_ID)?,
        port,
        pid: number(NFTA_GEN_PROC_PID)?,
        process: process.map(|name| name.text().into_owned()).unwrap_or_default(),
        touched,
    })
}

//! Connections as they begin and end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::Tuple;
use crate::netlink::attributes::{Attribute, Attributes, Malformed};
use crate::netlink::constants::*;
use crate::netlink::kernel::failed;
use crate::netlink::listener::{Ender, Heard, Listener};
use crate::netlink::message::{Messages, Received};
use crate::{BackendError, CounterValue};

const GROUPS: u32 = 1 << (NFNLGRP_CONNTRACK_NEW - 1) | 1 << (NFNLGRP_CONNTRACK_DESTROY - 1);
/// Room for some twenty thousand events.
const RECEIVE_BUFFER: usize = 16 << 20;

/// A connection that began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// Which of both.
    pub phase: ConnectionPhase,
    /// Its first packet's addresses and ports, before they were translated.
    pub original: Tuple,
    /// Those of replies, before they are translated.
    pub reply: Tuple,
    /// Its mark, `ct mark`, at that moment.
    pub mark: u32,
    /// What tells it from a later one with the same addresses.
    pub id: u32,
    /// What went the way of the first packet so far, where the kernel counts that (`net.netfilter.nf_conntrack_acct`).
    pub sent: Option<CounterValue>,
    /// What went the other way.
    pub received: Option<CounterValue>,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionPhase {
    /// Its first packet has passed all rules.
    Begun,
    /// Conntrack has forgotten it.
    Ended,
}

/// Hears of all connections that begin and end in this network namespace. That somebody listens makes each cost more.
///
/// Of connections that began before, some kernels do not tell the end.
pub struct ConnectionEvents {
    listener: Listener,
    /// The lost events that were counted, and how many the socket had dropped then.
    lost: u64,
    drops: u32,
    malformed: u64,
}

impl ConnectionEvents {
    /// Hears from now on.
    ///
    /// # Errors
    /// Where the socket could not be opened: [`Kernel::open`](crate::Kernel::open) says why more clearly.
    pub fn open() -> io::Result<Self> {
        let listener = Listener::open(GROUPS, RECEIVE_BUFFER)?;
        Ok(Self { listener, lost: 0, drops: 0, malformed: 0 })
    }

    /// Waits for events: at least one, in order. None: it was [ended](Ender::end). What was lost before them is counted
    /// by then.
    ///
    /// # Errors
    /// [`BackendError`] where the socket failed.
    pub fn recv(&mut self) -> Result<Vec<ConnectionEvent>, BackendError> {
        while self.listener.wait().map_err(|error| failed(HEARING, error.into()))? {
            let events = self.try_recv()?;
            if !events.is_empty() {
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }

    /// Some events that are there already; none, where there are none, or only malformed ones. To be called when the
    /// descriptor is readable.
    ///
    /// # Errors
    /// [`BackendError`] where the socket failed.
    pub fn try_recv(&mut self) -> Result<Vec<ConnectionEvent>, BackendError> {
        let mut events = Vec::new();
        for heard in self.listener.receive().map_err(|error| failed(HEARING, error.into()))? {
            match heard {
                Heard::Datagram(datagram) => events.extend(self.read(&datagram)),
                Heard::Overrun => self.lose(),
            }
        }
        Ok(events)
    }

    /// What ends waiting in [`ConnectionEvents::recv`].
    pub fn ender(&self) -> Ender {
        self.listener.ender()
    }

    /// How many events the kernel had no room for.
    pub fn lost(&self) -> u64 {
        let more = self.listener.channel.drops().map_or(0, |drops| drops.wrapping_sub(self.drops));
        self.lost + u64::from(more)
    }

    /// How many events could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Where the kernel does not say how many there was no room for, that was one.
    fn lose(&mut self) {
        match self.listener.channel.drops() {
            Some(drops) => {
                self.lost += u64::from(drops.wrapping_sub(self.drops));
                self.drops = drops;
            }
            None => self.lost += 1,
        }
    }

    fn read(&mut self, datagram: &[u8]) -> Vec<ConnectionEvent> {
        let read = |message: Result<Received<'_>, Malformed>| ConnectionEvent::read(message?);
        let mut events = Vec::new();
        for event in Messages(datagram).map(read) {
            match event {
                Ok(event) => events.extend(event),
                Err(_) => self.malformed += 1,
            }
        }
        events
    }
}

const HEARING: &str = "hear of connections";

impl AsFd for ConnectionEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.fd()
    }
}

impl ConnectionEvent {
    /// The event that a message tells; `None` where it tells none.
    pub(super) fn read(message: Received<'_>) -> Result<Option<Self>, Malformed> {
        let phase = match message.conntrack_kind() {
            Some(IPCTNL_MSG_CT_NEW) => ConnectionPhase::Begun,
            Some(IPCTNL_MSG_CT_DELETE) => ConnectionPhase::Ended,
            _ => return Ok(None),
        };
        let (_, attributes) = message.content()?;
        let tuple = |kind| {
            let tuple = attributes.find(kind)?.ok_or(Malformed("a connection without addresses"))?;
            Tuple::read(tuple.nested())
        };
        let number = |kind| attributes.find(kind)?.map_or(Ok(0), |number| number.be32());
        let counter = |kind| attributes.find(kind)?.map(|counter| read_counter(counter.nested())).transpose();
        Ok(Some(Self {
            phase,
            original: tuple(CTA_TUPLE_ORIG)?,
            reply: tuple(CTA_TUPLE_REPLY)?,
            mark: number(CTA_MARK)?,
            id: number(CTA_ID)?,
            sent: counter(CTA_COUNTERS_ORIG)?,
            received: counter(CTA_COUNTERS_REPLY)?,
        }))
    }
}

pub(super) fn read_counter(counter: Attributes<'_>) -> Result<CounterValue, Malformed> {
    let number = |kind| counter.find(kind)?.as_ref().map_or(Ok(0), Attribute::be64);
    Ok(CounterValue { packets: number(CTA_COUNTERS_PACKETS)?, bytes: number(CTA_COUNTERS_BYTES)? })
}

//! All that is known, and the sockets that it comes from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use nix::libc::{RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK};

use super::channel::{Channel, Heard};
use super::hints::Hints;
use super::message::messages;
use super::ports::Ports;
use super::snapshot::snapshot;
use super::table::{Change, Table};
use super::{LinksError, NodeLinks};

const GROUPS: [u32; 5] =
    [RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
/// Bytes: some 50,000 routes that change at once.
const ROOM: usize = 16 << 20;
/// How many datagrams are heard before what they mean is told.
const AT_ONCE: usize = 10_000;
/// How long after it failed everything is listed again.
const PAUSE: Duration = Duration::from_secs(1);

/// The table, the ports, and whoever tells of changes.
pub(super) struct Look {
    asking: Channel,
    hearing: Channel,
    hints: Hints,
    table: Table,
    ports: Ports,
    is_ready: bool,
    /// When everything is to be listed again.
    again: Option<Instant>,
}

impl Look {
    /// Hears, from now on; knows nothing yet.
    pub(super) fn open(now: Instant) -> io::Result<Self> {
        let hearing = Channel::hearing(&GROUPS, ROOM)?;
        let (table, ports) = (Table::default(), Ports::default());
        Ok(Self {
            asking: Channel::asking()?,
            hearing,
            hints: Hints::open(now)?,
            table,
            ports,
            is_ready: false,
            again: Some(now),
        })
    }

    /// What to wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.hearing.as_fd()
    }

    /// What to wait for, too, if it is heard now.
    pub(super) fn hints_fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        self.hints.fd(now)
    }

    /// Till when to wait.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let ports = self.ports.due();
        let hints = self.hints.due(!self.ports.answers().is_empty(), now);
        self.again.into_iter().chain(ports).chain(hints).min()
    }

    /// Hears what has come. Whether that was anything.
    pub(super) fn hear(&mut self, now: Instant) -> io::Result<bool> {
        let mut heard = false;
        let mut gone = false;
        for _ in 0..AT_ONCE {
            match self.hearing.receive()? {
                Heard::Datagram(datagram, _) => {
                    for message in messages(datagram).flatten() {
                        let change = message.parse().map(|content| self.table.apply(content, message.flags));
                        heard |= change.is_some_and(|change| change != Change::Nothing);
                        gone |= matches!(change, Some(Change::Gone(_)));
                        if let Some(Change::Link(index)) = change {
                            self.ports.begin(index, now);
                        }
                    }
                }
                Heard::Lost => self.again = Some(now),
                Heard::Nothing => break,
            }
        }
        if gone {
            self.look_at_pairs();
        }
        self.hints.hear(&mut self.ports, now)?;
        Ok(heard)
    }

    /// Brings up to date what must be; asks the ports whose time has come. Whether anything may be other than before.
    pub(super) fn catch_up(&mut self, now: Instant) -> bool {
        let is_due =
            self.again.is_some_and(|again| again <= now) || self.table.routes.is_stale() && self.again.is_none();
        if is_due {
            match Table::read(&mut self.asking) {
                Ok(table) => (self.table, self.again, self.is_ready) = (table, None, true),
                Err(error) => {
                    tracing::warn!(%error, "links and routes are not known; trying again");
                    self.again = Some(now + PAUSE);
                }
            }
        }
        let gone = self.ports.set(self.table.ports(), now);
        self.ports.ask_due(&mut self.asking, now) || gone || is_due
    }

    /// All ports are to be asked.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.ports.ask_all(now);
    }

    /// Everything is to be listed again, in a while.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.again = Some(now + PAUSE);
    }

    /// Whether anything is known.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// What it means.
    pub(super) fn snapshot(&self) -> NodeLinks {
        snapshot(&self.table, self.ports.answers())
    }

    /// A link went to another namespace, perhaps: the other end of its pair, which stays, is not told of.
    fn look_at_pairs(&mut self) {
        let pairs: Vec<u32> = self.table.whole_pairs().collect();
        for index in pairs {
            let mut request = LinkMessage::default();
            request.header.index = index;
            request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
            match self.asking.get(&RouteNetlinkMessage::GetLink(request)) {
                Ok(Some(link)) => {
                    self.table.apply(link, 0);
                }
                Ok(None) => {}
                // It is gone itself, and that is told.
                Err(error) => tracing::debug!(index, %error, "a link cannot be asked"),
            }
        }
    }
}

/// What there is now.
pub(super) fn once() -> Result<NodeLinks, LinksError> {
    let (mut asking, mut ports, now) = (Channel::asking()?, Ports::default(), Instant::now());
    let table = Table::read(&mut asking)?;
    ports.set(table.ports(), now);
    ports.ask_due(&mut asking, now);
    Ok(snapshot(&table, ports.answers()))
}

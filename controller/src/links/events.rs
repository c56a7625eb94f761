//! What happens to the links, routes and addresses of this namespace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::libc::{RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK};

use super::channel::{Channel, Heard};
use super::message::messages;
use super::ports::Ports;
use super::table::{Change, Table};

const GROUPS: [u32; 5] =
    [RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
/// Bytes: some 15,000 routes that change at once.
const ROOM: usize = 16 << 20;
/// How many datagrams are heard before what they mean is told.
const AT_ONCE: usize = 10_000;

/// Hears that.
pub(super) struct Events(Channel);

/// What has been heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Something that matters.
    pub(super) any: bool,
    /// A link is gone.
    pub(super) gone: bool,
    /// Something that is lost: everything may be different.
    pub(super) lost: bool,
}

impl Events {
    /// From now on.
    pub(super) fn open() -> io::Result<Self> {
        Channel::hearing(&GROUPS, ROOM).map(Self)
    }

    /// What to wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Puts what has come into the table; has the ports asked that it is about.
    pub(super) fn hear(&mut self, table: &mut Table, ports: &mut Ports, now: Instant) -> io::Result<News> {
        let mut news = News::default();
        for _ in 0..AT_ONCE {
            match self.0.receive()? {
                Heard::Datagram(datagram, _) => {
                    for message in messages(datagram).flatten() {
                        let Some(content) = message.parse() else { continue };
                        let change = table.apply(content, message.flags);
                        news.any |= change != Change::Nothing;
                        news.gone |= change == Change::Gone;
                        if let Change::Link(index) = change {
                            ports.begin(index, now);
                        }
                    }
                }
                Heard::Lost => news.lost = true,
                Heard::Nothing => break,
            }
        }
        Ok(news)
    }
}

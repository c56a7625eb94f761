//! All that is known, and the sockets that it comes from.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::events::Events;
use super::hints::Hints;
use super::ports::Ports;
use super::snapshot::snapshot;
use super::table::Table;
use super::{LinksError, NodeLinks};

/// How long after it failed everything is listed again.
const PAUSE: Duration = Duration::from_secs(1);

/// The table, the ports, and whoever tells of changes.
pub(super) struct Look {
    asking: Channel,
    events: Events,
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
        let events = Events::open()?;
        let (table, ports) = (Table::default(), Ports::default());
        Ok(Self {
            asking: Channel::asking()?,
            events,
            hints: Hints::open(now)?,
            table,
            ports,
            is_ready: false,
            again: Some(now),
        })
    }

    /// What to wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.events.fd()
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
        let news = self.events.hear(&mut self.table, &mut self.ports, now)?;
        if news.lost {
            self.again = Some(now);
            self.ports.ask_all(now);
        }
        if news.gone {
            self.table.look_at_pairs(&mut self.asking);
        }
        self.hints.hear(&mut self.ports, now)?;
        Ok(news.any)
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

    /// The ports of these names are to be asked, and others that may lack something.
    pub(super) fn look_again(&mut self, names: &[String], now: Instant) {
        let ports = self.table.ports().map(|(index, _)| index);
        self.ports.look_again(&ports.filter(|index| names.contains(&self.table.links[index].name)).collect(), now);
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
}

/// What there is now.
pub(super) fn once() -> Result<NodeLinks, LinksError> {
    let (mut asking, mut ports, now) = (Channel::asking()?, Ports::default(), Instant::now());
    let table = Table::read(&mut asking)?;
    ports.set(table.ports(), now);
    ports.ask_due(&mut asking, now);
    Ok(snapshot(&table, ports.answers()))
}

//! Connections over ctnetlink: the one [`Conntrack`] with consequences.

mod entry;
#[cfg(test)]
mod tests;

use std::io;

use super::attributes::Writer;
use super::constants::*;
use super::kernel::failed;
use super::message::{Message, Messages};
use super::passage;
use super::socket::{Channel, Failure};
use crate::{BackendError, Connection, Conntrack, Mark};

/// How many marks are written at a time: some 50 kB, and as many answers at most.
const CHUNK: usize = 500;

/// The kernel's conntrack in this network namespace.
pub struct KernelConntrack {
    listing: Channel,
    writing: Channel,
}

impl KernelConntrack {
    /// Sockets to list and mark connections with.
    ///
    /// # Errors
    /// Where a socket could not be opened: [`Kernel::open`](super::Kernel::open) says why more clearly.
    pub fn open() -> io::Result<Self> {
        Ok(Self { listing: Channel::open(0)?, writing: Channel::open(0)? })
    }

    /// The connections that are marked so (an empty mask: all). Of those that begin or end meanwhile, some.
    ///
    /// # Errors
    /// [`BackendError`] where they could not be listed.
    pub fn list(&mut self, marked: Mark) -> Result<Vec<Connection>, BackendError> {
        let mut connections = Vec::new();
        let each = |connection| {
            connections.push(connection);
            Ok(())
        };
        tell(&mut self.listing, marked, each).map_err(|failure| failed("list connections", failure))?;
        Ok(connections)
    }

    /// Marks the connections so. Says how many that were: those that have ended are passed over.
    ///
    /// # Errors
    /// [`BackendError`] where a mark could not be written; others may have been.
    pub fn mark(&mut self, connections: &[Connection], mark: Mark) -> Result<usize, BackendError> {
        let written = connections.chunks(CHUNK).map(|chunk| write(&mut self.writing, chunk, mark));
        written.sum::<Result<_, _>>().map_err(|failure| failed("mark connections", failure))
    }

    /// As they are told, so that never many are held.
    fn clear_all(&mut self, bits: u32, but: Mark) -> Result<usize, Failure> {
        let Self { listing, writing } = self;
        let none = Mark { mask: bits, value: 0 };
        let mut cleared = 0;
        let mut found = Vec::with_capacity(CHUNK);
        tell(listing, Mark { mask: 0, value: 0 }, |connection| {
            if !none.is_on(connection.mark) && !but.is_on(connection.mark) {
                found.push(connection);
            }
            if found.len() == CHUNK {
                cleared += write(writing, &found, none)?;
                found.clear();
            }
            Ok(())
        })?;
        Ok(cleared + write(writing, &found, none)?)
    }
}

impl Conntrack for KernelConntrack {
    fn clear(&mut self, bits: u32, but: Mark) -> Result<usize, BackendError> {
        self.clear_all(bits, but).map_err(|failure| failed("clear the marks of connections", failure))
    }

    fn settle(&mut self) {
        passage::wait();
    }
}

fn tell(
    channel: &mut Channel,
    marked: Mark,
    mut each: impl FnMut(Connection) -> Result<(), Failure>,
) -> Result<(), Failure> {
    channel.stream(&listing(marked), |datagram| {
        for message in Messages(datagram) {
            entry::read(message?)?.filter(|one| marked.is_on(one.mark)).map_or(Ok(()), &mut each)?;
        }
        Ok(())
    })
}

/// Gives how many of the connections are still there.
fn write(channel: &mut Channel, connections: &[Connection], mark: Mark) -> Result<usize, Failure> {
    let updates: Vec<Message> = connections.iter().map(|one| entry::update(&one.key, mark)).collect();
    let mut ended = 0;
    for refusal in channel.request_all(&updates)? {
        match refusal.errno {
            libc::ENOENT => ended += 1,
            _ => return Err(Failure::Refused(refusal)),
        }
    }
    Ok(connections.len() - ended)
}

/// The request for the connections with such a mark: the kernel compares, which takes it a fraction of what telling all
/// takes.
fn listing(marked: Mark) -> Message {
    let mut attributes = Writer::default();
    attributes.be32(CTA_MARK, marked.value);
    attributes.be32(CTA_MARK_MASK, marked.mask);
    Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, NFPROTO_UNSPEC, attributes).expect("a filter is short")
}

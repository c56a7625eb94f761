//! Connections over ctnetlink: the one [`Conntrack`] with consequences.

mod entry;
mod events;
mod live;
#[cfg(test)]
mod tests;
mod tuple;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use self::entry::Entry;
pub use self::events::{ConnectionEvent, ConnectionEvents, ConnectionPhase};
pub use self::live::LiveConnection;
pub use self::tuple::Tuple;
use super::attributes::Writer;
use super::constants::*;
use super::kernel::failed;
use super::message::{Message, Messages};
use super::passage;
use super::socket::{Channel, Failure};
use crate::{BackendError, Connection, Conntrack, Mark};

/// How many connections are written at a time: some 50 kB, and as many answers at most.
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
        let each = |entry: Entry<'_>| {
            connections.extend(marked.is_on(entry.mark).then(|| entry.connection()));
            Ok(())
        };
        tell(&mut self.listing, &listing(marked), each).map_err(|failure| failed("list connections", failure))?;
        Ok(connections)
    }

    /// Gives `each` all connections, one after the other, so that never many are held. Of those that begin or end
    /// meanwhile, some.
    ///
    /// # Errors
    /// [`BackendError`] where they could not be listed.
    pub fn live(&mut self, mut each: impl FnMut(LiveConnection)) -> Result<(), BackendError> {
        let listed = self.listing.stream(&listing(Mark { mask: 0, value: 0 }), |datagram| {
            for message in Messages(datagram) {
                LiveConnection::read(message?)?.into_iter().for_each(&mut each);
            }
            Ok(())
        });
        listed.map_err(|failure| failed("list connections", failure))
    }

    /// Marks the connections so. Says how many that were: those that have ended are passed over.
    ///
    /// # Errors
    /// [`BackendError`] where a mark could not be written; others may have been.
    pub fn mark(&mut self, connections: &[Connection], mark: Mark) -> Result<usize, BackendError> {
        let updates =
            |chunk: &[Connection]| -> Vec<Message> { chunk.iter().map(|one| entry::update(&one.key, mark)).collect() };
        let written = connections.chunks(CHUNK).map(|chunk| write(&mut self.writing, &updates(chunk)));
        written.sum::<Result<_, _>>().map_err(|failure| failed("mark connections", failure))
    }

    fn clear_all(&mut self, bits: u32, but: Option<Mark>) -> Result<usize, Failure> {
        let none = Mark { mask: bits, value: 0 };
        self.change(&[listing(Mark { mask: 0, value: 0 })], |entry| {
            let is_marked = !none.is_on(entry.mark) && but.is_none_or(|but| !but.is_on(entry.mark));
            Ok(is_marked.then(|| entry.update(none)))
        })
    }

    fn forget_all(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, Failure> {
        self.change(&listings_by_family(addresses), |entry| {
            Ok(if entry.concerns(addresses)? { Some(entry.deletion()?) } else { None })
        })
    }

    /// Sends what `change` makes of connections while they are told, so that never many are held. Says how many were
    /// there for it.
    fn change(
        &mut self,
        listings: &[Message],
        change: impl Fn(Entry<'_>) -> Result<Option<Message>, Failure>,
    ) -> Result<usize, Failure> {
        let Self { listing, writing } = self;
        let mut changed = 0;
        let mut messages = Vec::with_capacity(CHUNK);
        for request in listings {
            tell(listing, request, |entry| {
                messages.extend(change(entry)?);
                if messages.len() == CHUNK {
                    changed += write(writing, &messages)?;
                    messages.clear();
                }
                Ok(())
            })?;
        }
        Ok(changed + write(writing, &messages)?)
    }
}

impl Conntrack for KernelConntrack {
    fn clear(&mut self, bits: u32, but: Option<Mark>) -> Result<usize, BackendError> {
        self.clear_all(bits, but).map_err(|failure| failed("clear the marks of connections", failure))
    }

    fn forget(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, BackendError> {
        self.forget_all(addresses).map_err(|failure| failed("forget connections", failure))
    }

    fn ends(&mut self, most: usize) -> Result<Option<BTreeSet<IpAddr>>, BackendError> {
        let mut ends = BTreeSet::new();
        let each = |entry: Entry<'_>| {
            if ends.len() <= most {
                for end in entry.ends()? {
                    ends.insert(end?);
                }
            }
            Ok(())
        };
        let all = listing(Mark { mask: 0, value: 0 });
        tell(&mut self.listing, &all, each).map_err(|failure| failed("list the ends of connections", failure))?;
        Ok((ends.len() <= most).then_some(ends))
    }

    fn settle(&mut self) {
        passage::wait();
    }
}

fn tell(
    channel: &mut Channel,
    request: &Message,
    mut each: impl FnMut(Entry<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    channel.stream(request, |datagram| {
        for message in Messages(datagram) {
            Entry::read(message?)?.map_or(Ok(()), &mut each)?;
        }
        Ok(())
    })
}

/// Gives for how many messages the connection was still there.
fn write(channel: &mut Channel, messages: &[Message]) -> Result<usize, Failure> {
    let mut ended = 0;
    for refusal in channel.request_all(messages)? {
        match refusal.errno {
            libc::ENOENT => ended += 1,
            _ => return Err(Failure::Refused(refusal)),
        }
    }
    Ok(messages.len() - ended)
}

/// The request for the connections with such a mark: the kernel compares, which takes it a fraction of what telling all
/// takes.
fn listing(marked: Mark) -> Message {
    let mut attributes = Writer::default();
    attributes.be32(CTA_MARK, marked.value);
    attributes.be32(CTA_MARK_MASK, marked.mask);
    Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, NFPROTO_UNSPEC, attributes).expect("a filter is short")
}

/// The requests for all connections of the families of these addresses.
///
/// They are compared here, in one listing however many addresses there are. The kernel can compare as well (CTA_FILTER,
/// since 5.8), but one address and place a listing, and what takes the time is to go through its table: for one address
/// that costs more up to some 20,000 connections, half as much among 250,000, and more again for two addresses.
fn listings_by_family(addresses: &BTreeSet<IpAddr>) -> Vec<Message> {
    let family = |address: &IpAddr| if address.is_ipv4() { NFPROTO_IPV4 } else { NFPROTO_IPV6 };
    let families: BTreeSet<u8> = addresses.iter().map(family).collect();
    let all = |family| Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, Writer::default());
    families.into_iter().map(|family| all(family).expect("it says nothing")).collect()
}

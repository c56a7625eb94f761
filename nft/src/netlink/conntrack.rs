//! Connections over ctnetlink: the one [`Conntrack`] with consequences.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;

use super::attributes::Writer;
use super::constants::*;
use super::kernel::failed;
use super::message::{Message, Messages};
use super::passage;
use super::socket::{Channel, Failure};
use crate::{BackendError, Connection, Conntrack, Selection};

/// How many marks are written at a time: some 50 kB, and as many answers at most.
const CHUNK: usize = 500;

/// The kernel's conntrack in this network namespace.
pub struct KernelConntrack {
    channel: Channel,
}

impl KernelConntrack {
    /// A socket to list and mark connections with.
    ///
    /// # Errors
    /// Where the socket could not be opened: [`Kernel::open`](super::Kernel::open) says why more clearly.
    pub fn open() -> io::Result<Self> {
        Ok(Self { channel: Channel::open(0)? })
    }

    fn dump(&mut self, selection: Selection, each: &mut dyn FnMut(Connection)) -> Result<(), Failure> {
        let own = own_addresses()?;
        let mut forwarded = |connection: Connection| {
            if !own.contains(&connection.source) && !own.contains(&connection.destination) {
                each(connection);
            }
        };
        match selection {
            Selection::All => self.tell(&listing(NFPROTO_UNSPEC, |_| {}), &mut forwarded),
            Selection::Marked(bits) => {
                self.tell(&listing(NFPROTO_UNSPEC, |filter| marked(bits, filter)), &mut forwarded)
            }
            Selection::Of(address) => self.tell_of(address, &mut forwarded),
        }
    }

    fn tell_of(&mut self, address: IpAddr, each: &mut dyn FnMut(Connection)) -> Result<(), Failure> {
        match address {
            IpAddr::V4(v4) => {
                self.tell(&listing_from(v4, CTA_TUPLE_ORIG), &mut |connection| {
                    if connection.source == address {
                        each(connection);
                    }
                })?;
                self.tell(&listing_from(v4, CTA_TUPLE_REPLY), &mut |connection| {
                    if connection.destination == address && connection.source != address {
                        each(connection);
                    }
                })
            }
            IpAddr::V6(_) => self.tell(&listing(NFPROTO_IPV6, |_| {}), &mut |connection| {
                if [connection.source, connection.destination].contains(&address) {
                    each(connection);
                }
            }),
        }
    }

    fn tell(&mut self, request: &Message, each: &mut dyn FnMut(Connection)) -> Result<(), Failure> {
        self.channel.stream(request, |datagram| {
            for message in Messages(datagram) {
                if let Some(connection) = entry::read(message?)? {
                    each(connection);
                }
            }
            Ok(())
        })
    }

    /// Gives how many of the connections are still there.
    fn write(&mut self, connections: &[Connection], bits: u32, value: u32) -> Result<usize, Failure> {
        let updates: Vec<Message> = connections.iter().map(|one| entry::update(&one.key, bits, value)).collect();
        let mut ended = 0;
        for refusal in self.channel.request_all(&updates)? {
            match refusal.errno {
                libc::ENOENT => ended += 1,
                _ => return Err(Failure::Refused(refusal)),
            }
        }
        Ok(connections.len() - ended)
    }
}

impl Conntrack for KernelConntrack {
    fn list(&mut self, selection: Selection, each: &mut dyn FnMut(Connection)) -> Result<(), BackendError> {
        self.dump(selection, each).map_err(|failure| failed("list connections", failure))
    }

    fn mark(&mut self, connections: &[Connection], bits: u32, set: bool) -> Result<usize, BackendError> {
        let value = if set { bits } else { 0 };
        let written = connections.chunks(CHUNK).map(|chunk| self.write(chunk, bits, value));
        written.sum::<Result<_, _>>().map_err(|failure| failed("mark connections", failure))
    }

    fn settle(&mut self) {
        passage::wait();
    }
}

/// The request for the connections of a family, or of all, that pass a filter.
fn listing(family: u8, filter: impl FnOnce(&mut Writer)) -> Message {
    let mut attributes = Writer::default();
    filter(&mut attributes);
    Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, attributes).expect("a filter is short")
}

/// The kernel compares masked marks.
fn marked(bits: u32, filter: &mut Writer) {
    filter.be32(CTA_MARK, bits);
    filter.be32(CTA_MARK_MASK, bits);
}

/// The request for the connections of which the packets of one direction come from `address`. Kernels before 5.8 do not know
/// the filter, and tell of all; of IPv6 addresses kernels (6.18, too) tell of all but the one asked for.
fn listing_from(address: Ipv4Addr, direction: u16) -> Message {
    let flags = if direction == CTA_TUPLE_ORIG { CTA_FILTER_ORIG_FLAGS } else { CTA_FILTER_REPLY_FLAGS };
    listing(NFPROTO_IPV4, |filter| {
        filter.nested(direction, |tuple| {
            tuple.nested(CTA_TUPLE_IP, |ip| ip.bytes(CTA_IP_V4_SRC, &address.octets()));
        });
        // Flags are a number in the machine's order.
        filter.nested(CTA_FILTER, |filter| filter.bytes(flags, &CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes()));
    })
}

fn own_addresses() -> Result<HashSet<IpAddr>, Failure> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(addresses.collect())
}

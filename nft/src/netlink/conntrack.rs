//! Connections over ctnetlink: the one [`Conntrack`] with consequences.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use rustix::thread::{MembarrierCommand, membarrier};

use super::attributes::Writer;
use super::constants::*;
use super::kernel::failed;
use super::message::{Message, Messages};
use super::socket::{Channel, Failure};
use crate::{BackendError, Connection, Conntrack, Selection};

/// How many marks are written at a time: some 50 kB, and as many answers at most.
const CHUNK: usize = 500;
/// How long packets are given to pass where the kernel cannot say when they have: it takes them microseconds.
const PAUSE: Duration = Duration::from_millis(50);

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
        self.channel.stream(&listing(selection), |datagram| {
            for message in Messages(datagram) {
                let Some(connection) = entry::read(message?)? else { continue };
                if !own.contains(&connection.source) && !own.contains(&connection.destination) {
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

    /// A packet is forwarded within one RCU read-side critical section, from the interface that it came by to the last
    /// hook, which is where its connection begins. This waits for those that have begun to end.
    fn settle(&mut self) {
        if membarrier(MembarrierCommand::Global).is_err() {
            thread::sleep(PAUSE);
        }
    }
}

/// The request for the connections of `selection`: the kernel compares masked marks.
fn listing(selection: Selection) -> Message {
    let mut filter = Writer::default();
    if let Selection::Marked(bit) = selection {
        filter.be32(CTA_MARK, bit);
        filter.be32(CTA_MARK_MASK, bit);
    }
    Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, NFPROTO_UNSPEC, filter).expect("two numbers are short")
}

fn own_addresses() -> Result<HashSet<IpAddr>, Failure> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(addresses.collect())
}

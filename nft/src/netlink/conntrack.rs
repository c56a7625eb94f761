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

    fn dump(&mut self, marked: Mark) -> Result<Vec<Connection>, Failure> {
        let mut connections = Vec::new();
        self.channel.stream(&listing(marked), |datagram| {
            for message in Messages(datagram) {
                connections.extend(entry::read(message?)?.filter(|one| marked.is_on(one.mark)));
            }
            Ok(())
        })?;
        Ok(connections)
    }

    /// Gives how many of the connections are still there.
    fn write(&mut self, connections: &[Connection], mark: Mark) -> Result<usize, Failure> {
        let updates: Vec<Message> = connections.iter().map(|one| entry::update(&one.key, mark)).collect();
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
    fn list(&mut self, marked: Mark) -> Result<Vec<Connection>, BackendError> {
        self.dump(marked).map_err(|failure| failed("list connections", failure))
    }

    fn mark(&mut self, connections: &[Connection], mark: Mark) -> Result<usize, BackendError> {
        let written = connections.chunks(CHUNK).map(|chunk| self.write(chunk, mark));
        written.sum::<Result<_, _>>().map_err(|failure| failed("mark connections", failure))
    }

    fn settle(&mut self) {
        passage::wait();
    }
}

/// The request for the connections with such a mark: the kernel compares, which takes it a fraction of what telling all
/// takes.
fn listing(marked: Mark) -> Message {
    let mut attributes = Writer::default();
    attributes.be32(CTA_MARK, marked.value);
    attributes.be32(CTA_MARK_MASK, marked.mask);
    Message::conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, NFPROTO_UNSPEC, attributes).expect("a filter is short")
}

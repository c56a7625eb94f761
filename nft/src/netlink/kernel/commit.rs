//! How a transaction is committed.

use nix::errno::Errno as Raw;

use super::failure::{detail, refused, rejected};
use super::owner::owner;
use super::{Kernel, OWNED};
use crate::netlink::batch::{self, Outcome, Reply, Wire};
use crate::netlink::encode::{self, Part, Unencodable};
use crate::netlink::message::Message;
use crate::netlink::read::TableState;
use crate::{CommitError, Errno, Operation, Transaction};

/// What became of a batch, and what cut the kernel's answer short; or why it was not sent.
pub(super) type Delivery = Result<(Outcome, Option<Errno>), Raw>;

/// A batch of so many bytes, which is some thousand elements, is [not listened to](Kernel::unheard).
const LARGE: usize = 1 << 16;

impl Kernel {
    pub(super) fn attempt(&mut self, transaction: &Transaction, expected: Option<u32>) -> Result<(), CommitError> {
        let adoption = self.adoption()?;
        let parts = encode::transaction(&self.table, self.flags, transaction)
            .map_err(|Unencodable(index)| refused(transaction, index, Errno(libc::EMSGSIZE), None))?;
        let adoption: Vec<&Message> = adoption.iter().collect();
        self.send(transaction, &adoption, &parts, expected)?;
        let mut owned = self.owned;
        for operation in &transaction.operations {
            match operation {
                Operation::CreateTable { .. } => owned |= self.flags == OWNED,
                Operation::DeleteTable => owned = false,
                _ => {}
            }
        }
        self.set_owned(owned);
        Ok(())
    }

    /// Where an owned table could not be made: because there is a plain one, which stays so, or because this kernel
    /// makes none.
    pub(super) fn attempt_plainly(
        &mut self,
        transaction: &Transaction,
        expected: Option<u32>,
    ) -> Result<(), CommitError> {
        let there = self.table().map_err(|failure| rejected("read the table's flags", &failure))?.is_some();
        let flags = std::mem::take(&mut self.flags);
        let result = self.attempt(transaction, expected);
        if there {
            self.flags = flags;
        } else {
            tracing::info!(table = %self.table, "this kernel has no owned tables that persist");
        }
        result
    }

    /// The message that adopts the table, where it is to be adopted.
    pub(super) fn adoption(&mut self) -> Result<Option<Message>, CommitError> {
        if self.owned {
            return Ok(None);
        }
        match self.table().map_err(|failure| rejected("read the table's owner", &failure))? {
            Some(TableState { owner: Some(port), .. }) => Err(self.owned_by(port)),
            Some(table) if table.is_orphan() && self.flags == OWNED => {
                Ok(Some(encode::new_table(&self.table, OWNED, None).expect("a name and a number are short")))
            }
            _ => Ok(None),
        }
    }

    fn owned_by(&self, port: u32) -> CommitError {
        CommitError::Owned { table: self.table.clone(), owner: owner(port) }
    }

    /// Sends `adoption`, then `parts`, as one batch, and waits for what becomes of it.
    pub(super) fn send(
        &mut self,
        transaction: &Transaction,
        adoption: &[&Message],
        parts: &[Part],
        expected: Option<u32>,
    ) -> Result<(), CommitError> {
        const SENDING: &str = "send the transaction";
        let messages: Vec<&Message> =
            adoption.iter().copied().chain(parts.iter().map(|(_, message)| message)).collect();
        if messages.is_empty() {
            return Ok(());
        }
        let wire = batch::wire(&messages, expected).map_err(|error| rejected(SENDING, &error.into()))?;
        let delivered = match wire.bytes.len() >= LARGE {
            true => self.unheard(|kernel| kernel.deliver(&wire)),
            false => self.deliver(&wire),
        };
        let (outcome, broken) = delivered.map_err(|error| rejected(SENDING, &error.into()))?;
        match outcome {
            Outcome::Committed => {
                self.set_owned(self.owned || !adoption.is_empty());
                Ok(())
            }
            Outcome::Refused(reply) => {
                // A batch is never that long.
                let first = wire.first.saturating_add(u32::try_from(adoption.len()).unwrap_or(u32::MAX));
                Err(self.refusal(transaction, &Sent { first, parts, expected }, &reply))
            }
            Outcome::Unknown => Err(CommitError::Unacknowledged { errno: broken.unwrap_or(Errno(libc::ENODATA)) }),
        }
    }

    /// Sends a batch.
    pub(super) fn deliver(&mut self, wire: &Wire) -> Delivery {
        self.channel.discard()?;
        self.channel.send(&wire.bytes)?;
        self.bytes_sent += wire.bytes.len() as u64;
        let (replies, broken) = self.replies();
        Ok((batch::outcome(wire, replies), broken))
    }

    /// All that the kernel has to say of a batch, which it says before sending returns; and what cut that short.
    fn replies(&mut self) -> (Vec<Reply>, Option<Errno>) {
        let mut replies = Vec::new();
        let mut broken = None;
        loop {
            match self.channel.receive() {
                Ok(Some(datagram)) => match Reply::read_all(&datagram) {
                    Ok(read) => replies.extend(read),
                    Err(_) => broken = Some(Errno(libc::EBADMSG)),
                },
                Ok(None) => return (replies, broken),
                // What did not fit the receive buffer is lost, what did still waits.
                Err(Raw::ENOBUFS) => broken = Some(Errno(libc::ENOBUFS)),
                Err(error) => return (replies, Some(Errno(error as i32))),
            }
        }
    }

    fn refusal(&mut self, transaction: &Transaction, batch: &Sent<'_>, reply: &Reply) -> CommitError {
        let errno = Errno(reply.errno);
        if let (libc::ERESTART, Some(expected)) = (reply.errno, batch.expected) {
            return CommitError::Stale { expected };
        }
        if reply.errno == libc::EPERM
            && let Ok(Some(TableState { owner: Some(port), .. })) = self.table()
            && port != self.port()
        {
            return self.owned_by(port);
        }
        match batch.part(reply.sequence) {
            Some((index, message)) => refused(transaction, *index, errno, detail(transaction, *index, message, reply)),
            None => CommitError::Rejected { what: format!("commit the transaction to table {}", self.table), errno },
        }
    }
}

/// A batch that was sent.
struct Sent<'a> {
    /// The sequence number of the first of `parts`.
    first: u32,
    parts: &'a [Part],
    expected: Option<u32>,
}

impl Sent<'_> {
    fn part(&self, sequence: u32) -> Option<&Part> {
        self.parts.get(usize::try_from(sequence.checked_sub(self.first)?).ok()?)
    }
}

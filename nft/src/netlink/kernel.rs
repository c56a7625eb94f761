use std::collections::BTreeMap;
use std::time::Duration;
use std::{fs, io, thread};

use nix::errno::Errno as Raw;
use thiserror::Error;

use super::attributes::Writer;
use super::batch::{self, Outcome, Reply};
use super::constants::*;
use super::encode::{self, Part, Unencodable};
use super::expression::Counter;
use super::message::Message;
use super::read::{self, Contents, Listed, Table};
use super::socket::{Channel, Failure};
use super::{elements, set};
use crate::{
    Backend, BackendError, CommitError, Committed, Elements, ElementsKind, Errno, Name, Operation, Owner, Ruleset,
    Transaction,
};

/// A table that only its owner can write, and that stays when the owner goes.
const OWNED: u32 = NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST;
/// How often a listing is begun that changes overtake, before that is an error.
const ATTEMPTS: usize = 50;
/// How long the kernel is given to finish what makes a listing useless.
const PAUSE: Duration = Duration::from_millis(10);
/// How much of an operation an error cites.
const CITATION: usize = 300;

/// The kernel's nf_tables, of which it reads and writes one table of family `inet`.
///
/// All writes to an owned table go through the socket of its one owner: a process has one `Kernel` for a table. On
/// drop the table stays, enforcing, without an owner.
pub struct Kernel {
    channel: Channel,
    table: Name,
    /// The flags that a table is made with.
    flags: u32,
    /// Whether this socket owns the table.
    owned: bool,
}

/// Whether the table is to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// A table that is made is owned (`flags owner, persist`), where the kernel knows this (since 6.9): no other
    /// process can change it, and `nft flush ruleset` passes over it. One that an owner has left behind is adopted with
    /// the first commit that is not empty. One that has always been plain stays so.
    Take,
    /// A table that is made is plain: anybody with CAP_NET_ADMIN can change it.
    Plain,
}

/// Why the kernel's nf_tables cannot be reached.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No CAP_NET_ADMIN in the user namespace that owns the network namespace.
    #[error("nftables needs CAP_NET_ADMIN: run as root, or give the container that capability")]
    NotPermitted,
    /// The kernel has no nf_tables, nor finds its module.
    #[error(
        "this kernel has no nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET): load the module or change the kernel"
    )]
    NoNftables,
    /// Something else.
    #[error("cannot open a netlink socket to netfilter")]
    Socket(#[source] io::Error),
}

impl Kernel {
    /// A socket to read and write `table` with. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`OpenError`], for every reason for which nothing could be read either.
    pub fn open(table: Name, ownership: Ownership) -> Result<Self, OpenError> {
        let channel =
            Channel::open(0).map_err(|error| unreachable_because(&error).unwrap_or(OpenError::Socket(error)))?;
        let flags = match ownership {
            Ownership::Take => OWNED,
            Ownership::Plain => 0,
        };
        let mut kernel = Self { channel, table, flags, owned: false };
        match kernel.ask_generation() {
            Ok(_) => Ok(kernel),
            Err(failure) => {
                let error = io::Error::from_raw_os_error(errno(&failure).0);
                Err(unreachable_because(&error).unwrap_or(OpenError::Socket(error)))
            }
        }
    }

    /// The netlink port, which a change of ours carries in [`Event::NewGeneration`](super::Event::NewGeneration).
    pub fn port(&self) -> u32 {
        self.channel.port()
    }

    /// The generation of the ruleset. Each commit in this network namespace moves it, to whatever table.
    ///
    /// # Errors
    /// [`BackendError`] where the kernel did not say.
    pub fn generation(&mut self) -> Result<u32, BackendError> {
        self.ask_generation().map_err(|failure| failed("read the generation of the ruleset", failure))
    }

    /// What the rules that count have counted, by chain.
    ///
    /// # Errors
    /// [`BackendError`] where the rules could not be listed.
    pub fn counters(&mut self) -> Result<BTreeMap<Name, Counter>, BackendError> {
        self.consistently(|kernel| {
            let rules = kernel.dump(NFT_MSG_GETRULE)?;
            Ok(read::counters(&read::rules(&rules, &kernel.table)?))
        })
    }

    /// Who owns the table, if anybody does: this socket, or another.
    ///
    /// # Errors
    /// [`BackendError`] where the table could not be read.
    pub fn owner(&mut self) -> Result<Option<Owner>, BackendError> {
        let table = self.table().map_err(|failure| failed("read the table's owner", failure))?;
        Ok(table.and_then(|table| table.owner).map(owner))
    }

    /// Adopts the table, if an owner has left it behind, without waiting for a commit. Says whether it did.
    ///
    /// # Errors
    /// [`CommitError`], also where another process owns the table.
    pub fn adopt(&mut self) -> Result<bool, CommitError> {
        match self.adoption()? {
            Some(message) => self.send(&Transaction::default(), &[&message], &[], None).map(|()| true),
            None => Ok(false),
        }
    }

    /// [`Backend::commit`], if the ruleset is of generation `expected`, and of another not at all.
    ///
    /// # Errors
    /// [`CommitError::Stale`] where it is not.
    pub fn commit_at(&mut self, transaction: &Transaction, expected: Option<u32>) -> Result<Committed, CommitError> {
        if transaction.is_empty() {
            return Ok(Committed { generation: None });
        }
        match self.attempt(transaction, expected) {
            Err(CommitError::Refused { index, errno, .. })
                if self.flags == OWNED && creates_table(transaction, index) && is_unsupported(errno) =>
            {
                tracing::info!(table = %self.table, %errno, "this kernel has no owned tables that persist");
                self.flags = 0;
                self.attempt(transaction, expected)?;
            }
            Err(CommitError::Refused { errno: Errno(libc::EBUSY), .. }) if retires_in_two_steps(&release()) => {
                tracing::info!(table = %self.table, "this kernel retires chains and sets in a second step");
                self.attempt_in_two_steps(transaction, expected)?;
            }
            result => result?,
        }
        let generation = self.ask_generation().inspect_err(|error| tracing::warn!(%error, "generation unknown")).ok();
        Ok(Committed { generation })
    }

    fn attempt(&mut self, transaction: &Transaction, expected: Option<u32>) -> Result<(), CommitError> {
        let adoption = self.adoption()?;
        let parts = encode::transaction(&self.table, self.flags, transaction)
            .map_err(|Unencodable(index)| refused(transaction, index, Errno(libc::EMSGSIZE), None))?;
        let adoption: Vec<&Message> = adoption.iter().collect();
        self.send(transaction, &adoption, &parts, expected)?;
        for operation in &transaction.operations {
            match operation {
                Operation::CreateTable { .. } => self.owned |= self.flags == OWNED,
                Operation::DeleteTable => self.owned = false,
                _ => {}
            }
        }
        Ok(())
    }

    /// The second step failing leaves the first one's result: neither the state before nor the one after.
    fn attempt_in_two_steps(&mut self, transaction: &Transaction, expected: Option<u32>) -> Result<(), CommitError> {
        let (first, second) = transaction.clone().split_retirement();
        self.attempt(&first, expected)?;
        self.attempt(&second, None).map_err(|error| {
            tracing::warn!(table = %self.table, %error, "the second step failed");
            CommitError::Unacknowledged { errno: error.errno() }
        })
    }

    /// The message that adopts the table, where it is to be adopted.
    fn adoption(&mut self) -> Result<Option<Message>, CommitError> {
        if self.owned {
            return Ok(None);
        }
        match self.table().map_err(|failure| rejected("read the table's owner", &failure))? {
            Some(Table { owner: Some(port), .. }) => Err(self.owned_by(port)),
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
    fn send(
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
        self.channel.discard().map_err(|error| rejected(SENDING, &error.into()))?;
        self.channel.send(&wire.bytes).map_err(|error| rejected(SENDING, &error.into()))?;
        let (replies, broken) = self.replies();
        match batch::outcome(&wire, replies) {
            Outcome::Committed => {
                self.owned |= !adoption.is_empty();
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
            && let Ok(Some(Table { owner: Some(port), .. })) = self.table()
            && port != self.port()
        {
            return self.owned_by(port);
        }
        match batch.part(reply.sequence) {
            Some((index, message)) => refused(transaction, *index, errno, detail(transaction, *index, message, reply)),
            None => CommitError::Rejected { what: format!("commit the transaction to table {}", self.table), errno },
        }
    }

    fn table(&mut self) -> Result<Option<Table>, Failure> {
        let request = self.about_table(NFT_MSG_GETTABLE, NLM_F_ACK, |_| {});
        match self.channel.request(&request) {
            Ok(answer) => Ok(read::table(&answer, &self.table)?),
            Err(Failure::Refused(reply)) if reply.errno == libc::ENOENT => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn contents(&mut self) -> Result<Option<Contents>, Failure> {
        let Some(table) = self.table()? else { return Ok(None) };
        let chains = read::chains(&self.dump(NFT_MSG_GETCHAIN)?, &self.table)?;
        let sets = read::sets(&self.dump(NFT_MSG_GETSET)?, &self.table)?;
        let sets = sets.into_iter().map(|found| self.with_elements(found)).collect::<Result<_, _>>()?;
        let rules = read::rules(&self.dump(NFT_MSG_GETRULE)?, &self.table)?;
        let mut others = read::others(&self.dump(NFT_MSG_GETOBJ)?, &self.table)?;
        others.extend(read::others(&self.dump(NFT_MSG_GETFLOWTABLE)?, &self.table)?);
        Ok(Some(Contents { table, chains, sets, rules, others }))
    }

    fn with_elements(&mut self, found: set::Found) -> Result<(set::Found, Option<Elements>), Failure> {
        let elements = match &found {
            set::Found::Own { name, kind, .. } => self.elements(name, *kind)?,
            set::Found::Foreign { .. } | set::Found::OfRule => None,
        };
        Ok((found, elements))
    }

    fn elements(&mut self, set: &Name, kind: ElementsKind) -> Result<Option<Elements>, Failure> {
        let name = |message: &mut Writer| message.text(NFTA_SET_ELEM_LIST_SET, set.as_str());
        let request = self.about_table(NFT_MSG_GETSETELEM, NLM_F_DUMP, name);
        for _ in 0..ATTEMPTS {
            match read::elements(&self.channel.request(&request)?, &self.table, kind)? {
                Listed::Whole(elements) => return Ok(Some(elements)),
                Listed::Foreign => return Ok(None),
                Listed::Torn => thread::sleep(PAUSE),
            }
        }
        Err(Failure::Interrupted)
    }

    /// Lists the objects of the table that `NFT_MSG_GET...` is for. Old kernels list those of other tables, too.
    fn dump(&mut self, kind: u8) -> Result<Vec<u8>, Failure> {
        let request = self.about_table(kind, NLM_F_DUMP, |_| {});
        self.channel.request(&request)
    }

    fn about_table(&self, kind: u8, flags: u16, content: impl FnOnce(&mut Writer)) -> Message {
        encode::message(kind, flags, &self.table, content).expect("two names are short")
    }

    fn ask_generation(&mut self) -> Result<u32, Failure> {
        let request = Message::new(NFT_MSG_GETGEN, NLM_F_ACK, Writer::default()).expect("nothing is short");
        Ok(read::generation(&self.channel.request(&request)?)?)
    }

    /// What `list` gives when no change comes between its requests.
    fn consistently<T>(&mut self, mut list: impl FnMut(&mut Self) -> Result<T, Failure>) -> Result<T, BackendError> {
        let what = format!("list table {}", self.table);
        for _ in 0..ATTEMPTS {
            let before = self.generation()?;
            let listed = list(self);
            match listed {
                Err(Failure::Interrupted) => {}
                listed if self.generation()? == before => return listed.map_err(|failure| failed(&what, failure)),
                _ => {}
            }
        }
        Err(failed(&what, Failure::Interrupted))
    }
}

impl Backend for Kernel {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        let contents = self.consistently(Self::contents)?;
        Ok(contents.map(|contents| read::ruleset(self.table.clone(), contents)))
    }

    fn commit(&mut self, table: &Name, transaction: &Transaction) -> Result<Committed, CommitError> {
        if *table != self.table {
            let what = format!("write table {table} where only {} is ours", self.table);
            return Err(CommitError::Rejected { what, errno: Errno(libc::EINVAL) });
        }
        self.commit_at(transaction, None)
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

fn detail(transaction: &Transaction, index: usize, message: &Message, reply: &Reply) -> Option<String> {
    let element = match transaction.operations.get(index) {
        Some(Operation::AddElements { elements, .. } | Operation::DeleteElements { elements, .. }) => {
            reply.offset.and_then(|offset| elements::at(message, offset, elements.kind()))
        }
        _ => None,
    };
    let element = element.map(|element| format!("element {element}"));
    let words: Vec<String> = element.into_iter().chain(reply.words.clone()).collect();
    (!words.is_empty()).then(|| words.join(": "))
}

fn refused(transaction: &Transaction, index: usize, errno: Errno, detail: Option<String>) -> CommitError {
    let operation = transaction.operations.get(index).map(ToString::to_string).unwrap_or_default();
    let operation = match operation.char_indices().nth(CITATION) {
        Some((end, _)) => format!("{}...", &operation[..end]),
        None => operation,
    };
    CommitError::Refused { index, operation, errno, detail }
}

fn rejected(what: &str, failure: &Failure) -> CommitError {
    CommitError::Rejected { what: what.to_owned(), errno: errno(failure) }
}

fn failed(what: &str, failure: Failure) -> BackendError {
    match failure {
        Failure::Malformed(malformed) => BackendError::Malformed(malformed.to_string()),
        failure => BackendError::System { what: what.to_owned(), errno: errno(&failure) },
    }
}

fn errno(failure: &Failure) -> Errno {
    Errno(match failure {
        Failure::System(error) => *error as i32,
        Failure::Refused(reply) => reply.errno,
        Failure::Interrupted => libc::EINTR,
        Failure::Malformed(_) => libc::EBADMSG,
    })
}

fn unreachable_because(error: &io::Error) -> Option<OpenError> {
    match error.raw_os_error()? {
        libc::EPERM | libc::EACCES => Some(OpenError::NotPermitted),
        // Of the socket where there is no netfilter; of the request where there is no nf_tables.
        libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::EINVAL | libc::EOPNOTSUPP => Some(OpenError::NoNftables),
        _ => None,
    }
}

fn owner(port: u32) -> Owner {
    let process = fs::read_to_string(format!("/proc/{port}/comm")).ok();
    Owner { port, process: process.map(|name| name.trim_end().to_owned()) }
}

fn creates_table(transaction: &Transaction, index: usize) -> bool {
    matches!(transaction.operations.get(index), Some(Operation::CreateTable { .. }))
}

/// What kernels answer to table flags that they do not know, the older ones the latter.
fn is_unsupported(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::EINVAL)
}

fn release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether kernel `release` counts a chain as used till the end of the transaction that takes its last reference, as
/// those before 6.2 do.
fn retires_in_two_steps(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_told_apart() {
        for old in ["5.10.0-28-amd64", "6.1.0", "4.19.1", "6.0"] {
            assert!(retires_in_two_steps(old), "{old}");
        }
        for new in ["6.2.0", "6.18.44-fc-v657", "10.0", "", "strange"] {
            assert!(!retires_in_two_steps(new), "{new}");
        }
    }
}

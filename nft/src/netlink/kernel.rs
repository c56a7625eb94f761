mod commit;
mod ear;
mod failure;
mod listing;
mod old;
mod owner;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use thiserror::Error;

use self::failure::unreachable_because;
pub(super) use self::failure::{errno, failed};
use self::old::{creates_table, is_unsupported};
use self::owner::owner;
use super::chain;
use super::constants::{NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_TABLE_F_OWNER, NFT_TABLE_F_PERSIST};
use super::monitor::Ear;
use super::passage;
use super::read;
use super::socket::Channel;
use crate::{
    Backend, BackendError, Comment, CommitError, CounterValue, Errno, Name, Owner, Ruleset, Table, Transaction,
};

/// A table that only its owner can write, and that stays when the owner goes.
const OWNED: u32 = NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST;

/// The kernel's nf_tables, of which it reads and writes one table.
///
/// All writes to an owned table go through the socket of its one owner: a process has one `Kernel` for a table. On
/// drop the table stays, enforcing, without an owner.
pub struct Kernel {
    channel: Channel,
    pub(super) table: Table,
    /// The flags that a table is made with.
    flags: u32,
    /// Whether this socket owns the table.
    owned: bool,
    bytes_sent: u64,
    /// That of the monitor that [`Kernel::monitor`] gave.
    ear: Option<Ear>,
}

/// Whether the table is to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// A table that is made is owned (`flags owner, persist`), where the kernel knows this (since 6.9): no other
    /// process can change it, and `nft flush ruleset` passes over it. One that an owner has left behind is adopted
    /// with the first commit that is not empty, or when [asked for](Kernel::adopt). One that has always been plain stays so.
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
    pub fn open(table: impl Into<Table>, ownership: Ownership) -> Result<Self, OpenError> {
        let channel =
            Channel::open(0).map_err(|error| unreachable_because(&error).unwrap_or(OpenError::Socket(error)))?;
        let flags = match ownership {
            Ownership::Take => OWNED,
            Ownership::Plain => 0,
        };
        let mut kernel = Self { channel, table: table.into(), flags, owned: false, bytes_sent: 0, ear: None };
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

    /// How many bytes of transactions have been sent so far.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// What the rules that count by themselves have counted, by chain.
    ///
    /// # Errors
    /// [`BackendError`] where the rules could not be listed.
    pub fn counters(&mut self) -> Result<BTreeMap<Name, CounterValue>, BackendError> {
        self.consistently(|kernel| {
            let rules = kernel.dump(NFT_MSG_GETRULE)?;
            Ok(read::counters(&read::rules(&rules, &kernel.table)?))
        })
    }

    /// What the named counters have counted. Whoever owns the table, any socket may ask.
    ///
    /// # Errors
    /// [`BackendError`] where they could not be listed.
    pub fn named_counters(&mut self) -> Result<BTreeMap<Name, CounterValue>, BackendError> {
        self.consistently(|kernel| Ok(read::named_counters(kernel.objects()?)))
    }

    /// The chains that are ours, with their comments.
    ///
    /// # Errors
    /// [`BackendError`] where they could not be listed.
    pub fn chains(&mut self) -> Result<BTreeMap<Name, Option<Comment>>, BackendError> {
        let found = self.consistently(|kernel| Ok(read::chains(&kernel.dump(NFT_MSG_GETCHAIN)?, &kernel.table)?))?;
        let own = found.into_iter().filter_map(|chain| match chain {
            chain::Found::Own { name, comment, .. } => Some((name, comment)),
            chain::Found::Foreign { .. } | chain::Found::OfRule => None,
        });
        Ok(own.collect())
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
    pub fn commit_at(&mut self, transaction: &Transaction, expected: Option<u32>) -> Result<(), CommitError> {
        if transaction.is_empty() {
            return Ok(());
        }
        match self.attempt(transaction, expected) {
            Err(CommitError::Refused { index, errno, .. })
                if self.flags != 0 && creates_table(transaction, index) && is_unsupported(errno) =>
            {
                self.attempt_plainly(transaction, expected)
            }
            result => result,
        }
    }
}

impl Backend for Kernel {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        let contents = self.consistently(Self::contents)?;
        Ok(contents.map(|contents| read::ruleset(self.table.clone(), contents)))
    }

    fn exists(&mut self) -> Result<bool, BackendError> {
        let table = self.table().map_err(|failure| failed("look for the table", failure))?;
        Ok(table.is_some())
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        if *table != self.table {
            let what = format!("write table {table} where only {} is ours", self.table);
            return Err(CommitError::Rejected { what, errno: Errno(libc::EPERM) });
        }
        self.commit_at(transaction, None)
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.ask_generation().map_err(|failure| failed("read the generation of the ruleset", failure))
    }

    fn passage(&self) -> fn() {
        passage::wait
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        self.adopt()
    }
}

use std::{fmt, io};

use thiserror::Error;

use crate::{Ruleset, Table, Transaction};

/// What holds a table: the kernel, or the in-memory fake. A backend knows the name of its table.
pub trait Backend {
    /// What the table holds now; `None` where there is no such table.
    ///
    /// # Errors
    /// [`BackendError`] where it could not be read.
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError>;

    /// Whether there is such a table.
    ///
    /// # Errors
    /// [`BackendError`] where that could not be asked.
    fn exists(&mut self) -> Result<bool, BackendError> {
        Ok(self.read()?.is_some())
    }

    /// Applies `transaction` to `table`, whole or not at all. An empty one is a no-op that asks nothing of the kernel.
    ///
    /// # Errors
    /// [`CommitError`]: unless [`CommitError::state_unknown`], nothing was applied.
    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError>;

    /// The generation of the ruleset: each commit moves it, anybody's to whatever table.
    ///
    /// # Errors
    /// [`BackendError`] where it could not be read.
    fn generation(&mut self) -> Result<u32, BackendError>;

    /// What returns when no packet is under way any more that came in before it was called, on whichever thread: those
    /// are still judged by the rules of then. Where the backend has no way to know, at once.
    fn passage(&self) -> fn() {
        || {}
    }

    /// Shuts others out of a table that could be shared, where the backend knows how to. Says whether that changed
    /// anything.
    ///
    /// # Errors
    /// [`CommitError`]: the table is as before.
    fn guard(&mut self) -> Result<bool, CommitError> {
        Ok(false)
    }
}

/// Why a table could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BackendError {
    /// A system call, or the kernel's answer to a request, failed.
    #[error("cannot {what}: {errno}")]
    System {
        /// What was being done, as `list the chains of table palisade`.
        what: String,
        /// The error.
        errno: Errno,
    },
    /// The kernel answered with something that no nf_tables message is.
    #[error("the kernel's answer makes no sense: {0}")]
    Malformed(String),
}

/// Why a transaction was not committed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// One of its operations was refused, the first where several were. Nothing was applied.
    #[error("the kernel refused operation {index}, `{operation}`: {errno}{}", parenthesised(.detail))]
    Refused {
        /// Its index in the transaction.
        index: usize,
        /// The operation as text.
        operation: String,
        /// Why.
        errno: Errno,
        /// What the kernel has to say about it, in its own words.
        detail: Option<String>,
    },
    /// The transaction as a whole was refused, or could not be sent. Nothing was applied.
    #[error("cannot {what}: {errno}")]
    Rejected {
        /// What was being done, as `send the transaction`.
        what: String,
        /// Why.
        errno: Errno,
    },
    /// Another process owns the table. Nothing was applied.
    #[error("table {table} is owned by {owner}: only that can change it, so stop it first")]
    Owned {
        /// The table.
        table: Table,
        /// Who owns it.
        owner: Owner,
    },
    /// The ruleset is no longer of the generation that the transaction was made for. Nothing was applied.
    #[error("the ruleset is no longer of generation {expected}: read it again")]
    Stale {
        /// The generation that the transaction was made for.
        expected: u32,
    },
    /// The kernel did not say whether the transaction was applied: read the table to find out.
    #[error("the kernel did not acknowledge the transaction ({errno}): it may or may not have been applied")]
    Unacknowledged {
        /// What was met instead of the acknowledgement.
        errno: Errno,
    },
}

impl CommitError {
    /// The system's error.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Refused { errno, .. } | Self::Rejected { errno, .. } | Self::Unacknowledged { errno } => *errno,
            Self::Owned { .. } => Errno(libc::EPERM),
            Self::Stale { .. } => Errno(libc::ERESTART),
        }
    }

    /// Whether the table may have changed all the same.
    pub fn state_unknown(&self) -> bool {
        matches!(self, Self::Unacknowledged { .. })
    }
}

/// The owner of a table: a socket, which no other can write it beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The socket's netlink port: for a process' first netlink socket, its id in its own process namespace.
    pub port: u32,
    /// The process that has the socket open, where that can be seen.
    pub process: Option<Process>,
}

/// A process, as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its name, as `palisade`.
    pub name: String,
}

/// As `process 4711 (palisade)`, or as a netlink port.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(Process { id, name }) => write!(f, "process {id} ({name})"),
            None => write!(f, "netlink port {}, of a process that cannot be seen from here", self.port),
        }
    }
}

/// An error number of the system's, as `libc::ENOENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// As `No such file or directory (os error 2)`.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

fn parenthesised(detail: &Option<String>) -> String {
    detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default()
}

//! A backend that fails as told, and others that lie.

use std::collections::BTreeMap;

use nix::libc;
use palisade_nft::{Backend, BackendError, CommitError, Errno, Fake, Operation, Owner, Ruleset, Table, Transaction};
use proptest::prelude::*;
use proptest::sample::select;

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The transaction is refused as a whole, or cannot be sent.
    Rejected(i32),
    /// One of its operations is refused.
    Refused(i32),
    /// Another transaction came first (ERESTART).
    Stale,
    /// Another process owns the table (EPERM).
    Owned,
    /// The batch is dropped: it is not applied, and nothing is said.
    Dropped,
    /// It is applied, and nothing is said.
    Unacknowledged,
    /// The table cannot be listed.
    Unreadable(i32),
    /// The listing ends in the middle.
    Truncated,
}

const ERRNOS: [i32; 5] = [libc::ENOBUFS, libc::EINTR, libc::ERESTART, libc::EPERM, libc::ENOMEM];

/// Any of them.
pub(crate) fn fault() -> impl Strategy<Value = Fault> {
    let errno = || select(&ERRNOS[..]);
    prop_oneof![
        2 => errno().prop_map(Fault::Rejected),
        2 => errno().prop_map(Fault::Refused),
        1 => Just(Fault::Stale),
        1 => Just(Fault::Owned),
        2 => Just(Fault::Dropped),
        2 => Just(Fault::Unacknowledged),
        2 => errno().prop_map(Fault::Unreadable),
        1 => Just(Fault::Truncated),
    ]
}

/// What a backend does that must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It says that it has committed what it has dropped.
    DropsAndAcknowledges,
    /// It applies the first half of what it refuses.
    AppliesHalf,
    /// It has no table any more after an error.
    LosesTheTable,
    /// It tells of a table that it does not hold, where its listing is cut off.
    ListsHalf,
}

/// The fake, with faults.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) fake: Fake,
    /// What goes wrong with the next call that it can go wrong with.
    pub(crate) next: Option<Fault>,
    /// How often each fault was met.
    pub(crate) met: BTreeMap<Fault, usize>,
    pub(crate) lie: Option<Lie>,
}

impl Faulty {
    pub(crate) fn new(fake: Fake, lie: Option<Lie>) -> Self {
        Self { fake, next: None, met: BTreeMap::new(), lie }
    }

    fn meet(&mut self, concerns: impl Fn(Fault) -> bool) -> Option<Fault> {
        let fault = self.next.take_if(|fault| concerns(*fault))?;
        *self.met.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn fail(&mut self, fault: Fault, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        match self.lie {
            Some(Lie::DropsAndAcknowledges) => return Ok(()),
            Some(Lie::AppliesHalf) => drop(self.fake.commit(table, &half(transaction))),
            Some(Lie::LosesTheTable) => self.fake.tamper(|held| *held = None),
            Some(Lie::ListsHalf) | None => {}
        }
        let what = "send the transaction".to_owned();
        Err(match fault {
            Fault::Rejected(errno) => CommitError::Rejected { what, errno: Errno(errno) },
            Fault::Refused(errno) => {
                let operation = transaction.operations[0].to_string();
                CommitError::Refused { index: 0, operation, errno: Errno(errno), detail: None }
            }
            Fault::Stale => CommitError::Stale { expected: self.fake.generation().expect("in memory") },
            Fault::Owned => CommitError::Owned { table: table.clone(), owner: Owner { port: 1, process: None } },
            Fault::Unacknowledged => {
                self.fake.commit(table, transaction)?;
                CommitError::Unacknowledged { errno: Errno(libc::ENOBUFS) }
            }
            Fault::Dropped | Fault::Unreadable(_) | Fault::Truncated => {
                CommitError::Unacknowledged { errno: Errno(libc::ENODATA) }
            }
        })
    }
}

impl Backend for Faulty {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        match self.meet(|fault| matches!(fault, Fault::Unreadable(_) | Fault::Truncated)) {
            None => self.fake.read(),
            Some(_) if self.lie == Some(Lie::ListsHalf) => {
                let mut listed = self.fake.read()?;
                listed.iter_mut().for_each(|ruleset| drop(ruleset.chains.pop_last()));
                Ok(listed)
            }
            Some(Fault::Unreadable(errno)) => {
                Err(BackendError::System { what: "list the chains of table palisade".to_owned(), errno: Errno(errno) })
            }
            Some(_) => Err(BackendError::Malformed("the listing ends in the middle of a message".to_owned())),
        }
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        match self.meet(|fault| !matches!(fault, Fault::Unreadable(_) | Fault::Truncated)) {
            Some(fault) => self.fail(fault, table, transaction),
            None => self.fake.commit(table, transaction),
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }
}

fn half(transaction: &Transaction) -> Transaction {
    let operations: &[Operation] = &transaction.operations;
    Transaction { operations: operations[..operations.len().div_ceil(2)].to_vec() }
}

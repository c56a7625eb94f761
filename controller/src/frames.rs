//! The table of frames, kept as the renderer says: there where pods are on bridges, and only there.

use palisade_nft::{Backend, BackendError, CommitError, Diff, Errno, Operation, Ruleset, Table, Transaction, diff};

/// Keeps the table of frames.
#[derive(Debug)]
pub(crate) struct FrameTable<B> {
    backend: B,
    table: Table,
    /// What the kernel is known to hold: `None` where that is not known.
    there: Option<bool>,
    /// Whether the kernel has no such tables.
    unavailable: bool,
}

impl<B: Backend> FrameTable<B> {
    pub(crate) fn new(table: Table, backend: B) -> Self {
        Self { backend, table, there: None, unavailable: false }
    }

    /// The next commit compares first.
    pub(crate) fn distrust(&mut self) {
        self.there = None;
    }

    /// Makes the table what is `wanted`; `change` is what that differs in from what was wanted before.
    pub(crate) fn commit(&mut self, wanted: Option<&Ruleset>, change: &Diff) -> Result<(), FramesError> {
        if self.unavailable {
            return Ok(());
        }
        let transaction = self.transaction(wanted, change)?;
        self.there = None;
        match self.backend.commit(&self.table, &transaction) {
            Ok(()) => {
                self.there = Some(wanted.is_some());
                Ok(())
            }
            Err(error) if is_unsupported(error.errno()) && creates(&transaction) => {
                self.unavailable = true;
                tracing::error!(%error, "this kernel has no nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE): pods on one bridge can forge each other's addresses");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What [`FrameTable::commit`] would commit.
    pub(crate) fn transaction(&mut self, wanted: Option<&Ruleset>, change: &Diff) -> Result<Transaction, FramesError> {
        let delete = || Transaction { operations: vec![Operation::DeleteTable] };
        Ok(match (self.there, wanted) {
            (Some(true), Some(_)) => Transaction::from(change),
            (Some(false), Some(wanted)) => Transaction::from(&diff(None, wanted)),
            (Some(true), None) => delete(),
            (Some(false), None) => Transaction::default(),
            (None, wanted) => match (self.backend.read()?, wanted) {
                (held, Some(wanted)) => Transaction::from(&diff(held.as_ref(), wanted)),
                (Some(_), None) => delete(),
                (None, None) => Transaction::default(),
            },
        })
    }
}

/// Why the table of frames is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] BackendError),
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

fn creates(transaction: &Transaction) -> bool {
    transaction.operations.iter().any(|operation| matches!(operation, Operation::CreateTable { .. }))
}

fn is_unsupported(errno: Errno) -> bool {
    const EOPNOTSUPP: i32 = nix::libc::EOPNOTSUPP;
    const EAFNOSUPPORT: i32 = nix::libc::EAFNOSUPPORT;
    matches!(errno.0, EOPNOTSUPP | EAFNOSUPPORT)
}

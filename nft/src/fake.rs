//! The kernel, in memory.
//!
//! It applies a transaction whole or not at all, and refuses what the kernel refuses, with the error numbers of kernel
//! 6.18; `tests::kernel` compares what the two accept, and what they then hold. It is stricter in this: a lookup of a key
//! in a set of another type is refused (EINVAL), where the kernel compares lengths at most; so is a match against a
//! verdict map; and a range is deleted only as it was added.

mod apply;

use crate::{Backend, BackendError, CommitError, Errno, Ruleset, Table, Transaction, depth};

/// A table held in memory instead of the kernel.
#[derive(Clone, Debug)]
pub struct Fake {
    table: Table,
    held: Option<Ruleset>,
    generation: u32,
    fault: Option<Fault>,
}

/// What goes wrong with the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused as a whole.
    Refuse(Errno),
    /// It is applied, but the acknowledgement is lost.
    LoseAcknowledgement,
}

impl Fake {
    /// No table yet; the only one there can be is `table`.
    pub fn new(table: impl Into<Table>) -> Self {
        Self { table: table.into(), held: None, generation: 1, fault: None }
    }

    /// A table that is there already.
    pub fn holding(ruleset: Ruleset) -> Self {
        Self { held: Some(ruleset.clone()), ..Self::new(ruleset.table) }
    }

    /// What the table holds; `None` where there is none.
    pub fn ruleset(&self) -> Option<&Ruleset> {
        self.held.as_ref()
    }

    /// Makes the next commit that is not empty fail.
    pub fn inject(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Changes the table as another hand would.
    pub fn tamper(&mut self, change: impl FnOnce(&mut Option<Ruleset>)) {
        change(&mut self.held);
        self.generation += 1;
    }

    fn attempt(&self, transaction: &Transaction) -> Result<Option<Ruleset>, CommitError> {
        let after = self.replay(transaction, |_| false)?;
        if after.as_ref().is_some_and(depth::is_exceeded) {
            return self.replay(transaction, depth::is_exceeded);
        }
        Ok(after)
    }

    /// The table after `transaction`, which is refused at the operation after which the table is `invalid`.
    fn replay(
        &self,
        transaction: &Transaction,
        invalid: impl Fn(&Ruleset) -> bool,
    ) -> Result<Option<Ruleset>, CommitError> {
        let mut held = self.held.clone();
        for (index, operation) in transaction.operations.iter().enumerate() {
            let refused = |errno| CommitError::Refused {
                index,
                operation: operation.to_string(),
                errno: Errno(errno),
                detail: None,
            };
            apply::apply(&mut held, &self.table, operation).map_err(refused)?;
            if held.as_ref().is_some_and(&invalid) {
                return Err(refused(libc::EMLINK));
            }
        }
        Ok(held)
    }
}

impl Backend for Fake {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        Ok(self.held.clone())
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        if transaction.is_empty() {
            return Ok(());
        }
        if *table != self.table {
            let what = format!("write table {table} through the backend of table {}", self.table);
            return Err(CommitError::Rejected { what, errno: Errno(libc::EPERM) });
        }
        let fault = self.fault.take();
        if let Some(Fault::Refuse(errno)) = fault {
            return Err(CommitError::Rejected { what: "send the transaction".to_owned(), errno });
        }
        self.held = self.attempt(transaction)?;
        self.generation += 1;
        match fault {
            Some(Fault::LoseAcknowledgement) => Err(CommitError::Unacknowledged { errno: Errno(libc::ENOBUFS) }),
            _ => Ok(()),
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        Ok(self.generation)
    }
}

#[cfg(test)]
mod tests;

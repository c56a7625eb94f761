//! What older kernels do otherwise.

use crate::{Errno, Operation, Transaction};

pub(super) fn creates_table(transaction: &Transaction, index: usize) -> bool {
    matches!(transaction.operations.get(index), Some(Operation::CreateTable { .. }))
}

/// What kernels answer to table flags that they do not know, the older ones the latter.
pub(super) fn is_unsupported(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::EINVAL)
}

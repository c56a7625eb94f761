//! What older kernels do otherwise.

use crate::{Errno, Operation, Transaction};

pub(super) fn creates_table(transaction: &Transaction, index: usize) -> bool {
    matches!(transaction.operations.get(index), Some(Operation::CreateTable { .. }))
}

/// What kernels answer to table flags that they do not know, the older ones the latter.
pub(super) fn is_unsupported(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::EINVAL)
}

pub(super) fn release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether kernel `release` counts a chain as used till the end of the transaction that takes its last reference, as
/// those before 6.2 do.
pub(super) fn retires_in_two_steps(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
        _ => false,
    }
}

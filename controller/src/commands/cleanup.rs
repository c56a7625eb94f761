//! `palisade cleanup`: the table goes, and the marks that it gave a meaning to.

use std::io::Write;

use anyhow::Context;
use palisade_nft::{Backend, KernelConntrack, Operation, Ownership, Transaction};

use super::kernel;
use crate::epochs;

pub(super) fn cleanup() -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let table = kernel::table();
    let mut out = std::io::stdout().lock();
    if kernel.read()?.is_none() {
        unmark()?;
        return Ok(writeln!(out, "nothing to do: there is no table inet {table}")?);
    }
    let delete = Transaction { operations: vec![Operation::DeleteTable] };
    kernel.commit(&table, &delete).with_context(|| format!("cannot remove table inet {table}"))?;
    unmark()?;
    Ok(writeln!(out, "removed table inet {table}: from now on nothing is enforced on this node")?)
}

/// The marks mean nothing any more. The next agent clears what it finds, but nobody else does.
fn unmark() -> anyhow::Result<()> {
    let swept = KernelConntrack::open()
        .map_err(anyhow::Error::from)
        .and_then(|mut connections| Ok(epochs::sweep(&mut connections)?));
    swept.map(drop).context("cannot clear the marks of connections; they mean nothing any more")
}

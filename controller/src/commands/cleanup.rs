//! `palisade cleanup`.

use std::io::Write;

use anyhow::Context;
use palisade_nft::{Backend, Operation, Ownership, Transaction};

use super::kernel;

pub(super) fn cleanup() -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let table = kernel::table();
    let mut out = std::io::stdout().lock();
    if kernel.read()?.is_none() {
        return Ok(writeln!(out, "nothing to do: there is no table inet {table}")?);
    }
    let delete = Transaction { operations: vec![Operation::DeleteTable] };
    kernel.commit(&table, &delete).with_context(|| format!("cannot remove table inet {table}"))?;
    Ok(writeln!(out, "removed table inet {table}: from now on nothing is enforced on this node")?)
}

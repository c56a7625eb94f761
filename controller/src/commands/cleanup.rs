//! `palisade cleanup`: the table goes, and the marks that it gave a meaning to.

use std::io::Write;

use anyhow::Context;
use palisade_nft::{Backend, Conntrack, KernelConntrack, Operation, Ownership, Selection, Transaction};

use super::kernel;
use crate::render::CUT_MARK;

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

/// Nothing drops marked connections any more; the next agent shall not take them for its own, nor anybody else.
fn unmark() -> anyhow::Result<()> {
    let restore = || {
        let mut conntrack = KernelConntrack::open()?;
        let mut marked = Vec::new();
        conntrack.list(Selection::Marked(CUT_MARK), &mut |connection| marked.push(connection))?;
        conntrack.mark(&marked, CUT_MARK, false)?;
        anyhow::Ok(())
    };
    restore().context("cannot clear the marks of connections that were cut; nothing drops them any more")
}

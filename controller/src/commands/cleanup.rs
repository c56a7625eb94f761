//! `palisade cleanup`.

use anyhow::Context;
use palisade_nft::{Backend, Operation, Ownership, Transaction};

use super::kernel;

pub(super) fn cleanup() -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let table = kernel::table();
    if kernel.read()?.is_none() {
        println!("nothing to do: there is no table inet {table}");
        return Ok(());
    }
    let delete = Transaction { operations: vec![Operation::DeleteTable] };
    kernel.commit(&table, &delete).with_context(|| format!("cannot remove table inet {table}"))?;
    println!("removed table inet {table}: from now on nothing is enforced on this node");
    Ok(())
}

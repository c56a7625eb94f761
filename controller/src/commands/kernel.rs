//! This network namespace's kernel, as the commands open it.

use palisade_nft::{Kernel, Name, Ownership};

use crate::render::TABLE;

pub(super) fn table() -> Name {
    Name::new(TABLE).expect("the table's name is a constant that is a name")
}

/// Opens our table; the agent owns it while it runs, other commands never do.
pub(super) fn open(ownership: Ownership) -> anyhow::Result<Kernel> {
    Ok(Kernel::open(table(), ownership)?)
}

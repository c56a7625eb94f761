//! `palisade diff`.

use std::io::Write;

use palisade_nft::Ownership;

use super::{kernel, sources};
use crate::cli::DiffArgs;
use crate::enforcer::Enforcer;

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<()> {
    let mut enforcer = Enforcer::new(&args.node.node_name, kernel::table(), kernel::open(Ownership::Plain)?);
    sources::snapshot(&args.node.source, &args.node.node_name)?.into_iter().for_each(|change| enforcer.apply(change));
    let transaction = enforcer.plan()?;
    Ok(write!(std::io::stdout().lock(), "{transaction}")?)
}

//! `palisade diff`.

use std::io::Write;

use palisade_nft::Ownership;

use super::kernel;
use crate::cli::DiffArgs;
use crate::enforcer::Enforcer;
use crate::manifests;

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<()> {
    let manifests = manifests::read(&args.source.manifests, &args.source.node_name)?;
    let mut enforcer = Enforcer::new(&args.source.node_name, kernel::table(), kernel::open(Ownership::Plain)?);
    manifests.into_changes().for_each(|change| enforcer.apply(change));
    let transaction = enforcer.plan()?;
    Ok(write!(std::io::stdout().lock(), "{transaction}")?)
}

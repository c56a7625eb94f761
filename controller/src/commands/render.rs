//! `palisade render`.

use std::io::Write;

use palisade_model::Index;

use super::kernel;
use crate::cli::SourceArgs;
use crate::manifests;
use crate::render;

pub(super) fn render(args: &SourceArgs) -> anyhow::Result<()> {
    let manifests = manifests::read(&args.manifests, &args.node_name)?;
    let mut index = Index::new(&*args.node_name);
    manifests.into_changes().for_each(|change| index.apply(change));
    let ruleset = render::render(kernel::table(), &index.take_delta());
    Ok(write!(std::io::stdout().lock(), "{ruleset}")?)
}

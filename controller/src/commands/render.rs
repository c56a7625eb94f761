//! `palisade render`.

use std::io::Write;

use palisade_model::Index;

use super::{kernel, sources};
use crate::cli::NodeArgs;
use crate::render::{self, Epoch};

pub(super) fn render(args: &NodeArgs) -> anyhow::Result<()> {
    let mut index = Index::new(&*args.node_name);
    sources::snapshot(&args.source, &args.node_name)?.into_iter().for_each(|change| index.apply(change));
    let mut ruleset = render::render(kernel::table(), &index.take_delta());
    ruleset.apply(Epoch::never()).expect("it edits a chain that every ruleset has");
    Ok(write!(std::io::stdout().lock(), "{ruleset}")?)
}

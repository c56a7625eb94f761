//! `palisade map`: who reaches whom as a picture, and as data.

mod data;
mod dot;
mod html;

use std::io::Write;

use anyhow::Context;
use palisade_model::reach::Reach;
use palisade_model::reference::Cluster;

use self::data::Map;
use super::sources;
use crate::cli::{MapArgs, MapOutput};
use crate::progress::Progress;

pub(super) fn map(args: &MapArgs) -> anyhow::Result<()> {
    let progress = Progress::start("reading the objects");
    let mut cluster = Cluster::default();
    sources::snapshot(&args.source, "")?.into_iter().for_each(|change| cluster.apply(change));
    progress.next("asking who reaches whom");
    let map = Map::new(&Reach::new(&cluster));
    progress.next("writing the map");
    let text = match args.output {
        MapOutput::Json => serde_json::to_string_pretty(&map)? + "\n",
        MapOutput::Dot => dot::text(&map),
        MapOutput::Html => html::page(&map)?,
    };
    drop(progress);
    match &args.out {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display())),
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

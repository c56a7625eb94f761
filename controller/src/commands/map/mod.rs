//! `palisade map`: who reaches whom as a picture, and as data.

mod curve;
mod data;
mod dot;
mod html;
mod layout;
mod mend;
mod picture;
mod svg;
mod usage;

use std::io::Write;

use anyhow::Context;
use jiff::Timestamp;
use palisade_model::reach::Reach;
use palisade_model::reference::Cluster;

use self::data::Map;
use self::usage::Usage;
use super::{recorded, sources};
use crate::cli::{MapArgs, MapOutput};
use crate::flows::printable;
use crate::progress::Progress;

pub(super) fn map(args: &MapArgs) -> anyhow::Result<()> {
    let progress = Progress::start("reading the objects");
    let mut cluster = Cluster::default();
    sources::snapshot(&args.source, "")?.into_iter().for_each(|change| cluster.apply(change));
    progress.next("asking who reaches whom");
    let reach = Reach::new(&cluster);
    let map = Map::new(&reach);
    let map = match recorded::known(&args.flows, &args.source)? {
        Some(known) => map.with_usage(cluster, &reach, known, Timestamp::now()),
        None => map,
    };
    progress.next("writing the map");
    for gap in map.usage.iter().flat_map(Usage::not_known) {
        eprintln!("note: {}", printable(&gap));
    }
    let text = match args.output {
        MapOutput::Json => serde_json::to_string_pretty(&map)? + "\n",
        MapOutput::Svg => svg::text(&map),
        MapOutput::Dot => dot::text(&map),
        MapOutput::Html => html::page(&map)?,
    };
    drop(progress);
    match &args.out {
        Some(file) => std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display())),
        None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
    }
}

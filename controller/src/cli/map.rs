//! `palisade map`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FlowsArgs, SourceArgs};

/// `palisade map`.
#[derive(Debug, Args)]
pub struct MapArgs {
    /// Where objects come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What was recorded, and is connected now: with that the map says which ways are used.
    #[command(flatten)]
    pub flows: FlowsArgs,
    /// How to draw it.
    #[arg(short, long, value_enum, default_value_t = MapOutput::Html)]
    pub output: MapOutput,
    /// Write it to this file. Otherwise to stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The form of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MapOutput {
    /// One page that needs nothing else, for a browser.
    Html,
    /// A picture that needs nothing else, light or dark as its reader asks for.
    Svg,
    /// For Graphviz.
    Dot,
    /// For scripts.
    Json,
}

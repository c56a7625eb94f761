//! `palisade verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{LintArgs, SourceArgs};

/// `palisade verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Files of expectations: YAML with `cases`, of the form of deploy/verify.schema.json.
    #[arg(value_name = "FILE", required_unless_present = "lint")]
    pub files: Vec<PathBuf>,
    /// Where objects come from. In manifests, what a Deployment or another workload would make counts as a pod where none of
    /// its pods is there, and Services are read as well.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Count audited policies as enforced. Otherwise they are as if they were not there.
    #[arg(long)]
    pub audited: bool,
    /// What is surely not meant.
    #[command(flatten)]
    pub lint: LintArgs,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = VerifyOutput::Text)]
    pub output: VerifyOutput,
}

/// The form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyOutput {
    /// For people.
    Text,
    /// For scripts.
    Json,
    /// JUnit XML, for CI systems.
    Junit,
}

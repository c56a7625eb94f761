//! `palisade preview`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FlowsArgs, LintArgs, Output, SourceArgs};

/// `palisade preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Where the objects come from to which the change is applied.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Files or directories with the objects that would be applied.
    #[arg(value_name = "CHANGE", required_unless_present = "delete")]
    pub changes: Vec<PathBuf>,
    /// Files or directories with objects that would be deleted, before the others are applied. May be given
    /// several times.
    #[arg(long, value_name = "FILE")]
    pub delete: Vec<PathBuf>,
    /// What is connected now, and was recorded: of that, the preview says what the change would cut.
    #[command(flatten)]
    pub flows: FlowsArgs,
    /// Exit with 1 where a way would open, or be denied that is open now; or where (with --live or --flows) a connection
    /// would be cut, a recorded flow be refused, or a node was not heard. May be given several times.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Vec<FailOn>,
    /// What is surely not meant of what the change brings.
    #[command(flatten)]
    pub lint: LintArgs,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What a change must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Let somebody reach whom he does not reach now.
    Open,
    /// Deny a way that is open now.
    Deny,
    /// Cut a connection that is open now, or refuse a flow that was recorded.
    Cut,
}

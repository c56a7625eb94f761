//! Lint, in the commands that have it.

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use crate::convert;

/// What is legal in policies and surely not meant.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Say as well what is legal in policies and surely not meant; with `deny` that fails. A policy with the annotation
    /// `palisade.dev/lint-ignore: CODE,...` is spared these findings.
    #[arg(long, value_enum, value_name = "warn|deny", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "warn")]
    pub lint: Option<LintMode>,
    /// The ranges of Services' addresses, for --lint. Otherwise those of the ServiceCIDRs and Services that there are.
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', requires = "lint", value_parser = convert::net)]
    pub service_cidr: Vec<IpNet>,
}

/// What findings of lint do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintMode {
    /// They are told.
    Warn,
    /// They are told, and the exit code is 1.
    Deny,
}

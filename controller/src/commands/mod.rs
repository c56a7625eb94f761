//! The commands: each reads its source, calls the library, and prints.

mod cleanup;
mod connections;
mod diff;
mod explain;
mod kernel;
mod linted;
mod map;
mod monitor;
mod plug;
mod preview;
mod reached;
mod recommend;
mod recorded;
mod render;
mod run;
mod sources;
mod status;
mod verify;
mod wait;

use std::io::Write;

use anyhow::Context;
use clap_complete::env::Shells;

use crate::cli::{Cli, Command};
use crate::logging::LogFilter;
use crate::serve;

/// The work is done, and what there is to say is said: only the exit code is left.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
pub struct Exit(pub u8);

/// Does what the command line says. Results go to stdout.
///
/// # Errors
/// What went wrong, where, and what to do: the process then exits with 1; with 2 where it is a [`clap::Error`],
/// and with its own code where it is an [`Exit`].
pub fn dispatch(cli: Cli, log_filter: LogFilter) -> anyhow::Result<()> {
    match cli.command {
        Command::Run(args) => run::run(&args, log_filter),
        Command::Render(args) => render::render(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Map(args) => map::map(&args),
        Command::Preview(args) => preview::preview(&args),
        Command::Recommend(args) => recommend::recommend(&args),
        Command::Status(args) => status::status(&args),
        Command::Monitor(args) => monitor::monitor(&args),
        Command::Connections(args) => connections::connections(&args),
        Command::LogLevel(args) => Ok(serve::set_log_filter(&args.agent.status_socket, &args.filter)?),
        Command::Cleanup(args) => cleanup::cleanup(&args),
        Command::Wait => wait::wait(),
        Command::Completions { shell } => {
            let (mut script, name, shells) = (Vec::new(), "palisade", Shells::builtins());
            let completer = shells.completer(&shell.to_string()).context("completions for this shell are not known")?;
            completer.write_registration("COMPLETE", name, name, name, &mut script)?;
            Ok(std::io::stdout().write_all(&script)?)
        }
    }
}

//! The commands: each reads its source, calls the library, and prints.

mod cleanup;
mod diff;
mod explain;
mod kernel;
mod render;
mod run;
mod status;

use clap::CommandFactory;

use crate::cli::{Cli, Command};

/// Does what the command line says. Results go to stdout.
///
/// # Errors
/// What went wrong, where, and what to do: the process then exits with 1; with 2 where it is a [`clap::Error`].
pub fn dispatch(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Render(args) => render::render(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Status(args) => status::status(&args),
        Command::Cleanup => cleanup::cleanup(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "palisade", &mut std::io::stdout());
            Ok(())
        }
    }
}

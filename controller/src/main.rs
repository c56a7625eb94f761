//! The `palisade` program; also `kubectl-palisade`, a plugin of kubectl's.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use palisade::cli::Cli;
use palisade::commands::Exit;
use palisade::{commands, logging};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_filter = match logging::init(&cli.log) {
        Ok(log_filter) => log_filter,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match commands::dispatch(cli, log_filter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match (error.downcast_ref(), error.downcast_ref::<clap::Error>()) {
            (Some(Exit(code)), _) => ExitCode::from(*code),
            (None, Some(usage)) => usage.exit(),
            (None, None) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

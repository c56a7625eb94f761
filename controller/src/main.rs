//! The `palisade` program; also `kubectl-palisade`, a plugin of kubectl's, and `kubectl_complete-palisade`, which completes it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use palisade::cli::Cli;
use palisade::commands::Exit;
use palisade::completion::of_kubectl;
use palisade::{commands, logging};

fn main() -> ExitCode {
    if let Some(answer) = of_kubectl(std::env::args_os()) {
        print!("{answer}");
        return ExitCode::SUCCESS;
    }
    CompleteEnv::with_factory(Cli::command).complete();
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

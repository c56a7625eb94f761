//! The `palisade-cni` program: a CNI plugin.
#![forbid(unsafe_code)]

use std::io::{stdin, stdout};
use std::process::ExitCode;

use palisade_cni::{Environment, run};

fn main() -> ExitCode {
    match run(&Environment::current(), stdin().lock(), stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: nothing can be printed: {error}", palisade_cni::PLUGIN);
            ExitCode::FAILURE
        }
    }
}

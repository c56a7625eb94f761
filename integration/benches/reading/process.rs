//! A process, and what it used.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use palisade_integration::agent::binary;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// The argument that has this program measure another.
pub(crate) const MEASURED: &str = "measured";
/// The one that has it read manifests, and nothing else.
pub(crate) const READING: &str = "reading";

/// What a process used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// Seconds on a processor, but for those in the kernel.
    pub(crate) user: f64,
    /// Memory at its most, in MiB.
    pub(crate) peak: f64,
}

/// Runs palisade. What it finds wrong is no failure here.
pub(crate) fn palisade(arguments: &[&dyn AsRef<OsStr>]) -> Outcome<Usage> {
    usage(&binary()?, arguments)
}

/// Reads the manifests of a directory.
pub(crate) fn reading(manifests: &Path) -> Outcome<Usage> {
    usage(&std::env::current_exe()?, &[&READING, &manifests])
}

/// Reads the directory that the argument names, as commands do.
pub(crate) fn read() -> ExitCode {
    let directory = std::env::args_os().nth(2).unwrap_or_default();
    match palisade::manifests::read(directory.as_ref(), palisade_model::testing::NODE) {
        Ok(manifests) => {
            // As where they are used: what is freed at the end is not reading.
            std::mem::forget(manifests);
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}

fn usage(program: &Path, arguments: &[&dyn AsRef<OsStr>]) -> Outcome<Usage> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(MEASURED).arg(program).args(arguments.iter().map(|argument| argument.as_ref()));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs the program that the arguments name, and prints what it used: the greatest of all children, of which there is one.
pub(crate) fn measured() -> ExitCode {
    match measure() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<String> {
    let arguments: Vec<_> = std::env::args_os().skip(2).collect();
    let (program, arguments) = arguments.split_first().ok_or("no program")?;
    let start = Instant::now();
    let output = Command::new(program).args(arguments).stdout(Stdio::null()).output()?;
    let wall = start.elapsed().as_secs_f64();
    // 1 is what a check says that finds something.
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let user = usage.user_time().num_microseconds() as f64 / 1e6;
    Ok(serde_json::to_string(&Usage { wall, user, peak: usage.max_rss() as f64 / 1024.0 })?)
}

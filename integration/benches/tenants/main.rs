//! What tenants can do to another: how long a victim's edit takes to be in force on a node while others write what is as
//! bad as can be, again and again, beside a node where nobody does. Each case runs in a process of its own, with the agent's
//! own loop and a real kernel; changes come from memory instead of the API.
//!
//! ```text
//! cargo bench -p palisade-integration --bench tenants                       # all of it, with 5,000 and 100,000 pods
//! cargo bench -p palisade-integration --bench tenants -- one nested 5000    # one case, as JSON
//! ```

mod cluster;
mod hostile;
mod report;
mod victim;

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};

use hostile::Case;
use palisade_integration::netns::Namespace;
use report::Measured;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many pods the clusters have.
const SIZES: [u32; 2] = [5_000, 100_000];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench tenants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => all(),
        ["one", case, pods] => {
            let case = Case::ALL.into_iter().find(|known| known.name() == case).ok_or("no such case")?;
            let measured = Namespace::new()?.enter(|| victim::measure(case, pods.parse()?))??;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        _ => Err("expected nothing, or `one CASE PODS`".into()),
    }
}

fn all() -> Outcome {
    report::header();
    for pods in SIZES {
        for case in Case::ALL {
            report::line(&in_own_process(case, pods)?);
        }
    }
    Ok(())
}

/// Peak memory is a process'.
fn in_own_process(case: Case, pods: u32) -> Outcome<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["one", case.name(), &pods.to_string()]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{}, {pods} pods: {}", case.name(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

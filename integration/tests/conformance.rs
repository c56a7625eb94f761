//! Plays every conformance case with real packets, on one node and on two: `one-node::NAME` and `two-nodes::NAME`.
//!
//! `cargo test -p palisade-integration --test conformance -- two-nodes::e2e-20` plays one.
//! `PALISADE_CASES` names another directory of cases, `PALISADE_BIN` another binary.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_integration::agent::binary;
use palisade_integration::cases::{Case, built_in, play};

/// Cases mostly wait for packets that must not come, so more of them run at once than there are processors.
const CASES_AT_ONCE_PER_PROCESSOR: usize = 3;

const PLACEMENTS: [(&str, usize); 2] = [("one-node", 1), ("two-nodes", 2)];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(processors * CASES_AT_ONCE_PER_PROCESSOR);
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, Box<dyn std::error::Error>> {
    let program = binary()?;
    let cases: Vec<_> = built_in()?.into_iter().map(Arc::new).collect();
    let placed = PLACEMENTS.iter().flat_map(|placement| cases.iter().map(move |case| (placement, case)));
    Ok(placed.map(|((label, nodes), case)| trial(label, *nodes, Arc::clone(case), program.clone())).collect())
}

fn trial(placement: &str, nodes: usize, case: Arc<Case>, program: PathBuf) -> Trial {
    let name = format!("{placement}::{}", case.name);
    Trial::test(name, move || play(&case, nodes, &program).map_err(|error| Failed::from(error.to_string())))
}

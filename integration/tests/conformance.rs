//! Plays every conformance case with real packets, in each topology: `one-node::NAME` and `two-nodes::NAME` (routed veth
//! pairs), and `bridges-over-vxlan::NAME` (two nodes, as flannel lays them out); those of Kubernetes' own tests also with
//! all pods on one bridge: `one-bridge::e2e-NAME`.
//!
//! `cargo test -p palisade-integration --test conformance -- two-nodes::e2e-20` plays one.
//! `PALISADE_CASES` names another directory of cases, `PALISADE_BIN` another binary.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_integration::agent::binary;
use palisade_integration::cases::{Case, built_in, play};
use palisade_integration::netns::Topology;

/// Cases mostly wait for packets that must not come, so more of them run at once than there are processors.
const CASES_AT_ONCE_PER_PROCESSOR: usize = 3;

/// Their labels, and the start of the names of the cases that are played there.
const TOPOLOGIES: [(&str, Topology, &str); 4] = [
    ("one-node", Topology::routed(1), ""),
    ("two-nodes", Topology::routed(2), ""),
    ("one-bridge", Topology::routed(1).on_bridges(), "e2e-"),
    ("bridges-over-vxlan", Topology::routed(2).on_bridges().over_vxlan(), ""),
];

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
    let trials = TOPOLOGIES.iter().flat_map(|(label, topology, names)| {
        let played = cases.iter().filter(move |case| case.name.starts_with(names));
        played.map(|case| trial(label, *topology, Arc::clone(case), program.clone()))
    });
    Ok(trials.collect())
}

fn trial(label: &str, topology: Topology, case: Arc<Case>, program: PathBuf) -> Trial {
    let name = format!("{label}::{}", case.name);
    Trial::test(name, move || play(&case, topology, &program).map_err(|error| Failed::from(error.to_string())))
}

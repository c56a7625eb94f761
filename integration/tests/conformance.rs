//! Plays every conformance case with real packets, in each topology: `one-node::NAME` and `two-nodes::NAME` (routed veth
//! pairs), and `bridges-over-vxlan::NAME` (two nodes, as flannel lays them out; of ClusterNetworkPolicy, upstream's cases);
//! those of Kubernetes' own tests also with all pods on one bridge: `one-bridge::e2e-NAME`. Cases of ClusterNetworkPolicy, in
//! which packets have more ways, are played without Palisade too, where everything must get through:
//! `open-two-nodes::cnp-NAME`.
//!
//! `cargo test -p palisade-integration --test conformance -- two-nodes::e2e-20` plays one.
//! `PALISADE_CASES` names another directory of cases, `PALISADE_BIN` another binary.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_integration::agent::binary;
use palisade_integration::cases::{Case, PlayError, built_in, play, play_open};
use palisade_integration::netns::Topology;

/// Cases mostly wait for packets that must not come, so more of them run at once than there are processors.
const CASES_AT_ONCE_PER_PROCESSOR: usize = 3;

/// Its label, and which cases are played there, by name.
type Played<'a> = (&'a str, Topology, fn(&str) -> bool);

const TOPOLOGIES: [Played<'_>; 4] = [
    ("one-node", Topology::routed(1), |_| true),
    ("two-nodes", Topology::routed(2), |_| true),
    ("one-bridge", Topology::routed(1).on_bridges(), |case| case.starts_with("e2e-")),
    ("bridges-over-vxlan", Topology::routed(2).on_bridges().over_vxlan(), |case| !case.starts_with("cnp-hand-")),
];

/// Those of the control, in the same form.
const OPEN: [Played<'_>; 1] = [("open-two-nodes", Topology::routed(2), |case| case.starts_with("cnp-"))];

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
    let enforced = played(&TOPOLOGIES, &cases).map(|(label, topology, case)| {
        let program = program.clone();
        trial(label, case, move |case| play(case, topology, &program))
    });
    let open =
        played(&OPEN, &cases).map(|(label, topology, case)| trial(label, case, move |case| play_open(case, topology)));
    Ok(enforced.chain(open).collect())
}

/// Which cases are played where.
fn played<'a>(
    topologies: &'a [Played<'a>],
    cases: &'a [Arc<Case>],
) -> impl Iterator<Item = (&'a str, Topology, Arc<Case>)> {
    topologies.iter().flat_map(|(label, topology, is_played)| {
        let chosen = cases.iter().filter(move |case| is_played(&case.name));
        chosen.map(|case| (*label, *topology, Arc::clone(case)))
    })
}

fn trial(label: &str, case: Arc<Case>, play: impl FnOnce(&Case) -> Result<(), PlayError> + Send + 'static) -> Trial {
    let name = format!("{label}::{}", case.name);
    Trial::test(name, move || play(&case).map_err(|error| Failed::from(error.to_string())))
}

//! Palisade against a real kube-apiserver, with real packets.
//!
//! - `cases::PLACEMENT::NAME`: conformance cases, written through the API.
//! - `cluster_policies::NAME`: ClusterNetworkPolicies, which an API server may not know.
//! - `faults::NAME`: the API breaks while packets flow.
//! - `lists::NAME`: how the agent lists, by what the API server can do.
//! - `nodes::NAME`: what the agent makes of its node's name.
//! - `pods::NAME`: pods as clusters have them.
//! - `rights::NAME`: what the agent's ServiceAccount may do, and what it does.
//! - `services::NAME`: what commands make of Services.
//!
//! `integration/setup-api.sh` provides etcd and kube-apiserver; `PALISADE_BIN` names another binary than the one that
//! was built beside these tests.

mod cases;
mod cluster_policies;
mod drops;
mod faults;
mod lists;
mod nodes;
mod pods;
mod rights;
mod scene;
mod services;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use palisade_integration::agent::binary;
use palisade_integration::apiserver::Pool;

/// What all tests share.
pub(crate) struct Context {
    pub(crate) pool: Pool,
    /// API servers that do as earlier versions did: they stream no lists, and take CIDRs in odd notations.
    pub(crate) older: Pool,
    pub(crate) program: PathBuf,
}

/// How a test ends.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(processors);
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, Box<dyn Error>> {
    let older = Pool::with_arguments(&["--feature-gates=WatchList=false,StrictIPCIDRValidation=false"]);
    let context = Arc::new(Context { pool: Pool::default(), older, program: binary()? });
    let named = [
        ("cluster_policies", cluster_policies::TESTS),
        ("drops", drops::TESTS),
        ("faults", faults::TESTS),
        ("lists", lists::TESTS),
        ("nodes", nodes::TESTS),
        ("pods", pods::TESTS),
        ("rights", rights::TESTS),
        ("services", services::TESTS),
    ];
    let named = named.into_iter().flat_map(|(group, tests)| tests.iter().map(move |test| (group, test)));
    let mut trials: Vec<_> =
        named.map(|(group, (name, test))| trial(&context, format!("{group}::{name}"), test)).collect();
    for case in cases::selected()? {
        for (placement, nodes) in cases::PLACEMENTS {
            let case = Arc::clone(&case);
            let name = format!("cases::{placement}::{}", case.name);
            trials.push(trial(&context, name, move |context| cases::play(context, &case, nodes)));
        }
    }
    Ok(trials)
}

fn trial(context: &Arc<Context>, name: String, test: impl FnOnce(&Context) -> Outcome + Send + 'static) -> Trial {
    let context = Arc::clone(context);
    Trial::test(name, move || test(&context).map_err(|error| Failed::from(error.to_string())))
}

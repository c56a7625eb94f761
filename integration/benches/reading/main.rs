//! What it takes to read manifests, and what the commands make of them: `verify`, `map`, `preview` and `run`, each as a process
//! of its own. Where it is about reading alone that process is this program, which does nothing else.
//!
//! ```text
//! cargo build --release -p palisade
//! cargo bench -p palisade-integration --bench reading
//! ```

mod files;
mod process;

use std::error::Error;
use std::process::ExitCode;

use palisade_integration::netns::Namespace;
use palisade_model::testing::workload::Size;
use process::{Usage, palisade, reading};
use tempfile::TempDir;

use files::{Form, Layout};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How a dump of pods as `kubectl get` prints them is measured, and one of small pods.
const DUMPS: [(&str, Form, Layout, u32); 5] = [
    ("JSON, indented, 9 kB a pod", Form::Whole, Layout::Pretty, 5_000),
    ("JSON, 3 kB a pod", Form::Whole, Layout::Compact, 5_000),
    ("YAML, 4 kB a pod", Form::Whole, Layout::Yaml, 5_000),
    ("JSON, small pods", Form::Small, Layout::Compact, 150_000),
    ("YAML, small pods", Form::Small, Layout::Yaml, 30_000),
];

const MIDDLE: Size = Size { pods: 5_000, namespaces: 100, policies: 1_000, local_pods: 110 };

fn main() -> ExitCode {
    // What children used is known of all together, so that each is the child of a process of its own.
    match std::env::args().nth(1).as_deref() {
        Some(process::MEASURED) => return process::measured(),
        Some(process::READING) => return process::read(),
        _ => {}
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench reading: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    println!("| what | MB | wall, s | user, s | peak, MiB | MB/s of user time |\n|---|---|---|---|---|---|");
    for (name, form, layout, pods) in DUMPS {
        let directory = TempDir::new()?;
        let bytes = files::dump(directory.path(), form, layout, pods)?;
        row(name, bytes, &reading(directory.path())?);
    }
    for (name, size) in [("5,000 pods, 1,000 policies", MIDDLE), ("150,000 pods, 10,000 policies", Size::FULL)] {
        let directory = TempDir::new()?;
        let (manifests, asked) = (directory.path().join("manifests"), directory.path().join("any.yaml"));
        let bytes = files::cluster(&manifests, size)?;
        std::fs::write(&asked, ANY)?;
        let change = directory.path().join("change.yaml");
        std::fs::write(&change, CHANGE)?;
        row(&format!("{name}: reading"), bytes, &reading(&manifests)?);
        row("`verify`, any to any, twice", bytes, &palisade(&[&"verify", &asked, &"--manifests", &manifests])?);
        row("`map -o json`", bytes, &palisade(&[&"map", &"--manifests", &manifests, &"-o", &"json"])?);
        row("`preview`", bytes, &palisade(&[&"preview", &"--manifests", &manifests, &change])?);
        let run = || -> Result<Usage, String> {
            let node = palisade_model::testing::NODE;
            palisade(&[&"run", &"--once", &"--node-name", &node, &"--manifests", &manifests])
                .map_err(|error| error.to_string())
        };
        row("`run --once`", bytes, &Namespace::new()?.enter(run)??);
    }
    Ok(())
}

const ANY: &str = "cases:
- {from: {any: true}, to: {any: true}, port: 8443, expect: denied}
- {from: {any: true}, to: {any: true}, port: 8080, expect: allowed}
";

const CHANGE: &str =
    "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: more, namespace: namespace-7},
spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: team-3}}}], ports: [{port: 9999}]}]}}
";

fn row(what: &str, bytes: u64, Usage { wall, user, peak }: &Usage) {
    let megabytes = bytes as f64 / 1e6;
    println!("| {what} | {megabytes:.0} | {wall:.2} | {user:.2} | {peak:.0} | {:.0} |", megabytes / user);
}

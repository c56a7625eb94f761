//! What clusters of 1,000 to 150,000 pods cost: the first commit, memory, each kind of event, storms of events. Each
//! cluster is measured in a process of its own, from the objects to the acknowledgement of a real kernel, beside `nft -f`
//! doing the same.
//!
//! ```text
//! cargo bench -p palisade-integration --bench scale                          # all of it
//! cargo bench -p palisade-integration --bench scale -- --plot cost.svg       # and a plot of cost over size
//! cargo bench -p palisade-integration --bench scale -- one named-ports 5000  # one cluster, as JSON
//! ```

mod cluster;
mod plot;
mod report;
mod storm;
mod timed;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use palisade_model::testing::workload::{Shape, Size};
use report::Measured;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Clusters of one shape, to see how cost grows.
const SIZES: [u32; 6] = [1_000, 3_000, 10_000, 30_000, 75_000, Size::FULL.pods];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => all().map(drop),
        ["--plot", file] => plot::draw(&PathBuf::from(file), &all()?),
        ["one", shape, pods] => {
            let measured = cluster::measure(parse(shape)?, pods.parse()?)?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        _ => Err("expected nothing, `--plot FILE` or `one SHAPE PODS`".into()),
    }
}

/// Everything; returns what was measured over size.
fn all() -> Outcome<Vec<Measured>> {
    let sizes = SIZES.iter().map(|pods| in_own_process(Shape::ManyNamespaces, *pods)).collect::<Outcome<Vec<_>>>()?;
    report::events(&sizes);
    let others = Shape::ALL.into_iter().filter(|shape| *shape != Shape::ManyNamespaces);
    let others = others.map(|shape| in_own_process(shape, Size::FULL.pods)).collect::<Outcome<Vec<_>>>()?;
    report::events(&others);
    let every: Vec<_> = sizes.iter().chain(&others).collect();
    report::starts(&every);
    report::storms(&every);
    Ok(sizes)
}

/// Peak memory is a process'.
fn in_own_process(shape: Shape, pods: u32) -> Outcome<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["one", &name(shape), &pods.to_string()]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{shape}, {pods} pods: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn name(shape: Shape) -> String {
    shape.to_string().replace(' ', "-")
}

fn parse(text: &str) -> Outcome<Shape> {
    let names = Shape::ALL.map(name).join(", ");
    let shape = Shape::ALL.into_iter().find(|shape| name(*shape) == text);
    shape.ok_or_else(|| format!("no shape {text}: there are {names}").into())
}

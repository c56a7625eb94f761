//! `palisade run`: the agent. A source sends what it sees; this thread alone applies and commits it.

use std::sync::mpsc::{self, Sender};

use anyhow::Context;
use palisade_nft::Ownership;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::kernel;
use crate::agent;
use crate::cli::RunArgs;
use crate::enforcer::Enforcer;
use crate::input::Input;
use crate::manifests;

pub(super) fn run(args: &RunArgs) -> anyhow::Result<()> {
    let (directory, node) = (&args.source.manifests, &args.source.node_name);
    let manifests = manifests::read(directory, node)?;
    // Who exits at once has nothing to guard.
    let ownership = if args.once { Ownership::Plain } else { Ownership::Take };
    let mut enforcer = Enforcer::new(node, kernel::table(), kernel::open(ownership)?);
    if args.once {
        manifests.into_changes().for_each(|change| enforcer.apply(change));
        let result = enforcer.commit();
        agent::log(&result);
        return Ok(drop(result?));
    }
    let (inputs, receiver) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    stop_on_signal(&runtime, &inputs)?;
    let _watch = manifests::follow(directory.clone(), node.clone(), manifests, inputs)?;
    agent::run(&mut enforcer, &receiver);
    tracing::info!("stopped; what was enforced stays in force until `palisade cleanup`");
    Ok(())
}

fn stop_on_signal(runtime: &Runtime, inputs: &Sender<Input>) -> anyhow::Result<()> {
    let _entered = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let inputs = inputs.clone();
        runtime.spawn(async move {
            signals.recv().await;
            // An agent that no longer listens has stopped already.
            let _ = inputs.send(Input::Stop);
        });
    }
    Ok(())
}

//! The CNI plugin: heard, and installed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use palisade_cni::{OnFailure, PLUGIN};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;

use crate::cli::{CniArgs, CniOnFailure};
use crate::cni::install::{self, Entry, Installer};
use crate::cni::{self, Desk, Store};
use crate::input::Input;
use crate::serve::State;

/// Answers the plugin and installs it, as far as `args` say so. Gives what it told an agent of before. Where that cannot be
/// remembered it is not answered: enforcing matters more. `runtime` is the agent's own: on a busy node each thread that has to
/// be woken may wait for a processor, and a pod for it.
pub(super) fn serve(
    runtime: &Runtime,
    args: &CniArgs,
    inputs: &UnboundedSender<Input>,
    state: &Arc<State>,
) -> anyhow::Result<Desk> {
    let Some(socket) = args.cni_socket.clone() else { return Ok(Desk::default()) };
    let desk = match Store::open(&args.cni_sandboxes).and_then(Desk::open) {
        Ok(desk) => desk,
        Err(error) => {
            tracing::error!(%error, "what the network plugin tells cannot be remembered: it is not answered");
            return Ok(Desk::default());
        }
    };
    match installer(args, socket.clone()) {
        Ok(Some(installer)) => install::follow(installer, state.clone()).context("cannot start a thread")?,
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the network plugin is not installed: not known where it is"),
    }
    let inputs = inputs.clone();
    runtime.spawn(async move { cni::serve(&socket, inputs).await });
    Ok(desk)
}

fn installer(args: &CniArgs, socket: PathBuf) -> io::Result<Option<Installer>> {
    let Some((configurations, programs)) = args.cni_conf_dir.clone().zip(args.cni_bin_dir.clone()) else {
        return Ok(None);
    };
    let program = match &args.cni_program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name(PLUGIN),
    };
    let on_failure = match args.cni_on_failure {
        CniOnFailure::Refuse => OnFailure::Refuse,
        CniOnFailure::Allow => OnFailure::Allow,
    };
    let (sandboxes, wait) = (args.cni_sandboxes.clone(), f64::from(args.cni_wait));
    Ok(Some(Installer { configurations, programs, program, entry: Entry { socket, sandboxes, wait, on_failure } }))
}

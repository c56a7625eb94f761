//! `palisade cleanup`: the tables go, and the marks that they gave a meaning to.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};
use palisade_nft::{Backend, Kernel, KernelConntrack, Operation, Ownership, Table, Transaction};

use super::kernel;
use crate::cli::CleanupArgs;
use crate::cni::install;
use crate::{epochs, render};

/// How often in a row an agent has not to answer to be taken for gone, and the pause in between.
const SILENT: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked within a pause whether a table is back.
const LOOKS: u32 = 4;

pub(super) fn cleanup(args: &CleanupArgs) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    args.after_agent.iter().for_each(|socket| wait_for_end(socket));
    // First, since without an agent no pod can start.
    if let Some((configurations, programs)) = args.cni_conf_dir.as_deref().zip(args.cni_bin_dir.as_deref()) {
        for line in install::remove(configurations, programs)? {
            writeln!(out, "{line}")?;
        }
    }
    if args.cni_only {
        return Ok(());
    }
    forget_sandboxes(&args.cni_sandboxes)?;
    let mut removed = Vec::new();
    for table in [kernel::table().into(), render::table_of_frames()] {
        if remove(&table)? {
            removed.push(format!("table {table}"));
        }
    }
    unmark()?;
    let message = match &*removed {
        [] => format!("nothing to do: there is no table inet {}", kernel::table()),
        removed => format!("removed {}: from now on nothing is enforced on this node", removed.join(" and ")),
    };
    Ok(writeln!(out, "{message}")?)
}

/// One that begins again meanwhile, because it is being replaced, is waited for as well.
fn wait_for_end(socket: &Path) {
    let mut silent = 0;
    while silent < SILENT {
        silent = if UnixStream::connect(socket).is_ok() { 0 } else { silent + 1 };
        sleep(PAUSE);
    }
}

fn forget_sandboxes(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says whether it was there.
fn remove(table: &Table) -> anyhow::Result<bool> {
    let mut kernel = Kernel::open(table.clone(), Ownership::Plain)?;
    if kernel.read()?.is_none() {
        return Ok(false);
    }
    let delete = Transaction { operations: vec![Operation::DeleteTable] };
    kernel.commit(table, &delete).with_context(|| format!("cannot remove table {table}"))?;
    // Where tables can be owned, that of an agent cannot be removed in the first place.
    for _ in 0..LOOKS {
        sleep(PAUSE / LOOKS);
        let is_gone = kernel.read()?.is_none();
        ensure!(
            is_gone,
            "cannot remove table {table}: it was made again at once, by an agent that runs: stop it first"
        );
    }
    Ok(true)
}

/// The marks mean nothing any more. The next agent clears what it finds, but nobody else does.
fn unmark() -> anyhow::Result<()> {
    let swept = KernelConntrack::open()
        .map_err(anyhow::Error::from)
        .and_then(|mut connections| Ok(epochs::sweep(&mut connections, None)?));
    swept.map(drop).context("cannot clear the marks of connections; they mean nothing any more")
}

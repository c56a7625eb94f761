//! `palisade monitor`: what is dropped, and why, on this node or on those of a cluster.
//!
//! Each agent that is heard is a feed ([`local`], [`cluster`]), which tells messages; one view shows what all of them say.
//!
//! Invariants:
//! - A feed that goes away is said to, and does not end the others.
//! - Whoever reads what is printed and leaves ends it, without an error.

mod ask;
mod cluster;
mod feed;
mod filter;
mod local;
mod plan;
mod printer;
mod reorder;
mod top;
mod view;

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use anyhow::bail;
use tokio::sync::mpsc;

use self::feed::Teller;
use self::plan::Plan;
use self::printer::Printer;
use self::view::View;
use super::sources;
use crate::cli::{MonitorArgs, Output, Whom};
use crate::serve::ClientError;

pub(super) use self::ask::{Asked, Heard, ask};
pub(super) use self::top::aligned;

/// How the program is called as kubectl's plugin.
const PLUGIN: &str = "kubectl-palisade";
/// How many messages may wait to be shown: more wait in the sockets that they come from.
const WAITING: usize = 256;

pub(super) fn monitor(args: &MonitorArgs) -> anyhow::Result<()> {
    let runtime = sources::runtime()?;
    let monitored = if asks_cluster(args.cluster.whom()) {
        runtime.block_on(cluster::monitor(args))
    } else {
        runtime.block_on(monitor_here(args))
    };
    runtime.shutdown_background();
    match monitored {
        Err(error) if is_of_reader(&error) => Ok(()),
        monitored => monitored,
    }
}

async fn monitor_here(args: &MonitorArgs) -> anyhow::Result<()> {
    let plan = Plan::of(args);
    let (events, receiver) = mpsc::channel(WAITING);
    tokio::spawn(local::tell(args.agent.status_socket.clone(), plan.clone(), Teller::new(0, events)));
    let view = View::of_one(plan, Printer::new(args.output, None, args.alive));
    let Err(error) = view.show(receiver).await else { return Ok(()) };
    match error.downcast_ref() {
        // It names its source itself.
        Some(ClientError::NoAgent { .. }) if args.output == Output::Text => {
            bail!("{error} The agents of the cluster are asked with --all-nodes, or as kubectl palisade monitor")
        }
        Some(ClientError::NoAgent { .. }) => bail!("{error}"),
        _ => Err(error),
    }
}

/// Whether the agents of the cluster are asked, rather than the one of this node.
pub(super) fn asks_cluster(whom: Whom<'_>) -> bool {
    let is_plugin =
        std::env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new(PLUGIN)));
    is_plugin || whom.agents.all_nodes || whom.kubeconfig.is_some() || whom.context.is_some()
}

/// Whether it is that nobody reads what is printed.
fn is_of_reader(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

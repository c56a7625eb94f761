//! Where the commands' objects come from.

use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use kube::Client;
use palisade_model::{Change, NamespacedName, Service};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cli::{NodeArgs, PodRangeArg, SourceArgs};
use crate::input::Input;
use crate::manifests::{self, Besides};
use crate::render::PodRange;
use crate::source::{self, Health};

/// How long a command that wants all objects once waits for the API.
const PATIENCE: Duration = Duration::from_secs(60);

/// All objects as they are now, in an order in which they can be applied. `node` is empty where it does not matter.
///
/// # Errors
/// Where they are not to be had; where the API has no such Node. In manifests, that no pod is there is only a warning.
pub(super) fn snapshot(args: &SourceArgs, node: &str) -> anyhow::Result<Vec<Change>> {
    match &args.manifests {
        Some(directory) => {
            let manifests = manifests::read(directory, node)?;
            if !node.is_empty() {
                manifests.hints(node).iter().for_each(|hint| manifests::log_hint(hint));
            }
            Ok(manifests.into_changes().collect())
        }
        None => of_cluster(args, node),
    }
}

/// The same, and what helps to check policies: of a cluster only where it is asked for.
///
/// # Errors
/// Where they are not to be had.
pub(super) fn snapshot_with_besides(args: &SourceArgs, asked: bool) -> anyhow::Result<(Vec<Change>, Besides)> {
    let (changes, besides) = snapshot_and_besides(args)?;
    Ok(match besides {
        Some(besides) => (changes, besides.sound(true)?),
        None if asked => (changes, besides_of_cluster(args)?),
        None => (changes, Besides::default()),
    })
}

/// All objects, and what else manifests hold; `None` of a cluster.
///
/// # Errors
/// Where they are not to be had.
pub(super) fn snapshot_and_besides(args: &SourceArgs) -> anyhow::Result<(Vec<Change>, Option<Besides>)> {
    let Some(directory) = &args.manifests else { return Ok((of_cluster(args, "")?, None)) };
    let mut manifests = manifests::read(directory, "")?;
    let besides = mem::take(&mut manifests.besides);
    Ok((manifests.into_changes().collect(), Some(besides)))
}

/// The Services of a cluster.
///
/// # Errors
/// Where they are not to be had.
pub(super) fn services(args: &SourceArgs) -> anyhow::Result<BTreeMap<NamespacedName, Service>> {
    let runtime = runtime()?;
    let client = runtime.block_on(client(args))?;
    let asked = runtime.block_on(async { timeout(PATIENCE, source::services(&client)).await });
    asked.context("the API server does not answer")?.context("cannot list Services")
}

fn besides_of_cluster(args: &SourceArgs) -> anyhow::Result<Besides> {
    let runtime = runtime()?;
    let client = runtime.block_on(client(args))?;
    let asked = runtime.block_on(async { timeout(PATIENCE, source::besides(client)).await });
    asked.context("the API server does not answer")?.context("cannot list Services and NetworkPolicies")
}

/// The pod range that is guarded, if one is.
///
/// # Errors
/// Where it is not to be had. That the Node has none is only a warning.
pub(super) fn pod_range(args: &NodeArgs) -> anyhow::Result<PodRange> {
    let networks = match (&args.guard_pod_range, &args.source.manifests) {
        (None, _) => return Ok(PodRange::default()),
        (Some(PodRangeArg::Given(networks)), _) => networks.clone(),
        (Some(PodRangeArg::OfNode), Some(directory)) => {
            manifests::read(directory, &args.node_name)?.pod_range(&args.node_name)
        }
        (Some(PodRangeArg::OfNode), None) => {
            let runtime = runtime()?;
            let client = runtime.block_on(client(&args.source))?;
            let asked = runtime.block_on(timeout(PATIENCE, source::pod_range(client, &args.node_name)));
            asked.context("the API server does not answer")?.context("cannot read the Node's podCIDRs")?
        }
    };
    if networks.is_empty() {
        tracing::warn!(node = args.node_name, "the pod range is not guarded: the Node has no podCIDRs");
    }
    Ok(PodRange::of(&networks))
}

/// Where sources run: on this thread, while it waits for them.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

pub(super) async fn client(args: &SourceArgs) -> anyhow::Result<Client> {
    Ok(source::client(args.kubeconfig.as_deref().map(Path::new), args.context.as_deref()).await?)
}

fn of_cluster(args: &SourceArgs, node: &str) -> anyhow::Result<Vec<Change>> {
    let runtime = runtime()?;
    let client = runtime.block_on(client(args))?;
    let (inputs, mut receiver) = mpsc::unbounded_channel();
    let health = Health::default();
    // It does not look for the Node: what it would say is not waited for.
    runtime.spawn(source::run(client.clone(), String::new(), inputs, health.clone()));
    let mut objects = Vec::new();
    loop {
        match runtime.block_on(async { timeout(PATIENCE, receiver.recv()).await }) {
            Ok(Some(Input::Changes(changes))) => objects.extend(changes),
            Ok(Some(Input::Synced)) => {
                runtime.block_on(expect_node(client, node, &objects))?;
                return Ok(objects);
            }
            Ok(Some(
                Input::PodRange(_)
                | Input::Links(_)
                | Input::Cni(_)
                | Input::Told(..)
                | Input::Connections(..)
                | Input::KnownHere
                | Input::Disturbed(_)
                | Input::Stop,
            )) => {}
            Ok(None) | Err(_) => {
                bail!("the API server did not list everything in {} s{}", PATIENCE.as_secs(), failures(&health))
            }
        }
    }
}

/// An error where no pod is on `node` and the API says that there is no such Node. One that does not say so may have its
/// reasons.
async fn expect_node(client: Client, node: &str, objects: &[Change]) -> anyhow::Result<()> {
    let is_here = |change: &Change| matches!(change, Change::Pod(pod) if pod.node.as_deref() == Some(node));
    if node.is_empty() || objects.iter().any(is_here) {
        return Ok(());
    }
    match timeout(PATIENCE, source::node_exists(client, node)).await {
        Ok(Ok(false)) => bail!("the API has no Node {node}, and no pod is on it: see --node-name"),
        Ok(Err(error)) => tracing::debug!(node, %error, "not known whether there is such a Node"),
        Ok(Ok(true)) | Err(_) => {}
    }
    Ok(())
}

fn failures(health: &Health) -> String {
    let watches = health.watches();
    let failures =
        watches.iter().filter_map(|(resource, state)| Some(format!("; {resource}: {}", state.last_error.as_ref()?)));
    failures.collect()
}

//! `palisade preview`: what applying a change would do to who reaches whom.

mod data;
mod text;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use palisade_model::reach::{Changes, Reach};
use palisade_model::reference::Cluster;
use palisade_model::{Change, NamespacedName};

use self::data::Preview;
use super::sources;
use crate::cli::{FailOn, Output, PreviewArgs};
use crate::manifests::{self, Manifests};
use crate::progress::Progress;

pub(super) fn preview(args: &PreviewArgs) -> anyhow::Result<()> {
    let (deleted, applied) = (read(&args.delete)?, read(&args.changes)?);
    let progress = Progress::start("reading the objects");
    let mut before = Cluster::default();
    sources::snapshot(&args.source, "")?.into_iter().for_each(|change| before.apply(change));
    let mut after = before.clone();
    let missing = delete(&mut after, &deleted);
    applied.into_iter().flat_map(Manifests::into_changes).for_each(|change| after.apply(change));
    progress.next("asking who reaches whom");
    let (old, new) = Reach::pair(&before, &after);
    let preview = Preview::new((&before, &old), (&after, &new), &Changes::new(&old, &new), missing);
    drop(progress);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&preview)?)?,
        Output::Text => write!(out, "{}", text::text(&preview))?,
    }
    fail(&args.fail_on, &preview)
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Manifests>> {
    Ok(paths.iter().map(|path| manifests::read_either(path)).collect::<Result<_, _>>()?)
}

/// Takes the objects away, with all that is in a namespace that goes, and says which were not there.
fn delete(cluster: &mut Cluster, deleted: &[Manifests]) -> Vec<String> {
    let mut missing = Vec::new();
    for manifests in deleted {
        for change in gone(cluster, manifests) {
            if !holds(cluster, &change) {
                missing.extend(name(&change));
            }
            cluster.apply(change);
        }
    }
    missing
}

fn gone(cluster: &Cluster, deleted: &Manifests) -> Vec<Change> {
    let within = |id: &&NamespacedName| deleted.namespaces.contains_key(&id.namespace);
    let pods = cluster.pods.keys().filter(within).chain(deleted.pods.keys().filter(|id| !within(id)));
    let policies = cluster.policies.keys().filter(within).chain(deleted.policies.keys().filter(|id| !within(id)));
    let pods = pods.cloned().map(Change::PodGone);
    let policies = policies.cloned().map(Change::PolicyGone);
    let of_cluster = deleted.cluster_policies.keys().cloned().map(Change::ClusterPolicyGone);
    let namespaces = deleted.namespaces.keys().cloned().map(Change::NamespaceGone);
    let nodes = deleted.nodes.keys().cloned().map(Change::NodeGone);
    pods.chain(policies).chain(of_cluster).chain(namespaces).chain(nodes).collect()
}

fn holds(cluster: &Cluster, change: &Change) -> bool {
    match change {
        Change::PodGone(id) => cluster.pods.contains_key(id),
        Change::PolicyGone(id) => cluster.policies.contains_key(id),
        Change::ClusterPolicyGone(name) => cluster.cluster_policies.contains_key(name),
        Change::NamespaceGone(name) => cluster.namespaces.contains_key(name),
        Change::NodeGone(name) => cluster.nodes.contains_key(name),
        _ => true,
    }
}

fn name(change: &Change) -> Option<String> {
    Some(match change {
        Change::PodGone(id) => format!("Pod {id}"),
        Change::PolicyGone(id) => format!("NetworkPolicy {id}"),
        Change::ClusterPolicyGone(name) => format!("ClusterNetworkPolicy {name}"),
        Change::NamespaceGone(name) => format!("Namespace {name}"),
        Change::NodeGone(name) => format!("Node {name}"),
        _ => return None,
    })
}

/// What is asked for not to be.
fn fail(fail_on: &[FailOn], preview: &Preview) -> anyhow::Result<()> {
    if fail_on.contains(&FailOn::Open) && preview.opens() {
        bail!("the change opens ways (--fail-on open)");
    }
    if fail_on.contains(&FailOn::Deny) && preview.denies() {
        bail!("the change denies ways that are open now (--fail-on deny)");
    }
    Ok(())
}

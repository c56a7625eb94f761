//! `palisade preview`: what applying a change would do to who reaches whom.

mod data;
mod live;
mod text;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use jiff::Timestamp;
use palisade_model::reach::{Changes, Reach};
use palisade_model::reference::Cluster;
use palisade_model::{Change, NamespacedName};

use self::data::Preview;
use self::live::Live;
use super::{linted, recorded, sources};
use crate::cli::{Cli, FailOn, LintMode, Output, PreviewArgs};
use crate::manifests::{self, Besides, Manifests};
use crate::meant::{meant, meant_name};
use crate::progress::Progress;
use crate::verify::Remark;

pub(super) fn preview(args: &PreviewArgs) -> anyhow::Result<()> {
    if args.fail_on.contains(&FailOn::Cut) && !args.flows.live && args.flows.flows.is_none() {
        let message = "--fail-on cut asks what is connected or was recorded: add --live or --flows";
        bail!(Cli::command().error(ErrorKind::MissingRequiredArgument, message));
    }
    let (deleted, applied) = (read(&args.delete)?, read(&args.changes)?);
    let progress = Progress::start("reading the objects");
    let mut before = Cluster::default();
    let (objects, besides) = match args.lint.lint {
        Some(_) => sources::snapshot_with_besides(&args.source, true)?,
        None => (sources::snapshot(&args.source, "")?, Besides::default()),
    };
    objects.into_iter().for_each(|change| before.apply(change));
    let besides_after = besides.clone().with(applied.iter().map(|manifests| &manifests.besides));
    let mut after = before.clone();
    let missing = delete(&mut after, &deleted);
    applied.into_iter().flat_map(Manifests::into_changes).for_each(|change| after.apply(change));
    progress.next("asking who reaches whom");
    let (old, new) = Reach::pair(&before, &after);
    let mut preview = Preview::new((&before, &old), (&after, &new), &Changes::new(&old, &new), missing);
    preview.live = recorded::known(&args.flows, &args.source)?.map(|known| Live::new(&before, &after, known));
    preview.lint = args.lint.lint.map(|_| {
        let known = linted::findings(&before, &besides, &args.lint);
        let found = linted::findings(&after, &besides_after, &args.lint).into_iter();
        found.filter(|finding| !known.contains(finding)).map(Remark::from).collect()
    });
    drop(progress);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&preview)?)?,
        Output::Text => write!(out, "{}", text::text(&preview, Timestamp::now()))?,
    }
    fail(args, &preview)
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
                missing.extend(name(&change).map(|name| name + &near(cluster, &change)));
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

/// What was probably meant.
fn near(cluster: &Cluster, change: &Change) -> String {
    match change {
        Change::PodGone(id) => meant_name(id, cluster.pods.keys()),
        Change::PolicyGone(id) => meant_name(id, cluster.policies.keys()),
        Change::ClusterPolicyGone(name) => meant(name, cluster.cluster_policies.keys().map(ToString::to_string)),
        Change::NamespaceGone(name) => meant(name, cluster.namespaces.keys().map(ToString::to_string)),
        _ => String::new(),
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
fn fail(args: &PreviewArgs, preview: &Preview) -> anyhow::Result<()> {
    let PreviewArgs { fail_on, lint, .. } = args;
    if fail_on.contains(&FailOn::Open) && preview.opens() {
        bail!("the change opens ways (--fail-on open)");
    }
    if fail_on.contains(&FailOn::Deny) && preview.denies() {
        bail!("the change denies ways that are open now (--fail-on deny)");
    }
    if let Some(live) = preview.live.as_ref().filter(|_| fail_on.contains(&FailOn::Cut)) {
        if live.cuts() {
            bail!("the change cuts what is connected, or refuses what was recorded (--fail-on cut)");
        }
        if !live.gaps.not_heard.is_empty() {
            bail!("not all nodes were heard: what the change cuts there is not known (--fail-on cut)");
        }
    }
    if lint.lint == Some(LintMode::Deny) && preview.lint.iter().flatten().next().is_some() {
        bail!("the change brings what is surely not meant (--lint=deny)");
    }
    Ok(())
}

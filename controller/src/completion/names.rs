//! Names of what there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::config::Kubeconfig;
use palisade_model::{Labels, NamespacedName, workload};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::line::Line;
use crate::manifests::{self, Manifests};
use crate::objects::{self, Metadata};
use crate::source;

/// How long anybody who pressed a key waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where names come from: the manifests or the cluster that the line names.
pub(super) struct Names {
    line: Line,
    from: From,
}

enum From {
    Manifests(Box<Manifests>),
    Cluster(Runtime, Client),
    Nowhere,
}

/// The contexts of the kubeconfig.
pub(super) fn contexts(line: &Line) -> Vec<String> {
    let read = line.path("--kubeconfig").map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    read.map(|read| read.contexts.into_iter().map(|context| context.name).collect()).unwrap_or_default()
}

impl Names {
    pub(super) fn of_line() -> Self {
        let line = Line::of_process();
        let from = match line.path("--manifests") {
            Some(directory) => of_manifests(&directory),
            None => of_cluster(line.path("--kubeconfig").as_deref(), line.option(&["--context"])),
        };
        Self { line, from: from.unwrap_or(From::Nowhere) }
    }

    /// The one that the line names.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.line.option(&["-n", "--namespace"])
    }

    pub(super) fn namespaces(&self) -> Vec<String> {
        match &self.from {
            From::Manifests(manifests) => {
                let of_objects = manifests.pods.keys().chain(manifests.policies.keys()).map(|id| &id.namespace);
                let all: BTreeSet<_> = manifests.namespaces.keys().chain(of_objects).collect();
                all.into_iter().map(ToString::to_string).collect()
            }
            _ => self.listed("/api/v1/namespaces").into_iter().map(|(name, _)| name).collect(),
        }
    }

    pub(super) fn pods(&self, namespace: &str) -> Vec<String> {
        self.labelled_pods(namespace).into_iter().map(|(name, _)| name).collect()
    }

    pub(super) fn workloads(&self, namespace: &str) -> Vec<String> {
        let pods = self.labelled_pods(namespace);
        pods.iter().map(|(name, labels)| workload(name, labels).to_owned()).collect()
    }

    pub(super) fn services(&self, namespace: &str) -> Vec<String> {
        match &self.from {
            From::Manifests(manifests) => {
                let services = manifests.besides.services.keys();
                services.filter(|id| *id.namespace == *namespace).map(|id| id.name.to_string()).collect()
            }
            _ => {
                let services = self.listed(&format!("/api/v1/namespaces/{namespace}/services"));
                services.into_iter().map(|(name, _)| name).collect()
            }
        }
    }

    fn labelled_pods(&self, namespace: &str) -> Vec<(String, Labels)> {
        match &self.from {
            From::Manifests(manifests) => {
                let first = NamespacedName::new(namespace, "");
                let pods = manifests.pods.range(first..).take_while(|(id, _)| *id.namespace == *namespace);
                pods.map(|(id, pod)| (id.name.to_string(), pod.labels.clone())).collect()
            }
            _ => self.listed(&format!("/api/v1/namespaces/{namespace}/pods")),
        }
    }

    /// What the API lists.
    fn listed(&self, path: &str) -> Vec<(String, Labels)> {
        let From::Cluster(runtime, client) = &self.from else { return Vec::new() };
        let asked = runtime.block_on(async { timeout(PATIENCE, source::names(client, path)).await });
        let listed = asked.ok().and_then(Result::ok).unwrap_or_default().into_iter();
        let named = listed.filter_map(|Metadata { name, labels, .. }| Some((name?, labels)));
        named.map(|(name, labels)| (name, labels.iter().flat_map(objects::Labels::iter).collect())).collect()
    }
}

fn of_manifests(directory: &Path) -> Option<From> {
    manifests::read(directory, "").ok().map(|manifests| From::Manifests(Box::new(manifests)))
}

fn of_cluster(kubeconfig: Option<&Path>, context: Option<&str>) -> Option<From> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let connecting = source::client(kubeconfig, context);
    let client = runtime.block_on(async { timeout(PATIENCE, connecting).await }).ok()?.ok()?;
    Some(From::Cluster(runtime, client))
}

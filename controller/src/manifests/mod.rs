//! A directory of Kubernetes objects as the source of truth: read, compared, watched.
//!
//! Reading is strict: whatever is not understood is an error with file, document, line, object and field, all errors
//! together, and then nothing of the directory counts. But for rules of cluster policies: one that is not understood denies
//! everything in its place, and is hinted at. Namespaces, pods, nodes, network policies and cluster network policies are
//! taken; objects of other kinds are skipped and counted.
//!
//! Invariants:
//! - Parsing is a function of texts ([`parse`]); only `files` and [`Watch`] touch the file system.
//! - No text makes it panic (`tests/manifests.rs`).

mod besides;
mod checked;
mod document;
mod error;
mod events;
mod files;
mod found;
mod hints;
mod item;
mod json;
mod kind;
mod known;
mod lanes;
mod lean;
mod node;
mod part;
mod plain;
mod reader;
mod schema;
mod source;
mod spanned;
mod strict;
mod strings;
mod watch;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use palisade_model::{Change, ClusterPolicy, Namespace, NamespacedName, Node, Pod, Policy};

pub use besides::Besides;
pub use error::{Place, ReadError, ReadErrors};
pub use hints::Hints;
pub(crate) use hints::log as log_hint;
pub use known::Known;
pub(crate) use schema::{Schema, nearest};
pub use source::follow;
pub(crate) use strict::{Document, strict};
pub use watch::{Seen, Watch};

use crate::convert::Problem;
use reader::Reader;

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// The namespaces, by name.
    pub namespaces: BTreeMap<Arc<str>, Namespace>,
    /// The pods, by namespace and name.
    pub pods: BTreeMap<NamespacedName, Pod>,
    /// The policies, by namespace and name.
    pub policies: BTreeMap<NamespacedName, Policy>,
    /// The cluster policies, by name.
    pub cluster_policies: BTreeMap<Arc<str>, ClusterPolicy>,
    /// What is not understood of rules of theirs, which is why those are closed, by name.
    pub closed_rules: BTreeMap<Arc<str>, Vec<Problem>>,
    /// The policies of which it is not understood whether they are to be enforced, which they are then.
    pub enforced_all_the_same: BTreeMap<String, Problem>,
    /// The nodes, by name.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// The networks that nodes have for their pods, by the nodes' names.
    pub pod_ranges: BTreeMap<Arc<str>, Vec<IpNet>>,
    /// How many objects of other kinds there were, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// What is enforced by nobody, and helps to check policies.
    pub besides: Besides,
}

/// Reads every `*.yaml`, `*.yml` and `*.json` below `dir`, hidden files aside. A pod without `spec.nodeName` is taken
/// to run on `node`; an object without `metadata.namespace` is in `default`.
///
/// # Errors
/// [`ReadErrors`]: all that is wrong in any of the files; or that `dir` is missing, cannot be read, or holds no object.
pub fn read(dir: &Path, node: &str) -> Result<Manifests, ReadErrors> {
    let (reader, unreadable) = files::load(dir, || Reader::new(node), Reader::file)?;
    merge(reader.finish(dir), unreadable)
}

/// Reads one file, or all of a directory as [`read`] does: objects that are about to be applied.
///
/// # Errors
/// Those of [`read`].
pub fn read_either(path: &Path) -> Result<Manifests, ReadErrors> {
    if path.is_dir() {
        return read(path, "");
    }
    let mut reader = Reader::new("");
    reader.file(path, &files::load_file(path)?);
    reader.finish(path)
}

/// Parses the texts of the files of `dir`, each with the path that errors name.
///
/// # Errors
/// [`ReadErrors`]: all that is wrong in any of the texts, or that there is no object in them.
pub fn parse(dir: &Path, texts: &[(PathBuf, String)], node: &str) -> Result<Manifests, ReadErrors> {
    let mut reader = Reader::new(node);
    for (file, text) in texts {
        reader.file(file, text);
    }
    reader.finish(dir)
}

impl Manifests {
    /// The networks that a node has for its pods; none where there is no such Node.
    pub fn pod_range(&self, node: &str) -> Vec<IpNet> {
        self.pod_ranges.get(node).cloned().unwrap_or_default()
    }

    /// All that policy is about, as events from an empty state.
    pub fn into_changes(self) -> impl Iterator<Item = Change> {
        let namespaces = self.namespaces.into_values().map(Change::Namespace);
        let pods = self.pods.into_values().map(Change::Pod);
        let nodes = self.nodes.into_values().map(Change::Node);
        let policies = self.policies.into_values().map(Change::Policy);
        let cluster_policies = self.cluster_policies.into_values().map(Change::ClusterPolicy);
        namespaces.chain(nodes).chain(pods).chain(policies).chain(cluster_policies)
    }
}

fn merge(parsed: Result<Manifests, ReadErrors>, unreadable: Vec<ReadError>) -> Result<Manifests, ReadErrors> {
    match parsed {
        Ok(manifests) if unreadable.is_empty() => Ok(manifests),
        Ok(_) => Err(ReadErrors(unreadable)),
        Err(ReadErrors(errors)) => Err(ReadErrors(unreadable.into_iter().chain(errors).collect())),
    }
}

#[cfg(test)]
mod tests;

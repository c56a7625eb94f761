//! From documents to the model, collecting what is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use palisade_model::NamespacedName;
use palisade_model::lint::Remarks;

use super::Manifests;
use super::document::documents;
use super::error::{Place, ReadError, ReadErrors};
use super::item::{Item, problem};
use super::kind::{Class, Kind};
use super::node::Value;
use super::schema::{CLUSTER_NETWORK_POLICY, NAMESPACE, NETWORK_POLICY, NODE, POD};
use crate::convert::{self, Problem};
use crate::objects::{ClusterNetworkPolicy, Namespace, NetworkPolicy, Node, Pod};

/// Takes in file after file.
pub(super) struct Reader<'a> {
    node: &'a str,
    manifests: Manifests,
    /// Where each object was defined.
    places: BTreeMap<(Kind, NamespacedName), Place>,
    objects: usize,
    errors: Vec<ReadError>,
}

impl<'a> Reader<'a> {
    /// A reader that takes pods without a node to be on `node`.
    pub(super) fn new(node: &'a str) -> Self {
        Self { node, manifests: Manifests::default(), places: BTreeMap::new(), objects: 0, errors: Vec::new() }
    }

    /// Takes in all documents of a file.
    pub(super) fn file(&mut self, file: &Path, text: &str) {
        if text.trim().is_empty() {
            self.errors.push(ReadError::file(file, "is empty, perhaps still being written: fill or remove it"));
        }
        for (i, document) in documents(text).into_iter().enumerate() {
            let document_number = i + 1;
            match document {
                Ok(node) => self.item(Item { file, document: document_number, node: &node, within: None }),
                Err(error) => {
                    let place = Place { file: file.into(), document: Some(document_number), line: error.line };
                    let message = format!("is not valid YAML: {}", error.message);
                    self.errors.push(ReadError { place, object: None, field: None, message });
                }
            }
        }
    }

    /// What was read, if nothing was wrong.
    pub(super) fn finish(mut self, dir: &Path) -> Result<Manifests, ReadErrors> {
        if self.objects == 0 && self.errors.is_empty() {
            let message = "holds no object: put the cluster's namespaces, pods and network policies there";
            self.errors.push(ReadError::file(dir, message));
        }
        if self.errors.is_empty() { Ok(self.manifests) } else { Err(ReadErrors(self.errors)) }
    }

    fn item(&mut self, item: Item<'_>) {
        match item.class() {
            Err(problem) => self.refuse(item, None, problem),
            Ok((Class::Skip, kind)) => {
                self.objects += 1;
                *self.manifests.skipped.entry(kind.to_owned()).or_default() += 1;
                self.manifests.besides.take(item, kind);
            }
            Ok((Class::List, _)) => self.list(item, None),
            Ok((Class::ListOf(kind), _)) => self.list(item, Some(kind)),
            Ok((Class::Read(kind), _)) => {
                self.objects += 1;
                self.object(item, kind);
            }
        }
    }

    fn list(&mut self, list: Item<'_>, within: Option<Kind>) {
        match list.node.get("items").map(|entry| &entry.node.value) {
            Some(Value::List(items)) => {
                self.objects += 1;
                items.iter().for_each(|node| self.item(Item { node, within, ..list }));
            }
            Some(_) => self.refuse(list, None, problem("items", "must be a list ([] for an empty one)")),
            None => self.refuse(list, None, problem("items", "is missing: a list has items ([] for none)")),
        }
    }

    fn object(&mut self, item: Item<'_>, kind: Kind) {
        let id = match item.id(kind) {
            Ok(id) => id,
            Err(problem) => return self.refuse(item, Some(kind.to_string()), problem),
        };
        let title = if kind.is_of_the_cluster() { format!("{kind} {}", id.name) } else { format!("{kind} {id}") };
        if let Some(first) = self.places.get(&(kind, id.clone())) {
            let message = format!("is defined twice, first at {first}: remove one of them");
            let error = ReadError { object: Some(title), ..item.error(problem("", &message)) };
            return self.errors.push(error);
        }
        self.places.insert((kind, id.clone()), item.place(item.node.line));
        let problems = match kind {
            Kind::Namespace => self.namespace(item, id),
            Kind::Pod => self.pod(item, id),
            Kind::NetworkPolicy => self.policy(item, id),
            Kind::ClusterNetworkPolicy => self.cluster_policy(item, id),
            Kind::Node => self.node(item, id),
        };
        // A policy of which it is not understood whether it is to be enforced is.
        let (of_enforcement, problems): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_of_enforcement);
        self.manifests.enforced_all_the_same.extend(of_enforcement.into_iter().map(|problem| (title.clone(), problem)));
        problems.into_iter().for_each(|problem| self.refuse(item, Some(title.clone()), problem));
    }

    fn namespace(&mut self, item: Item<'_>, id: NamespacedName) -> Vec<Problem> {
        match item.read::<Namespace>(Kind::Namespace, &NAMESPACE) {
            Ok(object) => {
                self.manifests.namespaces.insert(id.name, convert::namespace(&object));
                vec![]
            }
            Err(problems) => problems,
        }
    }

    fn pod(&mut self, item: Item<'_>, id: NamespacedName) -> Vec<Problem> {
        match item.read::<Pod>(Kind::Pod, &POD) {
            Ok(object) => {
                let (mut pod, problems) = convert::pod(&object);
                pod.id = id.clone();
                pod.node.get_or_insert_with(|| self.node.into());
                self.manifests.pods.insert(id, pod);
                problems
            }
            Err(problems) => problems,
        }
    }

    fn policy(&mut self, item: Item<'_>, id: NamespacedName) -> Vec<Problem> {
        if item.node.get("spec").is_none_or(|spec| spec.node.is_null()) {
            return vec![problem(
                "spec",
                "is missing or empty: a NetworkPolicy needs one, with at least a podSelector",
            )];
        }
        match item.read::<NetworkPolicy>(Kind::NetworkPolicy, &NETWORK_POLICY) {
            Ok(mut object) => {
                object.metadata.namespace = Some(id.namespace.to_string());
                let (policy, problems) = convert::policy(&object);
                let remarks = convert::remarks(&object);
                if remarks != Remarks::default() {
                    self.manifests.besides.remarks.insert(id.clone(), remarks);
                }
                self.manifests.policies.insert(id, policy);
                problems
            }
            Err(problems) => problems,
        }
    }

    /// One of which it is known which pods it judges, and when, is taken: what is not understood of its rules closes those.
    fn cluster_policy(&mut self, item: Item<'_>, id: NamespacedName) -> Vec<Problem> {
        match item.read::<ClusterNetworkPolicy>(Kind::ClusterNetworkPolicy, &CLUSTER_NETWORK_POLICY) {
            Ok(object) => {
                let (policy, problems) = convert::cluster_policy(&object);
                let Some(policy) = policy else { return problems };
                let remarks = convert::cluster_remarks(&object);
                if remarks != Remarks::default() {
                    self.manifests.besides.remarks.insert(NamespacedName::new("", id.name.clone()), remarks);
                }
                let (problems, of_rules): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_of_enforcement);
                if !of_rules.is_empty() {
                    self.manifests.closed_rules.insert(id.name.clone(), of_rules);
                }
                self.manifests.cluster_policies.insert(id.name, policy);
                problems
            }
            Err(problems) => problems,
        }
    }

    fn node(&mut self, item: Item<'_>, id: NamespacedName) -> Vec<Problem> {
        match item.read::<Node>(Kind::Node, &NODE) {
            Ok(object) => {
                let (range, problems) = convert::pod_range(&object);
                self.manifests.pod_ranges.insert(id.name.clone(), range);
                self.manifests.nodes.insert(id.name, convert::node(&object));
                problems
            }
            Err(problems) => problems,
        }
    }

    fn refuse(&mut self, item: Item<'_>, object: Option<String>, problem: Problem) {
        self.errors.push(ReadError { object, ..item.error(problem) });
    }
}

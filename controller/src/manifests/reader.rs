//! From files to the model, collecting what is wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use palisade_model::lint::Remarks;
use palisade_model::{NamespacedName, Pod};

use super::Manifests;
use super::error::{Place, ReadError, ReadErrors};
use super::found::{Contents, Found, Keeper, Object};
use super::kind::Kind;
use super::lanes::contents;
use super::strings::Strings;

/// Takes in file after file.
pub(super) struct Reader<'a> {
    keeper: Keeper<'a>,
    merged: Merged,
}

/// What files hold together.
#[derive(Debug, Default)]
pub(super) struct Merged {
    manifests: Manifests,
    /// To be ordered in the end: that is much quicker for many at once.
    pods: Vec<Pod>,
    /// Where each object was defined.
    places: HashMap<(Kind, NamespacedName), Spot>,
    files: Vec<Arc<Path>>,
    objects: usize,
    errors: Vec<ReadError>,
}

/// A place in one of the files.
#[derive(Clone, Copy, Debug)]
struct Spot {
    file: usize,
    document: usize,
    line: Option<u64>,
}

impl<'a> Reader<'a> {
    /// A reader that takes pods without a node to be on `node`.
    pub(super) fn new(node: &'a str) -> Self {
        Self { keeper: Keeper { node, strings: Strings::default() }, merged: Merged::default() }
    }

    /// Takes in all documents of a file.
    pub(super) fn file(&mut self, file: &Path, text: &str) {
        self.merged.add(file, contents(file, text, &mut self.keeper));
    }

    /// What was read, if nothing was wrong.
    pub(super) fn finish(self, dir: &Path) -> Result<Manifests, ReadErrors> {
        self.merged.finish(dir)
    }
}

impl Merged {
    pub(super) fn add(&mut self, file: &Path, contents: Contents) {
        let Contents { found, skipped, errors, errors_besides } = contents;
        self.files.push(file.into());
        self.objects += found.len();
        self.errors.extend(errors);
        self.manifests.besides.errors.extend(errors_besides);
        for kind in skipped {
            *self.manifests.skipped.entry(kind.to_string()).or_default() += 1;
        }
        found.into_iter().for_each(|found| self.found(found));
    }

    pub(super) fn finish(mut self, dir: &Path) -> Result<Manifests, ReadErrors> {
        if self.objects == 0 && self.errors.is_empty() {
            let message = "holds no object: put the cluster's namespaces, pods and network policies there";
            self.errors.push(ReadError::file(dir, message));
        }
        self.manifests.pods = self.pods.into_iter().map(|pod| (pod.id.clone(), pod)).collect();
        if self.errors.is_empty() { Ok(self.manifests) } else { Err(ReadErrors(self.errors)) }
    }

    fn found(&mut self, Found { document, line, object }: Found) {
        let spot = Spot { file: self.files.len() - 1, document, line };
        if let Some(key) = object.key() {
            match self.places.entry(key) {
                Entry::Vacant(place) => drop(place.insert(spot)),
                Entry::Occupied(first) => {
                    let (first, object) = (*first.get(), Some(first.key().0.title(&first.key().1)));
                    let message = format!("is defined twice, first at {}: remove one of them", self.place(first));
                    self.errors.push(ReadError { place: self.place(spot), object, field: None, message });
                    return;
                }
            }
        }
        self.insert(object);
    }

    fn insert(&mut self, object: Object) {
        let manifests = &mut self.manifests;
        match object {
            Object::Namespace(namespace) => drop(manifests.namespaces.insert(namespace.name.clone(), namespace)),
            Object::Pod(pod) => self.pods.push(pod),
            Object::Policy { policy, remarks, enforced } => {
                let title = || Kind::NetworkPolicy.title(&policy.id);
                manifests.enforced_all_the_same.extend(enforced.map(|problem| (title(), problem)));
                if remarks != Remarks::default() {
                    manifests.besides.remarks.insert(policy.id.clone(), remarks);
                }
                manifests.policies.insert(policy.id.clone(), policy);
            }
            Object::ClusterPolicy { policy, remarks, closed, enforced } => {
                let title = || format!("{} {}", Kind::ClusterNetworkPolicy, policy.name);
                manifests.enforced_all_the_same.extend(enforced.map(|problem| (title(), problem)));
                if remarks != Remarks::default() {
                    manifests.besides.remarks.insert(NamespacedName::new("", policy.name.clone()), remarks);
                }
                if !closed.is_empty() {
                    manifests.closed_rules.insert(policy.name.clone(), closed);
                }
                manifests.cluster_policies.insert(policy.name.clone(), policy);
            }
            Object::Node(node, range) => {
                manifests.pod_ranges.insert(node.name.clone(), range);
                manifests.nodes.insert(node.name.clone(), node);
            }
            Object::Service(service) => drop(manifests.besides.services.insert(service.id.clone(), service)),
            Object::ServiceRanges(ranges) => manifests.besides.service_ranges.extend(ranges),
            Object::Template(pod) => drop(manifests.besides.templates.insert(pod.id.clone(), pod)),
            Object::Nothing => {}
        }
    }

    fn place(&self, Spot { file, document, line }: Spot) -> Place {
        Place { file: self.files[file].to_path_buf(), document: Some(document), line }
    }
}

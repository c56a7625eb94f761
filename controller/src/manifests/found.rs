//! From one object of a file to what is kept of it.

use std::sync::Arc;

use ipnet::IpNet;
use palisade_model as model;
use palisade_model::NamespacedName;
use palisade_model::lint::Remarks;

use super::error::ReadError;
use super::item::{Item, problem};
use super::kind::Kind;
use super::schema::{SERVICE, SERVICE_CIDR, Schema, WORKLOAD};
use super::strings::Strings;
use crate::convert::{self, Problem, Texts as _};
use crate::objects::{self, Text};

/// An object, and where it is.
#[derive(Debug)]
pub(super) struct Found {
    /// From 1.
    pub(super) document: usize,
    pub(super) line: Option<u64>,
    pub(super) object: Object,
}

/// What is kept of an object.
#[derive(Debug)]
pub(super) enum Object {
    Namespace(model::Namespace),
    Pod(model::Pod),
    Policy {
        policy: model::Policy,
        remarks: Remarks,
        /// Why it is enforced, although it is not understood whether it should be.
        enforced: Option<Problem>,
    },
    ClusterPolicy {
        policy: model::ClusterPolicy,
        remarks: Remarks,
        /// What is not understood of its rules.
        closed: Vec<Problem>,
        enforced: Option<Problem>,
    },
    Node(model::Node, Vec<IpNet>),
    Service(model::Service),
    /// Ranges of Services' addresses.
    ServiceRanges(Vec<IpNet>),
    /// A pod as a workload would make it.
    Template(model::Pod),
    /// A list, or of a kind that nobody reads.
    Nothing,
}

/// What is found in a file, in its order.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) found: Vec<Found>,
    /// The kinds of the objects that are skipped, which may be kept all the same.
    pub(super) skipped: Vec<Arc<str>>,
    pub(super) errors: Vec<ReadError>,
    /// What is wrong with objects that are not enforced.
    pub(super) errors_besides: Vec<ReadError>,
}

/// Turns objects into what is kept of them. `node` is that of pods without one.
pub(super) struct Keeper<'a> {
    pub(super) node: &'a str,
    /// A cluster has many pods, and few labels.
    pub(super) strings: Strings,
}

impl Object {
    /// Which object it is; `None` where it may be there twice.
    pub(super) fn key(&self) -> Option<(Kind, NamespacedName)> {
        let of_cluster = |name: &Arc<str>| NamespacedName::new("", name.clone());
        Some(match self {
            Self::Namespace(namespace) => (Kind::Namespace, of_cluster(&namespace.name)),
            Self::Pod(pod) => (Kind::Pod, pod.id.clone()),
            Self::Policy { policy, .. } => (Kind::NetworkPolicy, policy.id.clone()),
            Self::ClusterPolicy { policy, .. } => (Kind::ClusterNetworkPolicy, of_cluster(&policy.name)),
            Self::Node(node, _) => (Kind::Node, of_cluster(&node.name)),
            Self::Service(_) | Self::ServiceRanges(_) | Self::Template(_) | Self::Nothing => return None,
        })
    }
}

impl Keeper<'_> {
    /// An object of a kind that is enforced.
    pub(super) fn object(&mut self, item: Item<'_>, kind: Kind, id: NamespacedName) -> Result<Object, Vec<Problem>> {
        match kind {
            Kind::Namespace => {
                let read = item.read_as::<objects::Namespace>(kind)?;
                Ok(Object::Namespace(model::Namespace { name: id.name, ..convert::namespace(&read) }))
            }
            Kind::Pod => self.pod(&item.read_as::<objects::Pod>(kind)?, &id.namespace),
            Kind::NetworkPolicy => policy(item, &id),
            Kind::ClusterNetworkPolicy => cluster_policy(item),
            Kind::Node => {
                let read = item.read_as::<objects::Node>(kind)?;
                let (range, problems) = convert::pod_range(&read);
                unless(problems, Object::Node(model::Node { name: id.name, ..convert::node(&read) }, range))
            }
        }
    }

    /// One of another kind.
    pub(super) fn besides(&mut self, item: Item<'_>, kind: &str) -> Result<Object, Vec<Problem>> {
        let Some(schema) = of_besides(item.node.text(&["apiVersion"]), kind) else { return Ok(Object::Nothing) };
        let id = item.id(Kind::Pod).map_err(|problem| vec![problem])?;
        if kind == "Service" {
            let (service, problems) = convert::service(&item.read::<objects::Service>(kind, schema)?);
            return unless(problems, Object::Service(model::Service { id, ..service }));
        }
        if kind == "ServiceCIDR" {
            let (ranges, problems) = convert::service_ranges(&item.read(kind, schema)?);
            return unless(problems, Object::ServiceRanges(ranges));
        }
        // One that another one made (a ReplicaSet of a Deployment) is not told apart: its pods are the same.
        match convert::template(&item.read::<objects::Workload>(kind, schema)?, &mut self.strings) {
            Some((pod, problems)) => unless(problems, Object::Template(model::Pod { id, ..pod })),
            None => Ok(Object::Nothing),
        }
    }

    /// A pod of this namespace.
    pub(super) fn pod<S: Text>(&mut self, pod: &objects::Pod<S>, namespace: &str) -> Result<Object, Vec<Problem>> {
        let (pod, problems) = convert::pod(pod, &mut self.strings);
        let pod = model::Pod {
            id: NamespacedName { namespace: self.strings.text(namespace), ..pod.id },
            // No kubelet knows it by what a file says.
            uid: None,
            node: Some(pod.node.unwrap_or_else(|| self.strings.text(self.node))),
            ..pod
        };
        unless(problems, Object::Pod(pod))
    }
}

fn policy(item: Item<'_>, id: &NamespacedName) -> Result<Object, Vec<Problem>> {
    if item.node.get("spec").is_none_or(|spec| spec.node.is_null()) {
        let message = "is missing or empty: a NetworkPolicy needs one, with at least a podSelector";
        return Err(vec![problem("spec", message)]);
    }
    let mut read = item.read_as::<objects::NetworkPolicy>(Kind::NetworkPolicy)?;
    read.metadata.namespace = Some(id.namespace.to_string());
    let (policy, problems) = convert::policy(&read);
    let (enforced, problems) = of_enforcement(problems);
    unless(problems, Object::Policy { policy, remarks: convert::remarks(&read), enforced })
}

/// One of which it is known which pods it judges, and when, is taken: what is not understood of its rules closes those.
fn cluster_policy(item: Item<'_>) -> Result<Object, Vec<Problem>> {
    let read = item.read_as::<objects::ClusterNetworkPolicy>(Kind::ClusterNetworkPolicy)?;
    let (policy, problems) = convert::cluster_policy(&read);
    let (enforced, problems) = of_enforcement(problems);
    match policy {
        Some(policy) => {
            let remarks = convert::cluster_remarks(&read);
            Ok(Object::ClusterPolicy { policy, remarks, closed: problems, enforced })
        }
        None => Err(problems),
    }
}

/// What is read of an object that is not enforced; `None` for those of which nothing is.
pub(super) fn of_besides(api_version: Option<&str>, kind: &str) -> Option<&'static Schema> {
    match (api_version?, kind) {
        ("v1", "Service") => Some(&SERVICE),
        ("networking.k8s.io/v1", "ServiceCIDR") => Some(&SERVICE_CIDR),
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => Some(&WORKLOAD),
        ("batch/v1", "Job" | "CronJob") => Some(&WORKLOAD),
        _ => None,
    }
}

/// A policy of which it is not understood whether it is to be enforced is.
fn of_enforcement(problems: Vec<Problem>) -> (Option<Problem>, Vec<Problem>) {
    let (of_enforcement, others): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_of_enforcement);
    (of_enforcement.into_iter().next(), others)
}

fn unless(problems: Vec<Problem>, object: Object) -> Result<Object, Vec<Problem>> {
    if problems.is_empty() { Ok(object) } else { Err(problems) }
}

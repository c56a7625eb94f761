//! From Kubernetes objects to the model.
//!
//! What cannot be understood is reported as a [`Problem`] and left out, so that the result never allows more than the
//! object says: a rule whose peers are all left out allows nobody, a policy whose podSelector is left out isolates
//! every pod of its namespace. A strict caller refuses an object that has problems; a lenient one enforces the rest.

mod address;
mod cluster_policy;
mod enforcement;
mod node;
mod pod;
mod policy;
mod port;
mod selector;
mod service;
mod texts;
mod workload;

use std::fmt;

use palisade_model as model;
use palisade_model::NAME_LABEL;

pub(crate) use address::{address, net};
pub use cluster_policy::cluster_policy;
pub use node::{node, pod_range};
pub use pod::pod;
pub use policy::{cluster_remarks, policy, remarks};
pub(crate) use port::protocol;
pub use service::{service, service_ranges};
pub use texts::{Fresh, Texts};
pub use workload::template;

use crate::objects::{Labels, Metadata, Namespace, Text};

/// A part of an object that could not be understood, and so was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where: a path like `spec.ingress[0].from[1].ipBlock.cidr`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

/// `field: message`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The problems of one object, in the order in which they were met.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// `field`: where it is written, which becomes a text only where something is wrong with it.
    fn add(&mut self, field: impl fmt::Display, message: impl fmt::Display) {
        self.0.push(Problem { field: field.to_string(), message: message.to_string() });
    }

    /// The value, or `None` and a problem at `field`.
    fn keep<T, E: fmt::Display>(&mut self, field: impl fmt::Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }
}

/// The namespace, with the label `kubernetes.io/metadata.name` that the API server sets on each.
pub fn namespace(namespace: &Namespace) -> model::Namespace {
    let name: &str = namespace.metadata.name.as_deref().unwrap_or_default();
    model::Namespace { name: name.into(), labels: labels(&namespace.metadata).chain([(NAME_LABEL, name)]).collect() }
}

/// Where one of several values is written, or the only one: `status.podIPs[0].ip`, `status.podIP`.
struct OneOf<'a> {
    field: &'a str,
    index: Option<usize>,
    /// Within an entry of the list.
    member: &'a str,
}

impl fmt::Display for OneOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}s[{index}]{}", self.field, self.member),
            None => f.write_str(self.field),
        }
    }
}

/// What is written in the list that is named as `field` with an `s` (as `member` of its entries), or in `field` where there is
/// nothing; each with its place.
fn one_or_several<'a>(
    field: &'a str,
    member: &'a str,
    several: impl Iterator<Item = &'a str>,
    one: Option<&'a str>,
) -> impl Iterator<Item = (OneOf<'a>, &'a str)> {
    let mut several = several.enumerate().peekable();
    let one = if several.peek().is_none() { one } else { None };
    let several = several.map(move |(index, text)| (OneOf { field, index: Some(index), member }, text));
    several.chain(one.map(move |text| (OneOf { field, index: None, member }, text)))
}

fn labels<S: Text>(metadata: &Metadata<S>) -> impl Iterator<Item = (&str, &str)> + Clone {
    metadata.labels.iter().flat_map(Labels::iter)
}

fn id(metadata: &Metadata) -> model::NamespacedName {
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    model::NamespacedName::new(namespace.unwrap_or_default(), name.unwrap_or_default())
}

#[cfg(test)]
mod tests;

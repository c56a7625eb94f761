//! One object of a file: what it is, and what is wrong with it.

use std::path::Path;

use palisade_model::NamespacedName;
use serde::de::DeserializeOwned;

use super::checked::Checked;
use super::error::{Place, ReadError};
use super::kind::{Class, Kind};
use super::node::{Node, Value};
use super::schema::Schema;
use crate::convert::Problem;

/// One object in a file, or a list of them.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) file: &'a Path,
    /// From 1.
    pub(super) document: usize,
    pub(super) node: &'a Node<'a>,
    /// The kind of the list that it is in.
    pub(super) within: Option<Kind>,
}

impl Item<'_> {
    pub(super) fn class(&self) -> Result<(Class, &str), Problem> {
        if !matches!(self.node.value, Value::Map(_)) {
            let message =
                format!("is no Kubernetes object but {}: it needs apiVersion, kind and metadata", self.node.value);
            return Err(problem("", &message));
        }
        let inherited = |field: &str, value: Option<&'static str>| match self.node.get(field) {
            Some(_) => self.node.text(&[field]),
            None => value,
        };
        let kind = inherited("kind", self.within.map(Kind::name));
        let kind = kind.ok_or_else(|| problem("kind", "is missing: write the object's kind, like NetworkPolicy"))?;
        let version = inherited("apiVersion", self.within.map(Kind::api_version));
        let version = version.ok_or_else(|| {
            problem("apiVersion", "is missing: write the version of the object's kind, like networking.k8s.io/v1")
        })?;
        Class::of(version, kind).map(|class| (class, kind)).map_err(|message| problem("kind", &message))
    }

    /// The namespace and name; the namespace of what is in none is empty.
    pub(super) fn id(&self, kind: Kind) -> Result<NamespacedName, Problem> {
        let name = self.node.text(&["metadata", "name"]);
        let namespace = match self.node.get("metadata").and_then(|metadata| metadata.node.get("namespace")) {
            Some(entry) if !kind.is_of_the_cluster() && !entry.node.is_null() => {
                let not_text = || problem("metadata.namespace", &format!("must be text, but is {}", entry.node.value));
                Some(entry.node.text(&[]).ok_or_else(not_text)?)
            }
            _ => None,
        };
        let (namespace, name) = names(kind, namespace, name)?;
        Ok(NamespacedName::new(namespace, name))
    }

    /// The object in the type of its kind.
    pub(super) fn read_as<T: DeserializeOwned>(&self, kind: Kind) -> Result<T, Vec<Problem>> {
        self.read(kind.name(), kind.schema())
    }

    /// The object in its Kubernetes type, `name`.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str, schema: &Schema) -> Result<T, Vec<Problem>> {
        Checked::new(schema, self.node, name)?.read().map_err(|Problem { field, message }| {
            vec![Problem { field, message: format!("is not of the form that a {name} has: {message}") }]
        })
    }

    pub(super) fn error(&self, problem: Problem) -> ReadError {
        let field = Some(problem.field).filter(|field| !field.is_empty());
        let line = field.as_deref().map_or(self.node.line, |field| self.node.line_of(field));
        ReadError { place: self.place(line), object: None, field, message: problem.message }
    }

    pub(super) fn place(&self, line: Option<u64>) -> Place {
        Place { file: self.file.into(), document: Some(self.document), line }
    }
}

/// The namespace and name of an object that has these.
pub(super) fn names<'a>(
    kind: Kind,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
) -> Result<(&'a str, &'a str), Problem> {
    let name = name.ok_or_else(|| problem("metadata.name", "is missing, or is not text: every object needs a name"))?;
    let namespace = if kind.is_of_the_cluster() { None } else { Some(namespace.unwrap_or("default")) };
    let of_namespace = namespace.map(|namespace| ("metadata.namespace", namespace));
    match [("metadata.name", name)].into_iter().chain(of_namespace).find(|(_, name)| !is_dns_subdomain(name)) {
        Some((field, name)) => Err(problem(field, &format!("{name:?} is not a valid name: use [a-z0-9.-]"))),
        None => Ok((namespace.unwrap_or_default(), name)),
    }
}

pub(super) fn problem(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: message.to_owned() }
}

/// A name that the API server would accept (RFC 1123).
fn is_dns_subdomain(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    name.len() <= 253 && name.split('.').all(label)
}

//! Lists and events as they arrive: an object that cannot be decoded does not spoil those beside it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::core::Status;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::kind::Kind;
use crate::objects::Metadata;

/// An object of a list or a watch.
#[derive(Clone, Debug)]
pub(super) enum Arrived<K> {
    Whole(K),
    /// Not of the kind's form.
    Unreadable {
        /// Empty where even that could not be decoded.
        metadata: Box<Metadata>,
        /// Where it is not, as `metadata.creationTimestamp`.
        field: String,
        error: String,
    },
}

impl<K: Kind> Arrived<K> {
    pub(super) fn metadata(&self) -> &Metadata {
        match self {
            Self::Whole(object) => object.metadata(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}

impl<K: Kind> Arrived<K> {
    /// What cannot be decoded is decoded once more, to find out where.
    fn unreadable(text: &RawValue) -> Self {
        let found = serde_path_to_error::deserialize::<_, K>(&mut serde_json::Deserializer::from_str(text.get()));
        let (field, error) = match found {
            Ok(object) => return Self::Whole(object),
            Err(error) => (error.path().to_string(), error.inner().to_string()),
        };
        let metadata = serde_json::from_str(text.get()).map(|Partial { metadata }| metadata).or_else(|_| {
            // Its name is wanted even where something else of the metadata is bad.
            serde_json::from_str(text.get()).map(|Named { metadata }| metadata.into())
        });
        Self::Unreadable { metadata: Box::new(metadata.unwrap_or_default()), field, error }
    }
}

impl<'de, K: Kind> Deserialize<'de> for Arrived<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(<&RawValue>::deserialize(deserializer)?.into())
    }
}

impl<K: Kind> From<&RawValue> for Arrived<K> {
    fn from(text: &RawValue) -> Self {
        match serde_json::from_str(text.get()) {
            Ok(object) => Self::Whole(object),
            Err(_) => Self::unreadable(text),
        }
    }
}

#[derive(Deserialize)]
struct Partial {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

/// As much of the metadata as says which object it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    resource_version: Option<String>,
}

impl From<Name> for Metadata {
    fn from(name: Name) -> Self {
        let Name { name, namespace, uid, generation, resource_version } = name;
        Self { name, namespace, uid, generation, resource_version, ..Self::default() }
    }
}

/// A line of a watch.
#[derive(Debug)]
pub(super) enum Event<K> {
    /// Added or modified.
    Seen(Arrived<K>),
    Gone(Arrived<K>),
    Bookmark {
        version: Option<String>,
        /// Whether a streamed list ends here.
        list_complete: bool,
    },
    Error(Box<Status>),
}

impl<K: Kind> Event<K> {
    /// # Errors
    /// For what is no event at all; an object of a wrong form is none.
    pub(super) fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let Line { kind, object } = serde_json::from_str(line)?;
        Ok(match kind {
            Type::Added | Type::Modified => Self::Seen(object.into()),
            Type::Deleted => Self::Gone(object.into()),
            Type::Bookmark => {
                let Bookmark { metadata } = serde_json::from_str(object.get())?;
                let list_complete = metadata.annotations.iter().flatten().any(|(key, _)| key == LIST_COMPLETE);
                Self::Bookmark { version: metadata.resource_version, list_complete }
            }
            Type::Error => Self::Error(serde_json::from_str(object.get())?),
        })
    }
}

/// Marks the bookmark with which a streamed list is complete.
const LIST_COMPLETE: &str = "k8s.io/initial-events-end";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: Type,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Type {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ObjectMeta,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound = "K: Kind")]
pub(super) struct Page<K> {
    pub(super) metadata: ListMeta,
    /// `null` for an empty list.
    pub(super) items: Option<Vec<Arrived<K>>>,
}

impl<K> Page<K> {
    /// Asks for the next page.
    pub(super) fn token(&self) -> Option<String> {
        self.metadata.continue_.clone().filter(|token| !token.is_empty())
    }

    /// The version of the whole list.
    pub(super) fn version(&self) -> Option<String> {
        self.metadata.resource_version.clone().filter(|version| !version.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Pod;

    const BAD_STATUS: &str = r#"{"metadata":{"name":"web","resourceVersion":"7"},"status":{"podIPs":"10.0.0.1"}}"#;

    #[test]
    fn an_object_that_cannot_be_decoded_keeps_its_name() {
        let text = format!(r#"{{"metadata":{{}},"items":[{BAD_STATUS},{{"metadata":{{"name":"db"}}}},5]}}"#);
        let page: Page<Pod> = serde_json::from_str(&text).unwrap();
        let [bad, good, nothing] = &page.items.unwrap()[..] else { panic!("three items") };
        assert_eq!(bad.metadata().name.as_deref(), Some("web"));
        assert_eq!(bad.metadata().resource_version.as_deref(), Some("7"));
        assert!(matches!(bad, Arrived::Unreadable { .. }));
        assert!(matches!(good, Arrived::Whole(_)));
        assert_eq!(nothing.metadata().name, None);
    }

    #[test]
    fn so_does_one_with_bad_metadata() {
        for (metadata, expected) in [
            (r#""creationTimestamp":"yesterday""#, "metadata.creationTimestamp"),
            (r#""labels":{"app":5}"#, "metadata.labels.app"),
        ] {
            let text = format!(r#"{{"metadata":{{"namespace":"shop","name":"web",{metadata}}}}}"#);
            let Arrived::<Pod>::Unreadable { metadata, field, .. } = serde_json::from_str(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!((metadata.name.as_deref(), metadata.namespace.as_deref()), (Some("web"), Some("shop")));
            assert_eq!(field, expected);
        }
    }

    #[test]
    fn so_does_one_in_a_watch() {
        for line in [
            format!(r#"{{"type":"MODIFIED","object":{BAD_STATUS}}}"#),
            format!(r#"{{"object":{BAD_STATUS},"type":"MODIFIED"}}"#),
        ] {
            let Event::<Pod>::Seen(object) = Event::parse(&line).unwrap() else { panic!("{line}") };
            assert_eq!(object.metadata().name.as_deref(), Some("web"));
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in [
            "",
            "<html>",
            "{}",
            r#"{"type":"ADDED"}"#,
            r#"{"type":"ADDED","object":{"meta"#,
            r#"{"type":"X","object":{}}"#,
        ] {
            assert!(Event::<Pod>::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_empty_list_is_null() {
        let page: Page<Pod> = serde_json::from_str(r#"{"metadata":{"continue":""},"items":null}"#).unwrap();
        assert!(page.items.is_none());
        assert_eq!((page.token(), page.version()), (None, None));
    }
}

//! Warning Events on policies that are not enforced as they are written.
//!
//! Every node's agent sees the same policy, but an Event's name follows from the policy, its version and what is wrong
//! with it: the first node creates it, the others are told that it exists. Needs only the right to create Events of
//! `events.k8s.io`.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use palisade_model::NamespacedName;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::text::cut;

/// What an Event shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The policy's kind.
    pub kind: &'static str,
    /// Its group and version.
    pub api_version: &'static str,
    /// The policy. A ClusterNetworkPolicy is in no namespace, and its Events are in `default`.
    pub policy: NamespacedName,
    /// Its `metadata.uid`.
    pub uid: String,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// Why, in one word: `NotUnderstood`.
    pub reason: &'static str,
    /// What is done, in one word: `LeaveOut`.
    pub action: &'static str,
    /// What that means, and what to do. What is too long for an Event is cut.
    pub note: String,
    /// Whether every node says something else: then the note does not tell one Event from another.
    pub differs_by_node: bool,
}

/// Takes warnings; never waits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder(mpsc::Sender<Warning>);

/// A recorder, and the task that writes what it takes, which ends when the last recorder is dropped.
pub fn recorder(client: Client, node: String) -> (Recorder, impl Future<Output = ()>) {
    let (sender, warnings) = mpsc::channel(WAITING);
    (Recorder(sender), record(client, node, warnings))
}

impl Recorder {
    /// Has an Event written, sooner or later. One that cannot be is only logged: the log and the metrics have it too.
    pub fn report(&self, warning: Warning) {
        if let Err(error) = self.0.try_send(warning) {
            tracing::debug!(%error, "event not written");
        }
    }
}

/// How many warnings may wait.
const WAITING: usize = 256;
/// Up to this long each node waits, so that not all of a large cluster's write at once.
const SPREAD: Duration = Duration::from_secs(30);
/// Between two Events of one node.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long writing one may take.
const LIMIT: Duration = Duration::from_secs(30);

async fn record(client: Client, node: String, mut warnings: mpsc::Receiver<Warning>) {
    while let Some(first) = warnings.recv().await {
        sleep(SPREAD.mul_f64(fastrand::f64())).await;
        let mut next = Some(first);
        while let Some(warning) = next {
            create(&client, &event(&warning, &node, Timestamp::now())).await;
            sleep(INTERVAL).await;
            next = warnings.try_recv().ok();
        }
    }
}

async fn create(client: &Client, event: &Event) {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let events = Api::<Event>::namespaced(client.clone(), namespace);
    let name = event.metadata.name.as_deref();
    match timeout(LIMIT, events.create(&PostParams::default(), event)).await {
        Ok(Ok(_)) => tracing::debug!(namespace, name, "event written"),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => tracing::debug!(namespace, name, "event exists"),
        Ok(Err(error)) => tracing::debug!(namespace, name, %error, "event not written"),
        Err(_) => tracing::debug!(namespace, name, "event not written in time"),
    }
}

fn event(warning: &Warning, node: &str, now: Timestamp) -> Event {
    let NamespacedName { namespace, name } = &warning.policy;
    let namespace = (!namespace.is_empty()).then(|| namespace.to_string());
    Event {
        metadata: ObjectMeta {
            name: Some(event_name(warning)),
            namespace: Some(namespace.clone().unwrap_or_else(|| CLUSTER_NAMESPACE.to_owned())),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some("Warning".to_owned()),
        reason: Some(warning.reason.to_owned()),
        action: Some(warning.action.to_owned()),
        note: Some(cut(&warning.note, LONGEST_NOTE).to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(warning.api_version.to_owned()),
            kind: Some(warning.kind.to_owned()),
            name: Some(name.to_string()),
            namespace,
            uid: Some(warning.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("palisade".to_owned()),
        reporting_instance: Some(cut(node, LONGEST_INSTANCE).to_owned()),
        ..Event::default()
    }
}

/// Where the API server wants Events on what is in no namespace.
const CLUSTER_NAMESPACE: &str = "default";
/// In bytes, as the API server allows.
const LONGEST_NOTE: usize = 1024;
const LONGEST_INSTANCE: usize = 128;
const LONGEST_NAME: usize = 253;

/// The same on every node, another for another version of the policy or other problems.
fn event_name(warning: &Warning) -> String {
    let mut hash = Sha256::new();
    hash.update(&warning.uid);
    hash.update(warning.generation.to_be_bytes());
    hash.update(if warning.differs_by_node { warning.reason } else { &warning.note });
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let policy = cut(&warning.policy.name, LONGEST_NAME - 1 - hash.len()).trim_end_matches(['.', '-']);
    format!("{policy}.{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(name: &str, generation: i64, message: &str) -> Warning {
        let policy = NamespacedName::new("shop", name);
        let (reason, action) = ("NotUnderstood", "LeaveOut");
        Warning {
            kind: "NetworkPolicy",
            api_version: "networking.k8s.io/v1",
            policy,
            uid: "u".to_owned(),
            generation,
            reason,
            action,
            note: message.to_owned(),
            differs_by_node: false,
        }
    }

    #[test]
    fn a_name_is_the_same_on_every_node() {
        let name = |node: &str, warning: &Warning| event(warning, node, Timestamp::now()).metadata.name.unwrap();
        let one = warning("web", 1, "0 is not a port");
        assert_eq!(name("n1", &one), name("n2", &one));
        assert!(name("n1", &one).starts_with("web."));
        for other in [warning("web", 2, "0 is not a port"), warning("web", 1, "-1 is not a port")] {
            assert_ne!(name("n1", &one), name("n1", &other));
        }
    }

    #[test]
    fn what_every_node_says_in_other_words_is_one_event() {
        let said = |note: &str| event_name(&Warning { differs_by_node: true, ..warning("web", 1, note) });
        assert_eq!(said("9 elements"), said("8 elements"));
        assert_ne!(said("9 elements"), event_name(&warning("web", 1, "9 elements")));
    }

    #[test]
    fn limits_of_the_api_are_kept() {
        let policy = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        let event = event(&warning(&policy, 1, &"ä".repeat(2000)), &"n".repeat(253), Timestamp::now());
        let name = event.metadata.name.unwrap();
        assert_eq!(name.len(), 235 + 1 + 16);
        assert!(!name.contains(".."));
        assert!(event.note.unwrap().len() <= 1024);
        assert_eq!(event.reporting_instance.unwrap().len(), 128);
    }

    #[test]
    fn one_on_what_is_in_no_namespace_is_in_default() {
        let policy = NamespacedName::new("", "admin");
        let warning = Warning {
            kind: "ClusterNetworkPolicy",
            api_version: "policy.networking.k8s.io/v1alpha2",
            policy,
            ..warning("web", 1, "spec.tier")
        };
        let event = event(&warning, "n1", Timestamp::now());
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        let regarding = event.regarding.unwrap();
        assert_eq!((regarding.namespace, regarding.kind.as_deref()), (None, Some("ClusterNetworkPolicy")));
    }

    #[test]
    fn it_is_about_the_policy() {
        let event = event(&warning("web", 1, "0 is not a port"), "n1", Timestamp::now());
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.namespace, event.metadata.namespace);
        assert_eq!((regarding.name.as_deref(), regarding.uid.as_deref()), (Some("web"), Some("u")));
        assert!(event.note.as_deref() == Some("0 is not a port"));
    }
}

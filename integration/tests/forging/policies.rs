//! Policies about one pod each, and manifests.

use serde_json::{Value, json};

/// A policy: the pod that it is about, and its spec but for that.
pub(crate) type Policy = (&'static str, Value);

/// The manifest of some objects.
pub(crate) fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}

/// The manifest of one.
pub(crate) fn manifest(subject: &str, spec: &Value, number: usize) -> Value {
    let mut spec = spec.clone();
    spec["podSelector"] = json!({"matchLabels": {"app": subject}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
           "metadata": {"namespace": "shop", "name": format!("{subject}-{number}")}, "spec": spec})
}

/// Nobody may speak to it.
pub(crate) fn no_ingress(subject: &'static str) -> Policy {
    (subject, json!({"policyTypes": ["Ingress"]}))
}

/// It may speak to nobody.
pub(crate) fn no_egress(subject: &'static str) -> Policy {
    (subject, json!({"policyTypes": ["Egress"]}))
}

/// Both.
pub(crate) fn isolated(subject: &'static str) -> Policy {
    (subject, json!({"policyTypes": ["Ingress", "Egress"]}))
}

/// Only these pods may speak to it.
pub(crate) fn admits(subject: &'static str, peers: &[&str]) -> Policy {
    let peers: Vec<_> = peers.iter().map(|app| json!({"podSelector": {"matchLabels": {"app": app}}})).collect();
    (subject, json!({"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}))
}

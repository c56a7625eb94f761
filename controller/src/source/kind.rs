//! The kinds that are watched.

use palisade_model::{Change, NamespacedName, Policy, Selector};
use serde::de::DeserializeOwned;

use super::complaint::Effect;
use crate::convert::{self, Problem};
use crate::objects::{Metadata, Namespace, NetworkPolicy, Pod};

/// A kind of object that is watched, and how it becomes a [`Change`].
pub(super) trait Kind: Clone + DeserializeOwned + Send + 'static {
    /// The kind's name.
    const KIND: &'static str;
    /// Where all its objects are listed and watched.
    const PATH: &'static str;
    /// Whether what cannot be understood is told in an Event.
    const WITH_EVENTS: bool = false;

    fn metadata(&self) -> &Metadata;

    fn change(&self) -> (Change, Vec<Problem>);

    fn gone(id: NamespacedName) -> Change;

    /// What holds for an object that has these problems.
    fn effect(_problems: &[Problem]) -> Effect {
        Effect::LeftOut
    }

    /// What holds for an object that cannot be decoded and of which no earlier version is known.
    fn unreadable(_id: NamespacedName) -> Option<Change> {
        None
    }
}

impl Kind for Pod {
    const KIND: &'static str = "Pod";
    const PATH: &'static str = "/api/v1/pods";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Change, Vec<Problem>) {
        let (pod, problems) = convert::pod(self);
        (Change::Pod(pod), problems)
    }

    fn gone(id: NamespacedName) -> Change {
        Change::PodGone(id)
    }
}

impl Kind for Namespace {
    const KIND: &'static str = "Namespace";
    const PATH: &'static str = "/api/v1/namespaces";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Change, Vec<Problem>) {
        (Change::Namespace(convert::namespace(self)), vec![])
    }

    fn gone(id: NamespacedName) -> Change {
        Change::NamespaceGone(id.name)
    }
}

impl Kind for NetworkPolicy {
    const KIND: &'static str = "NetworkPolicy";
    const PATH: &'static str = "/apis/networking.k8s.io/v1/networkpolicies";
    const WITH_EVENTS: bool = true;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Change, Vec<Problem>) {
        let (policy, problems) = convert::policy(self);
        (Change::Policy(policy), problems)
    }

    fn gone(id: NamespacedName) -> Change {
        Change::PolicyGone(id)
    }

    fn effect(problems: &[Problem]) -> Effect {
        let of_selector = |problem: &Problem| problem.field.starts_with("spec.podSelector");
        if problems.iter().any(of_selector) { Effect::ClosesNamespace } else { Effect::LeftOut }
    }

    /// As for a podSelector that cannot be understood: it isolates all pods of its namespace and allows nothing.
    fn unreadable(id: NamespacedName) -> Option<Change> {
        let (ingress, egress) = (Some(vec![]), Some(vec![]));
        Some(Change::Policy(Policy { id, selector: Selector::default(), ingress, egress }))
    }
}

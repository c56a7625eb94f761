//! The kinds that are watched.

use std::hash::{BuildHasher, RandomState};

use palisade_model::{Change, Enforcement, NamespacedName, Policy, Selector};
use serde::de::DeserializeOwned;

use super::complaint::{self, Effect};
use super::conditions::Judgement;
use crate::convert::{self, Problem};
use crate::objects::{ClusterNetworkPolicy, Condition, Metadata, Namespace, NetworkPolicy, Node, Pod};

/// A kind of object that is watched, and how it becomes a [`Change`].
pub(super) trait Kind: Clone + DeserializeOwned + Send + 'static {
    /// The kind's name.
    const KIND: &'static str;
    /// Its group and version.
    const API_VERSION: &'static str;
    /// Where all its objects are listed and watched.
    const PATH: &'static str;
    /// Whether what cannot be understood is told in an Event.
    const WITH_EVENTS: bool = false;
    /// Whether an API server may do without the kind: then there are no objects of it.
    const OPTIONAL: bool = false;

    fn metadata(&self) -> &Metadata;

    /// Equal for two versions of an object that say the same; `None` where only conversion tells.
    fn digest(&self, _keys: &RandomState) -> Option<u64> {
        None
    }

    /// What it says, and what of it is not understood. `None` where it says nothing: then its last version that did holds on.
    fn change(&self) -> (Option<Change>, Vec<Problem>);

    fn gone(id: NamespacedName) -> Change;

    /// What holds for an object that has these problems.
    fn effect(_problems: &[Problem]) -> Effect {
        Effect::LeftOut
    }

    /// What is said of it in a condition, for kinds that have some.
    fn judgement(_change: Option<&Change>, _problems: &[Problem]) -> Option<Judgement> {
        None
    }

    /// The conditions that it shows.
    fn conditions(&self) -> Vec<Condition> {
        vec![]
    }

    /// What holds for an object that cannot be decoded and of which no earlier version is known.
    fn unreadable(_id: NamespacedName) -> Option<Change> {
        None
    }
}

impl Kind for Pod {
    const KIND: &'static str = "Pod";
    const API_VERSION: &'static str = "v1";
    const PATH: &'static str = "/api/v1/pods";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Option<Change>, Vec<Problem>) {
        let (pod, problems) = convert::pod(self, &mut convert::Fresh);
        (Some(Change::Pod(pod)), problems)
    }

    fn gone(id: NamespacedName) -> Change {
        Change::PodGone(id)
    }
}

impl Kind for Namespace {
    const KIND: &'static str = "Namespace";
    const API_VERSION: &'static str = "v1";
    const PATH: &'static str = "/api/v1/namespaces";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Option<Change>, Vec<Problem>) {
        (Some(Change::Namespace(convert::namespace(self))), vec![])
    }

    fn gone(id: NamespacedName) -> Change {
        Change::NamespaceGone(id.name)
    }
}

impl Kind for NetworkPolicy {
    const KIND: &'static str = "NetworkPolicy";
    const API_VERSION: &'static str = "networking.k8s.io/v1";
    const PATH: &'static str = "/apis/networking.k8s.io/v1/networkpolicies";
    const WITH_EVENTS: bool = true;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn change(&self) -> (Option<Change>, Vec<Problem>) {
        let (policy, problems) = convert::policy(self);
        (Some(Change::Policy(policy)), problems)
    }

    fn gone(id: NamespacedName) -> Change {
        Change::PolicyGone(id)
    }

    fn effect(problems: &[Problem]) -> Effect {
        let of_selector = |problem: &Problem| problem.field.starts_with("spec.podSelector");
        if problems.iter().any(of_selector) {
            Effect::ClosesNamespace
        } else if problems.iter().all(Problem::is_of_enforcement) {
            Effect::Enforced
        } else {
            Effect::LeftOut
        }
    }

    /// As for a podSelector that cannot be understood: it isolates all pods of its namespace and allows nothing.
    fn unreadable(id: NamespacedName) -> Option<Change> {
        let (ingress, egress) = (Some(vec![]), Some(vec![]));
        Some(Change::Policy(Policy {
            id,
            enforcement: Enforcement::Enforced,
            selector: Selector::default(),
            ingress,
            egress,
        }))
    }
}

impl Kind for ClusterNetworkPolicy {
    const KIND: &'static str = "ClusterNetworkPolicy";
    const API_VERSION: &'static str = "policy.networking.k8s.io/v1alpha2";
    const PATH: &'static str = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
    const WITH_EVENTS: bool = true;
    const OPTIONAL: bool = true;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Who writes its status, or its metadata, says nothing new, but for the annotation that has it audited: no
    /// generation comes with that.
    fn digest(&self, keys: &RandomState) -> Option<u64> {
        let Metadata { uid, generation, annotations, .. } = &self.metadata;
        let enforcement = annotations.as_ref().and_then(|annotations| annotations.enforcement.as_deref());
        Some(keys.hash_one((uid.as_deref()?, (*generation)?, enforcement)))
    }

    fn change(&self) -> (Option<Change>, Vec<Problem>) {
        let (policy, problems) = convert::cluster_policy(self);
        (policy.map(Change::ClusterPolicy), problems)
    }

    fn gone(id: NamespacedName) -> Change {
        Change::ClusterPolicyGone(id.name)
    }

    fn effect(problems: &[Problem]) -> Effect {
        if problems.iter().all(Problem::is_of_enforcement) { Effect::Enforced } else { Effect::ClosesRules }
    }

    fn judgement(change: Option<&Change>, problems: &[Problem]) -> Option<Judgement> {
        if problems.is_empty() {
            let is_audited = matches!(change, Some(Change::ClusterPolicy(policy)) if policy.is_audited());
            let (reason, message) = if is_audited {
                ("Audited", "all rules are understood, and none is enforced: what they would drop is recorded")
            } else {
                ("Accepted", "all rules are enforced as they are written")
            };
            return Some(Judgement { accepted: true, reason, message: message.to_owned() });
        }
        let is_unsupported = |problem: &Problem| problem.field.ends_with(".domainNames");
        let reason = if problems.iter().all(is_unsupported) { "Unsupported" } else { "Invalid" };
        Some(Judgement { accepted: false, reason, message: complaint::text(problems) })
    }

    fn conditions(&self) -> Vec<Condition> {
        self.status.iter().flat_map(|status| status.conditions.iter().flatten()).cloned().collect()
    }
}

impl Kind for Node {
    const KIND: &'static str = "Node";
    const API_VERSION: &'static str = "v1";
    const PATH: &'static str = "/api/v1/nodes";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A kubelet writes its Node every few minutes: of all that, labels and addresses count.
    fn digest(&self, keys: &RandomState) -> Option<u64> {
        let addresses = self.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let addresses: Vec<_> = addresses.map(|one| one.address.as_deref()).collect();
        Some(keys.hash_one((&self.metadata.labels, addresses)))
    }

    fn change(&self) -> (Option<Change>, Vec<Problem>) {
        (Some(Change::Node(convert::node(self))), vec![])
    }

    fn gone(id: NamespacedName) -> Change {
        Change::NodeGone(id.name)
    }
}

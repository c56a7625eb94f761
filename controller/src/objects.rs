//! Kubernetes objects, as far as we use them: unknown and unused fields are skipped while decoding.
//!
//! A pod from the API server has thousands of bytes that policy never looks at, and a cluster has 150,000 of them.
//! Names are those of the API, and what may be missing or `null` there is an `Option` here. The spec of a
//! NetworkPolicy is used as a whole, so it is the generated type. `S` of a pod is what holds its texts: they may be parts of what
//! is read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// What holds a text.
pub trait Text: Default + Deref<Target = str> {}

impl<S: Default + Deref<Target = str>> Text for S {}

/// `v1` Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Pod<S = String> {
    pub metadata: Metadata<S>,
    pub spec: Option<PodSpec<S>>,
    pub status: Option<PodStatus<S>>,
}

/// `v1` Namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Namespace {
    pub metadata: Metadata,
}

/// `networking.k8s.io/v1` NetworkPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct NetworkPolicy {
    pub metadata: Metadata,
    pub spec: Option<NetworkPolicySpec>,
}

/// `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy: its rules as they are written, because one that cannot be
/// understood must not spoil those beside it.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ClusterNetworkPolicy {
    pub metadata: Metadata,
    pub spec: Option<ClusterNetworkPolicySpec>,
    pub status: Option<ClusterNetworkPolicyStatus>,
}

/// `ClusterNetworkPolicySpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ClusterNetworkPolicySpec {
    pub tier: Option<String>,
    pub priority: Option<i64>,
    pub subject: Option<Value>,
    pub ingress: Option<Vec<Value>>,
    pub egress: Option<Vec<Value>>,
}

/// `ClusterNetworkPolicyStatus`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ClusterNetworkPolicyStatus {
    pub conditions: Option<Vec<Condition>>,
}

/// `Condition`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: Option<String>,
    pub status: Option<String>,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub observed_generation: Option<i64>,
    pub last_transition_time: Option<Time>,
}

/// `v1` Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Service {
    pub metadata: Metadata,
    pub spec: Option<ServiceSpec>,
}

/// `ServiceSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ServiceSpec {
    pub selector: Option<BTreeMap<String, String>>,
    pub ports: Option<Vec<ServicePort>>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Option<Vec<String>>,
}

/// `networking.k8s.io/v1` ServiceCIDR.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ServiceCidr {
    pub spec: Option<ServiceCidrSpec>,
}

/// `ServiceCIDRSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ServiceCidrSpec {
    pub cidrs: Option<Vec<String>>,
}

/// `ServicePort`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ServicePort {
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub port: i32,
    pub target_port: Option<IntOrString>,
}

/// What makes pods: a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Workload {
    pub metadata: Metadata,
    pub spec: Option<WorkloadSpec>,
}

/// `DeploymentSpec` and its like; of a CronJob there is a template of a Job instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct WorkloadSpec {
    pub template: Option<PodTemplate>,
    pub job_template: Option<JobTemplate>,
}

/// `JobTemplateSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct JobTemplate {
    pub spec: Option<JobSpec>,
}

/// `JobSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct JobSpec {
    pub template: Option<PodTemplate>,
}

/// `PodTemplateSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct PodTemplate {
    #[serde(default)]
    pub metadata: Metadata,
    pub spec: Option<PodSpec>,
}

/// `v1` Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Node {
    pub metadata: Metadata,
    pub spec: Option<NodeSpec>,
    pub status: Option<NodeStatus>,
}

/// `NodeStatus`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct NodeStatus {
    pub addresses: Option<Vec<NodeAddress>>,
}

/// `NodeAddress`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct NodeAddress {
    pub address: Option<String>,
}

/// `NodeSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Option<Vec<String>>,
}

/// `ObjectMeta`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Metadata<S = String> {
    pub name: Option<S>,
    pub namespace: Option<S>,
    pub uid: Option<S>,
    pub generation: Option<i64>,
    pub resource_version: Option<S>,
    pub labels: Option<Labels<S>>,
    pub annotations: Option<Annotations>,
    pub creation_timestamp: Option<Time>,
    pub deletion_timestamp: Option<Time>,
}

/// The labels of an object, in the order in which they are written: one that is written twice is there twice.
#[derive(Clone, Debug, Hash)]
pub struct Labels<S = String>(pub Vec<(S, S)>);

/// The annotations that are looked at.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Annotations {
    /// Of a pod that shows one that a kubelet has from a file: the uid that the kubelet knows it by.
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub mirror: Option<String>,
    /// Of a policy: what it does.
    #[serde(rename = "palisade.dev/enforcement")]
    pub enforcement: Option<String>,
    /// Of a policy: what [`lint`](palisade_model::lint) is not to say of it.
    #[serde(rename = "palisade.dev/lint-ignore")]
    pub lint_ignore: Option<String>,
}

/// `PodSpec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct PodSpec<S = String> {
    pub node_name: Option<S>,
    pub host_network: Option<bool>,
    pub containers: Option<Vec<Container<S>>>,
    pub init_containers: Option<Vec<Container<S>>>,
}

/// `Container`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Container<S = String> {
    pub restart_policy: Option<S>,
    pub ports: Option<Vec<ContainerPort<S>>>,
}

/// `ContainerPort`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct ContainerPort<S = String> {
    pub name: Option<S>,
    pub protocol: Option<S>,
    pub container_port: i32,
}

/// `PodStatus`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct PodStatus<S = String> {
    pub phase: Option<S>,
    #[serde(rename = "podIP")]
    pub pod_ip: Option<S>,
    #[serde(rename = "podIPs")]
    pub pod_ips: Option<Vec<Address<S>>>,
    #[serde(rename = "hostIP")]
    pub host_ip: Option<S>,
    #[serde(rename = "hostIPs")]
    pub host_ips: Option<Vec<Address<S>>>,
}

/// `PodIP` and `HostIP`.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub struct Address<S = String> {
    pub ip: S,
}

impl<S> Labels<S> {
    /// All labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone
    where
        S: Text,
    {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Labels<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor(PhantomData))
    }
}

struct LabelsVisitor<S>(PhantomData<S>);

impl<'de, S: Deserialize<'de>> Visitor<'de> for LabelsVisitor<S> {
    type Value = Labels<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Vec::new();
        while let Some(label) = map.next_entry()? {
            labels.push(label);
        }
        Ok(Labels(labels))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_used_is_decoded() {
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-01-02T03:04:05Z", "annotations": {"a": "b"}, "labels": null,
                "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
            },
            "spec": {
                "nodeName": "n1", "affinity": {}, "hostNetwork": false, "initContainers": null,
                "containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}]}],
            },
            "status": {
                "phase": "Running", "conditions": [], "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
                "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}, {"ip": "fd00::1"}],
            },
        }))
        .unwrap();
        let (spec, status) = (pod.spec.unwrap(), pod.status.unwrap());
        assert_eq!(pod.metadata.creation_timestamp.unwrap().0.as_second(), 1_767_323_045);
        assert_eq!((pod.metadata.generation, pod.metadata.labels.is_none()), (Some(2), true));
        assert_eq!((spec.node_name.as_deref(), spec.host_network), (Some("n1"), Some(false)));
        assert_eq!(spec.containers.unwrap()[0].ports.as_ref().unwrap()[0].container_port, 80);
        assert_eq!((status.pod_ips.unwrap().len(), status.host_ips.unwrap()[1].ip.as_str()), (1, "fd00::1"));
        assert_eq!((status.pod_ip.as_deref(), status.host_ip.as_deref()), (Some("10.0.0.1"), Some("192.0.2.1")));
    }

    #[test]
    fn an_object_may_be_almost_empty() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web"}})).unwrap();
        assert!(pod.spec.is_none() && pod.status.is_none());
    }
}

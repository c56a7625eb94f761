use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{ApiError, Cluster, Labels};

/// Keeps the objects in an API at what manifests say, by the smallest writes, as a user and a kubelet would.
#[derive(Debug, Default)]
pub struct Mirror {
    written: BTreeMap<String, Value>,
}

impl Mirror {
    /// Makes the objects those of `wanted`: Namespaces, Nodes, Pods, NetworkPolicies and ClusterNetworkPolicies, by any unique
    /// name. What is new comes namespaces first; what is gone goes namespaces last.
    ///
    /// # Errors
    /// The first write that fails.
    pub fn write(&mut self, cluster: &Cluster<'_>, wanted: BTreeMap<String, Value>) -> Result<(), ApiError> {
        let gone: Vec<_> = self.written.iter().filter(|(name, _)| !wanted.contains_key(*name)).collect();
        for (_, object) in in_order(gone.into_iter()).into_iter().rev() {
            remove(cluster, object)?;
        }
        for (name, object) in in_order(wanted.iter()) {
            match self.written.get(name) {
                None => create(cluster, object)?,
                Some(old) if old != object => update(cluster, old, object)?,
                Some(_) => {}
            }
        }
        self.written = wanted;
        Ok(())
    }
}

fn create(cluster: &Cluster<'_>, object: &Value) -> Result<(), ApiError> {
    let (namespace, name) = id(object);
    match kind(object) {
        "Namespace" => cluster.create_namespace(name, &labels(object)),
        "Pod" => {
            cluster.create::<Pod>(&fresh(object))?;
            report(cluster, namespace, name, object)
        }
        "Node" => cluster.register_node(name, &labels(object), &object["status"]["addresses"]),
        "ClusterNetworkPolicy" => cluster.create_cluster_policy(object),
        _ => cluster.create::<NetworkPolicy>(object).map(drop),
    }
}

fn update(cluster: &Cluster<'_>, old: &Value, object: &Value) -> Result<(), ApiError> {
    let (namespace, name) = id(object);
    match kind(object) {
        "Namespace" => cluster.set_namespace_labels(name, &labels(object)),
        "Pod" => {
            if labels(old) != labels(object) {
                cluster.set_pod_labels(namespace, name, &labels(object))?;
            }
            if old["status"] != object["status"] { report(cluster, namespace, name, object) } else { Ok(()) }
        }
        "Node" => {
            if labels(old) != labels(object) {
                cluster.set_node_labels(name, &labels(object))?;
            }
            let addresses = &object["status"]["addresses"];
            if old["status"]["addresses"] != *addresses { cluster.set_node_addresses(name, addresses) } else { Ok(()) }
        }
        "ClusterNetworkPolicy" => cluster.replace_cluster_policy(object),
        _ => cluster.replace::<NetworkPolicy>(object).map(drop),
    }
}

fn remove(cluster: &Cluster<'_>, object: &Value) -> Result<(), ApiError> {
    let (namespace, name) = id(object);
    match kind(object) {
        "Namespace" => cluster.delete_namespace(name),
        "Pod" => cluster.delete::<Pod>(namespace, name),
        "Node" => cluster.delete_node(name),
        "ClusterNetworkPolicy" => cluster.delete_cluster_policy(name),
        _ => cluster.delete::<NetworkPolicy>(namespace, name),
    }
}

fn report(cluster: &Cluster<'_>, namespace: &str, name: &str, object: &Value) -> Result<(), ApiError> {
    let mut status = object["status"].clone();
    // The API server wants the first of each list in the singular field too.
    for (one, all) in [("podIP", "podIPs"), ("hostIP", "hostIPs")] {
        status[one] = status[all][0]["ip"].clone();
    }
    let status = Patch::Merge(json!({"status": status}));
    let api = cluster.of::<Pod>(namespace);
    let reported = async { api.patch_status(name, &PatchParams::default(), &status).await };
    cluster.wait(format!("report the status of pod {namespace}/{name}"), reported).map(drop)
}

/// Namespaces first, policies last.
fn in_order<'v>(objects: impl Iterator<Item = (&'v String, &'v Value)>) -> Vec<(&'v String, &'v Value)> {
    const KINDS: [&str; 5] = ["Namespace", "Node", "Pod", "NetworkPolicy", "ClusterNetworkPolicy"];
    let mut objects: Vec<_> = objects.collect();
    objects.sort_by_key(|(_, object)| KINDS.iter().position(|one| *one == kind(object)));
    objects
}

/// What the API server sets itself is left to it.
fn fresh(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["namespace", "name", "labels"].contains(&field.as_str()));
    }
    object
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or("NetworkPolicy")
}

fn id(object: &Value) -> (&str, &str) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

fn labels(object: &Value) -> Labels {
    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
}

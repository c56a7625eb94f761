use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::ApiError;

/// Namespaces that the API server makes, and makes again.
const PERMANENT: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Labels, as a complete set.
pub type Labels = BTreeMap<String, String>;

/// Writes objects as an administrator, one request after the other. Each function returns when the API server has
/// answered.
#[derive(Clone)]
pub struct Cluster<'a> {
    client: &'a Client,
    runtime: &'a Handle,
}

impl<'a> Cluster<'a> {
    pub(super) fn new(client: &'a Client, runtime: &'a Handle) -> Self {
        Self { client, runtime }
    }

    /// A new namespace.
    pub fn create_namespace(&self, name: &str, labels: &Labels) -> Result<(), ApiError> {
        let namespace = object::<Namespace>(json!({"metadata": {"name": name, "labels": labels}}));
        let api = self.namespaces();
        self.wait(format!("create namespace {name}"), async { api.create(&PostParams::default(), &namespace).await })
            .map(drop)
    }

    /// Gives a namespace these labels instead of those that it has.
    pub fn set_namespace_labels(&self, name: &str, labels: &Labels) -> Result<(), ApiError> {
        let api = self.namespaces();
        let mut namespace = self.wait(format!("get namespace {name}"), api.get(name))?;
        namespace.metadata.labels = Some(labels.clone());
        self.wait(format!("label namespace {name}"), async {
            api.replace(name, &PostParams::default(), &namespace).await
        })
        .map(drop)
    }

    /// Deletes a namespace with all that is in it.
    pub fn delete_namespace(&self, name: &str) -> Result<(), ApiError> {
        self.terminate_namespace(name)?;
        self.delete_all::<NetworkPolicy>(name)?;
        self.delete_all::<Pod>(name)?;
        self.delete_all::<ServiceAccount>(name)?;
        self.delete_all::<Event>(name)?;
        self.delete_all::<Lease>(name)?;
        self.delete_all::<RoleBinding>(name)?;
        self.delete_all::<Role>(name)?;
        self.finalize_namespace(name)
    }

    /// Marks a namespace as Terminating, and leaves it and what is in it.
    pub fn terminate_namespace(&self, name: &str) -> Result<(), ApiError> {
        let delete = async { self.namespaces().delete(name, &DeleteParams::default()).await };
        self.wait(format!("delete namespace {name}"), delete).map(drop)
    }

    /// Lets a Terminating namespace go, whatever is still in it: the namespace controller's last step.
    pub fn finalize_namespace(&self, name: &str) -> Result<(), ApiError> {
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}});
        let request = http::Request::put(format!("/api/v1/namespaces/{name}/finalize"))
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())
            .expect("a namespace's name is a path segment");
        self.wait(format!("finalize namespace {name}"), self.client.request::<Value>(request)).map(drop)
    }

    /// Creates an object in a namespace from its JSON.
    ///
    /// # Panics
    /// If the JSON is no `K`.
    pub fn create<K: Namespaced>(&self, value: &Value) -> Result<K, ApiError> {
        let object = object::<K>(value.clone());
        let api = self.of::<K>(&object.namespace().unwrap_or_default());
        self.wait(format!("create {}", path(&object)), async { api.create(&PostParams::default(), &object).await })
    }

    /// Replaces an object in a namespace by its new JSON.
    ///
    /// # Panics
    /// If the JSON is no `K`.
    pub fn replace<K: Namespaced>(&self, value: &Value) -> Result<K, ApiError> {
        let object = object::<K>(value.clone());
        let api = self.of::<K>(&object.namespace().unwrap_or_default());
        self.wait(format!("replace {}", path(&object)), async {
            api.replace(&object.name_any(), &PostParams::default(), &object).await
        })
    }

    /// Merges a patch into an object in a namespace.
    pub fn patch<K: Namespaced>(&self, namespace: &str, name: &str, patch: &Value) -> Result<K, ApiError> {
        let api = self.of::<K>(namespace);
        self.wait(format!("patch {namespace}/{name}"), async {
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
        })
    }

    /// Deletes an object in a namespace at once.
    pub fn delete<K: Namespaced>(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        let now = DeleteParams::default().grace_period(0);
        self.wait(format!("delete {namespace}/{name}"), async { self.of::<K>(namespace).delete(name, &now).await })
            .map(drop)
    }

    /// Begins to delete a pod: it is terminating until it is [deleted](Self::delete).
    pub fn terminate_pod(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        let delete = async { self.of::<Pod>(namespace).delete(name, &DeleteParams::default()).await };
        self.wait(format!("terminate pod {namespace}/{name}"), delete).map(drop)
    }

    /// Gives a pod these labels instead of those that it has.
    pub fn set_pod_labels(&self, namespace: &str, name: &str, labels: &Labels) -> Result<(), ApiError> {
        let api = self.of::<Pod>(namespace);
        let mut pod = self.wait(format!("get pod {namespace}/{name}"), api.get(name))?;
        pod.metadata.labels = Some(labels.clone());
        self.wait(format!("label pod {namespace}/{name}"), async {
            api.replace(name, &PostParams::default(), &pod).await
        })
        .map(drop)
    }

    /// Reports a pod's phase and addresses, as a kubelet does.
    pub fn set_pod_status(&self, namespace: &str, name: &str, phase: &str, ips: &[IpAddr]) -> Result<(), ApiError> {
        let list: Vec<_> = ips.iter().map(|ip| json!({"ip": ip})).collect();
        let status = json!({"status": {"phase": phase, "podIP": ips.first(), "podIPs": list}});
        let api = self.of::<Pod>(namespace);
        self.wait(format!("report the status of pod {namespace}/{name}"), async {
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await
        })
        .map(drop)
    }

    /// Makes a ServiceAccount with a ClusterRole of these rules, both of the given name.
    pub fn grant(&self, namespace: &str, name: &str, rules: &[Value]) -> Result<(), ApiError> {
        let role = object::<ClusterRole>(json!({"metadata": {"name": name}, "rules": rules}));
        self.create::<ServiceAccount>(&json!({"metadata": {"namespace": namespace, "name": name}}))?;
        let api = Api::all(self.client.clone());
        self.wait(format!("create ClusterRole {name}"), async { api.create(&PostParams::default(), &role).await })?;
        self.bind(namespace, name)
    }

    /// Gives a ServiceAccount a Role of these rules in its namespace, both of the given name.
    pub fn grant_in_namespace(&self, namespace: &str, name: &str, rules: &[Value]) -> Result<(), ApiError> {
        self.create::<Role>(&json!({"metadata": {"namespace": namespace, "name": name}, "rules": rules}))?;
        let binding = json!({
            "metadata": {"namespace": namespace, "name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        });
        self.create::<RoleBinding>(&binding).map(drop)
    }

    /// Gives the ClusterRole of this name these rules instead of those that it has.
    pub fn set_rules(&self, name: &str, rules: &[Value]) -> Result<(), ApiError> {
        let api = Api::<ClusterRole>::all(self.client.clone());
        let rules = Patch::Merge(json!({"rules": rules}));
        let patch = async { api.patch(name, &PatchParams::default(), &rules).await };
        self.wait(format!("change ClusterRole {name}"), patch).map(drop)
    }

    /// Binds a ServiceAccount to the ClusterRole of its name.
    pub fn bind(&self, namespace: &str, name: &str) -> Result<(), ApiError> {
        let binding = object::<ClusterRoleBinding>(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        }));
        let api = Api::all(self.client.clone());
        self.wait(format!("bind {name}"), async { api.create(&PostParams::default(), &binding).await }).map(drop)
    }

    /// Takes a ServiceAccount's rights away.
    pub fn unbind(&self, name: &str) -> Result<(), ApiError> {
        let api = Api::<ClusterRoleBinding>::all(self.client.clone());
        self.wait(format!("unbind {name}"), async { api.delete(name, &DeleteParams::default()).await }).map(drop)
    }

    /// Registers a node with these labels and addresses, as its kubelet does.
    pub fn register_node(&self, name: &str, labels: &Labels, addresses: &Value) -> Result<(), ApiError> {
        let (api, node) = (self.nodes(), object::<Node>(json!({"metadata": {"name": name, "labels": labels}})));
        self.wait(format!("create node {name}"), async { api.create(&PostParams::default(), &node).await })?;
        self.set_node_addresses(name, addresses)
    }

    /// Reports a node's `status.addresses`.
    pub fn set_node_addresses(&self, name: &str, addresses: &Value) -> Result<(), ApiError> {
        let (api, status) = (self.nodes(), Patch::Merge(json!({"status": {"addresses": addresses}})));
        let report = async { api.patch_status(name, &PatchParams::default(), &status).await };
        self.wait(format!("report the addresses of node {name}"), report).map(drop)
    }

    /// Gives a node these labels instead of those that it has.
    pub fn set_node_labels(&self, name: &str, labels: &Labels) -> Result<(), ApiError> {
        let api = self.nodes();
        let mut node = self.wait(format!("get node {name}"), api.get(name))?;
        node.metadata.labels = Some(labels.clone());
        self.wait(format!("label node {name}"), async { api.replace(name, &PostParams::default(), &node).await })
            .map(drop)
    }

    /// Removes a node's object.
    pub fn delete_node(&self, name: &str) -> Result<(), ApiError> {
        let api = self.nodes();
        self.wait(format!("delete node {name}"), async { api.delete(name, &DeleteParams::default()).await }).map(drop)
    }

    /// Registers a node, as its kubelet does.
    pub fn create_node(&self, name: &str) -> Result<(), ApiError> {
        self.create_node_with(name, &[])
    }

    /// The same, with these networks for its pods.
    pub fn create_node_with(&self, name: &str, networks: &[&str]) -> Result<(), ApiError> {
        let spec = json!({"podCIDR": networks.first(), "podCIDRs": networks});
        let (api, node) = (self.nodes(), object::<Node>(json!({"metadata": {"name": name}, "spec": spec})));
        self.wait(format!("create node {name}"), async { api.create(&PostParams::default(), &node).await }).map(drop)
    }

    /// Removes everything but what the API server has made for itself, and what it knows of ClusterNetworkPolicies.
    pub fn clear(&self) -> Result<(), ApiError> {
        self.clear_cluster_policies()?;
        let api = self.namespaces();
        let namespaces = self.wait("list namespaces", async { api.list(&ListParams::default()).await })?;
        let names = namespaces.iter().map(ResourceExt::name_any);
        names.filter(|name| !PERMANENT.contains(&name.as_str())).try_for_each(|name| self.delete_namespace(&name))?;
        let (now, ours) = (DeleteParams::default(), ListParams::default().labels("!kubernetes.io/bootstrapping"));
        let bindings = Api::<ClusterRoleBinding>::all(self.client.clone());
        self.wait("remove bindings", async { bindings.delete_collection(&now, &ours).await })?;
        let roles = Api::<ClusterRole>::all(self.client.clone());
        self.wait("remove roles", async { roles.delete_collection(&now, &ours).await })?;
        let (nodes, all) = (self.nodes(), ListParams::default());
        self.wait("remove nodes", async { nodes.delete_collection(&now, &all).await }).map(drop)
    }

    pub(super) fn service_account_uid(&self, namespace: &str, name: &str) -> Result<String, ApiError> {
        let account = self.wait(format!("get {namespace}/{name}"), self.of::<ServiceAccount>(namespace).get(name))?;
        Ok(account.metadata.uid.expect("the API server gives every object a uid"))
    }

    /// All requests through here: `action` says what it was about.
    pub fn wait<T>(
        &self,
        action: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        self.try_wait(request).map_err(ApiError::request(action))
    }

    /// The same, for an answer that may be a refusal.
    pub(super) fn try_wait<T>(&self, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        self.runtime.block_on(request)
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The API of one kind in one namespace.
    pub fn of<K: Namespaced>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn delete_all<K: Namespaced>(&self, namespace: &str) -> Result<(), ApiError> {
        let (now, all) = (DeleteParams::default().grace_period(0), ListParams::default());
        let delete = async { self.of::<K>(namespace).delete_collection(&now, &all).await };
        self.wait(format!("empty namespace {namespace}"), delete).map(drop)
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }
}

/// A kind whose objects are in namespaces.
pub trait Namespaced:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Namespaced for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("a test writes objects of the kind that it says")
}

fn path<K: Namespaced>(object: &K) -> String {
    format!("{} {}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any())
}

//! What a real API server says to the manifests.

use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};
use palisade_integration::apiserver::{AGENT_NAMESPACE, ApiServer, Pool, Site, deployed_rules};
use serde_json::{Value, json};

use super::chart::{every_value, hooks, render};
use super::{deploy, helm, objects, one_file, the};

/// Applies an object; nothing is kept of it. An unknown field is an error.
fn dry_run(api: &ApiServer, object: &Value) -> Result<(), kube::Error> {
    apply(api, object, &PatchParams { dry_run: true, ..strict() })
}

fn strict() -> PatchParams {
    PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::apply("deploy") }
}

fn apply(api: &ApiServer, object: &Value, parameters: &PatchParams) -> Result<(), kube::Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, version) = match object["apiVersion"].as_str().unwrap().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", object["apiVersion"].as_str().unwrap()),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &text(&object["kind"])));
    let objects: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(api.client(), namespace, &resource),
        None => Api::all_with(api.client(), &resource),
    };
    let name = text(&object["metadata"]["name"]);
    api.block_on(async { objects.patch(&name, parameters, &Patch::Apply(object)).await }).map(drop)
}

/// A pod of a DaemonSet's, as its controller would make it.
fn pod_of(daemonset: &Value) -> Value {
    let template = &daemonset["spec"]["template"];
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("agent");
    pod["metadata"]["namespace"] = daemonset["metadata"]["namespace"].clone();
    pod
}

#[test]
fn the_api_server_accepts_all_of_it() {
    let pool = Pool::default();
    let api = pool.lease().unwrap();
    let one_file = one_file();
    apply(&api, the(&one_file, "Namespace"), &strict()).unwrap();
    api.cluster().undefine_cluster_policies().unwrap();
    let cleanup = objects(&std::fs::read_to_string(deploy("cleanup.yaml")).unwrap());
    // Without an operator for Prometheus, the API server does not know its kinds.
    let known = |object: &&Value| object["kind"] != "ServiceMonitor";
    let all = [one_file.clone(), render(&every_value()).unwrap(), hooks(&every_value()), cleanup.clone()].concat();
    for object in all.iter().filter(known) {
        dry_run(&api, object).unwrap_or_else(|error| panic!("{error}\n{object:#}"));
    }
    for daemonset in [the(&one_file, "DaemonSet"), &cleanup[0]] {
        let pod: Pod = serde_json::from_value(pod_of(daemonset)).unwrap();
        let pods: Api<Pod> = Api::namespaced(api.client(), "palisade-system");
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        api.block_on(async { pods.create(&parameters, &pod).await }).unwrap();
    }
    let mut wrong = the(&one_file, "DaemonSet").clone();
    wrong["spec"]["template"]["spec"]["hostNetworks"] = json!(true);
    assert!(dry_run(&api, &wrong).is_err(), "an unknown field is not noticed");
}

/// Runs helm as an administrator of the site's cluster.
fn helm_at(site: &Site<'_>, arguments: &[&str]) {
    let token = site.api.token(AGENT_NAMESPACE, ADMINISTRATOR, Duration::from_secs(600)).unwrap();
    let kubeconfig = site.api.kubeconfig(ADMINISTRATOR, &token).unwrap();
    let mut command = Command::new(helm());
    command.args(arguments).arg("--namespace").arg(AGENT_NAMESPACE).arg("--kubeconfig").arg(kubeconfig.path());
    site.network.nodes()[0].namespace().run(&mut command, "").unwrap();
}

const ADMINISTRATOR: &str = "administrator";

/// The definition of ClusterNetworkPolicies is made where there is none, is never taken from who made it, and outlives the
/// release.
#[test]
fn helm_defines_cluster_policies_where_nobody_has() {
    let pool = Pool::default();
    let site = Site::new(&pool, 1, &deployed_rules().unwrap()).unwrap();
    let cluster = site.api.cluster();
    let everything = [
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    cluster.grant(AGENT_NAMESPACE, ADMINISTRATOR, &everything).unwrap();
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(site.api.client(), &ApiResource::from_gvk(&kind));
    let annotation = |name: &str| {
        let definition = definitions.get("clusternetworkpolicies.policy.networking.k8s.io");
        let definition = site.api.block_on(definition).unwrap();
        definition.metadata.annotations.unwrap_or_default().get(name).cloned().unwrap_or_default()
    };
    let chart = deploy("helm/palisade").display().to_string();
    let install = |release: &str, channel: &str| {
        let settings = format!("rbac.create=false,serviceAccount.create=false,clusterNetworkPolicy.crd={channel}");
        helm_at(&site, &["upgrade", "--install", release, &chart, "--set", &settings]);
    };
    let uninstall = |release: &str| helm_at(&site, &["uninstall", "--no-hooks", release]);
    let channel = "policy.networking.k8s.io/channel";

    install("one", "standard");
    assert_eq!(annotation(channel), "experimental", "somebody else's stays");
    uninstall("one");
    cluster.undefine_cluster_policies().unwrap();

    install("one", "standard");
    assert_eq!((annotation(channel), annotation("meta.helm.sh/release-name")), ("standard".into(), "one".into()));
    install("one", "standard");
    install("other", "experimental");
    assert_eq!(annotation(channel), "standard", "so does another release's");
    uninstall("one");
    uninstall("other");
    assert_eq!(annotation(channel), "standard", "with the policies that there are");
}

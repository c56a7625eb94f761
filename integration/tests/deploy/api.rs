//! What a real API server says to the manifests.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};
use palisade_integration::apiserver::{ApiServer, Pool};
use serde_json::{Value, json};

use super::chart::{every_value, hooks, render};
use super::{deploy, objects, one_file, the};

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

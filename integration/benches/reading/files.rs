//! Manifests, as `kubectl get -o json` and `-o yaml` print them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use palisade::written;
use palisade_model::testing::workload::{Shape, Size, Workload};
use palisade_model::{Change, Pod};
use serde_json::{Value, json};

use super::Outcome;

/// How much there is of a pod.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All that a cluster shows of one, but for managedFields.
    Whole,
    /// What policy looks at.
    Small,
}

/// How it is written.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    Pretty,
    Compact,
    Yaml,
}

/// Writes a file of pods, and says how many bytes it has.
pub(crate) fn dump(directory: &Path, form: Form, layout: Layout, pods: u32) -> Outcome<u64> {
    let workload = Workload::new(Shape::ManyNamespaces, Size::of_pods(pods), 1);
    let pods = workload.cluster().filter_map(|change| match change {
        Change::Pod(pod) => Some(self::pod(&pod, form)),
        _ => None,
    });
    list(&directory.join(if let Layout::Yaml = layout { "pods.yaml" } else { "pods.json" }), layout, pods)
}

/// Writes a cluster as JSON into a directory, and says how many bytes that are.
pub(crate) fn cluster(directory: &Path, size: Size) -> Outcome<u64> {
    fs::create_dir(directory)?;
    let objects = Workload::new(Shape::ManyNamespaces, size, 1).cluster().map(|change| match change {
        Change::Pod(pod) => pod_of_deployment(&pod),
        Change::Namespace(namespace) => {
            let labels: Value = namespace.labels.iter().map(|(key, value)| (key.to_string(), json!(**value))).collect();
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": &*namespace.name, "labels": labels}})
        }
        Change::Policy(policy) => written::policy(&policy),
        other => unreachable!("no part of these clusters: {other:?}"),
    });
    list(&directory.join("cluster.json"), Layout::Compact, objects)
}

fn list(file: &Path, layout: Layout, items: impl Iterator<Item = Value>) -> Outcome<u64> {
    let mut out = BufWriter::new(File::create(file)?);
    let (head, between, tail) = match layout {
        Layout::Yaml => ("apiVersion: v1\nitems:\n", "", "kind: List\n"),
        Layout::Pretty | Layout::Compact => ("{\"apiVersion\":\"v1\",\"items\":[", ",\n", "],\"kind\":\"List\"}\n"),
    };
    out.write_all(head.as_bytes())?;
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.write_all(between.as_bytes())?;
        }
        match layout {
            Layout::Compact => serde_json::to_writer(&mut out, &item)?,
            Layout::Pretty => pretty(&mut out, &item)?,
            Layout::Yaml => yaml(&mut out, &item)?,
        }
    }
    out.write_all(tail.as_bytes())?;
    out.flush()?;
    Ok(fs::metadata(file)?.len())
}

/// By four spaces, two levels deep.
fn pretty(out: &mut impl Write, item: &Value) -> Outcome {
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut text = Vec::new();
    serde::Serialize::serialize(item, &mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    let text = String::from_utf8(text)?;
    Ok(write!(out, "{}", text.replace('\n', "\n        "))?)
}

fn yaml(out: &mut impl Write, item: &Value) -> Outcome {
    let text = serde_saphyr::to_string(item)?;
    Ok(writeln!(out, "- {}", text.trim_end().replace('\n', "\n  "))?)
}

fn pod(pod: &Pod, form: Form) -> Value {
    let labels: Value = pod.labels.iter().map(|(key, value)| (key.to_string(), json!(**value))).collect();
    let (name, namespace, ip) = (&*pod.id.name, &*pod.id.namespace, pod.ips[0]);
    let mut object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"creationTimestamp": TIME, "labels": labels, "name": name, "namespace": namespace},
        "spec": {"nodeName": pod.node.as_deref()},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}]},
    });
    if form == Form::Whole {
        object["metadata"]["uid"] = json!("0a1b2c3d-4e5f-6789-abcd-ef0123456789");
        object["metadata"]["resourceVersion"] = json!("1234567");
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "blockOwnerDeletion": true, "controller": true, "kind": "ReplicaSet",
            "name": "app-0-5d8f7b9c6d", "uid": "0a1b2c3d-4e5f-6789-abcd-ef0123456789",
        }]);
        object["spec"] = spec(pod.node.as_deref().unwrap_or_default());
        object["status"] = status(&ip.to_string());
    }
    object
}

const TIME: &str = "2026-01-02T03:04:05Z";
const IMAGE: &str = "registry.example.com/team/app";

fn spec(node: &str) -> Value {
    let probe = json!({"failureThreshold": 3, "httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"},
        "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1});
    let tolerations = ["not-ready", "unreachable"].map(|what| {
        json!({"effect": "NoExecute", "key": format!("node.kubernetes.io/{what}"), "operator": "Exists",
            "tolerationSeconds": 300})
    });
    json!({
        "containers": [{
            "args": ["--listen=:8080", "--log-level=info"],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
            "image": format!("{IMAGE}:v1.2.3"), "imagePullPolicy": "IfNotPresent", "livenessProbe": probe, "name": "main",
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-x7k2p",
                "readOnly": true}],
        }],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "nodeName": node, "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0, "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {},
        "serviceAccount": "default", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        "tolerations": tolerations,
        "volumes": [{"name": "kube-api-access-x7k2p", "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        ]}}],
    })
}

fn status(ip: &str) -> Value {
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|what| json!({"lastProbeTime": null, "lastTransitionTime": TIME, "status": "True", "type": what}));
    json!({
        "conditions": conditions,
        "containerStatuses": [{
            "containerID": format!("containerd://{}", "ab12".repeat(16)), "image": format!("{IMAGE}:v1.2.3"),
            "imageID": format!("{IMAGE}@sha256:{}", "cd34".repeat(16)), "lastState": {}, "name": "main", "ready": true,
            "restartCount": 0, "started": true, "state": {"running": {"startedAt": TIME}},
        }],
        "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}], "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "qosClass": "Burstable", "startTime": TIME,
    })
}

/// By its name one of a workload's.
fn pod_of_deployment(of: &Pod) -> Value {
    let label = |key| of.labels.get(key).unwrap_or_default();
    let (app, _) = label("app.kubernetes.io/instance").split_once("-of-").unwrap_or_default();
    let mut object = pod(of, Form::Small);
    object["metadata"]["name"] = json!(format!("{app}-{}-{:05x}", label("pod-template-hash"), of.age.created));
    object["spec"]["containers"] = json!([{"name": "main", "ports": [{"name": "http", "containerPort": 8080}]}]);
    object
}

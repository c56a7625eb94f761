//! Patches do to the written objects what the edits do to policies.

use std::path::{Path, PathBuf};

use palisade_model::{Protocol, Traffic};
use serde_json::from_value;

use super::*;
use crate::manifests::{self, Manifests};

const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Namespace, apiVersion: v1, metadata: {name: other}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIPs: [{ip: 10.0.0.1}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db, namespace: shop, labels: {app: db}}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: api, namespace: shop, labels: {app: api}}, status: {podIPs: [{ip: 10.0.0.4}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: job, namespace: other, labels: {app: job}}, status: {podIPs: [{ip: 10.0.0.3}]}}
";

fn policies() -> Vec<Value> {
    let np = |name: &str, spec: Value| json!({"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": name, "namespace": "shop"}, "spec": spec});
    let web = json!({"podSelector": {"matchLabels": {"app": "web"}}});
    let out = json!({"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.8/32"]}}]});
    vec![
        np(
            "db",
            json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [
            {"from": [web], "ports": [{"port": 5432}]}, {"from": [web], "ports": [{"port": 80, "endPort": 90}, {"port": 5432}]}]}),
        ),
        // Without types, of which egress counts by its rules alone.
        np("web", json!({"podSelector": {"matchLabels": {"app": "web"}}, "egress": [out]})),
        np("deny-all", json!({"podSelector": {}})),
        np("job", json!({"podSelector": {"matchLabels": {"app": "none"}}})),
        json!({"kind": "ClusterNetworkPolicy", "apiVersion": "policy.networking.k8s.io/v1alpha2", "metadata": {"name": "lockdown"}, "spec": {
            "tier": "Admin", "priority": 0, "subject": {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}},
            "egress": [{"action": "Deny", "to": [{"networks": ["10.0.0.1/32"]}]}]}}),
    ]
}

fn read(policies: &[Value]) -> Manifests {
    let texts: Vec<String> = policies.iter().map(ToString::to_string).collect();
    let text = format!("{SHOP}\n---\n{}", texts.join("\n---\n"));
    manifests::parse(Path::new("."), &[(PathBuf::from("shop.yaml"), text)], "").unwrap()
}

fn cluster_of(policies: &[Value]) -> Cluster {
    let mut cluster = Cluster::default();
    read(policies).into_changes().for_each(|change| cluster.apply(change));
    cluster
}

/// Does to the written policies what the change says.
fn patched(policies: &[Value], change: &Change) -> Vec<Value> {
    let mut policies = policies.to_vec();
    for patch in &change.patches {
        let is_it = |policy: &&mut Value| policy["metadata"]["name"] == *patch.name && policy["kind"] == patch.kind;
        let object = policies.iter_mut().find(is_it).unwrap();
        let operations: json_patch::Patch = from_value(Value::Array(patch.patch.clone())).unwrap();
        json_patch::patch(object, &operations).unwrap();
    }
    policies.extend(change.objects.iter().cloned());
    policies
}

#[test]
fn the_written_objects_say_the_opposite_afterwards() {
    let policies = policies();
    let cluster = cluster_of(&policies);
    let (mut patches, mut objects) = (0, 0);
    for (source, destination) in [(1, 2), (2, 1), (3, 1), (3, 2), (1, 3), (1, 4), (4, 3)] {
        for port in [5432, 80, 85, 443] {
            let [source, destination] = [source, destination].map(|last| [10, 0, 0, last].into());
            let flow = Flow { source, destination, traffic: Traffic::Port { protocol: Protocol::Tcp, port } };
            let allowed = cluster.verdict(&flow).allowed;
            let change = Change::new(&cluster, &flow, allowed);
            assert_eq!(change.impossible, None, "{flow:?}");
            (patches, objects) = (patches + change.patches.len(), objects + change.objects.len());
            let after = cluster_of(&patched(&policies, &change));
            assert_ne!(after.verdict(&flow).allowed, allowed, "{flow:?}: {}", change.text());
        }
    }
    assert!(patches > 5 && objects > 5, "{patches} patches, {objects} objects");
}

#[test]
fn a_type_does_not_go_with_its_last_rule() {
    let policies = policies();
    let cluster = cluster_of(&policies);
    let id = NamespacedName::new("shop", "web");
    let edit = Edit::ReplaceRule { policy: id.clone(), direction: Direction::Egress, rule: 0, by: None };
    let mut change = Change::new(&Cluster::default(), &any_flow(), false);
    change.take(&cluster, Remedy { edits: vec![edit], notes: vec![] });
    let after = cluster_of(&patched(&policies, &change));
    assert_eq!(after.policies[&id].egress, Some(vec![]), "{}", change.text());
}

fn any_flow() -> Flow {
    Flow { source: [10, 0, 0, 1].into(), destination: [10, 0, 0, 2].into(), traffic: Traffic::Other(1) }
}

#[test]
fn a_patch_is_a_command_and_a_policy_is_yaml() {
    let cluster = cluster_of(&policies());
    let traffic = Traffic::Port { protocol: Protocol::Tcp, port: 443 };
    let flow = |source: u8, destination: u8| Flow {
        source: [10, 0, 0, source].into(),
        destination: [10, 0, 0, destination].into(),
        traffic,
    };
    let text = Change::new(&cluster, &flow(1, 2), false).text();
    let expected = "  to allow it:\n    kubectl -n shop patch networkpolicy db --type=json -p '[{";
    assert!(text.starts_with(expected), "{text}");
    let text = Change::new(&cluster, &flow(3, 3), true).text();
    assert!(text.contains("to forbid it: a pod always reaches itself"), "{text}");
    let text = Change::new(&cluster, &flow(2, 3), true).text();
    assert!(
        text.contains("as an administrator of the cluster, kubectl apply -f:\n    apiVersion: policy.networking"),
        "{text}"
    );
}

//! `palisade recommend` as a program.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod program;

use std::fs;
use std::process::Output;

use program::{Directory, succeeds};
use serde_json::{Value, json};

/// `api` and `twin` have the same labels. `ingress` of another namespace is isolated. Of `mail` there is no pod.
const SHOP: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Namespace, apiVersion: v1, metadata: {name: edge}}
---
{kind: Pod, apiVersion: v1, metadata: {name: web-7d4b9c6f5d-x2x7z, namespace: shop, labels: {app: web,
 pod-template-hash: 7d4b9c6f5d}}, status: {podIPs: [{ip: 10.0.0.1}], hostIP: 192.168.0.1, hostIPs: [{ip: 192.168.0.1}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: api, namespace: shop, labels: {app: api}},
 spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db-0, namespace: shop, labels: {app: db,
 statefulset.kubernetes.io/pod-name: db-0}}, status: {podIPs: [{ip: 10.0.0.3}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: twin, namespace: shop, labels: {app: api}}, status: {podIPs: [{ip: 10.0.0.4}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: proxy, namespace: edge, labels: {app: proxy}},
 status: {podIPs: [{ip: 10.0.0.5}]}}
---
{kind: Deployment, apiVersion: apps/v1, metadata: {name: mail, namespace: shop}, spec: {selector: {matchLabels: {app: mail}},
 template: {metadata: {labels: {app: mail}}, spec: {containers: []}}}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: old, namespace: shop}, spec: {podSelector: {}}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: quiet, namespace: edge}, spec: {podSelector: {},
 policyTypes: [Egress]}}
";

#[track_caller]
fn fails(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A line of monitor: `shop/web` as its node sees it, and who is at the other end.
fn record(peer: &Value, protocol: &str, port: Option<u16>) -> String {
    let pod = json!({"namespace": "shop", "name": "web-7d4b9c6f5d-x2x7z", "workload": "web", "address": "10.0.0.1"});
    let mut record = json!({
        "kind": "record", "time": "2026-11-28T22:56:12.25Z", "node": "worker-1", "verdict": "allowed", "reason": "open",
        "direction": "egress", "pod": pod, "peer": peer, "protocol": protocol, "packets": 0, "connections": 3,
    });
    if let Some(port) = port {
        record["port"] = port.into();
    }
    format!("{record}\n")
}

fn pod(name: &str, workload: &str, address: &str) -> Value {
    json!({"address": address, "pod": {"namespace": "shop", "name": name, "workload": workload},
        "service": "10.96.0.7:80"})
}

#[test]
fn what_is_recommended_is_verified_by_what_it_was_made_from() {
    let directory = Directory::of(SHOP);
    let [policies, expectations] = ["policies.yaml", "expectations.yaml"].map(|name| directory.file(name, ""));
    let wishes = [
        "web -> api http",
        "shop/api -> shop/db 5432",
        "192.0.2.7 -> web 80,443",
        "mail -> db TCP 9000-9010",
        "db -> mail 25",
    ];
    let wishes: Vec<&str> = wishes.iter().flat_map(|wish| ["--allow", wish]).collect();
    let arguments = [&["-n", "shop", "--expectations", &expectations][..], &wishes].concat();
    let yaml = succeeds(&directory.run("recommend", &arguments));
    let manifests = SHOP.split("---\n").filter(|one| !one.contains("name: old")).collect::<Vec<_>>().join("---\n");
    let applied = Directory::of(&format!("{manifests}---\n{yaml}"));
    fs::write(&policies, &yaml).unwrap();
    let verified = succeeds(&applied.run("verify", &[&expectations]));
    assert!(verified.contains("5 passed"), "{verified}");
    // Without them anybody may.
    let without = Directory::of(&manifests);
    fails(&without.run("verify", &[&expectations]), 1);
}

#[test]
fn each_rule_says_why_and_each_oddity_is_told() {
    let directory = Directory::of(SHOP);
    let flows = [
        record(&pod("db-0", "db", "10.0.0.3"), "TCP", Some(5432)),
        record(&json!({"address": "192.168.0.1", "node": "worker-1"}), "TCP", Some(10250)),
        record(&json!({"address": "10.96.0.7"}), "TCP", Some(80)),
        record(&pod("db-0", "db", "10.0.0.3"), "ICMP", None),
        record(&pod("gone", "gone", "10.0.0.99"), "TCP", Some(80)),
    ];
    let flows = directory.file("flows.json", &flows.concat());
    let arguments = ["-n", "shop", "--flows", &flows];
    let yaml = succeeds(&directory.run("recommend", &arguments));
    for line in [
        "# NetworkPolicies that let 1 flows pass, and nothing else: 3 for shop.\n",
        "#   shop/old\n",
        "  # shop/web -> shop/db TCP 5432: 3 connections, last 2026-11-28T22:56:12Z\n",
        "#   no DNS of shop/web was seen: they will resolve no names.",
    ] {
        assert!(yaml.contains(line), "{line} in {yaml}");
    }
    let report = directory.json("recommend", &arguments);
    let told: Vec<&str> = report["told"].as_array().unwrap().iter().map(|one| one["flow"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "shop/web -> 10.96.0.7 TCP 80",
            "shop/web -> node worker-1 (192.168.0.1) TCP 10250",
            "shop/web -> shop/db ICMP",
            "shop/web -> shop/gone TCP 80",
        ]
    );
    let names: Vec<&Value> =
        report["policies"].as_array().unwrap().iter().map(|policy| &policy["metadata"]["name"]).collect();
    assert_eq!(names, ["default-deny", "db", "web"]);
    let selector = &report["policies"][2]["spec"]["podSelector"];
    assert_eq!(selector, &json!({"matchLabels": {"app": "web"}}), "no label that goes with its pod");
}

#[test]
fn what_labels_do_not_tell_apart_passes_as_well_and_is_said_to() {
    let report = Directory::of(SHOP).json("recommend", &["-n", "shop", "--allow", "api -> db 5432"]);
    let also = json!([{"from": "shop/twin", "to": "shop/db", "ports": ["TCP 5432"], "by": ["shop/api-and-1-more spec.egress[0]"],
        "why": "no labels tell shop/api and shop/twin apart"}]);
    assert_eq!((&report["alsoPasses"], &report["alike"]), (&also, &json!([["shop/api", "shop/twin"]])));
}

#[test]
fn one_direction_leaves_the_other_as_it_is() {
    let report =
        Directory::of(SHOP).json("recommend", &["-n", "shop", "--direction", "ingress", "--allow", "web -> db 5432"]);
    let types: Vec<&Value> =
        report["policies"].as_array().unwrap().iter().map(|policy| &policy["spec"]["policyTypes"]).collect();
    assert_eq!(types, [&json!(["Ingress"]), &json!(["Ingress"])]);
}

/// The policy of the other namespace goes on to deny it.
#[test]
fn what_does_not_pass_all_the_same_is_an_error_that_says_why() {
    let output = Directory::of(SHOP).run("recommend", &["-n", "shop", "--allow", "edge/proxy -> web 80"]);
    let error = fails(&output, 1);
    assert!(error.contains("edge/proxy -> shop/web TCP 80") && error.contains("edge/quiet"), "{error}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("# Not met (1):\n"));
}

#[test]
fn wishes_that_make_no_sense_are_refused_with_what_was_meant() {
    let directory = Directory::of(SHOP);
    for (arguments, expected) in [
        (&["-n", "shop", "--allow", "wep -> db 80"][..], "there is no workload shop/wep: did you mean shop/web?"),
        (&["-n", "shpo", "--allow", "shop/web -> shop/db 80"], "there is no namespace shpo: did you mean shop?"),
        (&["--allow", "web -> shop/db 80"], "web is in no namespace: write NAMESPACE/web"),
        (&["--allow", "192.0.2.1 -> 192.0.2.2 80"], "neither is a pod"),
        (&["-n", "shop", "--allow", "web -> db http"], "shop/db declares no TCP port http"),
    ] {
        let error = fails(&directory.run("recommend", arguments), 1);
        assert!(error.contains(expected), "{error}");
    }
    fails(&directory.run("recommend", &[]), 2);
    fails(&directory.run("recommend", &["--allow", "web db"]), 2);
}

/// A workload's name is what a label says, where it does.
#[test]
fn no_name_ends_a_comment() {
    let evil = "\"x\\nspec: {podSelector: {}}\\u2028kind: Secret\"";
    let directory = Directory::of(&SHOP.replacen("{app: web,", &format!("{{app: web, job-name: {evil},"), 1));
    let yaml = succeeds(&directory.run("recommend", &["-n", "shop", "--allow", "10.0.0.1 -> db 5432"]));
    assert!(yaml.contains("podSelector: {}}\\u{2028}kind: Secret -> shop/db TCP 5432"), "{yaml}");
    assert!(yaml.lines().all(|line| !line.starts_with("spec: {")), "{yaml}");
    let names = yaml.lines().filter(|line| line.starts_with("  name: ")).collect::<Vec<_>>();
    assert_eq!(names, ["  name: default-deny", "  name: db", "  name: x-spec---podselector------kind--secret"]);
}

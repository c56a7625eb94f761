//! The conformance runner itself, with stand-ins for `palisade` that are easy to predict.

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use palisade_integration::cases::{Case, PlayError, play, play_open};
use palisade_integration::netns::Topology;
use tempfile::TempDir;

/// Two pods and an external host; `x/b` is reached in the first step only, and finished at the end.
const CASE: &str = r#"{
    "name": "sample",
    "namespaces": [{"name": "x", "labels": {}}],
    "pods": [
        {"namespace": "x", "name": "a", "labels": {}, "ip": "10.0.0.1", "ipv6": "fd00::1", "ports": []},
        {"namespace": "x", "name": "b", "labels": {}, "ip": "10.0.0.2", "ipv6": "fd00::2", "ports": []}
    ],
    "externals": [{"name": "far", "ip": "192.0.2.1"}],
    "steps": [
        {"actions": [], "expect": [
            {"from": "x/a", "on": [["TCP", 80], ["SCTP", 80]], "allowed": ["x/a", "x/b", "ext/far"], "denied": []},
            {"from": "x/b", "on": [["UDP", 80]], "family": "ipv6", "allowed": ["x/a"], "denied": []}
        ]},
        {"actions": [{"op": "setPodPhase", "namespace": "x", "name": "b", "phase": "Succeeded"},
                     {"op": "createPod", "pod": {"namespace": "x", "name": "c", "ip": "10.0.0.2"}}], "expect": [
            {"from": "ext/far", "to": "x/a", "protocol": "TCP", "port": 80, "allowed": true},
            {"from": "x/a", "to": "x/c", "protocol": "TCP", "port": 80, "allowed": false}
        ]}
    ]
}"#;

/// Allows everything, and says that this is right.
const OPEN: &str = "case $1 in run) exec sleep 60 ;; diff) ;; esac";

/// Drops what `x/a` sends to 10.0.0.2 once the second step's pod is there.
const RIGHT: &str = "case $1 in
    run) exec sleep 60 ;;
    diff)
        nft list table inet t >/dev/null 2>&1 && exit
        [ -e $5/pod-x-c.json ] || exit 0
        nft 'add table inet t; add chain inet t f { type filter hook forward priority 0; };
             add rule inet t f ip daddr 10.0.0.2 drop'
        echo not yet ;;
esac";

fn program(script: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("palisade");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (directory, path)
}

fn play_sample(script: &str, nodes: usize) -> Result<(), PlayError> {
    let case: Case = serde_json::from_str(CASE).unwrap();
    let (_directory, path) = program(script);
    play(&case, nodes, &path)
}

#[test]
fn a_right_program_passes() {
    play_sample(RIGHT, 1).unwrap();
    play_sample(RIGHT, 2).unwrap();
}

#[test]
fn an_open_program_is_found_out() {
    let error = play_sample(OPEN, 2).unwrap_err().to_string();
    assert_eq!(error, "1 wrong flows:\nsample step 2: x/a -> x/c TCP 80 IPv4: expected denied, got allowed");
}

#[test]
fn a_program_that_drops_too_much_is_found_out() {
    let drop = "add table inet t; add chain inet t f { type filter hook forward priority 0; policy drop; }";
    let ready = "nft list table inet t >/dev/null 2>&1 || echo not yet";
    let script = format!("case $1 in run) nft '{drop}'; exec sleep 60 ;; diff) {ready} ;; esac");
    let error = play_sample(&script, 1).unwrap_err().to_string();
    for flow in ["x/a -> x/b SCTP 80 IPv4", "x/a -> ext/far TCP 80 IPv4", "x/b -> x/a UDP 80 IPv6"] {
        assert!(error.contains(&format!("sample step 1: {flow}: expected allowed, got denied")), "{error}");
    }
    assert!(!error.contains("x/a -> x/a"), "{error}");
}

#[test]
fn a_program_that_ends_is_told_with_its_last_words() {
    let error = play_sample("echo out of order; exit 3", 1).unwrap_err().to_string();
    assert!(error.contains("node-0 ended with exit status: 3") && error.contains("out of order"), "{error}");
}

/// All that only cases with ClusterNetworkPolicies have: nodes, one of which pods run on, a Service, echo requests, and
/// connections from before.
const AROUND: &str = r#"{
    "name": "around",
    "namespaces": [{"name": "x", "labels": {}}],
    "nodes": [{"name": "node0", "labels": {}, "ip": "172.20.0.1", "ipv6": "fd20::1"},
              {"name": "node1", "labels": {}, "ip": "172.20.0.2", "ipv6": "fd20::2"}],
    "pods": [
        {"namespace": "x", "name": "a", "ip": "10.0.0.1", "ipv6": "fd00::1"},
        {"namespace": "x", "name": "b", "ip": "10.0.0.2", "ipv6": "fd00::2"},
        {"namespace": "x", "name": "host", "ip": "172.20.0.2", "ipv6": "fd20::2", "hostNetwork": true}
    ],
    "services": [{"name": "v4", "ip": "10.96.0.1", "to": "x/a"}, {"name": "v6", "ip": "fd96::1", "to": "x/a"}],
    "steps": [
        {"actions": [], "expect": [
            {"from": "x/a", "on": [["TCP", 80], ["UDP", 80], ["SCTP", 80], ["ICMP", 0]],
             "allowed": ["node/node0", "node/node1", "x/host", "svc/v4"], "denied": ["x/b"]},
            {"from": "x/b", "on": [["TCP", 80], ["ICMP", 0]], "family": "ipv6",
             "allowed": ["node/node0", "node/node1", "svc/v6"], "denied": []},
            {"from": "node/node1", "on": [["TCP", 80]], "allowed": ["x/a", "node/node0"], "denied": []}
        ]},
        {"actions": [{"op": "createNode", "node": {"name": "new", "ip": "172.20.0.3"}},
                     {"op": "createClusterPolicy", "object": {"metadata": {"name": "p"}}},
                     {"op": "setNodeLabels", "name": "node1", "labels": {"a": "b"}}],
         "live": [
            {"from": "x/b", "to": "svc/v4", "protocol": "TCP", "port": 443, "survives": false},
            {"from": "x/a", "to": "svc/v6", "protocol": "TCP", "port": 443, "family": "ipv6", "survives": true},
            {"from": "x/a", "to": "node/node0", "protocol": "TCP", "port": 443, "survives": true}
         ],
         "expect": [{"from": "x/a", "to": "node/new", "protocol": "UDP", "port": 80, "allowed": true}]}
    ]
}"#;

#[test]
fn everything_around_pods_works_where_nobody_enforces() {
    let case: Case = serde_json::from_str(AROUND).unwrap();
    for nodes in [1, 2] {
        let routed = Topology::routed(nodes);
        for topology in [routed, routed.on_bridges(), routed.on_bridges().over_vxlan()] {
            play_open(&case, topology).unwrap();
        }
    }
}

#[test]
fn a_connection_that_outlives_what_forbids_it_is_found_out() {
    let case: Case = serde_json::from_str(AROUND).unwrap();
    let (_directory, path) = program(OPEN);
    let error = play(&case, 2, &path).unwrap_err().to_string();
    let live = "around step 2: x/b -> svc/v4 TCP 443 IPv4, connected before: expected neither end heard, \
                got client true, server true";
    assert!(error.contains(live), "{error}");
    assert_eq!(error.lines().count(), 6, "and the four flows of the first step that must be denied: {error}");
}

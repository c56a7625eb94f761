//! The conformance runner itself, with stand-ins for `palisade` that are easy to predict.

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use palisade_integration::cases::{Case, PlayError, play};
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

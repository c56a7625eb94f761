//! What the real program tells of packets that it drops, or would drop.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use palisade_integration::probe::{Family, Kind};
use palisade_nft::LogReader;
use serde_json::Value;

use crate::scene::Scene;

/// `db` lets `app=api` in at TCP 5432.
const DB: &str = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop}, spec: \
                  {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], \
                  ports: [{port: 5432}]}]}}";

/// The same as one that only watches.
fn audited() -> String {
    DB.replace(
        "{name: db, namespace: shop}",
        "{name: db, namespace: shop, annotations: {palisade.dev/enforcement: audit}}",
    )
}

fn is_of(record: &Value, verdict: &str, pod: &str, peer: &str, port: u16) -> bool {
    record["verdict"] == verdict
        && record["pod"]["name"] == pod
        && record["peer"]["address"] == peer
        && record["port"] == port
}

#[test]
fn a_refused_pod_finds_its_line() {
    let scene = Scene::new(DB);
    for (family, peer) in [(Family::Ipv4, "10.0.0.1"), (Family::Ipv6, "fd00::1")] {
        for (kind, protocol) in [(Kind::Tcp(5432), "TCP"), (Kind::Udp(53), "UDP")] {
            assert!(!scene.passes(&scene.web, &scene.db, family, kind));
            let port = if protocol == "TCP" { 5432 } else { 53 };
            let is_it = |record: &Value| is_of(record, "dropped", "db-0", peer, port) && record["protocol"] == protocol;
            let record = scene.records(is_it).into_iter().find(is_it).unwrap();
            assert_eq!((&record["direction"], &record["reason"]), (&"ingress".into(), &"policy".into()));
            assert_eq!(record["peer"]["pod"]["name"], "web");
            assert_eq!(record["policies"], Value::from(vec!["shop/db"]));
            assert_eq!(record["nearest"]["policy"], "shop/db");
            let text = record["nearest"]["text"].as_str().unwrap();
            assert!(text.contains("app=api") && text.contains("app=web"), "{text}");
        }
    }
    let line = scene.prints(&["monitor", "--since", "1h", "--port", "5432", "--pod", "shop/db-0"]);
    assert!(line.contains("shop/web") && line.contains("app=api"), "{line}");
    assert!(scene.prints(&["monitor", "--top"]).contains("shop/web"));
    let status = scene.prints(&["status"]);
    assert!(status.contains("app=api"), "{status}");
}

#[test]
fn a_stranger_and_what_a_pod_sends_are_told_as_well() {
    let deny = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: shut, namespace: shop}, spec: \
                {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}}";
    let scene = Scene::new(deny);
    assert!(!scene.passes(&scene.stranger, &scene.web, Family::Ipv4, Kind::Tcp(80)));
    scene.records(|record| {
        is_of(record, "dropped", "web", "192.0.2.1", 80)
            && record["direction"] == "ingress"
            && record["peer"]["pod"].is_null()
    });
    assert!(!scene.passes(&scene.web, &scene.db, Family::Ipv6, Kind::Udp(53)));
    scene.records(|record| is_of(record, "dropped", "web", "fd00::2", 53) && record["direction"] == "egress");
}

#[test]
fn what_an_audited_policy_would_drop_passes_and_is_told_until_it_is_enforced() {
    let mut scene = Scene::new(&audited());
    assert!(scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    let records = scene.records(|record| is_of(record, "wouldDrop", "db-0", "10.0.0.1", 80));
    assert!(records.iter().all(|record| record["verdict"] != "dropped"), "{records:#?}");
    let line = scene.prints(&["monitor", "--since", "1h", "--would-drop"]);
    assert!(line.contains("shop/web"), "{line}");
    scene.change(DB);
    assert!(!scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    scene.records(|record| is_of(record, "dropped", "db-0", "10.0.0.1", 80));
}

#[test]
fn who_follows_hears_of_it() {
    let scene = Scene::new(DB);
    let mut follower = scene.palisade(&["monitor", "-o", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let begun: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(begun["kind"], "begin");
    assert!(!scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    let told = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut told = told.filter(|line| line["kind"] == "record");
    assert!(told.any(|record| is_of(&record, "dropped", "db-0", "10.0.0.1", 80)));
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn where_another_program_has_the_group_policies_are_enforced_all_the_same() {
    let mut scene = Scene::without_agent();
    let reader = scene.node().namespace().enter(|| LogReader::open(9467).unwrap()).unwrap();
    scene.write(DB);
    scene.start();
    assert!(!scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    let log = scene.log();
    assert_eq!(log.matches("log group 9467 is read by another program").count(), 1, "{log}");
    let status = scene.prints(&["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert!(status["pods"]["shop/db-0"]["ingress"]["packets"].as_u64().unwrap() > 0, "counted, if not explained");
    drop(reader);
}

//! What the real program tells of connections that it lets through.

use std::net::IpAddr;

use palisade_integration::probe::{Family, Kind};
use palisade_integration::traffic::Traffic;
use palisade_nft::{Conntrack, KernelConntrack};
use serde_json::Value;

use crate::scene::Scene;

const FLOWS: &[&str] = &["--flows"];
const ALLOWED: &[&str] = &["--allowed"];

/// `db` lets `app=web` in.
const DB: &str = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: db, namespace: shop}, spec: \
                  {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}}";
/// And others as well, by another rule.
const OPEN: &str = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: all, namespace: shop}, spec: \
                    {podSelector: {matchLabels: {app: db}}, ingress: [{}]}}";

fn is_at(record: &Value, direction: &str, pod: &str, peer: &str, port: u16) -> bool {
    record["verdict"] == "allowed"
        && record["direction"] == direction
        && record["pod"]["name"] == pod
        && record["peer"]["address"] == peer
        && record["port"] == port
}

#[test]
fn a_connection_is_told_at_both_ends_with_what_allowed_it() {
    let scene = Scene::with(DB, FLOWS);
    for (family, web, db) in [(Family::Ipv4, "10.0.0.1", "10.0.0.2"), (Family::Ipv6, "fd00::1", "fd00::2")] {
        for (kind, protocol, port) in [(Kind::Tcp(80), "TCP", 80), (Kind::Udp(53), "UDP", 53)] {
            assert!(scene.passes(&scene.web, &scene.db, family, kind));
            let is_ingress = |record: &Value| is_at(record, "ingress", "db-0", web, port);
            let records = scene.records_of(ALLOWED, is_ingress);
            let ingress = records.iter().find(|record| is_ingress(record)).unwrap();
            assert_eq!((&ingress["reason"], &ingress["protocol"]), (&"policy".into(), &protocol.into()));
            assert_eq!(
                (&ingress["rule"]["policy"], &ingress["rule"]["field"]),
                (&"shop/db".into(), &"spec.ingress[0]".into())
            );
            assert_eq!(
                (&ingress["peer"]["pod"]["name"], &ingress["text"]),
                (&"web".into(), &"allowed by shop/db spec.ingress[0]".into())
            );
            assert!(ingress["connections"].as_u64() >= Some(1), "{ingress}");
            let egress = records.iter().find(|record| is_at(record, "egress", "web", db, port)).expect("the other end");
            assert_eq!(egress["reason"], "open");
        }
    }
    assert!(scene.passes(&scene.web, &scene.stranger, Family::Ipv4, Kind::Tcp(81)));
    scene.records_of(ALLOWED, |record| is_at(record, "egress", "web", "192.0.2.1", 81));
    let text = scene.prints(&["monitor", "--since", "1h", "--allowed", "--pod", "shop/db-0", "--port", "80"]);
    assert!(text.contains("×1 connection") && text.contains("allowed by shop/db spec.ingress[0]"), "{text}");
    assert!(scene.prints(&["monitor", "--top", "--allowed"]).contains("BEGUN"));
    assert!(scene.messages(&[]).iter().all(|message| message["kind"] != "record"), "nothing was dropped");
}

#[test]
fn an_end_is_told_with_what_allowed_the_beginning() {
    let mut scene = Scene::with(DB, FLOWS);
    assert!(scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    let is_it = |record: &Value| is_at(record, "ingress", "db-0", "10.0.0.1", 80);
    scene.records_of(ALLOWED, is_it);
    scene.change(OPEN);
    let forget = || KernelConntrack::open().unwrap().forget(&[scene.db.addresses()[0]].into()).unwrap();
    scene.node().namespace().enter(forget).unwrap();
    let has_ended = |record: &Value| is_it(record) && record["ended"].as_u64() >= Some(1);
    let records = scene.records_of(ALLOWED, has_ended);
    let ended = records.into_iter().find(has_ended).unwrap();
    assert_eq!(ended["rule"]["policy"], "shop/db");
}

#[test]
fn of_a_service_the_pod_behind_it_and_its_address_are_told() {
    let scene = Scene::with(DB, FLOWS);
    let nat =
        "table ip nat { chain to { type nat hook prerouting priority -100; ip daddr 10.96.0.1 dnat to 10.0.0.2; }; }";
    scene.node().namespace().nft(nat).unwrap();
    let service: IpAddr = "10.96.0.1".parse().unwrap();
    assert!(scene.passes_through(&scene.web, &scene.db, Some(service), Family::Ipv4, Kind::Tcp(80)));
    let is_egress = |record: &Value| is_at(record, "egress", "web", "10.0.0.2", 80);
    let egress = scene.records_of(ALLOWED, is_egress).into_iter().find(is_egress).unwrap();
    assert_eq!((&egress["peer"]["service"], &egress["peer"]["pod"]["name"]), (&"10.96.0.1:80".into(), &"db-0".into()));
}

#[test]
fn without_the_flag_nothing_is_told_and_that_is_said() {
    let scene = Scene::new(DB);
    assert!(scene.passes(&scene.web, &scene.db, Family::Ipv4, Kind::Tcp(80)));
    let messages = scene.messages(ALLOWED);
    assert!(messages[0]["kind"] == "begin" && messages[0]["allowed"].is_null(), "{messages:#?}");
    assert!(messages.iter().all(|message| message["kind"] != "record"), "{messages:#?}");
    let mut asking = scene.palisade(&["monitor", "--since", "1h", "--allowed"]);
    let output = scene.node().namespace().run(&mut asking, "").unwrap();
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && says.contains("it runs without --flows"), "{says}");
}

#[test]
fn a_flood_of_connections_loses_no_packet_and_hides_no_drop() {
    let scene = Scene::with(DB, FLOWS);
    let traffic = Traffic::start(&scene.db, &scene.web, &scene.stranger).unwrap();
    traffic.pass(5_000);
    scene.records(|record| record["verdict"] == "dropped" && record["peer"]["address"] == "192.0.2.1");
    scene.records_of(ALLOWED, |record| is_at(record, "ingress", "db-0", "10.0.0.1", 5_000));
    let tally = traffic.stop().unwrap();
    assert!(tally.is_right() && tally.allowed > 5_000, "{tally}");
    let dropped = scene.records(|_| true);
    assert!(dropped.iter().all(|record| record["verdict"] == "dropped"), "they are told apart");
}

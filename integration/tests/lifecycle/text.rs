//! `palisade render | nft -f -` and `palisade run` come to the same, and what nft lists of it, nft can load.

use std::process::Command;

use palisade::enforcer::Enforcer;
use palisade::render::render;
use palisade_integration::netns::Namespace;
use palisade_model::testing::{NODE, changes};
use palisade_model::{Change, Index};
use palisade_nft::{Kernel, Ownership};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::agent::Agent;
use crate::node::{Node, blocks, table};
use crate::shop::{namespace, objects, pod, policy, shop, shop_and};

#[track_caller]
fn both_ways_are_one(manifests: &str) {
    let (written, piped, fresh) = (Node::new(manifests), Node::new(manifests), Node::new(manifests));
    written.once().succeeds();
    piped.load(&written.palisade("render").succeeds());
    let listing = written.nft(&["list", "ruleset"]);
    assert!(listing.contains("table inet palisade"), "{listing}");
    assert_eq!(listing, piped.nft(&["list", "ruleset"]));
    can_be_loaded(fresh.namespace(), &listing);
    assert_eq!(written.palisade("diff").succeeds() + &piped.palisade("diff").succeeds(), "");
}

#[test]
fn of_a_shop() {
    both_ways_are_one(&shop());
}

#[test]
fn of_a_cluster_without_policies() {
    both_ways_are_one(&objects(&[&namespace("shop", "{}"), &pod("shop", "web", "node-a", &["10.0.0.1"])]));
}

#[test]
fn of_every_kind_of_peer_in_both_families_and_directions() {
    let peers = "[{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}},
        {namespaceSelector: {}}, {namespaceSelector: {matchLabels: {team: support}}, podSelector: {matchLabels: {app: desk}}},
        {ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26, 192.0.2.7/32]}}, {ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}},
        {ipBlock: {cidr: 'fd00::/8', except: ['fd00:1::/32']}}, {ipBlock: {cidr: 255.255.255.255/32}}]";
    let ports = "[{port: 80}, {protocol: UDP, port: 53}, {protocol: SCTP, port: 7777}, {port: main}]";
    let spec = format!(
        "{{podSelector: {{}}, policyTypes: [Ingress, Egress], ingress: [{{from: {peers}, ports: {ports}}}, {{from: {peers}}}],
          egress: [{{to: {peers}, ports: {ports}}}, {{ports: {ports}}}, {{to: {peers}}}]}}"
    );
    both_ways_are_one(&shop_and(&policy("shop", "everything", &spec)));
}

#[test]
fn of_overlapping_ranges() {
    let rules: Vec<String> = (0..12_u16)
        .map(|i| {
            format!(
                "{{from: [{{ipBlock: {{cidr: 192.0.{i}.0/24}}}}], ports: [{{port: {}, endPort: {}}}]}}",
                1000 + 7 * i,
                1080 + 3 * i
            )
        })
        .collect();
    let spec = format!(
        "{{podSelector: {{}}, ingress: [{}, {{ports: [{{port: 65535}}, {{protocol: UDP, port: 1, endPort: 65535}}]}}]}}",
        rules.join(", ")
    );
    both_ways_are_one(&shop_and(&policy("shop", "ranges", &spec)));
}

#[test]
fn of_named_ports() {
    let spec = "{podSelector: {}, ingress: [{ports: [{port: main}]}], egress: [
        {to: [{podSelector: {}}], ports: [{port: main}, {port: other}]}, {ports: [{protocol: UDP, port: main}]}]}";
    both_ways_are_one(&shop_and(&policy("shop", "named", spec)));
}

#[test]
fn of_names_that_are_long_or_look_like_keywords() {
    let long = "a".repeat(63);
    let spec = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
    both_ways_are_one(&objects(&[
        &namespace("ip", "{}"),
        &namespace(&long, "{}"),
        &pod("ip", "drop", "node-a", &["10.0.0.1"]),
        &pod("ip", "a.b.c", "node-a", &["10.0.0.2"]),
        &pod(&long, "b.".repeat(120).trim_end_matches('.'), "node-a", &["10.0.0.3", "fd00::3"]),
        &policy("ip", "accept", spec),
        &policy(
            &long,
            &"c".repeat(253),
            "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}]}]}",
        ),
    ]));
}

#[test]
fn of_a_running_agent() {
    let (running, piped) = (Node::new(&shop()), Node::new(&shop()));
    let agent = Agent::start(&running);
    piped.load(&running.palisade("render").succeeds());
    assert_eq!(running.listing(), piped.listing());
    can_be_loaded(piped.namespace(), &running.nft(&["list", "ruleset"]));
    agent.stop();
    assert_eq!(running.listing(), piped.listing());
    can_be_loaded(piped.namespace(), &running.listing());
}

#[test]
fn of_random_clusters() {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)).run(
        &changes(60),
        |changes| {
            let (committed, loaded) = (committed(&changes), loaded(&changes));
            prop_assert_eq!(blocks(&committed), blocks(&loaded));
            Ok(())
        },
    );
    result.unwrap();
}

/// What nft lists after the agent's way: each change committed by itself to what was there.
fn committed(changes: &[Change]) -> String {
    let namespace = Namespace::new().unwrap();
    namespace
        .enter(|| {
            let mut enforcer = Enforcer::new(NODE, table(), Kernel::open(table(), Ownership::Plain).unwrap());
            for change in changes {
                enforcer.apply(change.clone());
                enforcer.commit().unwrap();
            }
        })
        .unwrap();
    listing(&namespace)
}

/// What nft lists after it has loaded the text of the same state, compiled afresh.
fn loaded(changes: &[Change]) -> String {
    let mut index = Index::new(NODE);
    changes.iter().for_each(|change| index.apply(change.clone()));
    let namespace = Namespace::new().unwrap();
    namespace.nft(&render(table(), &index.take_delta()).to_string()).unwrap();
    let listing = listing(&namespace);
    can_be_loaded(&namespace, &listing);
    listing
}

fn listing(namespace: &Namespace) -> String {
    let output = namespace.run(Command::new("nft").args(["list", "ruleset"]), "").unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn can_be_loaded(namespace: &Namespace, listing: &str) {
    namespace.run(Command::new("nft").args(["-c", "-f", "-"]), &format!("flush ruleset\n{listing}")).unwrap();
}

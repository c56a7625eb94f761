//! What cannot be understood changes nothing: the last good state stays in force, and the message leads to the mistake.

use std::fs;

use crate::agent::Agent;
use crate::node::{Finished, Node, says};
use crate::shop::{objects, pod, policy, shop, shop_and};

/// A policy that says nothing in the field that it misspells.
fn misspelt() -> String {
    policy("shop", "typo", "{podSelecter: {}, policyTypes: [Ingress]}")
}

/// An agent on the shop; then `spoil`, which it refuses; then `mend`, whereupon it follows.
#[track_caller]
fn stays_until_mended(spoil: impl FnOnce(&Node), words: &[&str], mend: impl FnOnce(&Node)) {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    let (held, generation) = (node.listing(), node.generation());
    spoil(&node);
    says(&agent.says("refused"), &["last good state stays"]);
    says(&agent.log(), words);
    assert_eq!((node.listing(), node.generation()), (held, generation));
    mend(&node);
    agent.says("can be read again");
    agent.catches_up(&node);
    assert!(node.listing().contains("10.0.0.77"));
    agent.settles(&node);
    assert_eq!(node.generation(), generation + 2, "the pod, and then an epoch");
    agent.stop();
}

fn better() -> String {
    shop_and(&pod("shop", "more", "node-a", &["10.0.0.77"]))
}

#[test]
fn a_misspelt_field() {
    stays_until_mended(
        |node| node.write("typo.yaml", &objects(&[&pod("shop", "more", "node-a", &["10.0.0.77"]), &misspelt()])),
        &["typo.yaml:", "(document 2)", "NetworkPolicy shop/typo", "spec.podSelecter"],
        |node| node.write("typo.yaml", &pod("shop", "more", "node-a", &["10.0.0.77"])),
    );
}

#[test]
fn a_file_half_written() {
    stays_until_mended(
        |node| node.write("cluster.yaml", &better()[..better().len() - 3]),
        &["cluster.yaml:", "(document 9)", "not valid YAML"],
        |node| node.write("cluster.yaml", &better()),
    );
}

#[test]
fn an_empty_directory() {
    stays_until_mended(
        |node| fs::remove_file(node.manifests().join("cluster.yaml")).unwrap(),
        &["manifests: holds no manifest"],
        |node| node.write("cluster.yaml", &better()),
    );
}

#[test]
fn a_directory_that_is_gone() {
    stays_until_mended(
        |node| fs::rename(node.manifests(), node.path("away")).unwrap(),
        &["manifests: cannot be read", "No such file"],
        |node| {
            fs::write(node.path("away").join("cluster.yaml"), better()).unwrap();
            fs::rename(node.path("away"), node.manifests()).unwrap();
        },
    );
}

#[test]
fn an_object_that_is_there_twice() {
    stays_until_mended(
        |node| node.write("again.yaml", &pod("shop", "web", "node-a", &["10.0.0.77"])),
        &["cluster.yaml:", "Pod shop/web", "defined twice", "again.yaml"],
        |node| {
            fs::remove_file(node.manifests().join("again.yaml")).unwrap();
            node.write("cluster.yaml", &better());
        },
    );
}

#[test]
fn a_mistake_is_told_once_and_the_next_one_anew() {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    node.write("typo.yaml", &misspelt());
    agent.says("podSelecter");
    node.write("typo.yaml", &misspelt().replace("podSelecter", "podSelektor"));
    agent.says("podSelektor");
    let log = agent.log();
    assert_eq!(log.matches("podSelecter").count(), 1, "{log}");
}

#[track_caller]
fn at_the_start(spoil: impl FnOnce(&Node), words: &[&str]) {
    let node = Node::new(&shop());
    spoil(&node);
    let once = node.once();
    let with_all = |finished: Finished| says(&finished.fails(1), words);
    with_all(once);
    for command in ["run", "render", "diff"] {
        with_all(node.palisade(command));
    }
    assert_eq!(node.nft(&["list", "ruleset"]), "");
}

#[test]
fn a_start_on_a_mistake_fails() {
    at_the_start(
        |node| node.write("typo.yaml", &misspelt()),
        &["error: ", "typo.yaml:1 (document 1): NetworkPolicy shop/typo: spec.podSelecter: "],
    );
}

#[test]
fn a_start_on_several_mistakes_tells_them_all() {
    at_the_start(
        |node| {
            node.write("typo.yaml", &misspelt());
            node.write("pod.yaml", &pod("shop", "odd", "node-a", &["10.0.0.256"]));
        },
        &["podSelecter", "Pod shop/odd", "status.podIPs[0]", "10.0.0.256"],
    );
}

#[test]
fn a_start_without_a_directory_fails() {
    at_the_start(
        |node| fs::remove_dir_all(node.manifests()).unwrap(),
        &["error: ", "manifests: cannot be read", "give the directory"],
    );
}

#[test]
fn a_start_on_an_empty_directory_fails() {
    at_the_start(
        |node| fs::remove_file(node.manifests().join("cluster.yaml")).unwrap(),
        &["manifests: holds no manifest"],
    );
}

#[test]
fn a_start_on_a_mistake_leaves_what_is_enforced() {
    let node = Node::enforcing(&shop());
    let (held, generation) = (node.listing(), node.generation());
    node.write("typo.yaml", &misspelt());
    node.once().fails(1);
    assert_eq!((node.listing(), node.generation()), (held, generation));
}

//! What others did to the table while no agent ran is repaired by the next start, and what they do to a table that they
//! can write while one runs, at once; their own tables are left alone.

use crate::agent::{Agent, eventually};
use crate::node::{Node, blocks};
use crate::shop::shop;

const OTHER: &str = "table inet other { set s { type ipv4_addr; elements = { 10.0.0.1 }; }; chain c { type filter hook forward priority 0; counter packets 3 bytes 300; }; }";

/// Damages the table in the given way, and asserts that this is seen, and that a start undoes it, in one transaction (an
/// agent begins an epoch after it, in another one).
#[track_caller]
fn is_repaired(damage: impl Fn(&str) -> String) {
    for (start, transactions) in [(by_a_commit as fn(&Node), 1), (by_an_agent, 2)] {
        let node = Node::enforcing(&shop());
        let held = node.listing();
        let script = damage(&node.nft(&["list", "table", "inet", "palisade"]));
        node.load(&script);
        assert_ne!(blocks(&node.listing()), blocks(&held), "`{script}` does nothing");
        assert_ne!(node.palisade("diff").succeeds(), "", "`{script}` is not seen");
        let generation = node.generation();
        start(&node);
        assert_eq!(blocks(&node.listing()), blocks(&held), "after `{script}`");
        assert_eq!((node.palisade("diff").succeeds(), node.generation()), (String::new(), generation + transactions));
    }
}

fn by_a_commit(node: &Node) {
    node.once().succeeds();
}

fn by_an_agent(node: &Node) {
    Agent::start(node).stop();
}

/// The name of the first object of `kind` whose name begins so.
fn name<'a>(listing: &'a str, kind: &str, start: &str) -> &'a str {
    let names = listing.lines().filter_map(|line| line.trim().strip_prefix(kind)?.trim().strip_suffix(" {"));
    names.into_iter().find(|name| name.starts_with(start)).unwrap()
}

#[test]
fn a_rule_that_lets_all_pass() {
    is_repaired(|_| "insert rule inet palisade forward-ingress accept".to_owned());
}

#[test]
fn a_rule_in_the_chain_of_a_pod() {
    is_repaired(|listing| {
        format!("insert rule inet palisade {} tcp dport {{ 22, 23 }} accept", name(listing, "chain", "pod-ingress-"))
    });
}

#[test]
fn rules_that_are_gone() {
    is_repaired(|listing| format!("flush chain inet palisade {}", name(listing, "chain", "pod-ingress-")));
    is_repaired(|_| "flush chain inet palisade forward-ingress".to_owned());
}

#[test]
fn chains_and_sets_of_others() {
    is_repaired(|_| "add chain inet palisade theirs; add rule inet palisade theirs counter".to_owned());
    is_repaired(|_| "add set inet palisade theirs { type ipv4_addr; elements = { 10.0.0.9 }; }".to_owned());
    is_repaired(|_| "add map inet palisade theirs { type ipv4_addr : mark; }".to_owned());
    is_repaired(|_| "add counter inet palisade theirs".to_owned());
    is_repaired(|_| {
        "add chain inet palisade theirs { type filter hook forward priority -300; policy drop; }".to_owned()
    });
}

#[test]
fn elements_that_are_gone_or_others() {
    is_repaired(|listing| format!("flush map inet palisade {}", name(listing, "map", "ingress-pods-4")));
    is_repaired(|_| "delete element inet palisade ingress-pods-4 { 10.0.0.1 }".to_owned());
    is_repaired(|listing| format!("add element inet palisade {} {{ 10.9.9.9 }}", name(listing, "set", "pods-")));
    is_repaired(|_| {
        "delete element inet palisade ingress-pods-4 { 10.0.0.1 }; add element inet palisade ingress-pods-4 { 10.0.0.1 : accept }".to_owned()
    });
}

#[test]
fn a_table_that_sleeps() {
    is_repaired(|_| "add table inet palisade { flags dormant; }".to_owned());
}

#[test]
fn a_table_that_is_gone() {
    is_repaired(|_| "delete table inet palisade".to_owned());
    is_repaired(|_| "flush ruleset".to_owned());
}

#[test]
fn what_is_damaged_while_the_agent_runs() {
    let node = Node::enforcing(&shop());
    let held = node.listing();
    let agent = Agent::start(&node);
    for damage in [
        "insert rule inet palisade forward-ingress accept",
        "flush chain inet palisade forward-ingress",
        "flush ruleset",
    ] {
        node.load(damage);
        let repaired = || (blocks(&node.listing()) == blocks(&held)).then_some(());
        eventually(repaired, || format!("not after `{damage}`:\n{}\n{}", node.listing(), agent.log()));
    }
    agent.says("(nft)");
    agent.stop();
}

#[test]
fn a_table_that_somebody_made_before() {
    let node = Node::new(&shop());
    node.load(
        "table inet palisade { chain forward-egress { type nat hook prerouting priority 0; }; set s { type mark; }; }",
    );
    node.once().succeeds();
    let clean = Node::enforcing(&shop());
    assert_eq!(node.listing(), clean.listing());
}

#[test]
fn tables_of_others_are_left_alone() {
    let node = Node::enforcing(&shop());
    node.load(OTHER);
    node.load("table ip palisade { chain forward-egress { drop; }; }");
    let others = || {
        node.nft(&["--handle", "list", "table", "inet", "other"])
            + &node.nft(&["--handle", "list", "table", "ip", "palisade"])
    };
    let before = others();
    assert!(before.contains("counter packets 3 bytes 300"), "{before}");
    node.load("insert rule inet palisade forward-ingress accept; add chain inet palisade theirs");
    Agent::start(&node).stop();
    assert_eq!(node.palisade("diff").succeeds(), "");
    assert_eq!(others(), before);
}

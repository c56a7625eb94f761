//! However the agent ends, what it enforced stays; only `palisade cleanup` removes it.

use nix::sys::signal::Signal;
use palisade_integration::netns::owns_tables;

use crate::agent::Agent;
use crate::node::{Node, says};
use crate::shop::shop;

const OTHER: &str = "table inet other {
	set kept {
		type ipv4_addr
		elements = { 10.0.0.1, 10.0.0.2 }
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr @kept counter packets 7 bytes 700 accept comment \"not ours\"
	}
}
";

#[track_caller]
fn stays_after(signal: Signal) {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    let held = node.listing();
    assert!(held.contains("pod-ingress-shop-db"), "{held}");
    agent.ends_by(signal);
    assert_eq!(node.listing(), held);
    assert_eq!(node.status()["enforced"], true);
}

#[test]
fn terminated_it_leaves_the_table() {
    stays_after(Signal::SIGTERM);
}

#[test]
fn interrupted_it_leaves_the_table() {
    stays_after(Signal::SIGINT);
}

#[test]
fn killed_it_leaves_the_table() {
    stays_after(Signal::SIGKILL);
}

/// As a panic ends it.
#[test]
fn aborted_it_leaves_the_table() {
    stays_after(Signal::SIGABRT);
}

#[test]
fn cleanup_removes_our_table_and_no_other() {
    let node = Node::new(&shop());
    node.load(OTHER);
    Agent::start(&node).stop();
    says(&node.plain(&["cleanup"]).succeeds(), &["removed table inet palisade", "nothing is enforced"]);
    assert_eq!(node.nft(&["list", "ruleset"]), OTHER);
    let generation = node.generation();
    says(&node.plain(&["cleanup"]).succeeds(), &["nothing to do", "inet palisade"]);
    assert_eq!(node.generation(), generation);
}

#[test]
fn cleanup_removes_what_was_committed_once() {
    let node = Node::enforcing(&shop());
    node.plain(&["cleanup"]).succeeds();
    assert_eq!(node.nft(&["list", "ruleset"]), "");
}

#[test]
fn cleanup_is_refused_while_the_agent_runs() {
    let node = Node::new(&shop());
    let agent = Agent::start(&node);
    let (held, generation) = (node.listing(), node.generation());
    let message = node.plain(&["cleanup"]).fails(1);
    says(&message, &["cannot remove table inet palisade", "stop it first"]);
    assert_eq!(node.listing(), held);
    if owns_tables() {
        says(&message, &[&format!("process {} (palisade)", agent.id())]);
        assert_eq!(node.generation(), generation);
    }
    agent.stop();
    node.plain(&["cleanup"]).succeeds();
    assert_eq!(node.nft(&["list", "ruleset"]), "");
}

#[test]
fn other_tables_live_through_everything() {
    let node = Node::new(&shop());
    node.load(OTHER);
    let other = || node.nft(&["list", "table", "inet", "other"]);
    let agent = Agent::start(&node);
    assert_eq!(other(), OTHER);
    node.write("cluster.yaml", &shop().replace("port: 22", "port: 23"));
    agent.catches_up(&node);
    agent.ends_by(Signal::SIGKILL);
    node.once().succeeds();
    assert_eq!(other(), OTHER);
}

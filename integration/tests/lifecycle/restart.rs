//! A start adopts what is there, and writes no more than what differs.

use nix::sys::signal::Signal;
use palisade_integration::netns::owns_tables;

use crate::agent::Agent;
use crate::node::Node;
use crate::shop::{pod, shop, shop_and, shop_with};

/// The transaction after which established connections pass without being judged again.
const EPOCH: u32 = 1;

/// Ends one agent by `signal`; gives the node as it is then.
fn left_by(signal: Signal) -> Node {
    let node = Node::new(&shop());
    Agent::start(&node).ends_by(signal);
    node
}

/// What makes the table the agent's own again, unless something else is to be written, or it cannot be.
fn claim() -> u32 {
    u32::from(owns_tables())
}

/// A start on `node` moves the generation by `steps`.
#[track_caller]
fn a_start_writes(node: &Node, steps: u32) {
    let before = node.generation();
    let agent = Agent::start(node);
    agent.stop();
    assert_eq!(node.generation(), before + steps);
    assert_eq!(node.palisade("diff").succeeds(), "");
}

#[test]
fn after_an_ordinary_stop_it_only_takes_ownership() {
    a_start_writes(&left_by(Signal::SIGTERM), claim());
}

#[test]
fn after_a_kill_it_only_takes_ownership() {
    a_start_writes(&left_by(Signal::SIGKILL), claim());
}

#[test]
fn after_an_abort_it_only_takes_ownership() {
    a_start_writes(&left_by(Signal::SIGABRT), claim());
}

#[test]
fn after_a_commit_by_hand_it_only_begins_an_epoch() {
    a_start_writes(&Node::enforcing(&shop()), EPOCH);
    let node = Node::new(&shop());
    node.load(&node.palisade("render").succeeds());
    a_start_writes(&node, EPOCH);
}

#[test]
fn a_second_commit_by_hand_writes_nothing() {
    let node = Node::enforcing(&shop());
    let (generation, handles) = (node.generation(), node.handles());
    node.once().succeeds();
    assert_eq!((node.generation(), node.handles()), (generation, handles));
}

/// A remote pod that a policy lets in has come meanwhile: that is one element, and all objects are the ones of before.
#[test]
fn what_has_changed_meanwhile_is_all_that_is_written() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let node = left_by(signal);
        let handles = node.handles();
        node.write("more.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
        assert!(!node.listing().contains("10.0.1.77"));
        a_start_writes(&node, 1 + EPOCH);
        assert!(node.listing().contains("10.0.1.77"));
        assert_eq!(node.handles(), handles);
    }
}

#[test]
fn a_policy_that_has_changed_meanwhile_is_one_transaction() {
    let node = left_by(Signal::SIGKILL);
    let handles = node.handles();
    node.write("cluster.yaml", &shop_with("port: 22", "port: 23"));
    a_start_writes(&node, 1 + EPOCH);
    let of_web = |handle: &&String| handle.contains("-shop-web-");
    let after = node.handles();
    assert!(handles.iter().any(|handle| of_web(&handle)));
    for handle in handles.iter().filter(of_web) {
        assert!(after.contains(handle), "{handle} was written anew, although only `db` changed:\n{after:#?}");
    }
}

#[test]
fn a_start_on_an_empty_kernel_is_one_transaction() {
    let node = Node::new(&shop());
    a_start_writes(&node, 1 + EPOCH);
    let node = Node::new(&shop_and(&pod("shop", "more", "node-a", &["10.0.0.9"])));
    let before = node.generation();
    node.once().succeeds();
    assert_eq!(node.generation(), before + 1);
}

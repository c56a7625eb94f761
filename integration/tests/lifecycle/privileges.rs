//! Without CAP_NET_ADMIN: what needs the kernel says so, what does not works.

use std::process::Command;

use crate::node::{Finished, Node, says};
use crate::shop::shop;

/// Runs `command` without any capability.
fn without(node: &Node, command: &Command) -> Finished {
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    node.finish(&mut unprivileged)
}

#[test]
fn what_needs_the_kernel_says_what_to_do() {
    let node = Node::new(&shop());
    let mut once = node.command("run");
    once.arg("--once");
    let mut commands = vec![once, node.command("run"), node.command("diff")];
    commands.extend(["status", "cleanup"].map(|name| {
        let mut command = node.program();
        command.arg(name);
        command
    }));
    for command in &commands {
        says(&without(&node, command).fails(1), &["error: nftables needs CAP_NET_ADMIN", "run as root"]);
    }
    assert_eq!(node.nft(&["list", "ruleset"]), "");
}

#[test]
fn what_does_not_works() {
    let node = Node::new(&shop());
    let render = without(&node, &node.command("render")).succeeds();
    assert_eq!(render, node.palisade("render").succeeds());
    let mut explain = node.program();
    explain
        .args(["explain", "--from", "shop/web", "--to", "shop/db", "--port", "5432", "--manifests"])
        .arg(node.manifests());
    says(&without(&node, &explain).succeeds(), &["allowed"]);
}

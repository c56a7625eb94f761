//! One agent at a time: it owns the table, where the kernel knows that, and the next one waits for it to go.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use palisade_integration::agent::binary;
use palisade_integration::netns::{Daemon, owns_tables};

use crate::agent::{Agent, eventually};
use crate::node::{Node, says};
use crate::shop::{pod, shop, shop_and};

/// A node with an agent, whose manifests then become another's.
fn node_and_other() -> (Node, String) {
    let other = shop_and(&pod("shop", "more", "node-a", &["10.0.0.77"]));
    (Node::new(&shop()), other)
}

/// A second directory of manifests on the same node.
fn beside(node: &Node, manifests: &str) -> Node {
    Node::at(node.namespace().try_clone().unwrap(), manifests)
}

#[test]
fn a_single_commit_is_refused_while_an_agent_runs() {
    if !owns_tables() {
        return;
    }
    let (node, other) = node_and_other();
    let agent = Agent::start(&node);
    let (held, generation) = (node.listing(), node.generation());
    let message = beside(&node, &other).once().fails(1);
    let named = format!("process {} (palisade)", agent.id());
    says(&message, &["error: cannot commit: table inet palisade is owned by", &named, "stop it first"]);
    assert!(!message.contains("again"), "nobody tries again: {message}");
    assert_eq!((node.listing(), node.generation()), (held, generation));
}

#[test]
fn a_single_commit_that_changes_nothing_is_done_already() {
    let (node, _) = node_and_other();
    let _agent = Agent::start(&node);
    beside(&node, &shop()).once().succeeds();
}

#[test]
fn a_second_agent_waits_and_takes_over() {
    if !owns_tables() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (node, other) = node_and_other();
        let first = Agent::start(&node);
        let (held, generation) = (node.listing(), node.generation());
        let next = beside(&node, &other);
        let second = Agent::launch(&next, "agent.log");
        let line = second.says("not committed");
        says(&line, &[&format!("process {} (palisade)", first.id()), "stop it first", "try again"]);
        assert_eq!((node.listing(), node.generation()), (held, generation));
        first.ends_by(signal);
        second.says("enforcing");
        second.catches_up(&next);
        let owner = node.status()["owner"].clone();
        assert_eq!(owner, format!("process {} (palisade)", second.id()));
    }
}

#[test]
fn a_waiting_agent_can_be_stopped() {
    if !owns_tables() {
        return;
    }
    let (node, other) = node_and_other();
    let first = Agent::start(&node);
    let generation = node.generation();
    let next = beside(&node, &other);
    let second = Agent::launch(&next, "agent.log");
    second.says("not committed");
    second.stop();
    assert_eq!(node.generation(), generation);
    first.stop();
}

#[test]
fn what_an_agent_owns_no_other_hand_can_flush() {
    if !owns_tables() {
        return;
    }
    let (node, _) = node_and_other();
    let agent = Agent::start(&node);
    let held = node.listing();
    node.nft(&["flush", "ruleset"]);
    assert_eq!(node.listing(), held);
    assert_ne!(node.finish(Command::new("nft").args(["delete", "table", "inet", "palisade"])).code, Some(0));
    assert_eq!(node.listing(), held);
    agent.stop();
}

/// Although it has nothing to write.
#[test]
fn what_a_restart_finds_unchanged_no_other_hand_can_open() {
    if !owns_tables() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (node, _) = node_and_other();
        let first = Agent::start(&node);
        let held = node.listing();
        first.ends_by(signal);
        assert_eq!(node.status()["owner"], serde_json::Value::Null);
        let (handles, generation) = (node.handles(), node.generation());
        let second = Agent::start(&node);
        let delete = node.finish(Command::new("nft").args(["delete", "table", "inet", "palisade"]));
        says(&delete.fails(1), &["Operation not permitted"]);
        node.nft(&["flush", "ruleset"]);
        assert_eq!((node.listing(), node.handles()), (held, handles));
        assert_eq!(node.status()["owner"], format!("process {} (palisade)", second.id()));
        assert!(node.generation() > generation, "who takes ownership moves the generation");
        assert!(!second.log().contains("WARN"), "{}", second.log());
    }
}

/// It has nothing to write, and so nothing that is refused.
#[test]
fn a_second_agent_that_finds_nothing_to_change_waits_and_takes_over() {
    if !owns_tables() {
        return;
    }
    let node = Node::new(&shop());
    let first = Agent::start(&node);
    let generation = node.generation();
    let second = Agent::launch(&node, "second.log");
    let line = second.says("the table cannot be owned");
    says(&line, &[&format!("process {} (palisade)", first.id()), "stop it first"]);
    assert_eq!(node.generation(), generation);
    first.ends_by(Signal::SIGKILL);
    second.says("enforcing");
    assert_eq!(node.status()["owner"], format!("process {} (palisade)", second.id()));
}

/// An agent in a process namespace of its own, as in a container: there it is process 1.
fn contained(node: &Node) -> Daemon {
    Daemon::start(node.namespace(), Path::new("unshare"), |command| {
        let run = node.command("run");
        command.args(["--pid", "--fork", "--kill-child=KILL", "--"]).arg(binary().unwrap());
        command.args(run.get_args()).envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    })
    .unwrap()
}

/// Of what another process namespace calls process 1.
#[test]
fn from_outside_its_process_namespace_the_owner_is_named_as_it_is_called_there() {
    if !owns_tables() {
        return;
    }
    let node = Node::new(&shop());
    let agent = contained(&node);
    let owned = || node.status()["owner"].as_str().map(str::to_owned);
    let owner = eventually(owned, || "no agent owns the table".to_owned());
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", agent.id())).unwrap();
    assert_eq!(owner, format!("process {} (palisade)", children.trim()));
    says(&node.plain(&["cleanup"]).fails(1), &["cannot remove", &format!("is owned by {owner}: ")]);
}

/// Somebody who may not look into other processes names none.
#[test]
fn who_cannot_see_the_owner_says_what_is_known() {
    if !owns_tables() {
        return;
    }
    let node = Node::new(&shop());
    let _agent = contained(&node);
    eventually(|| node.status()["owner"].as_str().map(drop), || "no agent owns the table".to_owned());
    let less = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all,+net_admin", "--inh-caps=-all", "--"]).arg(binary().unwrap());
        node.finish(command.args(arguments))
    };
    let expected = "owned by netlink port 1, of a process that cannot be seen from here";
    says(&less(&["status"]).succeeds(), &[expected]);
    says(&less(&["cleanup"]).fails(1), &[expected]);
}

//! A small shop.

use std::net::IpAddr;
use std::sync::LazyLock;

use super::node::{Memory, Node};
use palisade_model::testing::bare_pod;
use palisade_model::{
    Change, Enforcement, Labels, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy, Ports,
    Requirement, Rule, Selector,
};

pub(super) fn ip(number: u8) -> IpAddr {
    [10, 0, 0, number].into()
}

pub(super) fn pod(number: u8, app: &str, node: &str) -> Change {
    Change::Pod(Pod {
        labels: Labels::from_iter([("app", app)]),
        node: Some(node.into()),
        ..bare_pod(id(number), [ip(number)])
    })
}

pub(super) fn gone(number: u8) -> Change {
    Change::PodGone(id(number))
}

fn id(number: u8) -> NamespacedName {
    NamespacedName::new("shop", format!("pod-{number}"))
}

fn app(app: &str) -> Selector {
    Requirement::new("app", "In", [app]).into_iter().collect()
}

/// Pods of `app` may be reached from pods of these apps alone.
pub(super) fn policy(name: &str, of: &str, from: &[&str]) -> Change {
    let peer = |of: &&str| Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: app(of) });
    let rules = from.iter().map(|of| Rule { peers: Peers::AnyOf(vec![peer(of)]), ports: Ports::All }).collect();
    Change::Policy(Policy {
        id: NamespacedName::new("shop", name),
        enforcement: Enforcement::Enforced,
        selector: app(of),
        ingress: Some(rules),
        egress: None,
    })
}

/// Local pods 1 (web) and 2 (db); remote ones 11 and 12 (web) and 13 (mail).
pub(super) static PODS: LazyLock<[Change; 5]> = LazyLock::new(|| {
    let pods =
        [(1, "web", "here"), (2, "db", "here"), (11, "web", "there"), (12, "web", "there"), (13, "mail", "there")];
    pods.map(|(number, app, node)| pod(number, app, node))
});

/// These pods in the first epoch, and one connection.
pub(super) fn shop() -> (Node, Memory) {
    shop_with(Node::new)
}

/// The same, with a thread.
pub(super) fn shop_in_background() -> (Node, Memory) {
    shop_with(Node::in_background)
}

fn shop_with(node: fn(&str, &Memory) -> Node) -> (Node, Memory) {
    let memory = Memory::with(1);
    let mut node = node("here", &memory);
    node.change(PODS.clone());
    node.settled().unwrap();
    (node, memory)
}

//! Whose an address is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Allowed, Attempt, Change, Decision, Direction, Enforcement, Index, Labels, NamespacedName, Node, PeerName, Pod,
    Protocol, Sandbox, Traffic,
};

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// A pod of a Deployment.
fn web(name: &str, node: &str, ip: &str) -> Pod {
    let labels = Labels::from_iter([("pod-template-hash", "7d4b9c6f5d")]);
    let host_ips = vec![address("172.16.0.1")];
    Pod { labels, node: Some(node.into()), uid: Some(name.into()), host_ips, ..bare_pod(id(name), [address(ip)]) }
}

const HERE: &str = "web-7d4b9c6f5d-aaaaa";
const THERE: &str = "web-7d4b9c6f5d-bbbbb";

fn index() -> Index {
    let mut index = Index::new(NODE).keep_lingering();
    index.apply(Change::Pod(web(HERE, NODE, "10.0.0.1")));
    index.apply(Change::Pod(Pod { host_ips: vec![], ..web(THERE, "node-2", "10.0.0.2") }));
    let addresses = vec![address("172.16.0.2")];
    index.apply(Change::Node(Node { name: "node-2".into(), labels: Labels::default(), addresses }));
    index
}

fn of_pod(name: &str, is_gone: bool) -> PeerName {
    PeerName { pod: Some(id(name)), workload: Some("web".into()), is_gone, node: None }
}

fn of_node(name: &str) -> PeerName {
    PeerName { node: Some(name.into()), ..PeerName::default() }
}

#[test]
fn an_address_is_a_pods_or_a_nodes() {
    let index = index();
    assert_eq!(index.peer(address("10.0.0.1")), of_pod(HERE, false));
    assert_eq!(index.peer(address("10.0.0.2")), of_pod(THERE, false));
    assert_eq!(index.peer(address("172.16.0.1")), of_node(NODE));
    assert_eq!(index.peer(address("172.16.0.2")), of_node("node-2"));
    assert_eq!(index.peer(address("10.0.0.3")), PeerName::default());
    assert_eq!(index.workload(&id(THERE)).as_deref(), Some("web"));
    assert_eq!(index.workload(&id("nobody")), None);
}

#[test]
fn only_pods_of_this_node_are_local() {
    let index = index();
    assert_eq!(index.local_owner(address("10.0.0.1")), Some(id(HERE)));
    assert_eq!(index.local_owner(address("10.0.0.2")), None);
    assert_eq!(index.local_owner(address("10.0.0.3")), None);
}

#[test]
fn a_deleted_pod_keeps_its_name_as_long_as_its_address() {
    let at = address("10.0.0.1");
    let mut index = index();
    index.apply(Change::PodGone(id(HERE)));
    assert_eq!(index.peer(at), of_pod(HERE, true));
    let owner = index.local_owner(at).unwrap();
    assert_eq!(owner, Pod::lingering_id(&id(HERE), at));
    assert_eq!((index.object(&owner), index.workload(&owner).as_deref()), (Some(id(HERE)), Some("web")));
    let attempt = |peer: &str| {
        let traffic = Traffic::Port { protocol: Protocol::Tcp, port: 80 };
        Attempt {
            direction: Direction::Ingress,
            pod: owner.clone(),
            peer: address(peer),
            traffic,
            up_to: Enforcement::Enforced,
        }
    };
    let decision = |index: &Index, peer| index.why(&attempt(peer)).unwrap().decision;
    assert_eq!(decision(&index, "172.16.0.2"), Decision::Allowed(Allowed::NotIsolated));
    index.apply(Change::Pod(web("web-7d4b9c6f5d-ccccc", NODE, "10.0.0.3")));
    assert_eq!(decision(&index, "172.16.0.1"), Decision::Allowed(Allowed::OwnNode), "as other pods say");
    index.release(at);
    assert_eq!((index.peer(at), index.object(&owner)), (PeerName::default(), None));
}

#[test]
fn so_does_a_pod_whose_sandbox_is_there() {
    let at = address("10.0.0.7");
    let mut index = index();
    index.set_sandbox(Sandbox { id: "s".into(), pod: web(HERE, NODE, "10.0.0.1"), addresses: vec![at] });
    assert_eq!(index.peer(at), of_pod(HERE, false));
    index.apply(Change::PodGone(id(HERE)));
    assert_eq!(index.peer(at), of_pod(HERE, true));
    let owner = index.local_owner(at).unwrap();
    assert_eq!(owner, Pod::sandbox_id(&id(HERE), "s"));
    assert_eq!((index.object(&owner), index.workload(&owner).as_deref()), (Some(id(HERE)), Some("web")));
}

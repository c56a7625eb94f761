//! What was dropped stays counted over restarts, and over changes to other pods.

use std::net::IpAddr;

use nix::sys::signal::Signal;
use palisade_integration::netns::{Host, Network, Place};
use palisade_integration::probe::{Family, Flow, Kind, Patience, probe};

use crate::agent::Agent;
use crate::node::Node;
use crate::shop::{pod, shop};

/// A shop with `web` and `db` behind the node, and a stranger outside; then a flow from the stranger to `db`, dropped.
struct Scene {
    _network: Network,
    stranger: Host,
    db: Host,
    node: Node,
}

impl Scene {
    fn new() -> Self {
        let mut network = Network::new(1).unwrap();
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let db = network.attach_one(Place::Behind(0), &addresses(&["10.0.0.2", "fd00::2"])).unwrap();
        let stranger = network.attach_one(Place::External, &addresses(&["192.0.2.1", "fd02::1"])).unwrap();
        let node = Node::at(network.nodes()[0].namespace().try_clone().unwrap(), &shop());
        Self { _network: network, stranger, db, node }
    }

    fn drop_packets(&self) {
        let flow = |family| Flow {
            from: &self.stranger,
            to: &self.db,
            called: None,
            family,
            kind: Kind::Udp(5432),
            expected: false,
        };
        let answered = probe(&[Family::Ipv4, Family::Ipv6].map(flow), Patience::FULL).unwrap();
        assert_eq!(answered, [false, false]);
    }

    fn dropped(&self) -> u64 {
        self.node.status()["pods"]["shop/db"]["ingress"]["packets"].as_u64().unwrap()
    }
}

#[test]
fn over_restarts() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let scene = Scene::new();
        let agent = Agent::start(&scene.node);
        assert_eq!(scene.dropped(), 0);
        scene.drop_packets();
        let dropped = scene.dropped();
        assert!(dropped >= 2, "{dropped}");
        agent.ends_by(signal);
        scene.drop_packets();
        let more = scene.dropped();
        assert!(more > dropped, "without the agent packets are dropped all the same: {more}");
        let agent = Agent::start(&scene.node);
        assert_eq!(scene.dropped(), more);
        scene.node.write("more.yaml", &pod("office", "desk-2", "node-b", &["10.0.1.77"]));
        agent.catches_up(&scene.node);
        assert_eq!(scene.dropped(), more);
        scene.drop_packets();
        assert!(scene.dropped() > more);
    }
}

#[test]
fn over_a_change_of_another_pod_while_no_agent_runs() {
    let scene = Scene::new();
    scene.node.once().succeeds();
    scene.drop_packets();
    let dropped = scene.dropped();
    assert!(dropped >= 2, "{dropped}");
    scene.node.write("more.yaml", &pod("shop", "more", "node-a", &["10.0.0.77"]));
    scene.node.once().succeeds();
    assert_eq!(scene.dropped(), dropped);
}

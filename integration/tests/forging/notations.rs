//! One address, written in many ways.

use palisade_integration::netns::{Place, Topology};
use serde_json::{Value, json};

use crate::policies::{isolated, list};
use crate::scene::Scene;
use crate::talk::{Pair, SILENCE};
use crate::{BRIDGED, FAMILIES, ROUTED};

/// What is written in place of the pod's addresses, and which of them are named by that.
fn holds(topology: Topology, written: &[&str], named: [bool; 2]) {
    let hosts = [("closed", Place::Behind(0)), ("free", Place::Behind(0)), ("friend", Place::Behind(0))];
    let mut scene = Scene::new(topology, &hosts);
    let pairs = |port| FAMILIES.map(|v6| Pair::open(&scene, [("free", port), ("closed", port)], v6));
    pairs(5000).iter().for_each(Pair::talk);
    let pairs = pairs(5001);
    let pods = pods(&scene, written);
    scene.enforce_with(&pods, &[isolated("closed")]);
    for (pair, named) in pairs.iter().zip(named) {
        let [free, closed] = pair.ends();
        free.say(closed);
        std::thread::sleep(SILENCE);
        assert_eq!(closed.heard() == 0, named, "{} for {}", written.join(", "), closed.at());
    }
    Pair::open(&scene, [("free", 5002), ("friend", 5002)], false).talk();
}

/// The pods, `closed` with addresses as they are written.
fn pods(scene: &Scene, written: &[&str]) -> Value {
    let pod = |name| scene.pod(name, scene.host(name).addresses(), Place::Behind(0)).unwrap();
    let mut closed = pod("closed");
    closed["status"]["podIPs"] = written.iter().map(|ip| json!({"ip": ip})).collect();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    list([closed, pod("free"), pod("friend"), namespace].into_iter())
}

#[test]
fn an_ipv4_address_as_one_of_ipv6_routed() {
    holds(ROUTED, &["::ffff:10.1.0.1"], [true, false]);
}

#[test]
fn an_ipv4_address_as_one_of_ipv6_bridged() {
    holds(BRIDGED, &["::ffff:10.1.0.1"], [true, false]);
}

#[test]
fn an_ipv4_address_as_one_of_ipv6_in_hexadecimal() {
    holds(ROUTED, &["::ffff:0a01:1", "fd01::1"], [true, true]);
}

/// Which older API servers stored.
#[test]
fn an_ipv4_address_with_leading_zeros_routed() {
    holds(ROUTED, &["010.001.000.001"], [true, false]);
}

#[test]
fn an_ipv4_address_with_leading_zeros_bridged() {
    holds(BRIDGED, &["010.001.000.001", "fd01::1"], [true, true]);
}

#[test]
fn an_ipv6_address_in_full() {
    holds(ROUTED, &["FD01:0000:0000:0000:0000:0000:0000:0001"], [false, true]);
}

//! What must not be taken for a forgery.

use std::net::{IpAddr, SocketAddr};

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::udp;
use palisade_integration::netns::{BRIDGE, Place, PodLinks, Topology};

use crate::policies::{admits, isolated};
use crate::scene::Scene;
use crate::talk::Pair;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, RP_FILTERS, TUNNELLED, family};

const HOSTS: [(&str, Place); 5] = [
    ("gateway", Place::Behind(0)),
    ("near", Place::Behind(0)),
    ("closed", Place::Behind(0)),
    ("far", Place::Behind(1)),
    ("outside", Place::External),
];

/// Networks behind `gateway`: to which the node routes over the pod's link, or by the pod's address.
fn behind(v6: bool, by_address: bool) -> IpAddr {
    match (v6, by_address) {
        (false, false) => "10.99.0.5",
        (false, true) => "10.98.0.5",
        (true, false) => "fd99::5",
        (true, true) => "fd98::5",
    }
    .parse()
    .unwrap()
}

fn route(scene: &Scene, topology: Topology) {
    let device = if topology.pods == PodLinks::Bridge { BRIDGE } else { "pod0" };
    let [v4, v6] = FAMILIES.map(|v6| scene.address("gateway", v6));
    let mut lines = format!(
        "route add 10.98.0.0/24 via {v4} dev {device} onlink\nroute add fd98::/64 via {v6} dev {device} onlink\n"
    );
    if topology.pods == PodLinks::Routed {
        lines += &format!("route add 10.99.0.0/24 dev {device}\nroute add fd99::/64 dev {device}\n");
    }
    scene.network.nodes()[0].namespace().ip(&lines).unwrap();
}

/// What `gateway` forwards, for those behind it, to whom it may.
fn forwarded(scene: &Scene, topology: Topology) -> Vec<Aim> {
    let mut aims = Vec::new();
    let choices = if topology.pods == PodLinks::Routed { &[false, true][..] } else { &[true] };
    for to in ["near", "far", "outside"] {
        for v6 in FAMILIES {
            for by_address in choices {
                let (own, node) = (scene.link("gateway").mac(), scene.link("gateway").gateway());
                let from = SocketAddr::new(behind(v6, *by_address), 4600);
                let to_at = scene.at(to, v6, 4601);
                aims.push(Aim::new(format!("{} from {}", family(v6), from.ip()), ["gateway", to], move |mark| {
                    vec![Frame::of(node, own, &udp(from, to_at, mark))]
                }));
            }
        }
    }
    aims
}

fn passes(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    route(&scene, topology);
    let volley = Volley { forged: Vec::new(), honest: forwarded(&scene, topology) };
    volley.works(&scene);
    scene.enforce(&[isolated("closed")]);
    for rp_filter in RP_FILTERS {
        scene.rp_filter(rp_filter);
        volley.works(&scene);
    }
}

#[test]
fn a_pod_that_forwards_for_others_routed() {
    passes(ROUTED);
}

#[test]
fn a_pod_that_forwards_for_others_bridged() {
    passes(BRIDGED);
}

/// The route may come after the pod, and go: then so does what it stands for.
#[test]
fn a_route_that_comes_while_the_agent_runs() {
    let mut scene = Scene::new(ROUTED, &HOSTS);
    scene.enforce(&[isolated("closed")]);
    route(&scene, ROUTED);
    Volley { forged: Vec::new(), honest: forwarded(&scene, ROUTED) }.works(&scene);
}

/// Pods and others talk in either direction, whoever begins.
fn talk(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    scene.enforce(&[admits("gateway", &["near", "far"])]);
    let pairs = [
        ["near", "gateway"],
        ["far", "gateway"],
        ["gateway", "far"],
        ["near", "outside"],
        ["outside", "near"],
        ["far", "near"],
    ];
    for rp_filter in RP_FILTERS {
        scene.rp_filter(rp_filter);
        for (names, number) in pairs.into_iter().zip(0..) {
            for v6 in FAMILIES {
                Pair::open(&scene, names.map(|name| (name, 22_000 + number + u16::from(rp_filter) * 100)), v6).talk();
            }
        }
    }
}

#[test]
fn honest_words_routed() {
    talk(ROUTED);
}

#[test]
fn honest_words_bridged() {
    talk(BRIDGED);
}

#[test]
fn honest_words_through_a_tunnel() {
    talk(TUNNELLED);
}

#[test]
fn honest_words_bridged_and_through_a_tunnel() {
    talk(BRIDGED.over_vxlan());
}

/// Two addresses of each family.
fn two_of_a_family(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let addresses = ["10.1.0.70", "10.1.0.71", "fd01::70", "fd01::71"].map(|address| address.parse().unwrap());
    scene.attach_with("double", Place::Behind(0), &addresses);
    let mut aims = Vec::new();
    for from in addresses {
        for to in ["near", "far"] {
            let (own, node) = (scene.link("double").mac(), scene.link("double").gateway());
            let to_at = scene.at(to, from.is_ipv6(), 4701);
            aims.push(Aim::new(format!("from {from}"), ["double", to], move |mark| {
                vec![Frame::of(node, own, &udp(SocketAddr::new(from, 4700), to_at, mark))]
            }));
        }
    }
    let volley = Volley { forged: Vec::new(), honest: aims };
    volley.works(&scene);
    scene.enforce(&[isolated("closed")]);
    volley.works(&scene);
}

#[test]
fn a_pod_with_two_addresses_of_a_family_routed() {
    two_of_a_family(ROUTED);
}

#[test]
fn a_pod_with_two_addresses_of_a_family_bridged() {
    two_of_a_family(BRIDGED);
}

/// Its interface is there before the agents know of it; once they do, it speaks.
fn newcomer(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    scene.enforce(&[isolated("closed"), admits("near", &["new"])]);
    scene.attach("new", Place::Behind(0), 77);
    scene.tell();
    scene.catch_up();
    for v6 in FAMILIES {
        Pair::open(&scene, [("new", 4800), ("near", 4800)], v6).talk();
        Pair::open(&scene, [("new", 4801), ("far", 4801)], v6).talk();
        Pair::open(&scene, [("far", 4802), ("new", 4802)], v6).talk();
    }
}

#[test]
fn a_pod_that_comes_routed() {
    newcomer(ROUTED);
}

#[test]
fn a_pod_that_comes_bridged() {
    newcomer(BRIDGED);
}

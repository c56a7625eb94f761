//! A Service whose pod reaches itself: the node masquerades, so that the pod sees the node. Others do not get in so.

use std::net::{IpAddr, SocketAddr};

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::udp;
use palisade_integration::netns::{Place, Topology};

use crate::policies::isolated;
use crate::scene::Scene;
use crate::talk::{Mouth, SILENCE};
use crate::{BRIDGED, FAMILIES, ROUTED, RP_FILTERS, family};

const PORT: u16 = 8080;

/// The Service's address.
fn service(v6: bool) -> IpAddr {
    if v6 { "fd96::1" } else { "10.96.0.1" }.parse().unwrap()
}

/// As kube-proxy has it: what the only pod sends to itself gets the node's address. The first node is known outside.
fn serve(scene: &Scene, name: &str) {
    let rule = |v6: bool| {
        let (family, pod, address) = (if v6 { "ip6" } else { "ip" }, scene.address(name, v6), service(v6));
        let target = SocketAddr::new(pod, PORT);
        (
            format!("{family} daddr {address} udp dport 80 dnat {family} to {target}"),
            format!("{family} saddr {pod} {family} daddr {pod} masquerade"),
        )
    };
    let [(to_v4, hairpin_v4), (to_v6, hairpin_v6)] = FAMILIES.map(rule);
    let table = format!(
        "table inet services {{
            chain to {{ type nat hook prerouting priority dstnat; {to_v4}; {to_v6}; }}
            chain from {{ type nat hook postrouting priority srcnat; {hairpin_v4}; {hairpin_v6}; }}
        }}"
    );
    scene.network.nodes().iter().for_each(|node| node.namespace().nft(&table).unwrap());
    for v6 in FAMILIES {
        let node = scene.network.nodes()[0].addresses()[usize::from(v6)];
        let line = format!("route add {} via {node} dev node-0 onlink\n", service(v6));
        scene.network.underlay().ip(&line).unwrap();
    }
}

/// Words to `closed` through its Service, in its own name, by the others.
fn holds(topology: Topology) {
    let hosts = [
        ("closed", Place::Behind(0)),
        ("free", Place::Behind(0)),
        ("far", Place::Behind(1)),
        ("outside", Place::External),
    ];
    let mut scene = Scene::new(topology, &hosts);
    serve(&scene, "closed");
    let mouths = FAMILIES.map(|v6| Mouth::open(&scene, "closed", v6, PORT));
    let mut port = 21_000;
    for name in ["free", "far", "outside"] {
        for (v6, mouth) in FAMILIES.into_iter().zip(&mouths) {
            port += 1;
            forge(&scene, name, v6, port);
            assert!(mouth.hears(), "{name}, {}: nobody forbids it", family(v6));
        }
    }
    scene.enforce(&[isolated("closed")]);
    let mut through = Vec::new();
    for rp_filter in RP_FILTERS {
        scene.rp_filter(rp_filter);
        for name in ["free", "far", "outside"] {
            for (v6, mouth) in FAMILIES.into_iter().zip(&mouths) {
                port += 1;
                forge(&scene, name, v6, port);
                std::thread::sleep(SILENCE / 2);
                if mouth.heard() > 0 {
                    through.push(format!("{name}, {}, rp_filter {rp_filter}", family(v6)));
                }
            }
        }
        reaches_itself(&scene, &mouths, rp_filter);
    }
    assert!(through.is_empty(), "in its own name to itself: {through:#?}");
}

fn forge(scene: &Scene, name: &str, v6: bool, port: u16) {
    let link = scene.link(name);
    let packet = udp(scene.at("closed", v6, port), SocketAddr::new(service(v6), 80), b"word");
    link.send(&Frame::of(link.gateway(), link.mac(), &packet)).unwrap();
}

/// It does itself.
fn reaches_itself(scene: &Scene, mouths: &[Mouth; 2], rp_filter: u8) {
    for (v6, mouth) in FAMILIES.into_iter().zip(mouths) {
        Mouth::open(scene, "closed", v6, 30_000 + u16::from(rp_filter)).say_to(SocketAddr::new(service(v6), 80));
        assert!(mouth.hears(), "{}: it does not reach itself", family(v6));
    }
}

#[test]
fn a_pods_way_to_itself_is_not_others_routed() {
    holds(ROUTED);
}

#[test]
fn a_pods_way_to_itself_is_not_others_bridged() {
    holds(BRIDGED);
}

//! Packets in another's name that the node itself answers: to the other.

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::{echo, udp};

use crate::scene::Scene;
use crate::sources::fail;
use crate::volley::Aim;
use crate::{BRIDGED, FAMILIES, ROUTED, family};

/// A request to the node itself in another's name: the node answers the other, with what was asked.
fn reflected(scene: &Scene) -> Vec<Aim> {
    let aim = |v6| {
        let node = scene.network.nodes()[0].addresses()[usize::from(v6)];
        let (victim, link) = (scene.address("closed", v6), scene.link("mute"));
        let (own, gateway) = (link.mac(), link.gateway());
        Aim::new(format!("{} off the node", family(v6)), ["mute", "closed"], move |mark| {
            vec![Frame::of(gateway, own, &echo(victim, node, 7, mark))]
        })
    };
    FAMILIES.map(aim).into()
}

/// A packet that ends at the node, as its hops are used up: the node sends it to whom it names, as an error.
fn expired(scene: &Scene) -> Vec<Aim> {
    let aim = |v6| {
        let (victim, to) = (scene.at("closed", v6, 4001), scene.at("free", v6, 4002));
        let (own, gateway) = (scene.link("mute").mac(), scene.link("mute").gateway());
        Aim::new(format!("{} in the node's error", family(v6)), ["mute", "closed"], move |mark| {
            vec![Frame::of(gateway, own, &udp(victim, to, mark).hop_limit(1))]
        })
    };
    FAMILIES.map(aim).into()
}

#[test]
fn by_the_node_routed() {
    fail(ROUTED, |scene| [reflected(scene), expired(scene)].into_iter().flatten().collect());
}

#[test]
fn by_the_node_bridged() {
    fail(BRIDGED, |scene| [reflected(scene), expired(scene)].into_iter().flatten().collect());
}

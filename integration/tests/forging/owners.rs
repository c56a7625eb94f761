//! Addresses that get another owner while conntrack still has connections of the old one.

use std::thread::sleep;

use palisade_integration::forge::Frame;
use palisade_integration::forge::transport::sctp;
use palisade_integration::netns::{Node, Place, Topology};

use crate::policies::{Policy, admits, no_egress, no_ingress};
use crate::scene::Scene;
use crate::talk::{Mouth, Pair, SILENCE};
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, TUNNELLED, family};

const NUMBER: u8 = 9;

/// `old`, whose address `new` gets at `place`, talked to `friend`. Gives the sockets of `new` and `friend` in either
/// family, with the ports that `old` and `friend` had, once the agents know of it all. `old` does more `meanwhile`.
///
/// Meanwhile two others are in a conversation that goes on, although only who began it may begin one.
fn inherit(
    topology: Topology,
    place: Place,
    policies: &[Policy],
    meanwhile: impl Fn(&Scene),
) -> (Scene, [[Mouth; 2]; 2]) {
    let hosts = [("friend", 0), ("deaf", 0), ("other", 0)].map(|(name, node)| (name, Place::Behind(node)));
    let mut scene = Scene::new(topology, &hosts);
    scene.attach("old", place, NUMBER);
    scene.enforce(&[no_ingress("deaf")]);
    let others = FAMILIES.map(|v6| Pair::open(&scene, [("deaf", 5000), ("other", 6000)], v6));
    others.iter().for_each(Pair::talk);
    for v6 in FAMILIES {
        Pair::open(&scene, [("old", 5000), ("friend", 6000)], v6).talk();
    }
    meanwhile(&scene);
    scene.detach("old");
    scene.tell();
    scene.catch_up();
    scene.attach("new", place, NUMBER);
    learn_neighbours(&scene);
    let policies: Vec<_> = policies.iter().cloned().chain([no_ingress("deaf")]).collect();
    scene.enforce(&policies);
    for pair in &others {
        assert!(pair.try_to_talk().iter().all(|heard| *heard > 0), "an entry of others is gone");
        let [deaf, other] = pair.ends();
        other.say(deaf);
        assert!(deaf.hears(), "an entry of others is gone");
    }
    let mouths =
        FAMILIES.map(|v6| [("new", 5000), ("friend", 6000)].map(|(name, port)| Mouth::open(&scene, name, v6, port)));
    (scene, mouths)
}

/// Who knew the hardware address of `old` asks again, as after the announcement that network plugins make.
fn learn_neighbours(scene: &Scene) {
    let nodes = scene.network.nodes().iter().map(Node::namespace);
    for namespace in nodes.chain([scene.host("friend").namespace()]) {
        namespace.ip("neigh flush all\n").unwrap();
    }
}

/// What `old` began is not for `new`, who lets nobody in.
fn no_word_reaches(topology: Topology, place: Place, policies: &[Policy]) {
    let (_scene, mouths) = inherit(topology, place, policies, |_| ());
    let mut through = Vec::new();
    for (v6, [new, friend]) in FAMILIES.into_iter().zip(&mouths) {
        friend.say(new);
        sleep(SILENCE);
        if new.heard() > 0 {
            through.push(family(v6));
        }
    }
    assert!(through.is_empty(), "the old owner's connections are the new one's: {through:?}");
}

/// What `old` began does not bar the way to `new`, who may begin nothing.
fn every_word_reaches(topology: Topology, place: Place, policies: &[Policy]) {
    let (_scene, mouths) = inherit(topology, place, policies, |_| ());
    for (v6, [new, friend]) in FAMILIES.into_iter().zip(&mouths) {
        friend.say(new);
        assert!(new.hears(), "{}: what is allowed is taken for the old owner's", family(v6));
    }
}

const NEAR: Place = Place::Behind(0);
const FAR: Place = Place::Behind(1);

#[test]
fn a_new_owner_that_lets_nobody_in_routed() {
    no_word_reaches(ROUTED, NEAR, &[no_ingress("new")]);
}

/// The manifests never say that the address is nobody's.
#[test]
fn a_new_owner_that_lets_nobody_in_and_is_known_as_soon_as_the_old_one_is_gone() {
    let mut scene = Scene::new(ROUTED, &[("friend", NEAR)]);
    scene.attach("old", NEAR, NUMBER);
    scene.enforce(&[]);
    for v6 in FAMILIES {
        Pair::open(&scene, [("old", 5000), ("friend", 6000)], v6).talk();
    }
    scene.detach("old");
    scene.attach("new", NEAR, NUMBER);
    scene.enforce(&[no_ingress("new")]);
    for v6 in FAMILIES {
        let [new, friend] = [("new", 5000), ("friend", 6000)].map(|(name, port)| Mouth::open(&scene, name, v6, port));
        friend.say(&new);
        sleep(SILENCE);
        assert_eq!(new.heard(), 0, "{}: the old owner's connections are the new one's", family(v6));
    }
}

#[test]
fn a_new_owner_that_lets_nobody_in_bridged() {
    no_word_reaches(BRIDGED, NEAR, &[no_ingress("new")]);
}

#[test]
fn a_new_owner_on_another_node_that_the_other_end_may_not_speak_to_routed() {
    no_word_reaches(ROUTED, FAR, &[no_egress("friend")]);
}

#[test]
fn a_new_owner_on_another_node_that_the_other_end_may_not_speak_to_through_a_tunnel() {
    no_word_reaches(TUNNELLED, FAR, &[no_egress("friend")]);
}

#[test]
fn a_new_owner_that_is_welcome_routed() {
    every_word_reaches(ROUTED, NEAR, &[no_egress("new")]);
}

#[test]
fn a_new_owner_that_is_welcome_bridged() {
    every_word_reaches(BRIDGED, NEAR, &[no_egress("new")]);
}

#[test]
fn a_new_owner_on_another_node_that_is_welcome() {
    every_word_reaches(ROUTED, FAR, &[no_egress("new")]);
}

/// An INIT that is repeated keeps what `old` began alive.
fn every_association_reaches(topology: Topology, place: Place) {
    let begin = |scene: &Scene, [from, to]: [(&'static str, u16); 2], v6| {
        let [from_at, to_at] = [from, to].map(|(name, port)| scene.at(name, v6, port));
        let (own, gateway) = (scene.link(from.0).mac(), scene.link(from.0).gateway());
        Aim::new(format!("{} INIT", family(v6)), [from.0, to.0], move |mark| {
            let body = [&[1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1][..], &mark[..]].concat();
            vec![Frame::of(gateway, own, &sctp(from_at, to_at, 1, &body))]
        })
    };
    let all =
        |scene: &Scene, ends| Volley { honest: FAMILIES.map(|v6| begin(scene, ends, v6)).into(), forged: Vec::new() };
    let policies = [no_egress("new"), admits("new", &["friend"])];
    let (scene, _mouths) = inherit(topology, place, &policies, |scene| {
        scene.sysctl("net.netfilter.nf_conntrack_sctp_timeout_cookie_wait", "60");
        all(scene, [("old", 5000), ("friend", 6000)]).works(scene);
    });
    all(&scene, [("friend", 6000), ("new", 5000)]).works(&scene);
}

#[test]
fn a_new_owner_that_is_welcome_to_associate_routed() {
    every_association_reaches(ROUTED, NEAR);
}

#[test]
fn a_new_owner_that_is_welcome_to_associate_bridged() {
    every_association_reaches(BRIDGED, NEAR);
}

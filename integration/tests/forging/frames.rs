//! Frames on a bridge that carry IP packets, and do not look so.

use palisade_integration::forge::transport::udp;
use palisade_integration::forge::{BROADCAST, Frame, Mac};
use palisade_integration::netns::Place;

use crate::policies::{Policy, isolated, no_egress, no_ingress};
use crate::scene::Scene;
use crate::talk::{Mouth, Pair, SILENCE};
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, family};

pub(crate) const HOSTS: [(&str, Place); 5] = [
    ("closed", Place::Behind(0)),
    ("deaf", Place::Behind(0)),
    ("mute", Place::Behind(0)),
    ("free", Place::Behind(0)),
    ("friend", Place::Behind(0)),
];

pub(crate) fn policies() -> [Policy; 3] {
    [isolated("closed"), no_ingress("deaf"), no_egress("mute")]
}

/// Between whom nothing may pass.
pub(crate) const PAIRS: [[&str; 2]; 4] = [["free", "closed"], ["free", "deaf"], ["mute", "free"], ["mute", "closed"]];
/// Between whom everything may.
pub(crate) const ALLOWED: [[&str; 2]; 2] = [["free", "friend"], ["friend", "mute"]];

/// The group of bridges, whose frames a bridge that speaks no STP passes on.
const BRIDGES: Mac = [1, 0x80, 0xc2, 0, 0, 0];
const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;
const OLD_AD: u16 = 0x9100;

type Disguise = (&'static str, fn(Frame) -> Frame);

const TAGGED: [Disguise; 9] = [
    ("802.1Q 0", |frame| frame.tagged(&[[Q, 0]])),
    ("802.1Q 0, priority 7", |frame| frame.tagged(&[[Q, 0xe000]])),
    ("802.1Q 5", |frame| frame.tagged(&[[Q, 5]])),
    ("802.1ad 0", |frame| frame.tagged(&[[AD, 0]])),
    ("802.1ad 0, 802.1Q 0", |frame| frame.tagged(&[[AD, 0], [Q, 0]])),
    ("802.1Q 0 twice", |frame| frame.tagged(&[[Q, 0], [Q, 0]])),
    ("802.1Q 0 three times", |frame| frame.tagged(&[[Q, 0], [Q, 0], [Q, 0]])),
    ("802.1ad 0 twice", |frame| frame.tagged(&[[AD, 0], [AD, 0]])),
    ("0x9100", |frame| frame.tagged(&[[OLD_AD, 0]])),
];
const ENCAPSULATED: [Disguise; 4] = [
    ("PPPoE", Frame::in_pppoe),
    ("PPPoE behind 802.1Q 0", |frame| frame.in_pppoe().tagged(&[[Q, 0]])),
    ("SNAP", Frame::in_snap),
    ("SNAP behind 802.1Q 0", |frame| frame.in_snap().tagged(&[[Q, 0]])),
];
/// Of protocols that no stack here knows.
const FOREIGN: [Disguise; 5] = [
    ("a bridge's", |frame| {
        let payload = [vec![0x42, 0x42, 3], frame.payload].concat();
        Frame { destination: BRIDGES, kind: u16::try_from(payload.len()).unwrap(), payload, ..frame }
    }),
    ("reverse ARP", |frame| Frame { kind: 0x8035, ..frame }),
    ("experimental", |frame| Frame { kind: 0x88b5, ..frame }),
    ("MPLS", |frame| Frame { kind: 0x8847, payload: [vec![0, 0, 0x11, 64], frame.payload].concat(), ..frame }),
    ("TRILL", |frame| Frame { kind: 0x22f3, ..frame }),
];
const PLAIN: [Disguise; 1] = [("plain", |frame| frame)];

fn aims(scene: &Scene, pairs: &[[&'static str; 2]], disguises: &[Disguise]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for ends in pairs {
        for v6 in FAMILIES {
            let [own, other] = ends.map(|name| scene.link(name).mac());
            let [from, to] = ends.map(|name| scene.at(name, v6, 4000));
            for (name, disguise) in disguises.iter().copied() {
                aims.push(Aim::new(format!("{} {name}", family(v6)), *ends, move |mark| {
                    vec![disguise(Frame::of(other, own, &udp(from, to, mark)))]
                }));
            }
        }
    }
    aims
}

/// Whatever br_netfilter is told of tags.
fn fail(disguises: &[Disguise]) {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let volley = Volley { forged: aims(&scene, &PAIRS, disguises), honest: aims(&scene, &ALLOWED, &PLAIN) };
    volley.works(&scene);
    scene.enforce(&policies());
    let mut through = Vec::new();
    for filter in ["0", "1"] {
        scene.sysctl("net.bridge.bridge-nf-filter-vlan-tagged", filter);
        scene.sysctl("net.bridge.bridge-nf-filter-pppoe-tagged", filter);
        through.extend(volley.through(&scene).into_iter().map(|name| format!("{name}, filter {filter}")));
    }
    assert!(through.is_empty(), "{through:#?}");
}

#[test]
fn with_vlan_tags() {
    fail(&TAGGED);
}

#[test]
fn within_other_protocols() {
    fail(&ENCAPSULATED);
}

#[test]
fn of_no_known_protocol() {
    fail(&FOREIGN);
}

/// To everybody on the link, for one.
#[test]
fn plain_and_to_everybody() {
    fail(&[("to everybody", |frame| Frame { destination: BROADCAST, ..frame })]);
}

/// Conntrack confirms what goes to everybody on a bridge before it is judged: a connection that was never allowed. What
/// the other says between the same ports is no part of it.
#[test]
fn plain_and_to_everybody_bar_no_way() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    scene.enforce(&policies());
    for v6 in FAMILIES {
        let pair = Pair::open(&scene, [("deaf", 5000), ("free", 6000)], v6);
        let [deaf, free] = pair.ends();
        let frame = Frame::of(BROADCAST, scene.link("free").mac(), &udp(free.at(), deaf.at(), b"word"));
        scene.link("free").send(&frame).unwrap();
        std::thread::sleep(SILENCE);
        deaf.say(free);
        assert!(free.hears(), "{}: who may speak is not heard", family(v6));
    }
}

/// A tag of no VLAN is no hindrance to an ordinary socket.
#[test]
fn with_a_tag_to_an_ordinary_socket() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let send = |scene: &Scene, mouth: &Mouth| {
        let [own, other] = ["free", "closed"].map(|name| scene.link(name).mac());
        let packet = udp(scene.at("free", mouth.at().is_ipv6(), 4000), mouth.at(), b"tagged");
        for tags in [&[[Q, 0]][..], &[[AD, 0]], &[[Q, 0], [Q, 0]]] {
            scene.link("free").send(&Frame::of(other, own, &packet).tagged(tags)).unwrap();
        }
    };
    let mouths = FAMILIES.map(|v6| Mouth::open(&scene, "closed", v6, 4001));
    for mouth in &mouths {
        send(&scene, mouth);
        assert!(mouth.hears(), "nobody forbids it");
    }
    scene.enforce(&policies());
    std::thread::sleep(SILENCE);
    for mouth in &mouths {
        mouth.heard();
    }
    for mouth in &mouths {
        send(&scene, mouth);
        std::thread::sleep(SILENCE);
        assert_eq!(mouth.heard(), 0, "{}", mouth.at());
    }
}

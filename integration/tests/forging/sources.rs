//! A source that is not the sender's, one way.

use std::net::{IpAddr, SocketAddr};

use palisade_integration::forge::transport::{Segment, flags, tcp, udp};
use palisade_integration::forge::{Frame, Packet};
use palisade_integration::netns::{Place, PodLinks, Topology};

use crate::policies::{Policy, admits, isolated, no_egress};
use crate::scene::Scene;
use crate::volley::{Aim, Volley};
use crate::{BRIDGED, FAMILIES, ROUTED, RP_FILTERS, TUNNELLED, family};

pub(crate) const HOSTS: [(&str, Place); 8] = [
    ("mute", Place::Behind(0)),
    ("web", Place::Behind(0)),
    ("shop", Place::Behind(0)),
    ("closed", Place::Behind(0)),
    ("free", Place::Behind(0)),
    ("far", Place::Behind(1)),
    ("far-web", Place::Behind(1)),
    ("outside", Place::External),
];

/// `mute` may speak to nobody, `shop` hears `web` and `far-web` alone, `closed` neither speaks nor hears.
pub(crate) fn policies() -> [Policy; 3] {
    [no_egress("mute"), admits("shop", &["web", "far-web"]), isolated("closed")]
}

/// Who sends, to whom, in whose name.
pub(crate) type Lie = ([&'static str; 2], Name);

#[derive(Clone, Copy)]
pub(crate) enum Name {
    /// Of that host.
    Of(&'static str),
    /// An address that the first pods' node would give its pods, and has not.
    Nobody,
    /// One outside.
    Stranger,
}

pub(crate) const BY_THE_MUTE: [Lie; 6] = [
    (["mute", "free"], Name::Nobody),
    (["mute", "free"], Name::Stranger),
    (["mute", "free"], Name::Of("web")),
    (["mute", "free"], Name::Of("free")),
    (["mute", "far"], Name::Of("web")),
    (["mute", "far"], Name::Stranger),
];
pub(crate) const AS_WHO_IS_ADMITTED: [Lie; 5] = [
    (["free", "shop"], Name::Of("web")),
    (["free", "shop"], Name::Of("far-web")),
    (["far", "shop"], Name::Of("web")),
    (["far", "shop"], Name::Of("far-web")),
    (["outside", "shop"], Name::Of("web")),
];
const AS_THE_VICTIM: [Lie; 3] = [
    (["free", "closed"], Name::Of("closed")),
    (["far", "closed"], Name::Of("closed")),
    (["outside", "closed"], Name::Of("closed")),
];

fn source(scene: &Scene, name: Name, v6: bool) -> IpAddr {
    match (name, v6) {
        (Name::Of(host), _) => scene.address(host, v6),
        (Name::Nobody, false) => "10.1.0.200".parse().unwrap(),
        (Name::Nobody, true) => "fd01:0::c8".parse().unwrap(),
        (Name::Stranger, false) => "198.51.100.7".parse().unwrap(),
        (Name::Stranger, true) => "2001:db8:7::7".parse().unwrap(),
    }
}

fn describe(name: Name) -> String {
    match name {
        Name::Of(host) => format!("as {host}"),
        Name::Nobody => "as nobody".to_owned(),
        Name::Stranger => "as a stranger".to_owned(),
    }
}

/// The ways in which a sender can hand a packet on: to its node, or to a neighbour on its bridge.
fn ways(scene: &Scene, topology: Topology, [from, to]: [&'static str; 2]) -> Vec<(&'static str, Wrap)> {
    let (own, gateway, other) = (scene.link(from).mac(), scene.link(from).gateway(), scene.link(to).mac());
    let mut ways: Vec<(&str, Wrap)> = vec![("routed", Box::new(move |packet| Frame::of(gateway, own, packet)))];
    if topology.pods == PodLinks::Bridge && [from, to].map(|name| scene.place(name)) == [Place::Behind(0); 2] {
        ways.push(("bridged", Box::new(move |packet| Frame::of(other, own, packet))));
    }
    ways
}

type Wrap = Box<dyn Fn(&Packet) -> Frame>;

fn datagram(from: SocketAddr, to: SocketAddr, mark: &[u8]) -> Packet {
    udp(from, to, mark)
}

fn beginning(from: SocketAddr, to: SocketAddr, mark: &[u8]) -> Packet {
    tcp(from, to, Segment { sequence: 7, flags: flags::SYN, ..Segment::default() }, mark)
}

pub(crate) type Make = fn(SocketAddr, SocketAddr, &[u8]) -> Packet;
const KINDS: [(&str, Make); 2] = [("UDP", datagram), ("TCP", beginning)];

pub(crate) fn lies(scene: &Scene, topology: Topology, lies: &[Lie]) -> Vec<Aim> {
    lies_between(scene, topology, lies, [4001, 4002])
}

/// From and to these ports.
pub(crate) fn lies_between(scene: &Scene, topology: Topology, lies: &[Lie], [own, other]: [u16; 2]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for (ends, name) in lies {
        for v6 in FAMILIES {
            let (from, to) = (SocketAddr::new(source(scene, *name, v6), own), scene.at(ends[1], v6, other));
            for (kind, make) in KINDS {
                for (way, wrap) in ways(scene, topology, *ends) {
                    let name = format!("{} {kind} {other} {}, {way}", family(v6), describe(*name));
                    aims.push(Aim::new(name, *ends, move |mark| vec![wrap(&make(from, to, mark))]));
                }
            }
        }
    }
    aims
}

/// Each says who it is.
pub(crate) fn honest(scene: &Scene) -> Vec<Aim> {
    let pairs = [["web", "shop"], ["far-web", "shop"], ["free", "far"], ["outside", "free"], ["free", "mute"]];
    let truths: Vec<_> = pairs.iter().map(|ends| (*ends, Name::Of(ends[0]))).collect();
    lies(scene, ROUTED, &truths)
}

/// None of it arrives, whatever `rp_filter` is.
pub(crate) fn fail(topology: Topology, forged: impl Fn(&Scene) -> Vec<Aim>) {
    let mut scene = Scene::new(topology, &HOSTS);
    let volley = Volley { forged: forged(&scene), honest: honest(&scene) };
    volley.works(&scene);
    scene.enforce(&policies());
    let mut through = Vec::new();
    for rp_filter in RP_FILTERS {
        scene.rp_filter(rp_filter);
        through.extend(volley.through(&scene).into_iter().map(|name| format!("{name}, rp_filter {rp_filter}")));
    }
    assert!(through.is_empty(), "{through:#?}");
}

fn fail_one_way(topology: Topology, those: &[Lie]) {
    fail(topology, |scene| lies(scene, topology, those));
}

#[test]
fn by_who_may_speak_to_nobody_routed() {
    fail_one_way(ROUTED, &BY_THE_MUTE);
}

#[test]
fn by_who_may_speak_to_nobody_bridged() {
    fail_one_way(BRIDGED, &BY_THE_MUTE);
}

#[test]
fn of_who_is_admitted_routed() {
    fail_one_way(ROUTED, &AS_WHO_IS_ADMITTED);
}

#[test]
fn of_who_is_admitted_bridged() {
    fail_one_way(BRIDGED, &AS_WHO_IS_ADMITTED);
}

#[test]
fn of_who_is_admitted_through_a_tunnel() {
    fail_one_way(TUNNELLED, &AS_WHO_IS_ADMITTED);
}

#[test]
fn of_the_victim_itself_routed() {
    fail_one_way(ROUTED, &AS_THE_VICTIM);
}

#[test]
fn of_the_victim_itself_bridged() {
    fail_one_way(BRIDGED, &AS_THE_VICTIM);
}

#[test]
fn of_the_victim_itself_through_a_tunnel() {
    fail_one_way(TUNNELLED, &AS_THE_VICTIM);
}

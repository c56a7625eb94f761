//! What a pod on a bridge claims to be: a router, or who has another's address.

use std::net::{IpAddr, Ipv6Addr};
use std::thread::sleep;

use palisade_integration::forge::transport::udp;
use palisade_integration::forge::{BROADCAST, Frame, Mac};

use crate::frames::{HOSTS, policies};
use crate::groups::{group_mac, link_local};
use crate::neighbours::discovery;
use crate::scene::Scene;
use crate::talk::SILENCE;
use crate::volley::{Aim, Volley, marks};
use crate::{BRIDGED, FAMILIES};

const ARP: u16 = 0x0806;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const GATEWAY: [u8; 4] = [169, 254, 1, 1];
const EVERY_NODE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// An ARP message (RFC 826) of `sender` and `source`, with the mark where Ethernet pads.
fn arp(operation: u16, source: Mac, sender: [u8; 4], target: [u8; 4], to: Mac, mark: &[u8]) -> Frame {
    let header = [1_u16.to_be_bytes(), 0x0800_u16.to_be_bytes(), [6, 4], operation.to_be_bytes()].concat();
    let payload = [&header[..], &source, &sender, &to, &target, mark, &[0; 10]].concat();
    Frame { destination: to, source, tags: Vec::new(), kind: ARP, payload }
}

fn v4(scene: &Scene, name: &str) -> [u8; 4] {
    match scene.address(name, false) {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => panic!("{v6}"),
    }
}

fn v6(scene: &Scene, name: &str) -> Ipv6Addr {
    match scene.address(name, true) {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(v4) => panic!("{v4}"),
    }
}

/// `ends[0]` claims to have an address.
fn claims_v4(scene: &Scene, ends: [&'static str; 2], claimed: [u8; 4]) -> Vec<Aim> {
    let [own, other] = ends.map(|name| scene.link(name).mac());
    let victim = v4(scene, ends[1]);
    let kinds = [
        ("ARP reply", REPLY, victim, other),
        ("ARP request", REQUEST, victim, BROADCAST),
        ("gratuitous ARP", REPLY, claimed, BROADCAST),
    ];
    let aim = |(name, operation, target, to)| {
        Aim::new(format!("{name} as {claimed:?}"), ends, move |mark| {
            vec![arp(operation, own, claimed, target, to, mark)]
        })
    };
    kinds.map(aim).into()
}

/// The same; the target's link-layer address is `ends[0]`'s.
fn claims_v6(scene: &Scene, ends: [&'static str; 2], claimed: Ipv6Addr) -> Vec<Aim> {
    let [own, other] = ends.map(|name| scene.link(name).mac());
    let victim = scene.address(ends[1], true);
    let to = [("", victim, other), (" to all", EVERY_NODE.into(), group_mac(EVERY_NODE.into()))];
    let aim = |(name, to, mac)| {
        Aim::new(format!("advertises {claimed}{name}"), ends, move |mark| {
            vec![Frame::of(mac, own, &discovery(claimed.into(), to, 136, claimed, mark))]
        })
    };
    to.map(aim).into()
}

/// `ends[0]` is a router, as it says, or knows a better one.
fn routes(scene: &Scene, ends: [&'static str; 2]) -> Vec<Aim> {
    let [own, other] = ends.map(|name| scene.link(name).mac());
    let (local, target) = (link_local(own), scene.address(ends[1], true));
    let router: Ipv6Addr = "fe80::1".parse().unwrap();
    let mut aims = Vec::new();
    for (kind, name) in [(134, "router advertisement"), (137, "redirect")] {
        for (from, said) in [(local, "its own"), (router, "the router's")] {
            let to =
                [(target, other), (link_local(other).into(), other), (EVERY_NODE.into(), group_mac(EVERY_NODE.into()))];
            for (to, mac) in to {
                aims.push(Aim::new(format!("{name} from {said} address to {to}"), ends, move |mark| {
                    vec![Frame::of(mac, own, &discovery(from.into(), to, kind, local, mark))]
                }));
            }
        }
    }
    aims
}

fn honest(scene: &Scene) -> Vec<Aim> {
    let ends = ["free", "friend"];
    let [own, other] = ends.map(|name| scene.link(name).mac());
    let [from, to] = ends.map(|name| scene.at(name, true, 4200));
    let datagram = Aim::new("UDP", ends, move |mark| vec![Frame::of(other, own, &udp(from, to, mark))]);
    let own_v6 = v6(scene, "free");
    let mut aims = vec![datagram];
    aims.extend(claims_v4(scene, ends, v4(scene, "free")));
    // Who is about to take an address asks whether anybody has it.
    let (probed, to_v4) = (v4(scene, "free"), BROADCAST);
    aims.push(Aim::new("ARP probe", ends, move |mark| vec![arp(REQUEST, own, [0; 4], probed, to_v4, mark)]));
    aims.push(Aim::new("duplicate address detection", ends, move |mark| {
        let group = IpAddr::V6(Ipv6Addr::from_bits(0xff02 << 112 | 0x1_ff00_0000 | own_v6.to_bits() & 0xff_ffff));
        let unspecified = Ipv6Addr::UNSPECIFIED.into();
        vec![Frame::of(group_mac(group), own, &discovery(unspecified, group, 135, own_v6, mark))]
    }));
    aims.push(Aim::new("advertises its own", ends, move |mark| {
        vec![Frame::of(other, own, &discovery(own_v6.into(), to.ip(), 136, own_v6, mark))]
    }));
    aims
}

fn fail(forged: impl Fn(&Scene) -> Vec<Aim>) {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let volley = Volley { forged: forged(&scene), honest: honest(&scene) };
    volley.fails_under(&mut scene, &policies());
}

#[test]
fn anothers_address_by_arp() {
    fail(|scene| {
        let pairs = [["free", "friend"], ["mute", "friend"], ["free", "closed"]];
        let claimed = [v4(scene, "deaf"), GATEWAY];
        pairs
            .into_iter()
            .flat_map(|ends| claimed.into_iter().flat_map(move |one| claims_v4(scene, ends, one)))
            .collect()
    });
}

#[test]
fn anothers_address_by_neighbour_discovery() {
    fail(|scene| {
        let pairs = [["free", "friend"], ["mute", "friend"], ["free", "closed"]];
        let claimed = [v6(scene, "deaf"), "fe80::1".parse().unwrap()];
        pairs
            .into_iter()
            .flat_map(|ends| claimed.into_iter().flat_map(move |one| claims_v6(scene, ends, one)))
            .collect()
    });
}

#[test]
fn to_be_a_router() {
    fail(|scene| [["free", "friend"], ["free", "closed"]].into_iter().flat_map(|ends| routes(scene, ends)).collect());
}

/// Frames from another's hardware address turn what is for the other to the sender.
#[test]
fn anothers_hardware_address() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    assert!(stolen(&scene) > 0, "nobody forbids it");
    scene.enforce(&policies());
    assert_eq!(stolen(&scene), 0);
}

/// How much of what `free` says to `friend` comes to `mute`, who speaks from `friend`'s hardware address.
fn stolen(scene: &Scene) -> usize {
    let [mute, free, friend] = ["mute", "free", "friend"].map(|name| scene.link(name).mac());
    assert_ne!(mute, friend);
    let word = |v6, [from, to]: [&str; 2]| udp(scene.at(from, v6, 4300), scene.at(to, v6, 4301), b"FRGDword");
    let mut stolen = 0;
    for v6 in FAMILIES {
        scene.link("friend").send(&Frame::of(free, friend, &word(v6, ["friend", "free"]))).unwrap();
        sleep(SILENCE / 2);
        scene.link("mute").seen().unwrap();
        for _ in 0..5 {
            scene.link("mute").send(&Frame::of(free, friend, &word(v6, ["mute", "free"]))).unwrap();
            scene.link("mute").send(&Frame::of(BROADCAST, friend, &word(v6, ["mute", "free"]))).unwrap();
            scene.link("free").send(&Frame::of(friend, free, &word(v6, ["free", "friend"]))).unwrap();
            sleep(SILENCE / 5);
        }
        let seen = scene.link("mute").seen().unwrap();
        stolen += seen.iter().filter(|frame| frame[..6] == friend && !marks(frame).is_empty()).count();
    }
    stolen
}

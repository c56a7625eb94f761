//! Odd packets by the thousand, from who may not speak to whom may not be spoken to: none arrives.

mod cast;
mod packets;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use palisade_integration::forge::transport::udp;
use palisade_integration::netns::{Place, Topology};
use palisade_integration::patience::LIMIT;

use self::cast::{Actor, Cast};
use crate::policies::{Policy, isolated, no_egress, no_ingress};
use crate::scene::Scene;
use crate::volley::marks;
use crate::{BRIDGED, ROUTED, TUNNELLED};

/// The number of rounds in a soak.
const SOAK_VARIABLE: &str = "PALISADE_SOAK";
/// What makes the same packets again.
const SEED_VARIABLE: &str = "PALISADE_SEED";
/// To so many of each pair, in a round.
const EACH: usize = 400;
/// So many are sent before it is seen what arrives.
const AT_ONCE: usize = 200;
/// At least so many of a hundred arrive where nothing is enforced: the rest is what no stack forwards.
const CONTROL: usize = 70;

/// What arrives later is not known again.
const REMEMBERED: u32 = 20_000;
/// In a failing test.
const SHOWN: usize = 40;

const PAUSE: Duration = Duration::from_millis(1);
const SILENCE: Duration = Duration::from_millis(5);

const HOSTS: [(&str, Place); 6] = [
    ("closed", Place::Behind(0)),
    ("free", Place::Behind(0)),
    ("deaf", Place::Behind(0)),
    ("mute", Place::Behind(0)),
    ("far", Place::Behind(1)),
    ("far-closed", Place::Behind(1)),
];

fn policies() -> [Policy; 4] {
    [isolated("closed"), no_ingress("deaf"), no_egress("mute"), isolated("far-closed")]
}

/// Whether policy lets `from` speak to `to`.
fn may_speak(from: &str, to: &str) -> bool {
    !matches!(from, "closed" | "far-closed" | "mute") && !matches!(to, "closed" | "far-closed" | "deaf")
}

fn forbidden_pairs() -> Vec<[&'static str; 2]> {
    let names = HOSTS.map(|(name, _)| name);
    let pairs = names.into_iter().flat_map(|from| names.map(|to| [from, to]));
    pairs.filter(|[from, to]| from != to && !may_speak(from, to)).collect()
}

/// What was sent: by whom, and what it is.
struct Shot {
    from: &'static str,
    described: String,
}

struct Range<'a> {
    scene: &'a Scene,
    cast: Cast,
    random: Rng,
    /// The last ones: in a soak they are millions.
    shots: BTreeMap<u32, Shot>,
    sent: u32,
    /// What arrived at whom policy keeps from the sender, by the number of the shot.
    arrived: BTreeMap<u32, String>,
}

impl<'a> Range<'a> {
    fn new(scene: &'a Scene, topology: Topology, seed: u64) -> Self {
        let cast = Cast::of(scene, topology, &HOSTS);
        let random = Rng::with_seed(seed);
        Self { scene, cast, random, shots: BTreeMap::new(), sent: 0, arrived: BTreeMap::new() }
    }

    /// Sends a round between all pairs, in no order.
    fn round(&mut self, with_barrier: bool) {
        let mut pairs: Vec<_> = forbidden_pairs().into_iter().flat_map(|pair| [pair; EACH]).collect();
        self.random.shuffle(&mut pairs);
        for some in pairs.chunks(AT_ONCE) {
            some.iter().for_each(|pair| self.shoot(*pair));
            if with_barrier {
                self.barrier();
            }
            sleep(SILENCE);
            self.look();
        }
    }

    fn shoot(&mut self, [from, to]: [&'static str; 2]) {
        let ends: [&Actor; 2] = [from, to].map(|name| self.cast.actor(name));
        let (described, frames) = packets::odd(&mut self.random, &self.cast, ends, &mark(self.sent));
        for frame in frames {
            self.scene.link(from).send(&frame).unwrap();
        }
        self.note(from, format!("{from} to {to}: {described}"));
    }

    fn note(&mut self, from: &'static str, described: String) {
        self.shots.insert(self.sent, Shot { from, described });
        self.shots.remove(&self.sent.wrapping_sub(REMEMBERED));
        self.sent += 1;
    }

    /// An honest packet that comes after everything that was sent.
    fn barrier(&mut self) {
        for [from, to] in [["free", "mute"], ["free", "far"], ["far", "mute"]] {
            let start = Instant::now();
            let [sender, receiver] = [from, to].map(|name| self.cast.actor(name));
            let (number, ports) = (self.sent, [sender, receiver].map(|actor| SocketAddr::new(actor.v4, 4900)));
            self.scene.link(from).route(&udp(ports[0], ports[1], &mark(number))).unwrap();
            self.note(from, "honest".to_owned());
            while !self.look().contains(&(to, number)) {
                assert!(start.elapsed() < LIMIT, "{from} to {to}: an honest packet is lost");
                sleep(PAUSE);
            }
        }
    }

    /// Notes what has arrived at whom it may not; gives all.
    fn look(&mut self) -> BTreeSet<(&'static str, u32)> {
        let mut all = BTreeSet::new();
        for (name, _) in HOSTS {
            for frame in self.scene.link(name).received().unwrap() {
                all.extend(marks(&frame).into_iter().map(|number| (name, number)));
            }
        }
        for (name, number) in &all {
            let shot = self.shots.get(number).filter(|shot| shot.from != *name && !may_speak(shot.from, name));
            if let Some(shot) = shot {
                self.arrived.insert(*number, format!("at {name}: {}", shot.described));
            }
        }
        all
    }
}

/// What the payload of a shot consists of.
fn mark(number: u32) -> [u8; 8] {
    [*b"FRGD", number.to_be_bytes()].concat().try_into().unwrap()
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`")))
}

fn none_arrives(topology: Topology) {
    let seed = number_of(SEED_VARIABLE).unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED_VARIABLE}={seed}");
    let open = Scene::new(topology, &HOSTS);
    let mut control = Range::new(&open, topology, seed);
    control.round(false);
    let (sent, arrived) = (control.sent as usize, control.arrived.len());
    println!("{arrived} of {sent} arrive where nobody forbids them");
    assert!(arrived * 100 >= sent * CONTROL, "{arrived} of {sent} arrive where nobody forbids them");

    let mut scene = Scene::new(topology, &HOSTS);
    scene.enforce(&policies());
    let mut range = Range::new(&scene, topology, seed);
    for _ in 0..number_of(SOAK_VARIABLE).unwrap_or(1) {
        range.round(true);
        let through: Vec<_> = range.arrived.values().collect();
        let shown = &through[..through.len().min(SHOWN)];
        assert!(through.is_empty(), "{} of {} got through: {shown:#?}", through.len(), range.sent);
    }
    println!("none of {} got through", range.sent);
}

#[test]
fn none_arrives_routed() {
    none_arrives(ROUTED);
}

#[test]
fn none_arrives_bridged() {
    none_arrives(BRIDGED);
}

#[test]
fn none_arrives_through_a_tunnel() {
    none_arrives(TUNNELLED);
}

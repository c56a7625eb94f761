//! From the first packet on.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::netns::{Place, Topology};
use palisade_integration::patience::eventually;
use palisade_integration::probe::Family;
use palisade_integration::steady::{Steady, Stream};

use crate::TOPOLOGIES;
use crate::scene::Scene;

const PERIOD: Duration = Duration::from_micros(500);
const WHILE: Duration = Duration::from_millis(400);
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];
/// What goes on at once: first what is forbidden, in both directions, then what is allowed.
const STREAMS: usize = 4;

/// Of stranger and web, and of friend and web, each to the other.
fn streams(scene: &Scene, family: Family) -> [Stream<'_>; STREAMS] {
    let Scene { web, friend, stranger, .. } = scene;
    let pairs = [(stranger, web, 5001), (web, stranger, 5002), (friend, web, 5003), (web, friend, 5004)];
    pairs.map(|(from, to, port)| Stream { from, to, family, port })
}

/// Where nobody tells the agent of the sandbox everything passes: the API shows no address. From the answer on nothing
/// passes that is forbidden, and what is allowed does.
#[test]
fn no_packet_passes_after_the_answer_that_should_not() {
    for topology in TOPOLOGIES {
        for family in FAMILIES {
            let scene = Scene::enforcing(topology);
            let steady = Steady::start(&streams(&scene, family), PERIOD).unwrap();
            sleep(WHILE);
            for forbidden in 0..2 {
                assert!(steady.arrived(forbidden) > 50, "{topology:?} {family:?}: without the plugin it is open");
            }
            scene.call("ADD").run().succeeds();
            let answered = Instant::now();
            sleep(WHILE);
            passes_in_the_end(&steady, [2, 3]);
            let late: Vec<usize> = (0..2)
                .map(|stream| steady.since(stream, answered).iter().filter(|datagram| datagram.arrived).count())
                .collect();
            assert_eq!(late, [0, 0], "{topology:?} {family:?}\n{}", scene.log());
            assert!(steady.since(0, answered).len() > 100, "they were sent");
            steady.stop();
        }
    }
}

fn passes_in_the_end(steady: &Steady, streams: [usize; 2]) {
    for stream in streams {
        let last = || steady.last(stream, 40);
        // The newest may be under way.
        let passes = || last().len() == 40 && last().iter().take(20).all(|datagram| datagram.arrived);
        eventually(Duration::from_millis(20), || passes().then_some(()), || format!("{stream}: {:?}", last()));
    }
}

/// Nothing passes until conntrack has forgotten what it knew of an address; the answer comes after that.
#[test]
fn an_allowed_peer_is_reached_with_the_first_packet() {
    for was_anothers in [false, true] {
        let scene = Scene::enforcing(Topology::routed(1));
        if was_anothers {
            scene.call("ADD").run().succeeds();
            scene.call("DEL").run().succeeds();
        }
        let [.., out] = streams(&scene, Family::Ipv4);
        let steady = Steady::start(&[out], PERIOD).unwrap();
        scene.call("ADD").run().succeeds();
        let answered = Instant::now();
        sleep(WHILE);
        passes_in_the_end(&steady, [0, 0]);
        let first = steady.since(0, answered).into_iter().take(100);
        let lost: Vec<_> = first.filter(|datagram| !datagram.arrived).map(|lost| lost.sent - answered).collect();
        assert!(lost.is_empty(), "{was_anothers}: after {lost:?}");
        steady.stop();
    }
}

/// The claim of another pod, which nothing isolates and whose name goes before, and the pod's own, which the API shows late or wrongly.
#[test]
fn no_claim_of_the_api_opens_it() {
    let scene = Scene::enforcing(Topology::routed(1));
    scene.call("ADD").run().succeeds();
    let answered = Instant::now();
    let streams = streams(&scene, Family::Ipv4);
    let steady = Steady::start(&streams[..2], PERIOD).unwrap();
    let (web, friend) = (scene.web.addresses(), scene.friend.addresses());
    let elsewhere = ["10.1.0.77".parse().unwrap()];
    for shown in [&web[..1], &elsewhere, &[]] {
        scene.tell(&[("web", shown), ("friend", friend)]);
        sleep(WHILE);
        scene.tell(&[("web", shown), ("friend", friend), ("thieves/thief", web)]);
        sleep(WHILE);
    }
    for stream in 0..2 {
        assert!(steady.since(stream, answered).iter().all(|datagram| !datagram.arrived), "{stream}");
    }
    steady.stop();
}

/// Its interface is as old as the call: what it sends, and what frames reach it, is looked at when the answer comes.
#[test]
fn its_interface_is_guarded_when_the_answer_comes() {
    for topology in TOPOLOGIES {
        let mut scene = Scene::enforcing(topology);
        let addresses = Place::Behind(0).addresses(9);
        let _host = scene.network.attach_one(Place::Behind(0), &addresses).unwrap();
        scene.call("ADD").with_result(&addresses, "pod3").run().succeeds();
        let list = |table: &[&str]| {
            let output = scene.node().namespace().run(Command::new("nft").args(["list", "table"]).args(table), "");
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let of = |table: &str, set: &str| {
            let begin = table.find(&format!("set {set} {{")).unwrap();
            table[begin..].split_once("}\n").unwrap().0.to_owned()
        };
        let packets = list(&["inet", "palisade"]);
        assert!(of(&packets, "guarded-4").contains("10.1.0.9"), "{topology:?}: {packets}");
        if topology == TOPOLOGIES[1] {
            let frames = list(&["bridge", "palisade"]);
            assert!(of(&frames, "pod-ports").contains("pod3"), "{frames}");
            assert!(frames.contains("what is sent to pod shop/web in one link"), "{frames}");
        } else {
            assert!(of(&packets, "pod-links").contains("pod3"), "{packets}");
        }
    }
}

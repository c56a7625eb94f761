//! A new pod of this node: from the moment its address is known, its policies hold.

use std::time::{Duration, Instant};

use palisade_integration::netns::{Host, Place};
use palisade_integration::probe::Family;
use palisade_integration::steady::{Datagram, Steady, Stream};

use crate::scene::{Scene, addresses, eventually, pod};

const PERIOD: Duration = Duration::from_millis(2);
const PORT: u16 = 7_000;

/// A pod that no manifest tells of yet, and a host outside that no policy of the pod's lets in.
fn newcomers(scene: &mut Scene) -> [Host; 2] {
    let places = [(Place::Behind(0), 4), (Place::External, 5)];
    let specs = places.map(|(place, number)| (place, addresses(number).map(|ip| ip.parse().unwrap()).into()));
    scene.network.attach(&specs).unwrap().try_into().unwrap()
}

fn streams<'a>(outside: &'a Host, new: &'a Host) -> [Stream<'a>; 2] {
    [Family::Ipv4, Family::Ipv6].map(|family| Stream { from: outside, to: new, family, port: PORT })
}

/// Its manifest is there before its first packet: the first packet is dropped.
#[test]
fn whose_address_is_known_meets_its_policies_with_the_first_packet() {
    let mut scene = Scene::enforcing();
    let [new, outside] = newcomers(&mut scene);
    let mut agent = scene.settled_agent();
    scene.write("new.yaml", &pod("new", 4));
    scene.settles(&mut agent);
    let steady = Steady::start(&streams(&outside, &new), PERIOD).unwrap();
    eventually(|| (steady.last(1, 200).len() == 200).then_some(()), || "nothing is sent".to_owned());
    for record in steady.stop() {
        assert!(record.datagrams().iter().all(|datagram| !datagram.arrived));
    }
}

/// Packets that come before the node knows the address pass, as they do where no agent is: that is what remains. From the
/// commit on that follows the pod's address none does.
#[test]
fn is_open_until_its_address_is_known_and_closed_from_then_on() {
    let mut scene = Scene::enforcing();
    let [new, outside] = newcomers(&mut scene);
    let mut agent = scene.settled_agent();
    let steady = Steady::start(&streams(&outside, &new), PERIOD).unwrap();
    let arrives = |datagrams: Vec<Datagram>| datagrams.len() >= 20 && datagrams.iter().any(|one| one.arrived);
    eventually(|| arrives(steady.last(1, 20)).then_some(()), || "the pod is not reached".to_owned());
    let written = Instant::now();
    scene.write("new.yaml", &pod("new", 4));
    scene.settles(&mut agent);
    let committed = Instant::now();
    eventually(|| (steady.since(1, committed).len() >= 100).then_some(()), || "nothing is sent".to_owned());
    for record in steady.stop() {
        assert_eq!(record.since(committed).0, 0, "packets pass although the pod is known");
        let last = record.datagrams().iter().rfind(|datagram| datagram.arrived).unwrap();
        println!("open for {:?} after the manifest was there", last.sent.saturating_duration_since(written));
    }
}

/// It came while the agent was away: it is closed with the first commit of the next one, and the others are right all the
/// time.
#[test]
fn that_came_while_the_agent_was_away_is_closed_by_the_next_start() {
    let mut scene = Scene::enforcing();
    let [new, outside] = newcomers(&mut scene);
    drop(scene.settled_agent());
    scene.write("new.yaml", &pod("new", 4));
    scene.holds_while(|_| {
        let steady = Steady::start(&streams(&outside, &new), PERIOD).unwrap();
        let agent = scene.settled_agent();
        let committed = Instant::now();
        eventually(|| (steady.since(1, committed).len() >= 100).then_some(()), || "nothing is sent".to_owned());
        for record in steady.stop() {
            assert_eq!(record.since(committed).0, 0);
        }
        drop(agent);
    });
}

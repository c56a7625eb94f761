//! Where the plugin cannot be: the node's pod range is guarded, so that a pod waits until the API shows its address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::netns::{Host, Place, Topology};
use palisade_integration::patience::eventually;
use palisade_integration::probe::Family;
use palisade_integration::steady::{Steady, Stream};
use serde_json::json;

use crate::TOPOLOGIES;
use crate::scene::Scene;

const RANGE: &str = "--guard-pod-range=10.1.0.0/24,fd01::/64";
const PERIOD: Duration = Duration::from_micros(500);
const WHILE: Duration = Duration::from_millis(300);
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];
const DHCP_CLIENT: u16 = 68;

/// A pod that no policy selects.
fn open(scene: &mut Scene) -> Host {
    scene.network.attach_one(Place::Behind(0), &Place::Behind(0).addresses(7)).unwrap()
}

fn tell(scene: &Scene, open: &Host, web: &[IpAddr]) {
    scene.tell(&[("web", web), ("friend", scene.friend.addresses()), ("elsewhere/open", open.addresses())]);
}

fn passes_in_the_end(scene: &Scene, steady: &Steady, stream: usize) {
    let last = || steady.last(stream, 40);
    // The newest may be under way.
    let passes = || last().len() == 40 && last().iter().take(20).all(|datagram| datagram.arrived);
    let told = || format!("{stream}: {:?}\n{}", last(), scene.log());
    eventually(Duration::from_millis(20), || passes().then_some(()), told);
}

fn arrived_since(steady: &Steady, stream: usize, start: Instant) -> usize {
    steady.since(stream, start).iter().filter(|datagram| datagram.arrived).count()
}

const STREAMS: usize = 9;

/// First what policies forbid, then what they allow as soon as `web` is known, then what concerns nobody unknown.
fn streams<'a>(scene: &'a Scene, open: &'a Host, family: Family) -> [Stream<'a>; STREAMS] {
    let Scene { web, friend, stranger, .. } = scene;
    let pairs = [
        (stranger, web, 5001),
        (web, stranger, 5002),
        (friend, web, 5003),
        (web, friend, 5004),
        (open, web, 5005),
        (web, open, 5006),
        (open, stranger, 5007),
        (stranger, open, 5008),
        (open, friend, 5009),
    ];
    pairs.map(|(from, to, port)| Stream { from, to, family, port })
}

/// `web` has an address that the API does not show.
fn waits(topology: Topology, family: Family) {
    let mut scene = Scene::new(topology);
    let open = open(&mut scene);
    tell(&scene, &open, &[]);
    scene.start_agent();
    let steady = Steady::start(&streams(&scene, &open, family), PERIOD).unwrap();
    [0, 1, 5, 6, 7].into_iter().for_each(|stream| passes_in_the_end(&scene, &steady, stream));
    steady.stop();
    scene.kill_agent();
    scene.start_agent_with(&[RANGE]);
    let steady = Steady::start(&streams(&scene, &open, family), PERIOD).unwrap();
    let start = Instant::now();
    [6, 7].into_iter().for_each(|stream| passes_in_the_end(&scene, &steady, stream));
    sleep(WHILE);
    let arrived = [0, 1, 2, 3, 4, 5].map(|stream| arrived_since(&steady, stream, start));
    assert_eq!(arrived, [0; 6], "{topology:?} {family:?}\n{}", scene.log());
    let range = &scene.status()["pod_range"];
    assert!(range["dropped"].as_u64().unwrap() > 100, "{range}");
    assert_eq!(range["addresses"], "10.1.0.0-10.1.0.254, fd01::-fd01::ffff:ffff:ffff:ffff");
    tell(&scene, &open, scene.web.addresses());
    [2, 3, 6, 7].into_iter().for_each(|stream| passes_in_the_end(&scene, &steady, stream));
    let arrived = [0, 1, 4, 5, 8].map(|stream| arrived_since(&steady, stream, start));
    assert_eq!(arrived, [0; 5], "{topology:?} {family:?}\n{}", scene.log());
    steady.stop();
}

#[test]
fn an_address_of_the_range_that_is_no_known_pods_neither_sends_nor_receives() {
    for topology in TOPOLOGIES {
        FAMILIES.into_iter().for_each(|family| waits(topology, family));
    }
}

/// A connection that was judged while its pod was known is nobody's when the pod is gone.
#[test]
fn who_is_no_longer_known_is_cut_off() {
    let mut scene = Scene::new(Topology::routed(1));
    let open = open(&mut scene);
    tell(&scene, &open, &[]);
    scene.start_agent_with(&[RANGE]);
    let known = |known: bool| {
        let friend = ("friend", scene.friend.addresses());
        let pods = [friend, ("elsewhere/open", open.addresses())];
        scene.tell(&pods[..if known { 2 } else { 1 }]);
    };
    let [from, to] = [&open, &scene.stranger];
    let receiver = within(to, || UdpSocket::bind((first(to), 6000)).unwrap());
    let sender = within(from, || UdpSocket::bind((first(from), 6001)).unwrap());
    sender.connect((first(to), 6000)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let arrives = || {
        sender.send(b"x").unwrap();
        receiver.recv(&mut [0; 8]).is_ok()
    };
    let settled = || (scene.status()["settled"] == true && arrives()).then_some(());
    eventually(Duration::from_millis(50), settled, || scene.log());
    // Its link leads there still: it lingers, and sends on.
    known(false);
    sleep(WHILE);
    assert!(arrives(), "a deleted pod lingers\n{}", scene.log());
    let route = format!("{}/32 dev pod3", first(&open));
    scene.node().namespace().ip(&format!("route del {route}\n")).unwrap();
    let gone = || scene.status()["agent"]["lingeringPods"].as_u64().is_some_and(|pods| pods < 2).then_some(());
    eventually(Duration::from_millis(50), gone, || scene.log());
    scene.node().namespace().ip(&format!("route add {route}\n")).unwrap();
    eventually(Duration::from_millis(20), || (!arrives()).then_some(()), || scene.log());
    assert!((0..10).all(|_| !arrives()));
}

/// What the node sends and receives itself, and who answers a question for an address, is as without.
#[test]
fn the_node_itself_and_dhcp_are_left_alone() {
    for topology in TOPOLOGIES {
        let mut scene = Scene::new(topology);
        scene.start_agent_with(&[RANGE]);
        for address in scene.web.addresses() {
            let node = scene.node().addresses().iter().find(|node| node.is_ipv4() == address.is_ipv4()).unwrap();
            let receiver = within(&scene.web, || UdpSocket::bind((*address, 6002)).unwrap());
            let sender = scene.node().namespace().enter(|| UdpSocket::bind((*node, 6003)).unwrap()).unwrap();
            let both_ways = || {
                sender.send_to(b"x", (*address, 6002)).unwrap();
                let (_, from) = receiver.recv_from(&mut [0; 8]).ok()?;
                receiver.send_to(b"y", from).unwrap();
                sender.recv(&mut [0; 8]).ok()
            };
            let limit = Some(Duration::from_millis(100));
            [&receiver, &sender].iter().for_each(|socket| socket.set_read_timeout(limit).unwrap());
            eventually(Duration::from_millis(20), both_ways, || format!("{topology:?} {address}\n{}", scene.log()));
        }
        let stream = |port| Stream { from: &scene.stranger, to: &scene.web, family: Family::Ipv4, port };
        let steady = Steady::start(&[stream(DHCP_CLIENT), stream(69)], PERIOD).unwrap();
        passes_in_the_end(&scene, &steady, 0);
        assert_eq!(steady.arrived(1), 0, "{topology:?}");
        steady.stop();
    }
}

/// Pods on one bridge ask each other for their link addresses, known or not: so nobody has to ask again once they are known.
#[test]
fn neighbours_find_each_other() {
    let mut scene = Scene::new(Topology::routed(1).on_bridges());
    scene.start_agent_with(&[RANGE]);
    for address in scene.friend.addresses() {
        let known = || {
            let socket = within(&scene.web, || UdpSocket::bind((any(*address), 0)).unwrap());
            socket.send_to(b"x", (*address, 6004)).unwrap();
            let mut list = Command::new("ip");
            list.args(["neigh", "show", &address.to_string()]);
            let output = scene.web.namespace().run(&mut list, "").unwrap();
            String::from_utf8_lossy(&output.stdout).contains("lladdr").then_some(())
        };
        eventually(Duration::from_millis(20), known, || format!("{address}\n{}", scene.log()));
    }
    assert!(scene.status()["pod_range"]["dropped"].as_u64().unwrap() > 0, "and nothing else passes");
}

/// The Node says which addresses are its pods'; it may come later, and go.
#[test]
fn the_range_may_be_the_nodes() {
    let mut scene = Scene::new(Topology::routed(1));
    scene.start_agent_with(&["--guard-pod-range"]);
    assert!(scene.status()["pod_range"].is_null());
    let node = |networks: &[&str]| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": scene.node().name()},
               "spec": {"podCIDR": networks.first(), "podCIDRs": networks}})
    };
    for (networks, expected) in [
        (&["10.1.0.0/24"][..], json!("10.1.0.0-10.1.0.254")),
        (&["10.1.0.0/25", "fd01::/127"], json!("10.1.0.0-10.1.0.126, fd01::-fd01::1")),
        (&[], json!(null)),
        (&["10.77.0.0/24"], json!("10.77.0.0-10.77.0.254")),
    ] {
        scene.write("node.json", &node(networks).to_string());
        let shown = || (scene.status()["pod_range"]["addresses"] == expected).then_some(());
        eventually(Duration::from_millis(20), shown, || format!("{}\n{}", scene.status(), scene.log()));
    }
    // Of friend, in both families.
    let outside = || (scene.status()["agent"]["outsidePodRange"] == 2).then_some(());
    eventually(Duration::from_millis(20), outside, || scene.status().to_string());
}

fn any(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn first(host: &Host) -> IpAddr {
    host.addresses()[0]
}

fn within<T: Send>(host: &Host, work: impl FnOnce() -> T + Send) -> T {
    host.namespace().enter(work).unwrap()
}

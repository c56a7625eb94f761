//! Pods on bridges.

use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use caps::{CapSet, Capability};
use palisade::links::{Port, read};
use palisade_integration::netns::{BRIDGE, Namespace, Network, Place, Topology};

use crate::world::{World, ip, names, port};

/// Less than the time after which all ports are asked whatever happens.
const ROUND: Duration = Duration::from_secs(25);

#[test]
fn pods_on_a_bridge() {
    let mut network = Network::new(Topology::routed(1).on_bridges()).unwrap();
    let addresses = [vec![ip("10.1.0.5"), ip("fd00:1::5")], vec![ip("10.1.0.6")]];
    let places: Vec<_> = addresses.iter().map(|addresses| (Place::Behind(0), addresses.clone())).collect();
    let hosts = network.attach(&places).unwrap();
    let world = World::of(network.nodes()[0].namespace().try_clone().unwrap());
    let links = world.becomes(|links| links.port_of(ip("10.1.0.6")) == Some((BRIDGE, "pod1")));
    assert!(links.pods.is_empty());
    assert_eq!(links.port_of(ip("fd00:1::5")), Some((BRIDGE, "pod0")));
    assert_eq!(links.link_of(ip("10.1.0.5")), Some(BRIDGE));
    let of_pod0 = port(&links, BRIDGE, "pod0").unwrap();
    let is_link_local = |address: &&IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    assert_eq!(of_pod0.addresses.as_ref().unwrap().iter().filter(is_link_local).count(), 1);
    let [first, second]: [_; 2] = hosts.try_into().unwrap();
    first.detach().unwrap();
    world.becomes(|links| names(links.bridges[BRIDGE].ports.keys()) == ["pod1"]);
    second.detach().unwrap();
    world.becomes(|links| links.bridges.is_empty());
}

/// The hardware address that `ip` shows.
fn mac(pod: &Namespace) -> String {
    let output = pod.run(Command::new("ip").args(["-brief", "link", "show", "eth0"]), "").unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().nth(2).unwrap().to_owned()
}

fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[test]
fn what_the_other_end_has_is_followed() {
    let world = World::new();
    world.ip("link add cni0 type bridge\nlink set cni0 up");
    let pod = world.pod("veth1", "master cni0");
    let links = world.becomes(|links| port(links, "cni0", "veth1").is_some_and(|port| port.addresses.is_some()));
    assert_eq!(links.port_of(ip("10.1.0.5")), None);
    assert_eq!(shown(port(&links, "cni0", "veth1").unwrap().mac.unwrap()), mac(&pod.namespace));
    // Longer than a port is asked again and again.
    sleep(Duration::from_secs(2));
    let start = Instant::now();
    pod.add("10.1.0.5/24");
    pod.add("fd00:1::5/64");
    world.becomes(|links| ["10.1.0.5", "fd00:1::5"].iter().all(|address| links.port_of(ip(address)).is_some()));
    pod.namespace.ip("addr del 10.1.0.5/24 dev eth0\n").unwrap();
    world.becomes(|links| links.port_of(ip("10.1.0.5")).is_none());
    pod.namespace.ip("link set eth0 address 02:00:00:00:00:05\n").unwrap();
    world.becomes(|links| port(links, "cni0", "veth1").is_some_and(|port| port.mac == Some([2, 0, 0, 0, 0, 5])));
    assert!(start.elapsed() < ROUND, "only because all are asked every now and then");
    // Other interfaces of the pod are none of the port's.
    pod.namespace.ip("addr add 10.1.0.7/32 dev lo\naddr add 10.1.0.8/32 dev eth0\n").unwrap();
    world.becomes(|links| links.port_of(ip("10.1.0.8")).is_some() && links.port_of(ip("10.1.0.7")).is_none());
    world.ip("link set veth1 nomaster");
    world.becomes(|links| links.bridges.is_empty() && names(&links.pods) == ["veth1"]);
}

#[test]
fn addresses_that_come_unheard_are_found_where_the_pod_speaks_or_when_told_to_look() {
    let world = World::of_the_deaf();
    world.ip("link add cni0 type bridge\nlink set cni0 up");
    let pods = [world.pod("veth1", "master cni0"), world.pod("veth2", "master cni0")];
    world.becomes(|links| links.bridges.get("cni0").is_some_and(|bridge| bridge.ports.len() == 2));
    sleep(Duration::from_secs(2));
    let start = Instant::now();
    pods[0].add("10.1.0.5/24");
    world.nudge.look_again(&[]);
    world.becomes(|links| links.port_of(ip("10.1.0.5")) == Some(("cni0", "veth1")));
    // Another hardware address is one that the bridge does not know: it learns it from the first packet.
    pods[1].namespace.ip("link set eth0 address 02:00:00:00:00:06\naddr add 10.1.0.6/24 dev eth0\n").unwrap();
    let say = || UdpSocket::bind("10.1.0.6:0").unwrap().send_to(b"hello", "10.1.0.5:9").map(drop);
    pods[1].namespace.enter(say).unwrap().unwrap();
    world.becomes(|links| links.port_of(ip("10.1.0.6")) == Some(("cni0", "veth2")));
    assert!(start.elapsed() < ROUND, "only because all are asked every now and then");
}

#[test]
fn what_two_claim_is_nobodys() {
    let world = World::new();
    world.ip("link add cni0 type bridge\nlink set cni0 up");
    let pods = [world.pod("veth1", "master cni0"), world.pod("veth2", "master cni0")];
    pods[0].add("10.1.0.5/24");
    world.becomes(|links| links.port_of(ip("10.1.0.5")) == Some(("cni0", "veth1")));
    pods[1].add("10.1.0.5/24");
    world.becomes(|links| links.port_of(ip("10.1.0.5")).is_none());
    let [_first, second] = pods;
    drop(second.namespace);
    world.becomes(|links| links.port_of(ip("10.1.0.5")) == Some(("cni0", "veth1")));
}

#[test]
fn a_pod_that_forwards_for_others() {
    let world = World::new();
    world.ip("link add cni0 type bridge\naddr add 10.1.0.1/24 dev cni0\nlink set cni0 up");
    let pods = [world.pod("veth1", "master cni0"), world.pod("veth2", "master cni0")];
    pods[0].add("10.1.0.5/24");
    pods[1].add("10.1.0.6/24");
    world.becomes(|links| links.port_of(ip("10.1.0.5")).is_some() && links.port_of(ip("10.1.0.6")).is_some());
    let forwarding = |wanted: &'static [&'static str]| {
        world.becomes(move |links| {
            let ports = &links.bridges["cni0"].ports;
            names(ports.iter().filter(|(_, port)| port.forwards).map(|(name, _)| name)) == wanted
        })
    };
    world.ip("route add 10.8.0.0/16 via 10.1.0.5");
    let links = forwarding(&["veth1"]);
    assert_eq!((links.link_of(ip("10.8.0.1")), links.link_of(ip("10.1.0.9"))), (None, Some("cni0")));
    world.ip("route replace 10.8.0.0/16 via 10.1.0.6");
    forwarding(&["veth2"]);
    world.ip("route del 10.8.0.0/16");
    forwarding(&[]);
}

#[test]
fn an_end_that_cannot_be_asked() {
    let world = World::new();
    world.ip("link add cni0 type bridge\nlink set cni0 up");
    let pod = world.pod("veth1", "master cni0");
    pod.add("10.1.0.5/24");
    world.becomes(|links| links.port_of(ip("10.1.0.5")).is_some());
    let unable = || {
        caps::drop(None, CapSet::Effective, Capability::CAP_NET_ADMIN).unwrap();
        read().unwrap()
    };
    let links = world.node().enter(unable).unwrap();
    assert_eq!(port(&links, "cni0", "veth1"), Some(&Port::default()));
}

//! What neighbours on a bridge have among themselves: link-local addresses, multicast and broadcast.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use palisade_integration::forge::transport::{Segment, echo, flags, tcp, udp};
use palisade_integration::forge::{BROADCAST, Frame, Mac};
use palisade_integration::netns::{BRIDGE, Namespace};

use crate::BRIDGED;
use crate::frames::{ALLOWED, HOSTS, PAIRS, policies};
use crate::scene::Scene;
use crate::volley::{Aim, Volley};

/// The address that a stack gives itself for a link.
pub(crate) fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
}

/// The hardware address of a group.
pub(crate) fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(Ipv4Addr::BROADCAST) => BROADCAST,
        IpAddr::V4(v4) => {
            let [_, b, c, d] = v4.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]
        }
    }
}

/// Between the addresses of the link, and between one of them and one of the pod's.
fn local(scene: &Scene, pairs: &[[&'static str; 2]]) -> Vec<Aim> {
    let mut aims = Vec::new();
    for ends in pairs {
        let macs = ends.map(|name| scene.link(name).mac());
        let addresses = ends.map(|name| scene.address(name, true));
        let locals = macs.map(|mac| IpAddr::V6(link_local(mac)));
        let choices = [locals, [locals[0], addresses[1]], [addresses[0], locals[1]]];
        for ([from, to], number) in choices.into_iter().zip(0..) {
            let name = ["link-local", "from link-local", "to link-local"][number];
            let ports = [from, to].map(|address| SocketAddr::new(address, 4100));
            let begins = Segment { sequence: 1, flags: flags::SYN, ..Segment::default() };
            let wrap = move |packet| vec![Frame::of(macs[1], macs[0], &packet)];
            aims.push(Aim::new(format!("{name}, UDP"), *ends, move |mark| wrap(udp(ports[0], ports[1], mark))));
            aims.push(Aim::new(format!("{name}, TCP"), *ends, move |mark| wrap(tcp(ports[0], ports[1], begins, mark))));
            aims.push(Aim::new(format!("{name}, echo"), *ends, move |mark| wrap(echo(from, to, 1, mark))));
        }
    }
    aims
}

/// From the link's address to the other's of the pod, by the node: which routes it where it came from the same bridge.
fn local_routed(scene: &Scene, pairs: &[[&'static str; 2]]) -> Vec<Aim> {
    let aim = |ends: &[&'static str; 2]| {
        let (own, gateway) = (scene.link(ends[0]).mac(), scene.link(ends[0]).gateway());
        let (from, to) = (SocketAddr::new(link_local(own).into(), 4100), scene.at(ends[1], true, 4100));
        Aim::new("link-local, UDP, by the node", *ends, move |mark| vec![Frame::of(gateway, own, &udp(from, to, mark))])
    };
    pairs.iter().map(aim).collect()
}

/// Datagrams to groups and to everybody.
fn grouped(scene: &Scene, pairs: &[[&'static str; 2]]) -> Vec<Aim> {
    let groups = ["ff02::1", "ff02::fb", "ff05::7", "224.0.0.1", "224.0.0.251", "239.1.2.3", "255.255.255.255"];
    let mut aims = Vec::new();
    for ends in pairs {
        for group in groups.map(|group| group.parse::<IpAddr>().unwrap()) {
            let own = scene.link(ends[0]).mac();
            for port in [5353, 67, 68, 547] {
                let (from, to) = (scene.at(ends[0], group.is_ipv6(), port), SocketAddr::new(group, port));
                aims.push(Aim::new(format!("to {to}"), *ends, move |mark| {
                    vec![Frame::of(group_mac(group), own, &udp(from, to, mark))]
                }));
            }
        }
    }
    aims
}

fn honest(scene: &Scene) -> Vec<Aim> {
    let aim = |ends: &[&'static str; 2]| {
        let macs = ends.map(|name| scene.link(name).mac());
        let ports = ends.map(|name| scene.at(name, true, 4100));
        Aim::new("UDP", *ends, move |mark| vec![Frame::of(macs[1], macs[0], &udp(ports[0], ports[1], mark))])
    };
    ALLOWED.iter().map(aim).collect()
}

/// `spared` is how much of it goes on between those whom no policy is about.
fn fail(forged: impl Fn(&Scene, &[[&'static str; 2]]) -> Vec<Aim>, spared: usize) {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let honest = honest(&scene).into_iter().chain(forged(&scene, &ALLOWED[..1]).into_iter().take(spared)).collect();
    let volley = Volley { forged: forged(&scene, &PAIRS), honest };
    volley.fails_under(&mut scene, &policies());
}

#[test]
fn link_local_addresses() {
    const BETWEEN_TWO: usize = 3;
    fail(local, BETWEEN_TWO);
}

#[test]
fn link_local_addresses_by_the_node() {
    fail(local_routed, 0);
}

#[test]
fn multicast_and_broadcast() {
    fail(grouped, usize::MAX);
}

const CLIENT: (u16, u16) = (68, 546);
const SERVER: (u16, u16) = (67, 547);

/// A client that has no address yet, or only the link's, asks everybody.
fn ask(scene: &Scene, ends: [&'static str; 2]) -> [Aim; 2] {
    let mac = scene.link(ends[0]).mac();
    let four = [SocketAddr::from(([0; 4], CLIENT.0)), SocketAddr::from(([255; 4], SERVER.0))];
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let six = [SocketAddr::new(link_local(mac).into(), CLIENT.1), SocketAddr::new(group.into(), SERVER.1)];
    [("DHCP discover", four), ("DHCPv6 solicit", six)].map(|(name, [from, to])| {
        Aim::new(name, ends, move |mark| vec![Frame::of(group_mac(to.ip()), mac, &udp(from, to, mark))])
    })
}

/// A server answers everybody, or the client at the address of its link.
fn answer(scene: &Scene, ends: [&'static str; 2]) -> [Aim; 2] {
    let macs = ends.map(|name| scene.link(name).mac());
    let from = SocketAddr::from(([10, 1, 0, 250], SERVER.0));
    let everybody = SocketAddr::from(([255; 4], CLIENT.0));
    let locals = macs.map(|mac| link_local(mac).into());
    let six = [SocketAddr::new(locals[0], SERVER.1), SocketAddr::new(locals[1], CLIENT.1)];
    let replies = [("DHCP offer", BROADCAST, [from, everybody]), ("DHCPv6 reply", macs[1], six)];
    replies.map(|(name, mac, [from, to])| {
        Aim::new(name, ends, move |mark| vec![Frame::of(mac, macs[0], &udp(from, to, mark))])
    })
}

/// A server that is no pod, on the bridge or the node itself, gives addresses to pods however isolated.
#[test]
fn an_address_is_given_by_who_is_no_pod() {
    let mut scene = Scene::new(BRIDGED, &HOSTS);
    let server = Namespace::new().unwrap();
    let node = scene.network.nodes()[0].namespace().try_clone().unwrap();
    node.ip(&format!(
        "link add server type veth peer name eth0 netns {}\nlink set server master {BRIDGE} up\n",
        server.path().display()
    ))
    .unwrap();
    node.ip(&format!("route add 10.1.0.250 dev {BRIDGE}\n")).unwrap();
    server.ip("addr add 10.1.0.250/24 dev eth0\nlink set eth0 up\n").unwrap();
    scene.watch("server", &server, "eth0");
    scene.watch("node", &node, BRIDGE);
    let mut honest: Vec<_> = ["server", "node"].into_iter().flat_map(|to| ask(&scene, ["closed", to])).collect();
    honest.extend(answer(&scene, ["server", "closed"]));
    honest.extend(answer(&scene, ["node", "closed"]));
    let forged = ask(&scene, ["mute", "free"]).into_iter().chain(answer(&scene, ["free", "closed"])).collect();
    let volley = Volley { forged, honest };
    volley.fails_under(&mut scene, &policies());
}

//! The ways that packets take: through tunnels, over bridges, and through links that are narrower than the sender's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use palisade_integration::netns::{Fabric, Namespace, Place, PodLinks, Topology};
use palisade_integration::patience::LIMIT;
use serde_json::json;

use crate::echo::{Protocol, ask, ask_briefly};
use crate::on_each_topology;
use crate::scene::{PORT, Scene, pods, subject};

/// Much more than fits into one packet, or into what a connection may send unacknowledged.
const BULK: usize = 3_000_000;

/// `near` and `web` on one node, `far` on the other.
fn scene(topology: Topology) -> Scene {
    Scene::new(topology, &[("near", Place::Behind(0)), ("web", Place::Behind(0)), ("far", Place::Behind(1))])
}

/// `web` lets in `far`, and nobody else; `far` only gets out to `web`, and lets nobody in.
fn isolate(scene: &mut Scene) {
    let ports = json!([{"port": PORT}, {"port": PORT + 1}, {"protocol": "UDP", "port": PORT}]);
    let web = json!([{"from": [pods("far")], "ports": ports}]);
    let far = json!([{"to": [pods("web")], "ports": ports}]);
    scene.enforce(&[
        ("web", json!({"podSelector": subject("web"), "policyTypes": ["Ingress", "Egress"], "ingress": web})),
        ("far", json!({"podSelector": subject("far"), "policyTypes": ["Ingress", "Egress"], "egress": far})),
    ]);
}

/// How many packets a rule, given as its match, has counted.
fn counted(namespace: &Namespace, name: &str) -> u64 {
    let output = namespace.run(Command::new("nft").args(["list", "counter", "inet", "count", name]), "").unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let packets = listing.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    packets.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no count in {listing}"))
}

/// Counts what passes a hook: rules as the name of a counter and a match.
fn count(namespace: &Namespace, hook: &str, rules: &[(&str, &str)]) {
    let counters: String = rules.iter().map(|(name, _)| format!("counter {name} {{ }}\n")).collect();
    let rules: String = rules.iter().map(|(name, matched)| format!("{matched} counter name {name}\n")).collect();
    let chain = format!("chain passing {{\ntype filter hook {hook} priority -300;\n{rules}}}");
    namespace.nft(&format!("table inet count {{\n{counters}{chain}\n}}")).unwrap();
}

#[test]
fn flows_are_judged_on_every_path() {
    on_each_topology(|topology| {
        let mut scene = scene(topology);
        let flows = [("far", "web"), ("near", "web"), ("web", "near"), ("near", "far"), ("web", "far")];
        let asked = |is_ipv6, protocol| flows.map(|(from, to)| (from, scene.server(to, is_ipv6), protocol));
        let families = [false, true].map(|is_ipv6| [Protocol::Tcp, Protocol::Udp].map(|p| asked(is_ipv6, p)).concat());
        let all = families.concat();
        for (from, to, protocol) in &all {
            ask(scene.host(from), *to, *protocol);
        }
        isolate(&mut scene);
        thread::scope(|scope| {
            for (from, to, protocol) in &all {
                let scene = &scene;
                scope.spawn(move || match *from {
                    "far" => drop(ask(scene.host(from), *to, *protocol)),
                    _ => assert_eq!(ask_briefly(scene.host(from), *to, *protocol), None, "{from} asks {to}"),
                });
            }
        });
    });
}

/// What the topologies promise: that packets do take these ways.
#[test]
fn tunnels_and_bridges_are_what_packets_use() {
    on_each_topology(|topology| {
        let scene = scene(topology);
        let web = scene.address("web", false);
        let bare = format!("ip daddr {web}");
        count(scene.network().underlay(), "forward", &[("tunnelled", "udp dport 8472"), ("bare", &bare)]);
        ask(scene.host("far"), scene.server("web", false), Protocol::Tcp);
        let is_tunnelled = topology.fabric == Fabric::Vxlan;
        let underlay = scene.network().underlay();
        assert_eq!([counted(underlay, "tunnelled") > 0, counted(underlay, "bare") > 0], [is_tunnelled, !is_tunnelled]);
        assert_eq!(is_on_link(&scene), topology.pods == PodLinks::Bridge);
    });
}

/// Whether `near` sends straight to `web`, without a gateway.
fn is_on_link(scene: &Scene) -> bool {
    let web = scene.address("web", false).to_string();
    let output = scene.host("near").namespace().run(Command::new("ip").args(["route", "get", &web]), "").unwrap();
    !String::from_utf8(output.stdout).unwrap().contains(" via ")
}

/// Something in between has no room for full packets and says so, by ICMP, to a pod that lets nobody in: a router, or
/// the end of the tunnel.
#[test]
fn path_mtu_discovery_works_for_isolated_pods() {
    on_each_topology(|topology| {
        let mut scene = scene(topology);
        let underlay = scene.network().underlay();
        underlay.ip("addr add 198.51.100.1/32 dev lo\naddr add 2001:db8:1::1/128 dev lo nodad\n").unwrap();
        if topology.fabric == Fabric::Routed {
            underlay.ip("link set node-0 mtu 1300\nlink set node-1 mtu 1300\n").unwrap();
        }
        let narrow = [("v4", "icmp type destination-unreachable"), ("v6", "icmpv6 type packet-too-big")];
        count(scene.network().nodes()[1].namespace(), "forward", &narrow);
        isolate(&mut scene);
        for is_ipv6 in [false, true] {
            let to = SocketAddr::new(scene.address("web", is_ipv6), PORT + 1);
            let received = send_bulk(&scene, "far", "web", to);
            assert_eq!(received.unwrap(), BULK, "{to}");
        }
        let forwarded = narrow.map(|(name, _)| counted(scene.network().nodes()[1].namespace(), name) > 0);
        assert_eq!(forwarded, [topology.fabric == Fabric::Routed; 2], "a tunnel ends on the node itself");
    });
}

/// Sends over one connection; gives how many bytes arrived.
fn send_bulk(scene: &Scene, from: &str, server: &str, to: SocketAddr) -> io::Result<usize> {
    let listener = scene.host(server).namespace().enter(|| TcpListener::bind(to)).unwrap()?;
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(LIMIT))?;
            let mut received = Vec::new();
            stream.read_to_end(&mut received).map(|_| received.len())
        });
        let mut stream = scene.host(from).namespace().enter(|| TcpStream::connect_timeout(&to, LIMIT)).unwrap()?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(&vec![7; BULK])?;
        drop(stream);
        receiver.join().unwrap()
    })
}

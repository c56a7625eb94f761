//! Host ports, as the portmap plugin lays them out on the node of the pod: DNAT of whatever comes to an address of the node,
//! and masquerading of the pod that comes back to itself.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use palisade_integration::netns::{Place, Topology};
use serde_json::{Value, json};

use crate::echo::{Answer, Protocol, ask, ask_briefly};
use crate::on_each_topology;
use crate::scene::{PORT, Scene, block, of_family, pods, subject};

const HOST_PORT: u16 = 8_088;
const EVERYBODY: [(&str, bool); 6] =
    [("web", true), ("near", true), ("rogue", true), ("far", true), ("office", true), ("home", true)];

/// `web` has a host port on the first node, where `near` and `rogue` are, too; `far` is on the other one, `office` and
/// `home` are outside. Whoever asks there reaches `web`, as long as there are no policies.
fn scene(topology: Topology) -> Scene {
    let pods = [("web", 0), ("near", 0), ("rogue", 0), ("far", 1)].map(|(name, node)| (name, Place::Behind(node)));
    let outside = ["office", "home"].map(|name| (name, Place::External));
    let scene = Scene::new(topology, &[&pods[..], &outside].concat());
    install(&scene);
    check(&scene, &EVERYBODY);
    scene
}

fn install(scene: &Scene) {
    let to_port = format!("meta l4proto {{ tcp, udp }} th dport {HOST_PORT}");
    let rules = [("ipv4", "ip"), ("ipv6", "ip6")].map(|(protocol, family)| {
        let to = scene.server("web", family == "ip6");
        format!(
            "{family} saddr {} {to_port} meta mark set meta mark | 0x2000
             meta nfproto {protocol} {to_port} dnat {family} to {to}",
            to.ip()
        )
    });
    let ruleset = format!(
        "table inet hostports {{
            chain hostports {{
                {}
            }}
            chain prerouting {{ type nat hook prerouting priority dstnat; fib daddr type local jump hostports; }}
            chain output {{ type nat hook output priority -100; fib daddr type local jump hostports; }}
            chain postrouting {{ type nat hook postrouting priority srcnat; meta mark & 0x2000 != 0 masquerade; }}
        }}",
        rules.join("\n")
    );
    scene.network().nodes()[0].namespace().nft(&ruleset).unwrap();
}

/// Who reaches `web` at its host port, in both families and over both protocols.
#[track_caller]
fn check(scene: &Scene, expected: &[(&str, bool)]) {
    let asked = [false, true].map(|is_ipv6| [Protocol::Tcp, Protocol::Udp].map(|protocol| (is_ipv6, protocol)));
    thread::scope(|scope| {
        for (is_ipv6, protocol) in asked.concat() {
            let node = of_family(scene.network().nodes()[0].addresses(), is_ipv6);
            for (from, reaches) in expected {
                scope.spawn(move || check_one(scene, from, SocketAddr::new(node, HOST_PORT), protocol, *reaches));
            }
        }
    });
}

fn check_one(scene: &Scene, from: &str, to: SocketAddr, protocol: Protocol, reaches: bool) {
    if reaches {
        let answer = Answer { server: "web".to_owned(), seen: seen(scene, from, to.ip()) };
        assert_eq!(ask(scene.host(from), to, protocol), answer, "{from} asks {to} by {protocol:?}");
    } else {
        assert_eq!(ask_briefly(scene.host(from), to, protocol), None, "{from} asks {to} by {protocol:?}");
    }
}

/// As whom `web` sees it: itself as the node.
fn seen(scene: &Scene, from: &str, node: IpAddr) -> IpAddr {
    if from == "web" { node } else { scene.address(from, node.is_ipv6()) }
}

fn at(port: u16) -> Value {
    json!([{"protocol": "TCP", "port": port}, {"protocol": "UDP", "port": port}])
}

#[test]
fn who_may_reach_the_pod_reaches_its_host_port() {
    on_each_topology(|topology| {
        let mut scene = scene(topology);
        let office = scene.host("office").addresses().iter().map(|address| block(*address));
        let from: Vec<Value> = [pods("near"), pods("far")].into_iter().chain(office).collect();
        let mut allow = |port| {
            let ingress = json!([{"from": from, "ports": at(port)}]);
            scene.enforce(&[("web", json!({"podSelector": subject("web"), "ingress": ingress}))]);
            let is_allowed = |from| from == "web" || port == PORT && !["rogue", "home"].contains(&from);
            check(&scene, &EVERYBODY.map(|(from, _)| (from, is_allowed(from))));
        };
        allow(PORT);
        allow(HOST_PORT);
    });
}

/// That a pod reaches its own node is no way to the pods behind the node's ports.
#[test]
fn egress_names_the_pod_and_not_its_node() {
    on_each_topology(|topology| {
        let mut scene = scene(topology);
        let node: Vec<Value> = scene.network().nodes()[0].addresses().iter().map(|address| block(*address)).collect();
        let egress = |app, to: Value, port| {
            let egress = json!([{"to": to, "ports": at(port)}]);
            json!({"podSelector": subject(app), "policyTypes": ["Egress"], "egress": egress})
        };
        scene.enforce(&[
            ("to-the-pod", egress("near", json!([pods("web")]), PORT)),
            ("to-the-port", egress("rogue", json!(node), HOST_PORT)),
            ("to-the-port-of-the-pod", egress("far", json!([pods("web")]), HOST_PORT)),
            ("nothing", json!({"podSelector": subject("web"), "policyTypes": ["Egress"]})),
        ]);
        check(&scene, &[("near", true), ("rogue", false), ("far", false), ("web", true), ("home", true)]);
    });
}

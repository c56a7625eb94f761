//! Node ports: what comes from outside is judged by the address that it has where it is judged.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use palisade_integration::netns::{Place, Topology};
use serde_json::{Value, json};

use crate::echo::{Answer, Protocol, ask, ask_briefly};
use crate::kube_proxy::{Backend, Service, Traffic};
use crate::on_each_topology;
use crate::scene::{PORT, Scene, block, of_family, subject};

const NODE_PORT: u16 = 30_080;

/// `web` on the first node behind a Service; `office` and `home` outside.
fn scene(topology: Topology, traffic: Traffic) -> Scene {
    let hosts = [("web", Place::Behind(0)), ("office", Place::External), ("home", Place::External)];
    let scene = Scene::new(topology, &hosts);
    let service = Service {
        addresses: ["10.96.0.1", "fd96::1"].map(|text| text.parse().unwrap()).to_vec(),
        port: 80,
        node_port: NODE_PORT,
        traffic,
        target_port: PORT,
        backends: vec![Backend { addresses: scene.host("web").addresses().to_vec(), node: 0 }],
    };
    scene.serve(&[service]);
    scene
}

/// `web` lets in what comes from these addresses, by TCP and UDP.
fn allow(scene: &mut Scene, addresses: &[IpAddr]) {
    let from: Vec<Value> = addresses.iter().map(|address| block(*address)).collect();
    let ports = json!([{"protocol": "TCP", "port": PORT}, {"protocol": "UDP", "port": PORT}]);
    scene.enforce(&[("web", json!({"podSelector": subject("web"), "ingress": [{"from": from, "ports": ports}]}))]);
}

/// Whether the port of a node leads `from` to `web`, which then sees the source that `seen` gives for a family.
#[track_caller]
fn check(scene: &Scene, node: usize, from: &str, seen: Option<&dyn Fn(bool) -> IpAddr>) {
    let asked = [false, true].map(|is_ipv6| [Protocol::Tcp, Protocol::Udp].map(|protocol| (is_ipv6, protocol)));
    thread::scope(|scope| {
        for (is_ipv6, protocol) in asked.concat() {
            let to = node_port(scene, node, is_ipv6);
            let wanted = seen.map(|seen| Answer { server: "web".to_owned(), seen: seen(is_ipv6) });
            scope.spawn(move || match wanted {
                Some(_) => assert_eq!(Some(ask(scene.host(from), to, protocol)), wanted),
                None => assert_eq!(ask_briefly(scene.host(from), to, protocol), None, "{from} asks {to}"),
            });
        }
    });
}

/// The address that `web` sees of what `from` sends to the port of a node.
fn seen_through(scene: &Scene, node: usize, from: &str, is_ipv6: bool) -> IpAddr {
    ask(scene.host(from), node_port(scene, node, is_ipv6), Protocol::Tcp).seen
}

fn node_port(scene: &Scene, node: usize, is_ipv6: bool) -> SocketAddr {
    SocketAddr::new(of_family(scene.network().nodes()[node].addresses(), is_ipv6), NODE_PORT)
}

#[test]
fn on_the_pods_node_the_client_is_seen_before_it_is_masqueraded() {
    on_each_topology(|topology| {
        let mut scene = scene(topology, Traffic::Cluster);
        let node = scene.network().nodes()[0].addresses().to_vec();
        let masqueraded = |is_ipv6| of_family(&node, is_ipv6);
        check(&scene, 0, "home", Some(&masqueraded));
        let office = scene.host("office").addresses().to_vec();
        allow(&mut scene, &office);
        check(&scene, 0, "office", Some(&masqueraded));
        check(&scene, 0, "home", None);
    });
}

#[test]
fn through_another_node_that_nodes_address_is_judged() {
    on_each_topology(|topology| {
        let mut scene = scene(topology, Traffic::Cluster);
        let [office, home] = ["office", "home"].map(|name| scene.host(name).addresses().to_vec());
        let masqueraded: Vec<_> = [false, true].map(|is_ipv6| seen_through(&scene, 1, "office", is_ipv6)).into();
        assert!(masqueraded.iter().all(|address| !office.contains(address)), "{masqueraded:?}");
        allow(&mut scene, &[office, home].concat());
        check(&scene, 1, "office", None);
        allow(&mut scene, &masqueraded);
        let seen = |is_ipv6| of_family(&masqueraded, is_ipv6);
        check(&scene, 1, "office", Some(&seen));
        check(&scene, 1, "home", Some(&seen));
        check(&scene, 0, "office", None);
    });
}

#[test]
fn with_local_traffic_the_client_itself_is_judged() {
    on_each_topology(|topology| {
        let mut scene = scene(topology, Traffic::Local);
        let [office, home] = ["office", "home"].map(|name| scene.host(name).addresses().to_vec());
        check(&scene, 0, "home", Some(&|is_ipv6| of_family(&home, is_ipv6)));
        allow(&mut scene, &office);
        check(&scene, 0, "office", Some(&|is_ipv6| of_family(&office, is_ipv6)));
        check(&scene, 0, "home", None);
        check(&scene, 1, "office", None);
    });
}

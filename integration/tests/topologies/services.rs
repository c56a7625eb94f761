//! A Service's address: policies see the pods behind it, and the pod that asks.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use palisade_integration::netns::{Place, Topology};
use serde_json::json;

use crate::echo::{Answer, Protocol, ask, ask_briefly};
use crate::kube_proxy::{Backend, Service, Traffic};
use crate::on_each_topology;
use crate::scene::{PORT, Scene, block, of_family, pods, subject};

const SERVICE_PORT: u16 = 80;
/// Enough for every backend to have its turn, a few times.
const TIMES: usize = 6;
const ROUNDS: usize = 10;

/// `db`, on this node, and `api`, on the other, are behind the Service `data`; `web` is behind `front`, alone.
fn scene(topology: Topology) -> (Scene, Service, Service) {
    let hosts = [
        ("client", Place::Behind(0)),
        ("web", Place::Behind(0)),
        ("db", Place::Behind(0)),
        ("api", Place::Behind(1)),
        ("far", Place::Behind(1)),
    ];
    let scene = Scene::new(topology, &hosts);
    let backend = |name, node| Backend { addresses: scene.host(name).addresses().to_vec(), node };
    let data = service(1, vec![backend("db", 0), backend("api", 1)]);
    let front = service(2, vec![backend("web", 0)]);
    scene.serve(&[data.clone(), front.clone()]);
    (scene, data, front)
}

fn service(number: u8, backends: Vec<Backend>) -> Service {
    let addresses = [format!("10.96.0.{number}"), format!("fd96::{number}")].map(|text| text.parse().unwrap());
    Service {
        addresses: addresses.to_vec(),
        port: SERVICE_PORT,
        node_port: 30_000 + u16::from(number),
        traffic: Traffic::Cluster,
        target_port: PORT,
        backends,
    }
}

fn at(service: &Service, is_ipv6: bool) -> SocketAddr {
    SocketAddr::new(of_family(&service.addresses, is_ipv6), service.port)
}

/// Who answers `from` behind a Service, and whom they see. The backends have their turns as long as nobody else asks.
fn answers(scene: &Scene, from: &str, to: SocketAddr, protocol: Protocol) -> BTreeSet<Answer> {
    thread::scope(|scope| {
        let asking: Vec<_> = (0..TIMES).map(|_| scope.spawn(|| ask_briefly(scene.host(from), to, protocol))).collect();
        asking.into_iter().filter_map(|asking| asking.join().unwrap()).collect()
    })
}

fn expected(servers: &[&str], seen: IpAddr) -> BTreeSet<Answer> {
    servers.iter().map(|server| Answer { server: (*server).to_owned(), seen }).collect()
}

/// Who answers each of the pods, in both families and over both protocols.
#[track_caller]
fn check(scene: &Scene, service: &Service, protocol: Protocol, allowed: &[(&str, &[&str])]) {
    for is_ipv6 in [false, true] {
        for (from, servers) in allowed {
            let wanted = expected(servers, scene.address(from, is_ipv6));
            let mut answered = answers(scene, from, at(service, is_ipv6), protocol);
            // Who should answer is asked again on a busy machine; whoever should not has failed the test.
            for _ in 1..ROUNDS {
                if answered.is_subset(&wanted) && answered != wanted {
                    answered.extend(answers(scene, from, at(service, is_ipv6), protocol));
                }
            }
            assert_eq!(answered, wanted, "{from} asks {} by {protocol:?}", at(service, is_ipv6));
        }
    }
}

#[test]
fn ingress_of_the_backends_decides() {
    on_each_topology(|topology| {
        let (mut scene, data, _) = scene(topology);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            check(&scene, &data, protocol, &[("client", &["api", "db"]), ("far", &["api", "db"])]);
        }
        let from_client = |ports| json!([{"from": [pods("client")], "ports": [{"protocol": "TCP", "port": ports}]}]);
        scene.enforce(&[
            ("db", json!({"podSelector": subject("db"), "ingress": from_client(PORT)})),
            ("api", json!({"podSelector": subject("api"), "ingress": from_client(SERVICE_PORT)})),
        ]);
        check(&scene, &data, Protocol::Tcp, &[("client", &["db"]), ("web", &[]), ("far", &[])]);
        check(&scene, &data, Protocol::Udp, &[("client", &[]), ("far", &[])]);
    });
}

#[test]
fn egress_names_the_backends_and_not_the_service() {
    on_each_topology(|topology| {
        let (mut scene, data, _) = scene(topology);
        let to = |name, to, port| {
            let ports = json!([{"protocol": "TCP", "port": port}, {"protocol": "UDP", "port": port}]);
            let egress = json!([{"to": to, "ports": ports}]);
            json!({"podSelector": subject(name), "policyTypes": ["Egress"], "egress": egress})
        };
        let addresses: Vec<_> = data.addresses.iter().map(|ip| block(*ip)).collect();
        scene.enforce(&[
            ("backend", to("client", json!([pods("api")]), PORT)),
            ("service-port", to("web", json!([pods("db"), pods("api")]), SERVICE_PORT)),
            ("service-address", to("far", json!(addresses), SERVICE_PORT)),
        ]);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            check(&scene, &data, protocol, &[("client", &["api"]), ("web", &[]), ("far", &[])]);
        }
    });
}

/// The packet goes out where it came in, and has the node's address when it is back.
#[test]
fn a_pod_reaches_itself_through_its_service_however_isolated() {
    on_each_topology(|topology| {
        let (mut scene, data, front) = scene(topology);
        scene.enforce(&[("nothing", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}))]);
        let node = scene.network().nodes()[0].addresses().to_vec();
        for is_ipv6 in [false, true] {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let answer = ask(scene.host("web"), at(&front, is_ipv6), protocol);
                assert_eq!(answer, Answer { server: "web".to_owned(), seen: of_family(&node, is_ipv6) });
            }
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            check(&scene, &front, protocol, &[("client", &[]), ("far", &[])]);
        }
        let itself = answers(&scene, "db", at(&data, false), Protocol::Tcp);
        assert_eq!(itself, expected(&["db"], of_family(&node, false)), "of two backends, itself alone");
    });
}

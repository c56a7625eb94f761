//! Pods on one bridge: enforced through br_netfilter, and not without it.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use palisade_integration::netns::{Namespace, Place, Topology, pass_to_netfilter};
use serde_json::json;

use crate::echo::{Protocol, ask_briefly};
use crate::scene::{PORT, Scene, subject};
use crate::sysctls::{once, status, status_text};

/// `near` and `web` on one bridge, `far` on another node. `web` lets nobody in.
fn scene() -> Scene {
    let hosts = [("near", Place::Behind(0)), ("web", Place::Behind(0)), ("far", Place::Behind(1))];
    let mut scene = Scene::new(Topology::routed(2).on_bridges(), &hosts);
    scene.enforce(&[("web", json!({"podSelector": subject("web")}))]);
    scene
}

fn node(scene: &Scene) -> &Namespace {
    scene.network().nodes()[0].namespace()
}

/// Who reaches `web`, in both families.
fn reach(scene: &Scene) -> [[bool; 2]; 2] {
    ["near", "far"].map(|from| {
        [false, true]
            .map(|is_ipv6| ask_briefly(scene.host(from), scene.server("web", is_ipv6), Protocol::Udp).is_some())
    })
}

/// Only a failing test waits for it.
const LIMIT: Duration = Duration::from_secs(10);
const NOBODY: [[bool; 2]; 2] = [[false; 2]; 2];
const NEIGHBOUR: [[bool; 2]; 2] = [[true; 2], [false; 2]];
const LOUD: [&str; 2] = [
    "net.bridge.bridge-nf-call-iptables is 0: NetworkPolicy is NOT enforced on IPv4 packets between pods on one bridge (cni0)",
    "net.bridge.bridge-nf-call-ip6tables is 0: NetworkPolicy is NOT enforced on IPv6 packets between pods on one bridge (cni0)",
];

#[test]
fn neighbours_are_judged_only_through_br_netfilter_and_the_agent_says_so() {
    let mut scene = scene();
    assert_eq!(reach(&scene), NOBODY);
    assert_eq!(status(&scene)["sysctls"], json!([]));
    assert!(!scene.log(0).contains("bridge-nf-call"), "{}", scene.log(0));

    pass_to_netfilter(node(&scene), false).unwrap();
    scene.restart(0);
    assert_eq!(reach(&scene), NEIGHBOUR);
    for words in LOUD {
        let line = scene.log(0).lines().find(|line| line.contains(words)).map(str::to_owned);
        assert!(line.is_some_and(|line| line.contains("ERROR")), "{}", scene.log(0));
    }
    let said = status(&scene);
    let unmet = |name: &str| json!({"sysctl": name, "exists": true, "bridges": ["cni0"]});
    assert!(LOUD.iter().all(|words| status_text(&scene).contains(words)), "{}", status_text(&scene));
    let both = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"].map(unmet);
    assert_eq!(said["sysctls"], json!(both));

    let log = once(&scene, &["--set-sysctls"]);
    assert!(log.contains("set to 1"), "{log}");
    assert_eq!(reach(&scene), NOBODY);
    assert_eq!(status(&scene)["sysctls"], json!([]));
}

/// A bridge may have the same setting of its own.
#[test]
fn a_bridge_that_calls_netfilter_itself_is_enforced() {
    let scene = scene();
    pass_to_netfilter(node(&scene), false).unwrap();
    assert_eq!(reach(&scene), NEIGHBOUR);
    node(&scene).ip("link set cni0 type bridge nf_call_iptables 1 nf_call_ip6tables 1\n").unwrap();
    assert_eq!(reach(&scene), NOBODY);
    assert_eq!(status(&scene)["sysctls"], json!([]));
}

/// No policy speaks of link-local addresses, which pods of one bridge have for each other: isolated pods have no use of them.
#[test]
fn link_local_addresses_on_one_bridge_obey_isolation() {
    let scene = scene();
    let web = link_local(&scene, "web");
    let to = SocketAddrV6::new(web, PORT + 1, 0, index_of_eth0(&scene, "near"));
    let listen = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT + 1));
    let _listener = scene.host("web").namespace().enter(listen).unwrap().unwrap();
    let connect = |to: SocketAddr| TcpStream::connect_timeout(&to, LIMIT).is_ok();
    assert!(!scene.host("near").namespace().enter(|| connect(to.into())).unwrap());
}

/// The lines of `/proc/net/if_inet6` about `eth0`: address, index, and more, in hexadecimal.
fn eth0(scene: &Scene, name: &str) -> Vec<[String; 2]> {
    let read = || fs::read_to_string("/proc/thread-self/net/if_inet6");
    let text = scene.host(name).namespace().enter(read).unwrap().unwrap();
    let lines = text.lines().filter(|line| line.ends_with("eth0"));
    lines.map(|line| [0, 1].map(|word| line.split_whitespace().nth(word).unwrap().to_owned())).collect()
}

fn index_of_eth0(scene: &Scene, name: &str) -> u32 {
    u32::from_str_radix(&eth0(scene, name)[0][1], 16).unwrap()
}

fn link_local(scene: &Scene, name: &str) -> Ipv6Addr {
    let addresses =
        eth0(scene, name).into_iter().map(|[address, _]| u128::from_str_radix(&address, 16).unwrap().into());
    addresses.into_iter().find(Ipv6Addr::is_unicast_link_local).unwrap()
}

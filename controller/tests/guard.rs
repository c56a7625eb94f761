//! The guard as rulesets: where packets, and frames, of pods may come from. That the kernel does with them what they say is in
//! `integration/tests/forging`.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use insta::assert_snapshot;
use palisade::links::{NodeLinks, PodBridge, Port, Tunnels};
use palisade::render::{Logs, Origins, Renderer, TABLE, skeleton};
use palisade_model::Index;
use palisade_nft::{Edit, Elements, Name, Ruleset};

const NODE: &str = "here";
const SHOP: &str = "
{kind: Pod, apiVersion: v1, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: db, namespace: shop}, status: {podIPs: [{ip: 10.1.0.2}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: lost, namespace: shop}, status: {podIPs: [{ip: 10.9.9.9}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: deny, namespace: shop},
 spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}}
";

/// What is rendered of a node with these links.
struct Node {
    renderer: Renderer,
    ruleset: Ruleset,
}

impl Node {
    fn new(links: NodeLinks) -> Self {
        let manifests =
            palisade::manifests::parse(Path::new("."), &[("shop.yaml".into(), SHOP.to_owned())], NODE).unwrap();
        let mut index = Index::new(NODE);
        manifests.into_changes().for_each(|change| index.apply(change));
        let mut renderer = Renderer::new(Origins::Guarded);
        let mut ruleset = skeleton(Name::new(TABLE).unwrap(), Origins::Guarded, Logs::default());
        ruleset.apply(renderer.edit(&index.take_delta(), &BTreeSet::new())).unwrap();
        let mut node = Self { renderer, ruleset };
        node.set(links);
        node
    }

    fn set(&mut self, links: NodeLinks) {
        let mut edit = Edit::default();
        self.renderer.set_links(links, &mut edit);
        self.ruleset.apply(edit).unwrap();
        self.renderer.edit_frames();
    }

    /// The elements of a set of the table of packets, as text.
    fn elements(&self, set: &str) -> String {
        let set = &self.ruleset.sets[&Name::new(set).unwrap()];
        let only = |elements: &Elements| Ruleset {
            sets: [(Name::new("set-x").unwrap(), palisade_nft::Set { elements: elements.clone(), comment: None })]
                .into(),
            ..Ruleset::empty(Name::new(TABLE).unwrap())
        };
        let text = only(&set.elements).to_string();
        let line = text.lines().find(|line| line.contains("elements"));
        line.map(|line| line.trim().to_owned()).unwrap_or_default()
    }

    fn chain(&self, name: &str) -> String {
        let chain = self.ruleset.chains.get(&Name::new(name).unwrap());
        let only = |chain| Ruleset {
            chains: [(Name::new("x").unwrap(), chain)].into(),
            ..Ruleset::empty(Name::new(TABLE).unwrap())
        };
        chain.cloned().map(|chain| only(chain).to_string()).unwrap_or_default()
    }
}

fn routes(routes: &[(&str, &str)]) -> Vec<(ipnet::IpNet, String)> {
    let mut routes: Vec<_> = routes.iter().map(|(to, link)| (to.parse().unwrap(), (*link).to_owned())).collect();
    routes.sort();
    routes
}

/// Both pods have a link of their own.
fn routed() -> NodeLinks {
    NodeLinks {
        pods: ["veth1".to_owned(), "veth2".to_owned()].into(),
        routes: routes(&[("10.1.0.1/32", "veth1"), ("fd00::1/128", "veth1"), ("10.1.0.2/32", "veth2")]),
        ..NodeLinks::default()
    }
}

fn port(addresses: &[&str], mac: u8) -> Port {
    let addresses: BTreeSet<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Port { addresses: Some(addresses), mac: Some([2, 0, 0, 0, 0, mac]), forwards: false }
}

/// Both pods are on one bridge.
fn bridged() -> NodeLinks {
    let ports = [
        ("veth1".to_owned(), port(&["10.1.0.1", "fd00::1", "fe80::1"], 1)),
        ("veth2".to_owned(), port(&["10.1.0.2"], 2)),
        ("veth3".to_owned(), port(&[], 3)),
    ];
    NodeLinks {
        bridges: [("cni0".to_owned(), PodBridge { ports: ports.into() })].into(),
        routes: routes(&[("10.1.0.0/24", "cni0"), ("fd00::/64", "cni0")]),
        ..NodeLinks::default()
    }
}

#[test]
fn a_pod_is_guarded_where_its_route_leads() {
    let mut node = Node::new(routed());
    let sets = ["pod-links", "guarded-4", "guarded-6", "local-pods-4"].map(|set| node.elements(set));
    assert_snapshot!(sets.join("\n"), @r#"
    elements = { "veth1", "veth2" }
    elements = { 10.1.0.1, 10.1.0.2 }
    elements = { fd00::1 }
    elements = { 10.1.0.1, 10.1.0.2, 10.9.9.9 }
    "#);
    assert!(node.elements("forgers").contains("\"veth1\" : goto forged-shop-web-"));
    assert!(node.renderer.frames().is_none());
    node.set(NodeLinks::default());
    let sets = ["pod-links", "guarded-4", "guarded-6", "forgers"].map(|set| node.elements(set));
    assert_eq!(sets, [""; 4]);
    assert!(node.ruleset.chains.keys().all(|chain| !chain.as_str().starts_with("forged-")));
}

#[test]
fn links_and_pods_lead_to_the_same_in_any_order() {
    let mut late = Node::new(NodeLinks::default());
    late.set(bridged());
    late.set(routed());
    assert_eq!(late.ruleset, Node::new(routed()).ruleset);
}

/// A node with tunnels lets nobody in through them, and a node without has no hook for it.
#[test]
fn pods_do_not_speak_to_the_ends_of_tunnels() {
    let tunnels = Tunnels { udp_ports: [8472].into(), protocols: [4].into(), links: ["flannel.1".to_owned()].into() };
    let mut node = Node::new(NodeLinks { tunnels, ..routed() });
    assert_snapshot!(node.chain("tunnels"), @r#"
    table inet palisade {
    	chain x {
    		comment "what enters tunnels of other nodes"
    		udp dport 8472 iifname @pod-links oifname != @inner-links counter drop comment "tunnelled by a pod: nobody could say whose packets these are"
    		meta l4proto 4 iifname @pod-links oifname != @inner-links counter drop comment "tunnelled by a pod: nobody could say whose packets these are"
    	}
    }
    "#);
    assert!(node.chain("input-tunnels").contains("type filter hook input priority -300"));
    node.set(routed());
    assert_eq!(node.chain("input-tunnels"), "");
    assert_eq!(node.ruleset, Node::new(routed()).ruleset);
}

#[test]
fn each_port_has_what_its_far_end_has() {
    let node = Node::new(bridged());
    let frames = node.renderer.frames().unwrap();
    let chain = |start: &str| {
        let (name, chain) = frames.chains.iter().find(|(name, _)| name.as_str().starts_with(start)).unwrap();
        let only = Ruleset { chains: [(name.clone(), chain.clone())].into(), ..Ruleset::empty(frames.table.clone()) };
        only.to_string()
    };
    assert_snapshot!(chain("port-veth1"));
    assert_snapshot!(chain("to-veth1"));
    assert_snapshot!(chain("port-veth3"));
    assert!(!frames.chains.keys().any(|name| name.as_str().starts_with("to-veth2")), "that pod is not isolated");
}

/// Who forwards for others may send from where its node has routes to, but not as another pod.
#[test]
fn whoever_forwards_is_no_other_pod() {
    let mut links = bridged();
    let ports = &mut links.bridges.get_mut("cni0").unwrap().ports;
    ports.get_mut("veth2").unwrap().forwards = true;
    let node = Node::new(links);
    let text = node.renderer.frames().unwrap().to_string();
    let chain = text.split("\tchain ").find(|chain| chain.starts_with("port-veth2")).unwrap();
    assert!(chain.contains("ip saddr @bridged-4 counter drop") && !chain.contains("ether saddr"), "{chain}");
}

//! A small cluster: pods of the namespace `shop`, hosts outside, and the agents of the nodes once they are wanted.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use palisade_integration::agent::{Agent, binary};
use palisade_integration::forge::Link;
use palisade_integration::netns::{Host, Namespace, Network, Node, Place, Topology};
use palisade_integration::patience::LIMIT;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::policies::{Policy, list, manifest};

/// First what is to end first.
pub(crate) struct Scene {
    agents: Vec<Agent>,
    links: BTreeMap<&'static str, Link>,
    hosts: BTreeMap<&'static str, (Host, Place)>,
    pub(crate) network: Network,
    files: TempDir,
}

impl Scene {
    /// Hosts by name, with an address of each family. Pods are labelled `app: NAME`. No agents yet, and no node or
    /// router that asks whether a source is plausible.
    pub(crate) fn new(topology: Topology, hosts: &[(&'static str, Place)]) -> Self {
        let files = tempfile::tempdir().unwrap();
        fs::create_dir(files.path().join("manifests")).unwrap();
        let (links, hosts_of) = (BTreeMap::new(), BTreeMap::new());
        let network = Network::new(topology).unwrap();
        let mut scene = Self { agents: Vec::new(), links, hosts: hosts_of, network, files };
        for ((name, place), number) in hosts.iter().zip(1..) {
            scene.attach(name, *place, number);
        }
        scene.rp_filter(0);
        scene
    }

    /// One more host, with the addresses of this number.
    pub(crate) fn attach(&mut self, name: &'static str, place: Place, number: u8) {
        self.attach_with(name, place, &place.addresses(number));
    }

    /// One more host, with these addresses.
    pub(crate) fn attach_with(&mut self, name: &'static str, place: Place, addresses: &[IpAddr]) {
        let host = self.network.attach_one(place, addresses).unwrap();
        if !matches!(place, Place::OnNode(_)) {
            self.links.insert(name, Link::open(host.namespace(), "eth0").unwrap());
        }
        self.hosts.insert(name, (host, place));
    }

    /// Makes a link known by a name, so that it is sent from, and looked at.
    pub(crate) fn watch(&mut self, name: &'static str, namespace: &Namespace, device: &str) {
        self.links.insert(name, Link::open(namespace, device).unwrap());
    }

    /// Takes a host away.
    pub(crate) fn detach(&mut self, name: &str) {
        self.links.remove(name);
        self.hosts.remove(name).unwrap().0.detach().unwrap();
    }

    /// Makes these the policies, and starts the agents if none run. They are enforced when this returns.
    pub(crate) fn enforce(&mut self, policies: &[Policy]) {
        let pods = self.pods();
        self.enforce_with(&pods, policies);
    }

    /// The same, with these manifests of pods.
    pub(crate) fn enforce_with(&mut self, pods: &Value, policies: &[Policy]) {
        let policies = policies.iter().zip(0..).map(|((subject, spec), number)| manifest(subject, spec, number));
        self.write("policies.json", &list(policies));
        self.write("pods.json", pods);
        if self.agents.is_empty() {
            self.forget();
            self.agents = self.network.nodes().iter().map(|node| self.agent(node)).collect();
        }
        self.catch_up();
    }

    /// Writes the manifests of the pods that there are.
    pub(crate) fn tell(&self) {
        self.write("pods.json", &self.pods());
    }

    fn pods(&self) -> Value {
        let pods = self.hosts.iter().filter_map(|(name, (host, place))| self.pod(name, host.addresses(), *place));
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        list(pods.chain([namespace]))
    }

    /// Stops all agents.
    pub(crate) fn stop_agents(&mut self) {
        self.agents.clear();
    }

    /// Waits until the agents enforce what the manifests say.
    pub(crate) fn catch_up(&mut self) {
        for (agent, node) in self.agents.iter_mut().zip(self.network.nodes()) {
            agent.catch_up(node, LIMIT).unwrap();
        }
    }

    pub(crate) fn host(&self, name: &str) -> &Host {
        &self.hosts[name].0
    }

    pub(crate) fn place(&self, name: &str) -> Place {
        self.hosts[name].1
    }

    pub(crate) fn link(&self, name: &str) -> &Link {
        &self.links[name]
    }

    /// Its address of a family.
    pub(crate) fn address(&self, name: &str, is_ipv6: bool) -> IpAddr {
        *self.host(name).addresses().iter().find(|address| address.is_ipv6() == is_ipv6).unwrap()
    }

    pub(crate) fn at(&self, name: &str, is_ipv6: bool, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(name, is_ipv6), port)
    }

    /// Sets `rp_filter` of the nodes' interfaces, those that there are; routers between nodes never ask.
    pub(crate) fn rp_filter(&self, value: u8) {
        for node in self.network.nodes() {
            node.namespace().run(&mut rp_filter(value), "").unwrap();
        }
        self.network.underlay().run(&mut rp_filter(0), "").unwrap();
    }

    /// Sets kernel parameters of all nodes.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        self.network.nodes().iter().for_each(|node| node.namespace().sysctl(&[(name, value)]).unwrap());
    }

    /// Makes or replaces a manifest file, in one step.
    fn write(&self, name: &str, object: &Value) {
        fs::write(self.path("new"), object.to_string()).unwrap();
        fs::rename(self.path("new"), self.path("manifests").join(name)).unwrap();
    }

    /// The manifest of a pod with these addresses, if it is one.
    pub(crate) fn pod(&self, name: &str, addresses: &[IpAddr], place: Place) -> Option<Value> {
        let (node, host_network) = match place {
            Place::Behind(node) => (&self.network.nodes()[node], false),
            Place::OnNode(node) => (&self.network.nodes()[node], true),
            Place::External => return None,
        };
        let ips = |addresses: &[IpAddr]| addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        Some(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
            "spec": {"nodeName": node.name(), "hostNetwork": host_network, "containers": []},
            "status": {"podIPs": ips(addresses), "hostIPs": ips(node.addresses())},
        }))
    }

    fn agent(&self, node: &Node) -> Agent {
        let log = self.path(&format!("{}.log", node.name()));
        Agent::start(&binary().unwrap(), node, &self.path("manifests"), &log).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}

fn rp_filter(value: u8) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        "for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo $0 >$file; done",
        &value.to_string(),
    ]);
    command
}

//! A small cluster in a topology: pods of the namespace `shop` and hosts outside, with an agent on each node.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};

use palisade_integration::agent::{Agent, binary};
use palisade_integration::netns::{Host, Network, Node, Place, Topology};
use palisade_integration::patience::LIMIT;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::echo::Server;
use crate::kube_proxy::{self, Service};

/// Where every pod and outside host answers.
pub(crate) const PORT: u16 = 8080;

/// First what is to end first.
pub(crate) struct Scene {
    agents: Vec<Agent>,
    _servers: Vec<Server>,
    hosts: BTreeMap<&'static str, (Host, Place)>,
    network: Network,
    files: TempDir,
}

impl Scene {
    /// Hosts by name, each with an address of either family and a server. Pods are labelled `app: NAME`. No policies.
    pub(crate) fn new(topology: Topology, hosts: &[(&'static str, Place)]) -> Self {
        let mut network = Network::new(topology).unwrap();
        let specs = hosts.iter().zip(1..).map(|((_, place), number)| (*place, place.addresses(number)));
        let specs: Vec<_> = specs.collect();
        let attached = network.attach(&specs).unwrap();
        let named: BTreeMap<_, _> =
            hosts.iter().zip(attached).map(|((name, place), host)| (*name, (host, *place))).collect();
        let servers = named.iter().map(|(name, (host, _))| Server::start(name, host, PORT)).collect();
        let files = tempfile::tempdir().unwrap();
        fs::create_dir(files.path().join("manifests")).unwrap();
        let mut scene = Self { agents: Vec::new(), _servers: servers, hosts: named, network, files };
        scene.write("pods.json", &scene.pods());
        scene.agents = scene.network.nodes().iter().map(|node| scene.agent(node)).collect();
        scene.catch_up();
        scene
    }

    /// Stops all agents.
    pub(crate) fn stop_agents(&mut self) {
        self.agents.clear();
    }

    /// Stops the agent of a node and starts another, with a log of its own.
    pub(crate) fn restart(&mut self, node: usize) {
        drop(self.agents.remove(node));
        self.agents.insert(node, self.agent(&self.network.nodes()[node]));
        self.catch_up();
    }

    fn agent(&self, node: &Node) -> Agent {
        Agent::start(&binary().unwrap(), node, &self.manifests(), &self.path(&format!("{}.log", node.name()))).unwrap()
    }

    /// Makes these the policies: name and spec. They are enforced when this returns.
    pub(crate) fn enforce(&mut self, policies: &[(&str, Value)]) {
        let policy = |(name, spec): &(&str, Value)| {
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                   "metadata": {"namespace": "shop", "name": name}, "spec": spec})
        };
        self.write("policies.json", &list(policies.iter().map(policy)));
        self.catch_up();
    }

    /// Puts Services in force on every node.
    pub(crate) fn serve(&self, services: &[Service]) {
        for (number, node) in self.network.nodes().iter().enumerate() {
            kube_proxy::install(number, node, services);
        }
    }

    pub(crate) fn host(&self, name: &str) -> &Host {
        &self.hosts[name].0
    }

    /// Its address of a family.
    pub(crate) fn address(&self, name: &str, is_ipv6: bool) -> IpAddr {
        of_family(self.host(name).addresses(), is_ipv6)
    }

    /// Where it answers.
    pub(crate) fn server(&self, name: &str, is_ipv6: bool) -> SocketAddr {
        SocketAddr::new(self.address(name, is_ipv6), PORT)
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Where the manifests are.
    pub(crate) fn manifests(&self) -> std::path::PathBuf {
        self.path("manifests")
    }

    /// All that the agent of a node has logged.
    pub(crate) fn log(&self, node: usize) -> String {
        fs::read_to_string(self.path(&format!("node-{node}.log"))).unwrap()
    }

    fn catch_up(&mut self) {
        for (agent, node) in self.agents.iter_mut().zip(self.network.nodes()) {
            agent.catch_up(node, LIMIT).unwrap();
        }
    }

    fn pods(&self) -> Value {
        let pod = |(name, (host, place)): (&&str, &(Host, Place))| {
            let (node, host_network) = match place {
                Place::Behind(node) => (*node, false),
                Place::OnNode(node) => (*node, true),
                Place::External => return None,
            };
            let node = &self.network.nodes()[node];
            let list = |addresses: &[IpAddr]| addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
            Some(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}},
                "spec": {"nodeName": node.name(), "hostNetwork": host_network, "containers": []},
                "status": {"podIPs": list(host.addresses()), "hostIPs": list(node.addresses())},
            }))
        };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        list(self.hosts.iter().filter_map(pod).chain([namespace]))
    }

    fn write(&self, name: &str, object: &Value) {
        fs::write(self.path("new"), object.to_string()).unwrap();
        fs::rename(self.path("new"), self.manifests().join(name)).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.files.path().join(name)
    }
}

/// The address of a family among some.
pub(crate) fn of_family(addresses: &[IpAddr], is_ipv6: bool) -> IpAddr {
    *addresses.iter().find(|address| address.is_ipv6() == is_ipv6).unwrap()
}

/// A peer by the label `app`.
pub(crate) fn pods(app: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"app": app}}})
}

/// A peer by its address.
pub(crate) fn block(address: IpAddr) -> Value {
    json!({"ipBlock": {"cidr": format!("{address}/{}", if address.is_ipv6() { 128 } else { 32 })}})
}

/// The pod that a policy is about.
pub(crate) fn subject(app: &str) -> Value {
    json!({"matchLabels": {"app": app}})
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}

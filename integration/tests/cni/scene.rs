//! A node with pods of which the API shows no addresses, as it is until the kubelet has told it.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use palisade_integration::agent::{Agent, binary};
use palisade_integration::netns::{Host, Network, Node, Place, Topology};
use palisade_integration::patience::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::runtime::{Call, call};

/// `web` and `friend` reach each other and nobody else; nobody else reaches them.
const POLICY: &str = r#"{
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": "shop", "name": "friends"},
    "spec": {
        "podSelector": {}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}]}], "egress": [{"to": [{"podSelector": {}}]}]
    }
}"#;

/// First what is to end first.
pub(crate) struct Scene {
    agent: Option<Agent>,
    pub(crate) network: Network,
    pub(crate) web: Host,
    pub(crate) friend: Host,
    pub(crate) stranger: Host,
    files: TempDir,
}

impl Scene {
    /// Pods `web` (which the API knows without addresses) and `friend` of the namespace `shop`, and a stranger outside. No
    /// agent runs.
    pub(crate) fn new(topology: Topology) -> Self {
        let files = tempfile::tempdir().unwrap();
        fs::create_dir(files.path().join("manifests")).unwrap();
        let mut network = Network::new(topology).unwrap();
        let places = [(Place::Behind(0), 1), (Place::Behind(0), 2), (Place::External, 3)];
        let hosts = places.map(|(place, number)| (place, place.addresses(number)));
        let [web, friend, stranger] = network.attach(&hosts).unwrap().try_into().unwrap();
        let scene = Self { agent: None, network, web, friend, stranger, files };
        scene.write("policy.json", POLICY);
        scene.tell(&[("web", &[]), ("friend", scene.friend.addresses())]);
        scene
    }

    /// One whose agent enforces.
    pub(crate) fn enforcing(topology: Topology) -> Self {
        let mut scene = Self::new(topology);
        scene.start_agent();
        scene
    }

    /// What the API shows of the pods of this node: those of `shop`, or of the namespace before a slash.
    pub(crate) fn tell(&self, pods: &[(&str, &[IpAddr])]) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let pods = pods.iter().map(|(name, addresses)| self.pod(name, addresses));
        let items: Vec<Value> = pods.chain([namespace]).collect();
        self.write("pods.json", &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    }

    fn pod(&self, name: &str, addresses: &[IpAddr]) -> Value {
        let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
        let ips = |addresses: &[IpAddr]| addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
            "spec": {"nodeName": self.node().name(), "containers": []},
            "status": {"podIPs": ips(addresses), "hostIPs": ips(self.node().addresses())},
        })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.network.nodes()[0]
    }

    /// Starts an agent, and waits until it enforces.
    pub(crate) fn start_agent(&mut self) {
        self.start_agent_with(&[]);
    }

    pub(crate) fn start_agent_with(&mut self, more: &[&str]) {
        self.launch_agent_with(more);
        let enforces = || self.log().contains("enforcing").then_some(());
        eventually(Duration::from_millis(5), enforces, || format!("it does not enforce:\n{}", self.log()));
    }

    /// Starts an agent.
    pub(crate) fn launch_agent_with(&mut self, more: &[&str]) {
        let [socket, sandboxes, status] = ["cni/cni.sock", "cni/sandboxes", "status.sock"].map(|name| self.text(name));
        let arguments = ["--cni-socket", &socket, "--cni-sandboxes", &sandboxes, "--status-socket", &status];
        let arguments = [&arguments[..], more].concat();
        let (manifests, log) = (self.path("manifests"), self.path("agent.log"));
        self.agent = Some(Agent::start_with(&binary().unwrap(), self.node(), &manifests, &log, &arguments).unwrap());
    }

    /// Kills the agent.
    pub(crate) fn kill_agent(&mut self) {
        self.agent = None;
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// A call of the plugin for the pod `web`.
    pub(crate) fn call(&self, command: &'static str) -> Call {
        let call = call(command, "c0ffee", "web", &self.path("cni/cni.sock"), &self.path("cni/sandboxes"));
        let netns = self.web.namespace().path().to_str().unwrap().to_owned();
        Call { netns, ..call }.with_result(self.web.addresses(), "pod0")
    }

    /// What `palisade status` says, as JSON.
    pub(crate) fn status(&self) -> Value {
        let mut command = Command::new(binary().unwrap());
        command.args(["status", "-o", "json", "--status-socket", &self.text("status.sock")]);
        let output = self.node().namespace().run(&mut command, "").unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until `palisade status` says that of the agent's sandboxes. What is counted is told a while after it is in force.
    #[track_caller]
    pub(crate) fn sandboxes_say(&self, what: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let said = || self.status()["agent"]["sandboxes"][what].take();
        let pause = Duration::from_millis(20);
        eventually(pause, || (said() == expected).then_some(()), || format!("{what}: {}, not {expected}", said()));
    }

    /// Waits until the pods that are judged have these names.
    #[track_caller]
    pub(crate) fn judges(&self, names: &[&str]) {
        let judged = || {
            let status = self.status();
            let mut pods: Vec<String> = status["pods"].as_object().unwrap().keys().cloned().collect();
            pods.sort();
            pods
        };
        let pause = Duration::from_millis(20);
        eventually(pause, || (judged() == names).then_some(()), || format!("{:?}\n{}", judged(), self.log()));
    }

    /// Makes or replaces a manifest file, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path("manifests").join(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

//! A node with a server and a friend in each of two namespaces, and an agent with small shares.

use std::fs;
use std::process::Command;
use std::time::Duration;

use palisade_integration::agent::{Agent, METRICS, binary, metrics};
use palisade_integration::netns::{Host, Network, Node, Place};
use palisade_integration::patience::eventually;
use palisade_integration::probe::{Family, Flow, Kind, Patience, probe};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BIG: &str = "big";
pub(crate) const SHOP: &str = "shop";
const NAMESPACES: [&str; 2] = [BIG, SHOP];
/// Of the standard ones.
const SHARES: &str = "0.01";
const PAUSE: Duration = Duration::from_millis(30);

pub(crate) struct Scene {
    network: Network,
    /// Of each namespace the server and its friend.
    hosts: Vec<Host>,
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut network = Network::new(1).unwrap();
        let specs = [1, 2, 3, 4].map(|number| (Place::Behind(0), vec![address(number).parse().unwrap()]));
        let hosts = network.attach(&specs).unwrap();
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        let scene = Self { network, hosts, directory };
        let pods = NAMESPACES.iter().enumerate().flat_map(|(number, namespace)| {
            [pod(namespace, "server", 2 * number + 1), pod(namespace, "friend", 2 * number + 2)]
        });
        scene.write("pods.yaml", &pods.collect::<Vec<_>>().join("\n---\n"));
        scene
    }

    pub(crate) fn node(&self) -> &Node {
        &self.network.nodes()[0]
    }

    pub(crate) fn server(&self, namespace: &str) -> &Host {
        &self.hosts[2 * number(namespace)]
    }

    /// Makes or replaces a manifest file, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.directory.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.directory.path().join("manifests").join(name)).unwrap();
    }

    pub(crate) fn agent(&self) -> Agent {
        let path = |name| self.directory.path().join(name);
        let socket = path("status.sock");
        let arguments = ["--shares", SHARES, "--metrics-address", METRICS, "--status-socket", socket.to_str().unwrap()];
        Agent::start_with(&binary().unwrap(), self.node(), &path("manifests"), &path("log"), &arguments).unwrap()
    }

    /// `palisade COMMAND` with these manifests and shares.
    pub(crate) fn palisade(&self, command: &str) -> Command {
        let mut palisade = Command::new(binary().unwrap());
        palisade.args([command, "--shares", SHARES, "--node-name", self.node().name(), "--manifests"]);
        palisade.arg(self.directory.path().join("manifests"));
        palisade
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits until the agent says so.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        eventually(PAUSE, || self.log().contains(words).then_some(()), || format!("no `{words}` in\n{}", self.log()));
    }

    /// Waits until in these namespaces friends reach servers, or do not, and holds it to that.
    #[track_caller]
    pub(crate) fn becomes(&self, expected: &[(&str, bool)]) {
        let flow = |&(namespace, expected): &(&str, bool)| Flow {
            from: &self.hosts[2 * number(namespace) + 1],
            to: self.server(namespace),
            called: None,
            family: Family::Ipv4,
            kind: Kind::Tcp(1),
            expected,
        };
        let flows: Vec<_> = expected.iter().map(flow).collect();
        let hoped: Vec<bool> = expected.iter().map(|(_, expected)| *expected).collect();
        let is_so = |patience| probe(&flows, patience).unwrap() == hoped;
        eventually(PAUSE, || is_so(Patience::SHORT).then_some(()), || format!("not {expected:?}:\n{}", self.log()));
        assert!(is_so(Patience::FULL), "{expected:?} was, and is no more:\n{}", self.log());
    }

    /// Waits until the figures that the agent serves, which are of a moment ago, have this line, or have it no more.
    #[track_caller]
    pub(crate) fn counts(&self, line: &str, expected: bool) {
        let is_so = || (self.metrics().contains(line) == expected).then_some(());
        eventually(PAUSE, is_so, || format!("`{line}` is not {expected} in\n{}", self.metrics()));
    }

    /// What the agent says of itself.
    pub(crate) fn status(&self) -> Value {
        let mut status = Command::new(binary().unwrap());
        status.args(["status", "-o", "json", "--status-socket"]).arg(self.directory.path().join("status.sock"));
        let output = self.node().namespace().run(&mut status, "").unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["agent"].take()
    }

    /// What it serves at [`METRICS`].
    fn metrics(&self) -> String {
        self.node().namespace().enter(metrics).unwrap().unwrap()
    }
}

fn number(namespace: &str) -> usize {
    NAMESPACES.iter().position(|name| *name == namespace).unwrap()
}

fn address(number: usize) -> String {
    format!("10.1.0.{number}")
}

fn pod(namespace: &str, name: &str, number: usize) -> String {
    format!(
        "{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, \
         spec: {{nodeName: node-0}}, status: {{podIPs: [{{ip: {}}}]}}}}",
        address(number)
    )
}

fn policy(namespace: &str, name: &str, ingress: &str) -> String {
    format!(
        "{{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{podSelector: {{matchLabels: {{app: server}}}}, ingress: [{ingress}]}}}}"
    )
}

/// The server of `shop` takes connections of pods with this label alone.
pub(crate) fn allows(app: &str) -> String {
    policy(SHOP, "server", &format!("{{from: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}]}}"))
}

/// The server of `big` takes connections of its friend, with so many rules that have a port and peers of their own each.
pub(crate) fn costly(rules: u16) -> String {
    let peers =
        |n| format!("{{podSelector: {{matchExpressions: [{{key: app, operator: In, values: [friend, p{n}]}}]}}}}");
    let rules = (1..=rules).map(|n| format!("{{ports: [{{port: {n}}}], from: [{}]}}", peers(n)));
    policy(BIG, "costly", &rules.collect::<Vec<_>>().join(", "))
}

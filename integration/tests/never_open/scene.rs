//! A node with a server that a friend may reach and a stranger may not, and the agent that sees to it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use palisade_integration::agent::{Agent, binary, metrics};
use palisade_integration::netns::{Host, Namespace, Network, Node, Place, Topology};
use palisade_integration::patience::{self, LIMIT};
use palisade_integration::traffic::{Tally, Traffic};
use palisade_nft::{Backend, Kernel, Name, Ownership};
use tempfile::TempDir;

/// The number of rounds in a soak.
const SOAK_VARIABLE: &str = "PALISADE_SOAK";
const PAUSE: Duration = Duration::from_millis(1);

/// Enforces what shall hold, beside our table: while it is there, nothing that happens to ours is open. It has no sets, so
/// that it comes and goes without a packet that is judged by half of it, and it asks for connections, so that they are
/// tracked also while our table is gone.
pub(crate) const GUARD: &str = "table inet guard { chain forward { type filter hook forward priority -50; \
                                ip saddr 10.1.0.3 drop; ip6 saddr fd01::3 drop; ct state established accept; }; }";

/// The server is isolated in both directions, so that what it answers passes as a reply alone.
const POLICIES: &str = "
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: isolate, namespace: shop},
 spec: {podSelector: {}, policyTypes: [Ingress, Egress], egress: [{to: [{podSelector: {matchLabels: {app: server}}}]}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: server, namespace: shop},
 spec: {podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}}
";

/// As [`POLICIES`] for friend and stranger, and otherwise for everything else: other policies, peers, ports and pods, so
/// that chains, maps and sets have other names and contents.
pub(crate) const OTHER_POLICIES: &str = "
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: server-2, namespace: shop},
 spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress, Egress], ingress: [
   {from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [friend, guest]}]}}],
    ports: [{protocol: UDP, port: 5000, endPort: 5001}, {protocol: TCP, port: 5001}]},
   {from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}}
---
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: stranger, namespace: shop},
 spec: {podSelector: {matchLabels: {app: stranger}}, policyTypes: [Egress]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: guest, namespace: shop, labels: {app: guest}},
 spec: {nodeName: node-9}, status: {podIPs: [{ip: 10.1.9.9}]}}
";

/// The network, the manifests and what they need.
pub(crate) struct Scene {
    pub(crate) network: Network,
    pub(crate) server: Host,
    pub(crate) friend: Host,
    pub(crate) stranger: Host,
    directory: TempDir,
}

impl Scene {
    /// One that nothing is enforced on yet.
    pub(crate) fn new() -> Self {
        Self::on(Topology::routed(1))
    }

    /// The same, in a topology.
    pub(crate) fn on(topology: Topology) -> Self {
        let mut network = Network::new(topology).unwrap();
        let specs = [1, 2, 3].map(|number| (Place::Behind(0), addresses(number).map(|ip| ip.parse().unwrap()).into()));
        let [server, friend, stranger] = network.attach(&specs).unwrap().try_into().unwrap();
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        let scene = Self { network, server, friend, stranger, directory };
        let pods = [("server", 1), ("friend", 2), ("stranger", 3)].map(|(name, number)| pod(name, number));
        scene.write("pods.yaml", &pods.join("\n---\n"));
        scene.write("policies.yaml", POLICIES);
        scene
    }

    /// One whose policies are in force.
    pub(crate) fn enforcing() -> Self {
        let scene = Self::new();
        scene.once();
        scene
    }

    pub(crate) fn node(&self) -> &Node {
        &self.network.nodes()[0]
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.node().namespace()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.path("manifests")
    }

    /// Makes or replaces a manifest file, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.manifests().join(name)).unwrap();
    }

    pub(crate) fn policies(&self, other: bool) {
        self.write("policies.yaml", if other { OTHER_POLICIES } else { POLICIES });
    }

    /// Starts an agent.
    pub(crate) fn agent(&self) -> Agent {
        Agent::start(&binary().unwrap(), self.node(), &self.manifests(), &self.path("agent.log")).unwrap()
    }

    /// Starts an agent, and waits until it enforces.
    pub(crate) fn settled_agent(&self) -> Agent {
        let mut agent = self.agent();
        self.settles(&mut agent);
        agent
    }

    /// Waits until the kernel holds what the manifests say.
    #[track_caller]
    pub(crate) fn settles(&self, agent: &mut Agent) {
        agent.catch_up(self.node(), LIMIT).unwrap();
    }

    /// `palisade run --once`.
    pub(crate) fn once(&self) {
        self.namespace().run(self.palisade("run").arg("--once"), "").unwrap();
    }

    /// `palisade COMMAND` for this node and these manifests.
    pub(crate) fn palisade(&self, command: &str) -> Command {
        let mut palisade = Command::new(binary().unwrap());
        palisade.args([command, "--node-name", self.node().name(), "--manifests"]).arg(self.manifests());
        palisade
    }

    /// What a program prints that runs on the node.
    pub(crate) fn prints(&self, command: &mut Command) -> String {
        String::from_utf8(self.namespace().run(command, "").unwrap().stdout).unwrap()
    }

    pub(crate) fn nft(&self, script: &str) {
        self.namespace().nft(script).unwrap();
    }

    /// What the agent serves at [`METRICS`].
    pub(crate) fn metrics(&self) -> String {
        self.namespace().enter(metrics).unwrap().unwrap()
    }

    pub(crate) fn listing(&self) -> String {
        self.prints(Command::new("nft").args(["--stateless", "list", "table", "inet", "palisade"]))
    }

    /// The lines of [`Scene::listing`] but those about owners and epochs, sorted: nft lists objects in the order of making.
    pub(crate) fn blocks(&self) -> Vec<String> {
        let is_left_out = |line: &&str| {
            let of_epochs = line.contains("ct mark ") || line.contains("before the first epoch");
            line.trim_start().starts_with("flags ") || of_epochs
        };
        let listing = self.listing();
        let lines = listing.lines().filter(|line| !line.is_empty() && !is_left_out(line));
        let mut lines: Vec<_> = lines.map(|line| line.split(" # progname").next().unwrap().to_owned()).collect();
        lines.sort();
        lines
    }

    /// The generation of the node's ruleset: every transaction of anybody's moves it.
    pub(crate) fn generation(&self) -> u32 {
        let generation = || Kernel::open(table(), Ownership::Plain).unwrap().generation().unwrap();
        self.namespace().enter(generation).unwrap()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic::start(&self.server, &self.friend, &self.stranger).unwrap()
    }

    /// What becomes of traffic while `happening` happens, with some of it before and after.
    pub(crate) fn tally(&self, happening: impl FnOnce(&Traffic)) -> Tally {
        let traffic = self.traffic();
        traffic.pass(200);
        happening(&traffic);
        traffic.pass(400);
        let tally = traffic.stop().unwrap();
        println!("{tally}");
        tally
    }

    /// Asserts that nothing is lost and nothing comes through while `happening` happens.
    #[track_caller]
    pub(crate) fn holds_while(&self, happening: impl FnOnce(&Traffic)) {
        let tally = self.tally(happening);
        assert!(tally.is_right(), "{tally}\nthe agent's log:\n{}", self.log());
    }

    /// What the last agent said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }
}

/// Waits until `found` finds something.
#[track_caller]
pub(crate) fn eventually<T>(found: impl FnMut() -> Option<T>, otherwise: impl FnOnce() -> String) -> T {
    patience::eventually(PAUSE, found, otherwise)
}

/// How often a test does what it does over and over: `usually`, or as often as a soak wants.
pub(crate) fn rounds(usually: u32) -> u32 {
    match std::env::var(SOAK_VARIABLE) {
        Ok(rounds) => {
            rounds.parse().unwrap_or_else(|_| panic!("{SOAK_VARIABLE} is a number of rounds, not `{rounds}`"))
        }
        Err(_) => usually,
    }
}

/// The name of our table.
pub(crate) fn table() -> Name {
    Name::new("palisade").unwrap()
}

/// The addresses of the pod of this number.
pub(crate) fn addresses(number: u8) -> [String; 2] {
    [format!("10.1.0.{number}"), format!("fd01::{number}")]
}

/// The manifest of the pod of this number, which is labelled `app: NAME`.
pub(crate) fn pod(name: &str, number: u8) -> String {
    let [four, six] = addresses(number);
    format!(
        "{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}, \
         spec: {{nodeName: node-0}}, status: {{podIPs: [{{ip: {four}}}, {{ip: '{six}'}}]}}}}"
    )
}

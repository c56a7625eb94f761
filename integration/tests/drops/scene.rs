//! A shop behind a node with the real agent, whom anybody can ask what was dropped.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use palisade_integration::agent::{Agent, binary};
use palisade_integration::netns::{Host, Network, Node, Place};
use palisade_integration::patience::LIMIT;
use palisade_integration::probe::{Family, Flow, Kind, Patience, probe};
use serde_json::Value;
use tempfile::TempDir;

/// `shop/db-0` and `shop/web` behind the node, a stranger outside.
pub(crate) struct Scene {
    network: Network,
    pub(crate) db: Host,
    pub(crate) web: Host,
    pub(crate) stranger: Host,
    directory: TempDir,
    pub(crate) agent: Option<Agent>,
}

impl Scene {
    /// With the agent running, and these policies.
    pub(crate) fn new(policies: &str) -> Self {
        Self::with(policies, &[])
    }

    /// [`Scene::new`] with more arguments of the agent.
    pub(crate) fn with(policies: &str, arguments: &[&str]) -> Self {
        let mut scene = Self::without_agent();
        scene.write(policies);
        scene.start_with(arguments);
        scene
    }

    pub(crate) fn without_agent() -> Self {
        let mut network = Network::new(1).unwrap();
        let addresses = |texts: [&str; 2]| texts.map(|text| text.parse::<IpAddr>().unwrap()).to_vec();
        let db = network.attach_one(Place::Behind(0), &addresses(["10.0.0.2", "fd00::2"])).unwrap();
        let web = network.attach_one(Place::Behind(0), &addresses(["10.0.0.1", "fd00::1"])).unwrap();
        let stranger = network.attach_one(Place::External, &addresses(["192.0.2.1", "fd02::1"])).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("manifests")).unwrap();
        Self { network, db, web, stranger, directory, agent: None }
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        let socket = self.socket();
        let arguments = [&["--status-socket", socket.to_str().unwrap()], arguments].concat();
        let [manifests, log] = ["manifests", "log"].map(|name| self.directory.path().join(name));
        let program = binary().unwrap();
        let node = &self.network.nodes()[0];
        let mut agent = Agent::start_with(&program, node, &manifests, &log, &arguments).unwrap();
        agent.catch_up(node, LIMIT).unwrap();
        self.agent = Some(agent);
    }

    pub(crate) fn node(&self) -> &Node {
        &self.network.nodes()[0]
    }

    /// Replaces the policies, and waits until they are in force.
    pub(crate) fn change(&mut self, policies: &str) {
        self.write(policies);
        self.agent.as_mut().unwrap().catch_up(&self.network.nodes()[0], LIMIT).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub(crate) fn write(&self, policies: &str) {
        let pod = |name: &str, app: &str, number: u8| {
            format!(
                "{{kind: Pod, apiVersion: v1, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}, \
                 spec: {{nodeName: {}, containers: [{{name: c}}]}}, \
                 status: {{podIPs: [{{ip: 10.0.0.{number}}}, {{ip: 'fd00::{number}'}}]}}}}",
                self.node().name()
            )
        };
        let namespace = "{kind: Namespace, apiVersion: v1, metadata: {name: shop}}";
        let objects = [namespace, &pod("web", "web", 1), &pod("db-0", "db", 2), policies].join("\n---\n");
        let [draft, place] = ["draft", "manifests/all.yaml"].map(|name| self.directory.path().join(name));
        fs::write(&draft, objects).unwrap();
        fs::rename(draft, place).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("status.sock")
    }

    /// Whether it is answered.
    pub(crate) fn passes(&self, from: &Host, to: &Host, family: Family, kind: Kind) -> bool {
        self.passes_through(from, to, None, family, kind)
    }

    /// The same where a Service's address is called.
    pub(crate) fn passes_through(
        &self,
        from: &Host,
        to: &Host,
        called: Option<IpAddr>,
        family: Family,
        kind: Kind,
    ) -> bool {
        let flow = Flow { from, to, called, family, kind, expected: false };
        probe(&[flow], Patience::FULL).unwrap()[0]
    }

    /// `palisade` with these arguments, asking the agent.
    pub(crate) fn palisade(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary().unwrap());
        command.args(arguments).arg("--status-socket").arg(self.socket());
        command
    }

    /// What it prints.
    pub(crate) fn prints(&self, arguments: &[&str]) -> String {
        let output = self.node().namespace().run(&mut self.palisade(arguments), "").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the agent remembers, once that is something of which `is_it`.
    pub(crate) fn records(&self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.records_of(&[], is_it)
    }

    /// The same with filters.
    pub(crate) fn records_of(&self, filters: &[&str], is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let start = std::time::Instant::now();
        loop {
            let mut records = self.messages(filters);
            records.retain(|message| message["kind"] == "record");
            if records.iter().any(&is_it) {
                return records;
            }
            assert!(start.elapsed() < LIMIT, "not told: {records:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All that the agent says of what it remembers.
    pub(crate) fn messages(&self, filters: &[&str]) -> Vec<Value> {
        let text = self.prints(&[&["monitor", "-o", "json", "--since", "1h"], filters].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

//! Servers behind a node with the real agent, and clients there that may not reach them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use palisade::render::TABLE;
use palisade_integration::agent::{Agent, binary};
use palisade_integration::apiserver::Usage;
use palisade_integration::netns::{Host, Network, Place};
use palisade_nft::{Kernel, Name, Ownership};
use tempfile::TempDir;

use crate::support::datagrams::send;

const PATIENCE: Duration = Duration::from_secs(60);
/// A sender's turn is so many of these, ...
const BATCH: usize = 500;
/// ... to so many ports of each server.
const PORTS: u16 = 100;
const FIRST_PORT: u16 = 5_000;

pub(crate) struct Scene {
    network: Network,
    servers: Vec<Host>,
    clients: Vec<Host>,
    directory: TempDir,
    agent: Option<Agent>,
}

impl Scene {
    /// An agent that enforces, and tells this group.
    pub(crate) fn new(servers: u8, clients: u8, group: &str) -> Self {
        let mut network = Network::new(1).expect("network namespaces can be made");
        let behind = |address| (Place::Behind(0), vec![address]);
        let hosts: Vec<_> = (0..servers).map(|i| behind(server(i).into())).collect();
        let servers = network.attach(&hosts).expect("servers can be attached");
        let hosts: Vec<_> = (0..clients).map(|i| behind(client(i).into())).collect();
        let clients = network.attach(&hosts).expect("clients can be attached");
        let directory = tempfile::tempdir().expect("a directory");
        let manifests = directory.path().join("manifests");
        fs::create_dir(&manifests).expect("a directory");
        let objects = objects(network.nodes()[0].name(), servers.len(), clients.len());
        fs::write(manifests.join("all.yaml"), objects).expect("a file");
        let mut scene = Self { network, servers, clients, directory, agent: None };
        scene.start(group);
        scene
    }

    fn start(&mut self, group: &str) {
        let [socket, manifests, log] = [self.socket(), self.path("manifests"), self.path("log")];
        let arguments = ["--log-group", group, "--status-socket", socket.to_str().expect("a plain path")];
        let program = binary().expect("palisade is built: `cargo build --release -p palisade`");
        let node = &self.network.nodes()[0];
        let agent = Agent::start_with(&program, node, &manifests, &log, &arguments);
        let mut agent = agent.expect("the agent starts");
        agent.catch_up(node, PATIENCE).expect("the agent enforces");
        self.agent = Some(agent);
    }

    /// The same without the agent: what it enforced stays.
    pub(crate) fn without_agent(self) -> Self {
        Self { agent: None, ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("status.sock")
    }

    /// `palisade` with these arguments, asking the agent.
    pub(crate) fn palisade(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary().expect("palisade is built"));
        command.args(arguments).arg("--status-socket").arg(self.socket());
        command
    }

    /// What the agent has used so far.
    pub(crate) fn cpu(&self) -> Duration {
        let agent = self.agent.as_ref().expect("it was started");
        Usage::of(agent.id()).expect("it runs").cpu
    }

    /// How many packets were dropped so far that came to the servers.
    pub(crate) fn dropped(&self) -> u64 {
        let read = || {
            let mut kernel =
                Kernel::open(Name::new(TABLE).expect("a name"), Ownership::Plain).expect("nftables can be used");
            kernel.named_counters().expect("counters can be read")
        };
        let counters = self.network.nodes()[0].namespace().enter(read).expect("the node can be entered");
        let of_servers = counters.iter().filter(|(name, _)| name.as_str().starts_with("dropped-ingress-"));
        of_servers.map(|(_, counter)| counter.packets).sum()
    }

    /// Has a client send so many batches of datagrams to the servers from `first` on, in turn.
    pub(crate) fn flood(&self, number: u8, first: u8, batches: usize) -> (usize, Duration) {
        let servers = first..u8::try_from(self.servers.len()).expect("some");
        let targets = (0..PORTS).flat_map(|port| servers.clone().map(move |i| target(i, FIRST_PORT + port)));
        let targets: Vec<_> = targets.cycle().take(BATCH).collect();
        let namespace = self.clients[usize::from(number)].namespace();
        let elapsed = namespace.enter(|| send(client(number), &targets, batches)).expect("the client can be entered");
        (BATCH * batches, elapsed)
    }

    /// Has a client send one datagram to that port of the first server.
    pub(crate) fn send_one(&self, number: u8, port: u16) {
        let namespace = self.clients[usize::from(number)].namespace();
        namespace.enter(|| send(client(number), &[target(0, port)], 1)).expect("the client can be entered");
    }
}

fn server(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, number)
}

fn client(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, number)
}

fn target(number: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(server(number), port)
}

/// Servers let `app=friend` in, of which there is none.
fn objects(node: &str, servers: usize, clients: usize) -> String {
    let pod = |app: &str, number: usize, third: u8| {
        format!(
            "{{kind: Pod, apiVersion: v1, metadata: {{name: {app}-{number}, namespace: bench, labels: {{app: {app}}}}}, spec: \
             {{nodeName: {node}, containers: [{{name: c}}]}}, status: {{podIPs: [{{ip: 10.0.{third}.{number}}}]}}}}"
        )
    };
    let namespace = "{kind: Namespace, apiVersion: v1, metadata: {name: bench}}".to_owned();
    let policy = "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: friends, namespace: bench}, spec: \
                  {podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}}";
    let servers = (0..servers).map(|number| pod("server", number, 1));
    let clients = (0..clients).map(|number| pod("client", number, 2));
    let all: Vec<_> = [namespace, policy.to_owned()].into_iter().chain(servers).chain(clients).collect();
    all.join("\n---\n")
}

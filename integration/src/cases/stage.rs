use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Action, Case, Expectation, Hosts, LiveFlow, ManifestDirectory, NoHost, World, WorldError, manifests};
use crate::agent::{Agent, AgentError};
use crate::netns::{NetnsError, Network, Node, Topology};
use crate::patience::LIMIT;
use crate::probe::{Connection, Patience, ProbeError, probe};

/// Why a cluster cannot be set up, changed or probed.
#[derive(Debug, Error)]
pub enum StageError {
    /// An action does not fit the cluster.
    #[error(transparent)]
    World(#[from] WorldError),
    /// An expectation names a host that there is not.
    #[error(transparent)]
    NoHost(#[from] NoHost),
    /// The network cannot be built.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// An agent does not work.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Flows cannot be probed.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Files cannot be written.
    #[error("cannot write the manifests: {0}")]
    Files(#[from] io::Error),
}

/// A case made real: a network with its hosts, a directory of manifests, and on every node an agent that watches it.
#[derive(Debug)]
pub struct Stage {
    /// First, to be dropped before what they use.
    agents: Vec<Agent>,
    hosts: Hosts,
    network: Network,
    world: World,
    directory: ManifestDirectory,
    files: tempfile::TempDir,
}

impl Stage {
    /// The start of a case on a network of its own. The cluster is there before the agents, which run `program`, start; they
    /// have caught up when this returns.
    pub fn set(case: &Case, topology: impl Into<Topology>, program: &Path) -> Result<Self, StageError> {
        let mut stage = Self::without_agents(case, topology)?;
        for node in stage.network.nodes() {
            let log = stage.files.path().join(format!("{}.log", node.name()));
            let socket = stage.status_socket(node);
            let arguments = ["--status-socket", socket.to_str().expect("directories of ours have plain names")];
            stage.agents.push(Agent::start_with(program, node, stage.directory.path(), &log, &arguments)?);
        }
        stage.catch_up()?;
        Ok(stage)
    }

    /// The same, with nobody to enforce anything.
    pub fn without_agents(case: &Case, topology: impl Into<Topology>) -> Result<Self, StageError> {
        let network = Network::new(topology)?;
        let world = World::new(case, network.nodes());
        let files = tempfile::tempdir()?;
        let directory = ManifestDirectory::create(files.path())?;
        let mut stage = Self { agents: Vec::new(), hosts: Hosts::default(), network, world, directory, files };
        stage.make_real()?;
        Ok(stage)
    }

    /// Does what an action says. The agents will see it, but may not have yet.
    pub fn apply(&mut self, action: &Action) -> Result<(), StageError> {
        self.world.apply(action)?;
        self.make_real()
    }

    /// Waits until every agent enforces what the manifests say.
    pub fn catch_up(&mut self) -> Result<(), StageError> {
        for (agent, node) in self.agents.iter_mut().zip(self.network.nodes()) {
            agent.catch_up(node, LIMIT)?;
        }
        Ok(())
    }

    /// Whether each of the flows is answered, once every agent has caught up.
    pub fn probe(&mut self, expectations: &[Expectation], patience: Patience) -> Result<Vec<bool>, StageError> {
        self.catch_up()?;
        let flow = |expectation| self.hosts.flow(&self.world, expectation);
        let flows = expectations.iter().map(flow).collect::<Result<Vec<_>, _>>()?;
        Ok(probe(&flows, patience)?)
    }

    /// Makes the connections, which must be allowed now.
    pub fn connect(&mut self, flows: &[LiveFlow]) -> Result<Vec<Connection>, StageError> {
        flows.iter().map(|flow| Ok(Connection::open(&self.hosts.live(&self.world, flow)?)?)).collect()
    }

    /// Its nodes.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where the agent of a node answers.
    pub fn status_socket(&self, node: &Node) -> PathBuf {
        self.files.path().join(format!("{}.sock", node.name()))
    }

    /// Where the manifests are.
    pub fn manifests(&self) -> &Path {
        self.directory.path()
    }

    /// Brings hosts and manifests to what the world says, in the order in which a cluster does: addresses work before
    /// they are published.
    fn make_real(&mut self) -> Result<(), StageError> {
        self.hosts.follow(&self.world, &mut self.network)?;
        Ok(self.directory.write(manifests(&self.world))?)
    }
}

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use super::{Action, Case, Expectation, ManifestDirectory, Resident, World, WorldError, manifests};
use crate::agent::{Agent, AgentError};
use crate::netns::{Host, NetnsError, Network, Topology};
use crate::probe::{Flow, Patience, ProbeError, probe};

/// How long an agent may take to enforce a change, on a machine that is busy with other cases.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a cluster cannot be set up, changed or probed.
#[derive(Debug, Error)]
pub enum StageError {
    /// An action does not fit the cluster.
    #[error(transparent)]
    World(#[from] WorldError),
    /// An expectation names a host that there is not.
    #[error("{flow}: there is no {host}, or it has finished")]
    NoHost {
        /// The expectation.
        flow: String,
        /// The host.
        host: String,
    },
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
    hosts: BTreeMap<String, (Resident, Host)>,
    network: Network,
    world: World,
    directory: ManifestDirectory,
    files: tempfile::TempDir,
}

impl Stage {
    /// The start of a case on a network of its own. The cluster is there before the agents, which run `program`, start; they
    /// have caught up when this returns.
    pub fn set(case: &Case, topology: impl Into<Topology>, program: &Path) -> Result<Self, StageError> {
        let network = Network::new(topology)?;
        let world = World::new(case, network.nodes());
        let files = tempfile::tempdir()?;
        let directory = ManifestDirectory::create(files.path())?;
        let mut stage = Self { agents: Vec::new(), hosts: BTreeMap::new(), network, world, directory, files };
        stage.make_real()?;
        for node in stage.network.nodes() {
            let log = stage.files.path().join(format!("{}.log", node.name()));
            stage.agents.push(Agent::start(program, node, stage.directory.path(), &log)?);
        }
        stage.catch_up()?;
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
        let flows = expectations.iter().map(|expectation| self.flow(expectation)).collect::<Result<Vec<_>, _>>()?;
        Ok(probe(&flows, patience)?)
    }

    /// Its nodes.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where the manifests are.
    pub fn manifests(&self) -> &Path {
        self.directory.path()
    }

    /// Brings hosts and manifests to what the world says, in the order in which a cluster does: addresses work before
    /// they are published.
    fn make_real(&mut self) -> Result<(), StageError> {
        let wanted = self.world.residents();
        for (name, (resident, host)) in std::mem::take(&mut self.hosts) {
            if wanted.get(&name) == Some(&resident) {
                self.hosts.insert(name, (resident, host));
            } else {
                host.detach()?;
            }
        }
        let new: Vec<_> = wanted.into_iter().filter(|(name, _)| !self.hosts.contains_key(name)).collect();
        let specs: Vec<_> = new.iter().map(|(_, resident)| (resident.place, resident.addresses.clone())).collect();
        let hosts = self.network.attach(&specs)?;
        self.hosts.extend(new.into_iter().zip(hosts).map(|((name, resident), host)| (name, (resident, host))));
        Ok(self.directory.write(manifests(&self.world))?)
    }

    fn flow(&self, expectation: &Expectation) -> Result<Flow<'_>, StageError> {
        let Expectation { from, to, kind, family, allowed } = expectation;
        let host = |name: &String| match self.hosts.get(name) {
            Some((_, host)) => Ok(host),
            None => Err(StageError::NoHost { flow: expectation.to_string(), host: name.clone() }),
        };
        Ok(Flow { from: host(from)?, to: host(to)?, family: *family, kind: *kind, expected: *allowed })
    }
}

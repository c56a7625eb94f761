use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ApiError, ClusterAgent, Kubeconfig, Lease, Pool, Proxy, Request, entrance};
use crate::netns::{Host, Network, Node};
use crate::patience::LIMIT;

/// The namespace of the agents' ServiceAccount.
pub const AGENT_NAMESPACE: &str = "palisade-system";
/// The ServiceAccount of the agents, its ClusterRole and its binding.
pub const AGENT_ACCOUNT: &str = "palisade";

const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A network whose agents find an API server of their own behind one proxy.
pub struct Site<'p> {
    /// One for each node on which one was started. They are dropped before what they use.
    pub agents: Vec<ClusterAgent>,
    /// Between them and the API server.
    pub proxy: Proxy,
    /// The nodes.
    pub network: Network,
    /// Who the agents are.
    pub kubeconfig: Kubeconfig,
    /// The API server.
    pub api: Lease<'p>,
    /// How many requests others had made of the API server before.
    earlier_requests: usize,
    _entrance: Host,
}

impl<'p> Site<'p> {
    /// `nodes` nodes without agents, and an API server from `pool` that knows the agents' ServiceAccount, which has the
    /// rights in `rules` (of a ClusterRole), and in its own namespace those that are deployed.
    pub fn new(pool: &'p Pool, nodes: usize, rules: &[Value]) -> Result<Self, ApiError> {
        let api = pool.lease()?;
        let earlier_requests = api.requests()?.len();
        api.cluster().create_namespace(AGENT_NAMESPACE, &super::Labels::new())?;
        api.cluster().grant(AGENT_NAMESPACE, AGENT_ACCOUNT, rules)?;
        api.cluster().grant_in_namespace(AGENT_NAMESPACE, AGENT_ACCOUNT, &super::deployed_rules_of_namespace()?)?;
        let token = api.token(AGENT_NAMESPACE, AGENT_ACCOUNT, TOKEN_LIFETIME)?;
        let kubeconfig = api.kubeconfig("agent", &token)?;
        let mut network = Network::new(nodes)?;
        let entrance = entrance(&mut network)?;
        let proxy = api.proxy(entrance.namespace())?;
        Ok(Self { agents: Vec::new(), proxy, network, kubeconfig, api, earlier_requests, _entrance: entrance })
    }

    /// What the ServiceAccounts of this site have asked for so far, in order.
    pub fn requests(&self) -> Result<Vec<Request>, ApiError> {
        Ok(self.api.requests()?.into_iter().skip(self.earlier_requests).collect())
    }

    /// Starts an agent on every node, and waits until each enforces what the API knows.
    pub fn start_agents(&mut self, program: &Path) -> Result<(), ApiError> {
        let Self { agents, network, kubeconfig, .. } = self;
        for node in network.nodes() {
            agents.push(ClusterAgent::start(program, node, kubeconfig)?);
        }
        agents.iter_mut().zip(network.nodes()).try_for_each(|(agent, node)| wait_until_it_enforces(agent, node))
    }
}

fn wait_until_it_enforces(agent: &mut ClusterAgent, node: &Node) -> Result<(), ApiError> {
    let started = Instant::now();
    while !agent.is_enforcing() {
        agent.check()?;
        if started.elapsed() > LIMIT {
            let reason = format!("{} is not enforced after {LIMIT:?}", node.name());
            return Err(ApiError::NotReady { program: "palisade", reason, log: agent.last_words() });
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Whether anything is enforced on a node.
pub fn has_table(node: &Node) -> Result<bool, ApiError> {
    let tables = node.namespace().run(std::process::Command::new("nft").args(["list", "tables"]), "")?;
    Ok(String::from_utf8_lossy(&tables.stdout).contains("palisade"))
}

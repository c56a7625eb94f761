//! Where flows come from: what agents recorded, and what is connected now.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;

use super::monitor::parse_since;
use super::{AgentArgs, AgentsArgs, Output, SourceArgs};

/// Recorded flows, and the agents that know of more.
#[derive(Clone, Debug, Args)]
pub struct FlowsArgs {
    /// Flows that were recorded: lines of `palisade monitor --allowed -o json`, or `-` for stdin.
    #[arg(long, value_name = "FILE|-")]
    pub flows: Option<PathBuf>,
    /// Ask the agent of this node, or those of the cluster (as kubectl's plugin, with --all-nodes, --kubeconfig or
    /// --context), for what is connected now and, without --flows, for the flows that they recorded.
    #[arg(long)]
    pub live: bool,
    /// How far back what agents recorded counts, as `30m` or `1h 30m`. They need to run with --flows.
    #[arg(long, value_name = "DURATION", value_parser = parse_since, default_value = "6h", requires = "live")]
    pub since: SignedDuration,
    /// The agent of this node.
    #[command(flatten)]
    pub agent: AgentArgs,
    /// The agents of other nodes.
    #[command(flatten)]
    pub agents: AgentsArgs,
}

/// `palisade connections`.
#[derive(Debug, Args)]
pub struct ConnectionsArgs {
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Which agents are asked, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Whom<'a> {
    /// The agents of other nodes.
    pub agents: &'a AgentsArgs,
    /// The file that says how to reach the cluster.
    pub kubeconfig: Option<&'a Path>,
    /// The context in it.
    pub context: Option<&'a str>,
}

impl FlowsArgs {
    /// Which agents are asked: those of the cluster that objects come from.
    pub fn whom<'a>(&'a self, source: &'a SourceArgs) -> Whom<'a> {
        Whom { agents: &self.agents, kubeconfig: source.kubeconfig.as_deref(), context: source.context.as_deref() }
    }
}

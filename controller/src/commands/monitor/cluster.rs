//! The agents of a cluster: each is asked in its own pod, through the API server.
//!
//! Invariants:
//! - It takes the caller's own rights and no port, no secret of anybody's.
//! - A node that is not heard is named, and when it is followed tried again until it is there.

mod agents;
mod exec;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::SignedDuration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use self::agents::{Agent, Agents};
use super::WAITING;
use super::feed::{FeedId, Teller};
use super::plan::Plan;
use super::printer::Printer;
use super::view::View;
use crate::cli::MonitorArgs;
use crate::source;

/// How often nodes are looked for that came, or that pods came to.
const LOOKING: SignedDuration = SignedDuration::from_secs(30);
/// How many agents are asked at a time. Those that are followed count only until they answer.
const AT_A_TIME: usize = 32;
/// How wide the column of the nodes is at most.
const WIDEST_NODE: usize = 40;

pub(super) async fn monitor(args: &MonitorArgs) -> anyhow::Result<()> {
    let cluster = &args.cluster;
    let client = source::client(cluster.kubeconfig.as_deref(), cluster.context.as_deref()).await?;
    let agents = Agents::new(client, args);
    let first =
        agents.wanted().await.with_context(|| format!("cannot list the agents in {}", cluster.agent_namespace))?;
    if first.is_empty() {
        if let Some(near) = agents.meant().await {
            bail!("no agent is there that could be asked: {near}");
        }
        bail!(
            "no agent is there that could be asked: see --agent-namespace ({}) and --agent-selector ({}), and whether the pods that \
             --pod, --workload or --namespace name are there",
            cluster.agent_namespace,
            cluster.agent_selector
        );
    }
    let width = first.iter().map(|agent| agent.node.len()).max().unwrap_or_default().min(WIDEST_NODE);
    let plan = Plan::of(args);
    let printer = Printer::new(args.output, Some(width), args.alive);
    let view = View::of_many(plan.clone(), printer, 0..first.len());
    let (events, receiver) = mpsc::channel(WAITING);
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut attended = Attended { agents: Arc::new(agents), plan, events, places, nodes: BTreeSet::new() };
    attended.attend(first);
    // Of those that come later what was before they were found is not missing.
    (attended.plan.since, attended.plan.last) = (Some(LOOKING), None);
    tokio::spawn(attended.look());
    view.show(receiver).await?.expect_all()
}

/// The nodes that are asked.
struct Attended {
    agents: Arc<Agents>,
    plan: Plan,
    events: mpsc::Sender<(FeedId, super::feed::Event)>,
    places: Arc<Semaphore>,
    nodes: BTreeSet<String>,
}

impl Attended {
    /// Asks those that are not asked yet.
    fn attend(&mut self, agents: Vec<Agent>) {
        for agent in agents {
            let id = self.nodes.len();
            if self.nodes.insert(agent.node.clone()) {
                let teller = Teller::new(id, self.events.clone());
                let (agents, places) = (Arc::clone(&self.agents), Arc::clone(&self.places));
                tokio::spawn(exec::tell(agents, agent, self.plan.clone(), teller, places));
            }
        }
    }

    /// Looks for those that come, while they are followed.
    async fn look(mut self) {
        while self.plan.follows && !self.events.is_closed() {
            sleep(LOOKING.unsigned_abs()).await;
            match self.agents.wanted().await {
                Ok(agents) => self.attend(agents),
                Err(error) => tracing::debug!(%error, "not known whether there are more agents"),
            }
        }
    }
}

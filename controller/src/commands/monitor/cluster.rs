//! The agents of a cluster: each is asked in its own pod, through the API server.
//!
//! Invariants:
//! - It takes the caller's own rights and no port, no secret of anybody's.
//! - A node that is not heard is named, and when it is followed tried again until it is there.

mod agents;
mod exec;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use self::agents::{Agent, Agents};
use super::WAITING;
use super::feed::{FeedId, Teller};
use super::plan::Plan;
use super::printer::Printer;
use super::view::View;
use crate::cli::{FilterArgs, MonitorArgs, Whom};
use crate::source;

/// How often nodes are looked for that came, or that pods came to.
const LOOKING: SignedDuration = SignedDuration::from_secs(30);
/// How many agents are asked at a time. Those that are followed count only until they answer.
const AT_A_TIME: usize = 32;
/// How wide the column of the nodes is at most.
const WIDEST_NODE: usize = 40;

pub(super) async fn monitor(args: &MonitorArgs) -> anyhow::Result<()> {
    let whom = args.cluster.whom();
    let client = source::client(whom.kubeconfig, whom.context).await?;
    let agents = Agents::new(client, whom.agents, args.filter.clone());
    let first = agents.expect().await?;
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

/// Has each of these `commands` run where an agent is, one after the other, and tells what they say: of which agent, by its place
/// in what is given back.
pub(super) async fn ask(
    whom: Whom<'_>,
    commands: Vec<Vec<String>>,
) -> anyhow::Result<(Vec<String>, mpsc::Receiver<(FeedId, super::feed::Event)>)> {
    let client = source::client(whom.kubeconfig, whom.context).await?;
    let agents = Agents::new(client, whom.agents, FilterArgs::default());
    let wanted = agents.expect().await?;
    let nodes = wanted.iter().map(|agent| agent.node.clone()).collect();
    let (events, receiver) = mpsc::channel(WAITING);
    let (agents, places) = (Arc::new(agents), Arc::new(Semaphore::new(AT_A_TIME)));
    for (id, agent) in wanted.into_iter().enumerate() {
        let asking = exec::Once { agents: Arc::clone(&agents), places: Arc::clone(&places), agent };
        tokio::spawn(exec::ask(asking, commands.clone(), Teller::new(id, events.clone())));
    }
    Ok((nodes, receiver))
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

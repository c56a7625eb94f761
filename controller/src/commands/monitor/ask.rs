//! What agents know, asked once, for other commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::SignedDuration;
use tokio::sync::mpsc;

use super::feed::{Event, FeedId, Teller};
use super::plan::Plan;
use super::{WAITING, asks_cluster, cluster, local};
use crate::cli::Whom;
use crate::commands::{connections, sources};
use crate::flows::{Counting, Message, OpenConnections, Recorded, United};

/// What is wanted of agents.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Asked {
    /// What is connected now.
    pub(in crate::commands) connections: bool,
    /// What they recorded in this time.
    pub(in crate::commands) recorded: Option<SignedDuration>,
}

/// What agents said.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Heard {
    /// What is connected now: what several nodes know of once.
    pub(in crate::commands) connections: United,
    /// What they recorded.
    pub(in crate::commands) recorded: Recorded,
    /// How many nodes were asked.
    pub(in crate::commands) nodes: usize,
    /// By node: why it was not heard, or not all of it.
    pub(in crate::commands) silent: BTreeMap<String, String>,
    /// The nodes whose agents record nothing of what is allowed.
    pub(in crate::commands) without_flows: BTreeSet<String>,
    /// The nodes whose kernels do not count bytes, and those that do not keep when connections began.
    pub(in crate::commands) uncounted: [BTreeSet<String>; 2],
}

/// Asks the agents that are meant. One that is not heard is said to be, and hinders nothing.
///
/// # Errors
/// Where nobody can be asked at all.
pub(in crate::commands) fn ask(whom: Whom<'_>, socket: &Path, asked: Asked) -> anyhow::Result<Heard> {
    let runtime = sources::runtime()?;
    let heard = runtime.block_on(async {
        if asks_cluster(whom) { ask_cluster(whom, asked).await } else { ask_here(socket, asked).await }
    });
    runtime.shutdown_background();
    heard
}

async fn ask_cluster(whom: Whom<'_>, asked: Asked) -> anyhow::Result<Heard> {
    let connections = asked.connections.then(connections::command);
    let plans = plans(asked).iter().map(Plan::command).collect::<Vec<_>>();
    let commands = connections.into_iter().chain(plans).collect();
    let (nodes, receiver) = cluster::ask(whom, commands).await?;
    Heard { nodes: nodes.len(), ..Heard::default() }.hear(&nodes, receiver).await
}

/// The agent of this node, and what this kernel knows.
async fn ask_here(socket: &Path, asked: Asked) -> anyhow::Result<Heard> {
    let node = "this node".to_owned();
    let mut heard = Heard { nodes: 1, ..Heard::default() };
    if asked.connections {
        heard.count(&node, connections::counting());
        heard.connections = connections::united()?;
    }
    let (events, receiver) = mpsc::channel(WAITING);
    let (socket, plans) = (socket.to_owned(), plans(asked));
    tokio::spawn(async move {
        for plan in plans {
            local::tell(socket.clone(), plan, Teller::new(0, events.clone())).await;
        }
    });
    heard.hear(&[node], receiver).await
}

/// What was recorded: what is remembered one by one, and what only sums remember.
fn plans(asked: Asked) -> Vec<Plan> {
    let of = |since| [false, true].map(|top| Plan::of_passed(since, top));
    asked.recorded.map(of).into_iter().flatten().collect()
}

impl Heard {
    async fn hear(mut self, nodes: &[String], mut receiver: mpsc::Receiver<(FeedId, Event)>) -> anyhow::Result<Self> {
        while let Some((feed, event)) = receiver.recv().await {
            match event {
                Event::Message(message) => self.take(&nodes[feed], message),
                Event::Ended(Ok(())) => {}
                Event::Ended(Err(error)) => drop(self.silent.insert(nodes[feed].clone(), error.to_string())),
            }
        }
        Ok(self)
    }

    fn take(&mut self, node: &str, message: Message) {
        match message {
            Message::Counting(counting) => self.count(node, counting),
            Message::Connections(connections) => self.connections.meet(connections),
            Message::Silent { node, error } => drop(self.silent.insert(node, error)),
            Message::Begin(header) if header.allowed.is_none() => {
                self.without_flows.insert(header.node);
            }
            other => self.recorded.add(&other),
        }
    }

    fn count(&mut self, node: &str, Counting { bytes, ages }: Counting) {
        for (uncounted, is_counted) in self.uncounted.iter_mut().zip([bytes, ages]) {
            if !is_counted {
                uncounted.insert(node.to_owned());
            }
        }
    }

    /// What is connected now.
    pub(in crate::commands) fn take_connections(&mut self) -> Vec<OpenConnections> {
        std::mem::take(&mut self.connections).into_sorted()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flows::Hub;
    use crate::flows::tests::allowed;

    async fn heard(told: impl IntoIterator<Item = (FeedId, Event)>) -> Heard {
        let (events, receiver) = mpsc::channel(100);
        for event in told {
            events.send(event).await.unwrap();
        }
        drop(events);
        Heard::default().hear(&["a".to_owned(), "b".to_owned()], receiver).await.unwrap()
    }

    fn connections(count: u64) -> Event {
        Event::Message(Message::Connections(OpenConnections {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            protocol: crate::flows::IpProtocol(6),
            port: Some(80),
            service: None,
            connections: count,
            oldest: None,
            packets: None,
            bytes: None,
        }))
    }

    #[tokio::test]
    async fn what_both_ends_nodes_know_of_counts_once_and_who_is_not_heard_is_named() {
        let silent = Message::Silent { node: "b".to_owned(), error: "no".to_owned() };
        let counting = Message::Counting(Counting { bytes: true, ages: false });
        let begin = Message::Begin(Hub::new("a").summary(false).0);
        let told = [counting, begin, Message::Record(Arc::new(allowed(3, 0)))].map(|one| (0, Event::Message(one)));
        let more = [(0, connections(3)), (1, connections(5)), (1, Event::Message(silent)), (0, Event::Ended(Ok(())))];
        let mut heard = heard(told.into_iter().chain(more)).await;
        assert_eq!(heard.take_connections().iter().map(|one| one.connections).collect::<Vec<_>>(), [5]);
        assert_eq!(heard.recorded.flows().map(|flow| flow.connections).collect::<Vec<_>>(), [3]);
        assert_eq!(heard.silent.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(heard.without_flows, ["a".to_owned()].into());
        assert_eq!(heard.uncounted, [[].into(), ["a".to_owned()].into()]);
    }

    #[tokio::test]
    async fn an_agent_that_does_not_answer_hinders_nothing() {
        let heard = heard([(0, Event::Ended(Err(anyhow::anyhow!("no agent")))), (1, connections(1))]).await;
        assert_eq!(heard.silent, [("a".to_owned(), "no agent".to_owned())].into());
    }
}

//! The Kubernetes source: watches of Pods, Namespaces, NetworkPolicies, ClusterNetworkPolicies and Nodes, as [`Change`]s.
//!
//! Every watch lists and follows by itself (`watch`); what it sees becomes changes (`tracker`), which are sent to
//! the agent in the order in which they came, as many at once as there are. An API server may not know
//! ClusterNetworkPolicies (`optional`); Nodes are watched only while one of these has a peer of them (`demand`).
//!
//! Invariants:
//! - [`Input::Synced`] is sent once, when every watch has listed everything; [`Input::KnownHere`] before it, if the others
//!   have and the pods of this node, which are listed first, are known.
//! - An API that is away, slow, or refuses, changes nothing: nothing is withdrawn that the API has not said is gone.
//! - Objects are not kept here: of a pod only its name.

mod besides;
mod client;
mod closings;
mod complaint;
mod conditions;
mod demand;
mod discovery;
mod failure;
mod health;
mod kind;
mod known;
mod lease;
mod node;
mod optional;
mod outdated;
mod proxy;
mod tracker;
mod transport;
mod watch;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc::UnboundedSender;

use kube::Client;
use palisade_model::Change;

pub use besides::{besides, names, services};
pub use client::{ConnectError, client};
pub use closings::tell as tell_closings;
pub use failure::Failure;
pub use health::{Health, WatchState};
pub use node::{exists as node_exists, pod_range, tell_pod_range};

use demand::NodeDemand;
use kind::Kind;
use watch::Watcher;

use crate::events::recorder;
use crate::input::Input;
use crate::objects::{ClusterNetworkPolicy, Namespace, NetworkPolicy, Node, Pod};

/// Feeds `inputs` from the API server until nobody receives them any more. What fails is logged, shown in `health`, and
/// tried again for ever.
///
/// `node` names this agent in the Events that it writes, and is looked for among the Nodes unless it is empty. Everything
/// runs within the returned future, none of it blocks.
pub async fn run(client: Client, node: String, inputs: UnboundedSender<Input>, health: Health) {
    let (recorder, recording) = recorder(client.clone(), node.clone());
    let feed = Feed::new(inputs, &node);
    let pods = Watcher::<Pod>::new(client.clone(), feed.clone(), health.pods(), recorder.clone());
    let mut pods = pods.with_node_first();
    let mut namespaces = Watcher::<Namespace>::new(client.clone(), feed.clone(), health.namespaces(), recorder.clone());
    let mut policies = Watcher::<NetworkPolicy>::new(client.clone(), feed.clone(), health.policies(), recorder.clone());
    let mut cluster_policies =
        Watcher::<ClusterNetworkPolicy>::new(client.clone(), feed.clone(), health.cluster_policies(), recorder.clone());
    let (conditions, saying) = conditions::conditions(client.clone(), &node);
    if !node.is_empty() {
        cluster_policies = cluster_policies.with_conditions(conditions);
    }
    let nodes = Watcher::<Node>::new(client.clone(), feed.clone(), health.nodes(), recorder);
    let looking = async {
        if !node.is_empty() {
            let (node, outdated) = (node::look(client.clone(), &feed, &health), outdated::look(client, &feed, &health));
            tokio::join!(node, outdated, saying);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        Closed = pods.run() => {}
        Closed = namespaces.run() => {}
        Closed = policies.run() => {}
        Closed = cluster_policies.run() => {}
        Closed = follow_nodes(nodes, &feed, &health) => {}
        () = recording => {}
        () = looking => {}
    }
}

/// Watches nodes while they are wanted.
async fn follow_nodes(mut nodes: Watcher<Node>, feed: &Feed, health: &Health) -> Closed {
    let demand = &feed.node_demand;
    loop {
        let done = if demand.decided().await {
            tokio::select! {
                closed = nodes.run() => return closed,
                () = demand.becomes(false) => {}
            }
            demand.unmet();
            nodes.withdraw()
        } else {
            health.nodes().without(NOT_WANTED);
            let done = nodes.idle();
            demand.becomes(true).await;
            done
        };
        if done.is_err() {
            return Closed;
        }
    }
}

const NOT_WANTED: &str = "no cluster policy has a peer of nodes";

const WATCHES: usize = 5;

/// The way to the agent.
#[derive(Clone, Debug)]
struct Feed {
    inputs: UnboundedSender<Input>,
    /// How many watches have not listed everything yet.
    unsynced: Arc<AtomicUsize>,
    /// How many of them have not listed what this node has of it, either.
    unknown_here: Arc<AtomicUsize>,
    node: Arc<str>,
    /// Whether a pod of that node has been seen.
    has_pods: Arc<AtomicBool>,
    node_demand: NodeDemand,
}

/// Nobody receives any more.
#[derive(Clone, Copy, Debug)]
struct Closed;

impl Feed {
    fn new(inputs: UnboundedSender<Input>, node: &str) -> Self {
        let [unsynced, unknown_here] = [(); 2].map(|()| Arc::new(AtomicUsize::new(WATCHES)));
        let (has_pods, node_demand) = (Arc::default(), NodeDemand::new());
        Self { inputs, unsynced, unknown_here, node: node.into(), has_pods, node_demand }
    }

    fn changes(&self, changes: Vec<Change>) -> Result<(), Closed> {
        let is_here = |change: &Change| matches!(change, Change::Pod(pod) if pod.node.as_ref() == Some(&self.node));
        if !self.has_pods.load(Ordering::Relaxed) && changes.iter().any(is_here) {
            self.has_pods.store(true, Ordering::Relaxed);
        }
        self.admitted(self.node_demand.admit(changes))
    }

    fn admitted(&self, changes: Vec<Change>) -> Result<(), Closed> {
        if changes.is_empty() { Ok(()) } else { self.send(Input::Changes(changes)) }
    }

    /// To be called by each watch whenever it has sent all that it listed.
    fn listed(&self, kind: &str) -> Result<(), Closed> {
        match kind {
            ClusterNetworkPolicy::KIND => self.node_demand.policies_are_known(),
            Node::KIND => self.admitted(self.node_demand.met())?,
            _ => {}
        }
        Ok(())
    }

    /// To be called once by each watch, when it has sent all that it listed of this node, or of which it does not matter of
    /// which node it is.
    fn known_here(&self) -> Result<(), Closed> {
        let last = self.unknown_here.fetch_sub(1, Ordering::AcqRel) == 1;
        if last { self.send(Input::KnownHere) } else { Ok(()) }
    }

    /// To be called once by each watch, when it has sent all that it listed.
    fn synced(&self) -> Result<(), Closed> {
        let last = self.unsynced.fetch_sub(1, Ordering::AcqRel) == 1;
        if last { self.send(Input::Synced) } else { Ok(()) }
    }

    /// Whether every watch has sent all that it listed.
    fn is_synced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire) == 0
    }

    fn send(&self, input: Input) -> Result<(), Closed> {
        self.inputs.send(input).map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests;

//! What this node must enforce, kept up to date change by change.
//!
//! Pods that policy cannot tell apart form a class, and the definitions of live sets are matched with classes, not with
//! pods: a pod of a known class evaluates no selector, and writes only to the sets that its class is in.
//!
//! Invariants:
//! - After any sequence of changes the output is that of a new index fed with the final objects
//!   (`tests/incremental.rs`).
//! - Only what local pods need is live: a set without a table that looks it up, a table without a pod that it judges,
//!   and a group without a set are gone.
//! - Members of sets are not stored: they follow from classes and the ownership of addresses.
//! - Tables and sets are settled when a delta is taken, so that a thousand policies that arrive one by one are compiled
//!   once; those of some namespaces now and of others later, if the caller likes.
//! - What a namespace costs is known before it is built: the grants of its rules before it is compiled, the members of its
//!   sets before any class is listed for them. Who is closed ([`Shares`]) follows from the objects, never from who was
//!   closed before, and changes the tables of that namespace alone (`tests/shares.rs`).
//! - Audited policies change nothing of how pods are judged, and close nobody; nobody is judged by the table of an audit
//!   that is left out (`tests/audit.rs`).
//! - Of lenient policies ([`Index::be_lenient`]) nothing is left when they are exact again (`tests/lenient.rs`).
//! - Apart from the objects and the node's sandboxes ([`Sandbox`](crate::Sandbox)) four things of the past count: when a
//!   pod came to show its addresses ([`Age`](crate::Age)), which of them a sandbox of its has given back, which deleted pods
//!   linger ([`Index::keep_lingering`]), and whose tables the kernel has refused ([`Index::refuse`]).

mod addresses;
mod bills;
mod changes;
mod closing;
mod cluster;
mod definition;
mod finder;
mod groups;
pub(crate) mod labelled;
mod lenient;
mod lingering;
mod names;
mod nodes;
mod objects;
mod postings;
mod sandboxes;
mod sets;
mod settle;
mod shares;
mod slots;
mod strings;
mod tables;
mod tiers;
mod why;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use self::bills::Bills;
use self::cluster::Cluster;
use self::lenient::Exact;
pub use self::names::PeerName;
use self::sandboxes::Sandboxes;
use self::sets::Sets;
use self::slots::PodId;
use self::tables::LiveTable;
use self::tiers::Tiers;
use crate::{Change, Delta, Direction, Limit, LocalPod, NamespacedName, PodEnforcement, Shares, TableKey};

/// The objects of a cluster, and what one node must enforce of them.
#[derive(Debug)]
pub struct Index {
    node: Arc<str>,
    cluster: Cluster,
    keeps_lingering: bool,
    /// The addresses of deleted pods that are still judged, with the pods.
    lingering: BTreeMap<IpAddr, NamespacedName>,
    sandboxes: Sandboxes,
    sets: Sets,
    bills: Bills,
    /// The closed namespaces that the caller was told of.
    told_closed: BTreeMap<Arc<str>, Limit>,
    tables: HashMap<Arc<TableKey>, LiveTable>,
    tiers: Tiers,
    /// Addresses that lost an owner since the last delta.
    disowned: BTreeSet<IpAddr>,
    /// Addresses that got one, having had none.
    owned: Vec<IpAddr>,
    /// Local pods that own addresses.
    locals: BTreeMap<NamespacedName, LocalPod>,
    pods: BTreeMap<NamespacedName, PodEnforcement>,
    /// Pods that may have to be judged differently since the last delta.
    dirty_pods: BTreeSet<NamespacedName>,
    /// Policies whose tables may have changed since the last delta.
    dirty_policies: BTreeSet<NamespacedName>,
    /// Tables that got their first pod since the last delta, or lost their last one.
    dirty_tables: BTreeSet<Arc<TableKey>>,
    /// The policies as they are, while lenient ones are enforced.
    exact: Option<Exact>,
}

/// How much an [`Index`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexSize {
    /// Pods.
    pub pods: usize,
    /// Pods of the index's node that claim an address.
    pub local_pods: usize,
    /// Addresses of deleted pods that are still judged.
    pub lingering_pods: usize,
    /// Sandboxes.
    pub sandboxes: usize,
    /// Those whose pod is gone from the API.
    pub lone_sandboxes: usize,
    /// Groups of pods with the same namespace, labels and named ports.
    pub classes: usize,
    /// Known namespaces.
    pub namespaces: usize,
    /// Policies.
    pub policies: usize,
    /// Cluster policies.
    pub cluster_policies: usize,
    /// Nodes.
    pub nodes: usize,
    /// Local pods that are judged in some direction, those that linger left out.
    pub isolated_pods: usize,
    /// Tables in use, those of audits included.
    pub tables: usize,
    /// Tables of cluster policies in use.
    pub tiers: usize,
    /// Sets in use.
    pub sets: usize,
    /// Distinct definitions in those sets, blocks aside.
    pub groups: usize,
}

impl Index {
    /// An empty index for the node whose pods are local, without limits to what policies may cost.
    pub fn new(node: impl Into<Arc<str>>) -> Self {
        Self::with_shares(node, Shares::UNLIMITED)
    }

    /// The same, where namespaces whose policies cost more than that are closed.
    pub fn with_shares(node: impl Into<Arc<str>>, shares: Shares) -> Self {
        Self {
            node: node.into(),
            cluster: Cluster::default(),
            keeps_lingering: false,
            lingering: BTreeMap::new(),
            sandboxes: Sandboxes::default(),
            sets: Sets::new(),
            bills: Bills::new(shares),
            told_closed: BTreeMap::new(),
            tables: HashMap::new(),
            tiers: Tiers::default(),
            disowned: BTreeSet::new(),
            owned: Vec::new(),
            locals: BTreeMap::new(),
            pods: BTreeMap::new(),
            dirty_pods: BTreeSet::new(),
            dirty_policies: BTreeSet::new(),
            dirty_tables: BTreeSet::new(),
            exact: None,
        }
    }

    /// Takes in a change. A change that says nothing new has no effect; objects may come in any order.
    pub fn apply(&mut self, change: Change) {
        let change = match &mut self.exact {
            Some(exact) => exact.stand_in(change),
            None => change,
        };
        match change {
            Change::Namespace(namespace) => self.set_namespace(&namespace.name, Some(namespace.labels)),
            Change::NamespaceGone(name) => self.set_namespace(&name, None),
            Change::Pod(pod) => self.set_pod(&pod.id, Some(&pod)),
            Change::PodGone(id) => self.set_pod(&id, None),
            Change::Policy(policy) => self.set_policy(&policy.id.clone(), Some(policy)),
            Change::PolicyGone(id) => self.set_policy(&id, None),
            Change::ClusterPolicy(policy) => self.set_cluster_policy(&policy.name.clone(), Some(policy)),
            Change::ClusterPolicyGone(name) => self.set_cluster_policy(&name, None),
            Change::Node(node) => self.set_node(&node.name.clone(), Some(node)),
            Change::NodeGone(name) => self.set_node(&name, None),
        }
    }

    /// What changed in the output since the last call, or since the index was new.
    pub fn take_delta(&mut self) -> Delta {
        self.settle(|_| true)
    }

    /// The same of those namespaces alone whose turn it is. What policies of others have become is left for a later
    /// delta; until then their pods are judged as before. What pods have become is in it, of whichever namespace, as far as
    /// the tables that are to judge them are there.
    pub fn take_delta_of(&mut self, is_turn: impl Fn(&str) -> bool) -> Delta {
        self.settle(is_turn)
    }

    /// The whole output as the difference from nothing. What [`Index::take_delta`] would have given counts as taken.
    pub fn take_full(&mut self) -> Delta {
        self.take_delta();
        Delta {
            disowned: BTreeSet::new(),
            owned: Vec::new(),
            locals: self.locals.iter().map(|(id, pod)| (id.clone(), Some(pod.clone()))).collect(),
            pods: self.pods.iter().map(|(id, pod)| (id.clone(), Some(pod.clone()))).collect(),
            tables: self.tables.iter().map(|(key, live)| (key.clone(), live.table())).collect(),
            tiers: self.tiers.all(),
            sets: self.sets.all(&self.cluster),
            compiled: BTreeSet::new(),
        }
    }

    /// Whether a pod of any node owns the address.
    pub fn has_owner(&self, address: IpAddr) -> bool {
        self.cluster.owner(address).is_some()
    }

    /// The addresses that several live pods claim, with those pods: first the one that has it, which was given it last as
    /// far as is known ([`Age`](crate::Age)), then the others by name.
    pub fn conflicts(&self) -> BTreeMap<IpAddr, Vec<NamespacedName>> {
        let by_name = |pods: Vec<PodId>| {
            let mut names: Vec<_> = pods.into_iter().map(|pod| self.cluster.pod_name(pod)).collect();
            names[1..].sort();
            names
        };
        self.cluster.conflicts().map(|(address, pods)| (address, by_name(pods))).collect()
    }

    fn is_local(&self, id: &NamespacedName) -> bool {
        self.cluster.pod(id).is_some_and(|pod| self.cluster.pods[pod].claim.local)
    }

    /// How much the index holds. Tables and sets are those of the last delta.
    pub fn size(&self) -> IndexSize {
        let spaces = || self.cluster.spaces.iter().map(|(_, space)| space);
        let lone_sandboxes = self.lone_sandboxes().count();
        let without_object = self.lingering.len() + lone_sandboxes;
        let lone_locals = self.lone_sandboxes().filter(|id| self.is_local(id)).count();
        IndexSize {
            pods: self.cluster.pods.len() - without_object,
            local_pods: spaces().map(|space| space.local.len()).sum::<usize>() - self.lingering.len() - lone_locals,
            lingering_pods: self.lingering.len(),
            sandboxes: self.sandboxes().len(),
            lone_sandboxes,
            classes: self.cluster.classes.len(),
            namespaces: spaces().filter(|space| space.labels.is_some()).count(),
            policies: spaces().map(|space| space.policies.len()).sum(),
            cluster_policies: self.tiers.len(),
            nodes: self.cluster.nodes.len(),
            isolated_pods: self.pods.values().filter(|pod| is_judged(pod)).count() - self.isolated_lingering(),
            tables: self.tables.len(),
            tiers: self.tiers.tables(),
            sets: self.sets.len(),
            groups: self.sets.listed.len(),
        }
    }
}

/// Whether any policy that is enforced judges a pod.
fn is_judged(pod: &PodEnforcement) -> bool {
    Direction::ALL.into_iter().any(|direction| pod.is_judged(direction))
}

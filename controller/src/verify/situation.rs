//! What expectations are asked of: objects, arranged so that a question costs what it is about.
//!
//! Pods that policies cannot tell apart are of one class: namespace, labels that any selector asks for, ports, and the
//! blocks that hold their addresses.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use palisade_model::reach::Reach;
use palisade_model::reference::Cluster;
use palisade_model::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ContainerPort, Direction, Enforcement, Namespace, NamespacedName, Node,
    Peer, Peers, Phase, Pod, PodGroup, Policy, Selector, Service,
};

use super::blocks::Blocks;
use crate::manifests::Besides;

/// A pod that connections may be asked about.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What it is called.
    pub(super) title: String,
    /// The pod; of those that have no address two, so that one of them is at another's. By one name they are one pod, otherwise
    /// two that are alike.
    pub(super) pods: Vec<Pod>,
    /// What it is one of.
    pub(super) workload: NamespacedName,
    /// Equal for pods that policies do not tell apart.
    pub(super) class: usize,
    /// Whether there is such a pod.
    pub(super) exists: bool,
}

/// What policies see of a pod.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    namespace: Arc<str>,
    labels: Vec<(Arc<str>, Arc<str>)>,
    ports: Vec<ContainerPort>,
    /// The blocks that hold each address, and its family.
    addresses: Vec<(bool, Vec<IpNet>)>,
    /// Which addresses it, or its node, has that are a node's and a pod's at once.
    shared: Vec<IpAddr>,
}

/// Fewer pairs than this are asked about sooner than counted.
const FEW: usize = 20_000;

/// All objects that expectations are about.
#[derive(Debug, Default)]
pub struct Situation {
    pub(super) namespaces: BTreeMap<Arc<str>, Namespace>,
    /// By their namespaces.
    pub(super) policies: BTreeMap<Arc<str>, BTreeMap<NamespacedName, Policy>>,
    pub(super) cluster_policies: BTreeMap<Arc<str>, ClusterPolicy>,
    pub(super) nodes: HashMap<IpAddr, Vec<Node>>,
    pub(super) services: BTreeMap<NamespacedName, Service>,
    /// The pods that have addresses of their own, or will have them.
    pub(super) candidates: Vec<Arc<Candidate>>,
    /// The pods that share the network of their nodes, and those that have finished.
    pub(super) others: BTreeMap<NamespacedName, Pod>,
    /// Whose an address is, by position among the candidates.
    pub(super) owners: HashMap<IpAddr, usize>,
    /// The addresses of nodes.
    pub(super) of_nodes: BTreeSet<IpAddr>,
    asked: BTreeSet<Arc<str>>,
    /// The addresses that are a node's and a pod's at once.
    shared: BTreeSet<IpAddr>,
    pub(super) blocks: Blocks,
    pub(super) classes: HashMap<Class, usize>,
    cluster: Cluster,
    /// How many pairs are asked about one by one.
    pub(super) few: usize,
    /// Where there are more.
    reach: OnceCell<Reach>,
    /// Addresses that a pod may have, of which policies tell each from the others: two of each family, where there are.
    pub(super) kinds: Vec<[Vec<IpAddr>; 2]>,
}

impl Situation {
    /// The objects; audited policies count as enforced or as not there.
    pub fn new(mut cluster: Cluster, besides: Besides, audited: bool) -> Self {
        let counts = |enforcement: &mut Enforcement| {
            let counts = audited || *enforcement == Enforcement::Enforced;
            *enforcement = Enforcement::Enforced;
            counts
        };
        cluster.policies.retain(|_, policy| counts(&mut policy.enforcement));
        cluster.cluster_policies.retain(|_, policy| counts(&mut policy.enforcement));
        let mut situation = Self { services: besides.services, few: FEW, ..Self::default() };
        situation.take_policies(&cluster);
        situation.take_nodes(&cluster);
        let owned = owned(&cluster);
        situation.shared = situation.of_nodes.iter().copied().filter(|address| owned.contains_key(address)).collect();
        situation.kinds = situation.kinds_of(&cluster);
        let live = |pod: &&Pod| !pod.host_network && pod.phase == Phase::Active;
        for pod in cluster.pods.values().filter(live) {
            let addresses: Vec<IpAddr> =
                pod.ips.iter().copied().filter(|address| owned.get(address) == Some(&&pod.id)).collect();
            if addresses.is_empty() {
                situation.add_unplaced(pod, &workload_of(pod), true);
            } else {
                let pod = Pod { ips: addresses, ..pod.clone() };
                let class = situation.class_of(&pod);
                let at = situation.candidates.len();
                situation.owners.extend(pod.ips.iter().map(|address| (*address, at)));
                let (title, workload) = (pod.id.to_string(), workload_of(&pod));
                let candidate = Candidate { title, workload, pods: vec![pod], class, exists: true };
                situation.candidates.push(Arc::new(candidate));
            }
        }
        let made: BTreeSet<NamespacedName> = cluster.pods.values().filter(live).map(workload_of).collect();
        for pod in besides.templates.values().filter(|pod| !pod.host_network && !made.contains(&pod.id)) {
            situation.add_unplaced(pod, &pod.id, false);
        }
        let others = cluster.pods.values().filter(|pod| !live(pod));
        situation.others = others.map(|pod| (pod.id.clone(), pod.clone())).collect();
        situation.namespaces = cluster.namespaces.clone();
        situation.cluster = cluster;
        situation
    }

    /// Who reaches whom.
    pub(super) fn reach(&self) -> &Reach {
        self.reach.get_or_init(|| Reach::new(&self.cluster))
    }

    /// Whether the pod, or its node, has an address that is a node's and a pod's at once.
    pub(super) fn is_shared(&self, pod: &Pod) -> bool {
        pod.ips.iter().chain(&pod.host_ips).any(|address| self.shared.contains(address))
    }

    fn take_policies(&mut self, cluster: &Cluster) {
        for (id, policy) in &cluster.policies {
            self.blocks.add_policy(policy);
            self.policies.entry(id.namespace.clone()).or_default().insert(id.clone(), policy.clone());
            self.ask_for(&policy.selector);
            let rules = Direction::ALL.into_iter().filter_map(|direction| policy.rules(direction)).flatten();
            let peers = rules.filter_map(|rule| match &rule.peers {
                Peers::AnyOf(peers) => Some(peers),
                Peers::All => None,
            });
            for peer in peers.flatten() {
                if let Peer::Pods(PodGroup { pods, .. }) = peer {
                    self.ask_for(pods);
                }
            }
        }
        for policy in cluster.cluster_policies.values() {
            self.blocks.add_cluster_policy(policy);
            self.ask_for(&policy.subject.pods);
            let rules = Direction::ALL.into_iter().flat_map(|direction| policy.rules(direction));
            let peers = rules.filter_map(|rule| match &rule.peers {
                ClusterPeers::AnyOf(peers) => Some(peers),
                ClusterPeers::Others => None,
            });
            for peer in peers.flatten() {
                if let ClusterPeer::Pods(PodGroup { pods, .. }) = peer {
                    self.ask_for(pods);
                }
            }
        }
        self.cluster_policies = cluster.cluster_policies.clone();
    }

    /// The labels that this selector asks for are told apart.
    fn ask_for(&mut self, selector: &Selector) {
        self.asked.extend(selector.requirements().iter().map(|requirement| requirement.key().clone()));
    }

    fn take_nodes(&mut self, cluster: &Cluster) {
        for node in cluster.nodes.values() {
            for address in &node.addresses {
                self.nodes.entry(*address).or_default().push(node.clone());
            }
        }
        self.of_nodes = self.nodes.keys().copied().collect();
        let hosts = cluster.pods.values().filter(|pod| pod.host_network);
        self.of_nodes.extend(hosts.flat_map(|pod| pod.ips.iter().copied()));
        self.of_nodes.extend(cluster.pods.values().flat_map(|pod| pod.host_ips.iter().copied()));
    }

    /// A pod that has no address yet, or, where it is not `one`, those that a workload will make.
    fn add_unplaced(&mut self, pod: &Pod, workload: &NamespacedName, one: bool) {
        for mut candidate in self.hypothetical(pod, &pod.id.to_string()) {
            if one {
                candidate.pods.iter_mut().for_each(|twin| twin.id = pod.id.clone());
            }
            let Some(first) = candidate.pods.first() else { continue };
            let class = self.class_of(first);
            self.candidates.push(Arc::new(Candidate { class, workload: workload.clone(), exists: true, ..candidate }));
        }
    }

    pub(super) fn class(&self, pod: &Pod) -> Class {
        let asked = pod.labels.iter().filter(|(key, _)| self.asked.contains(*key));
        let mut ports = pod.ports.clone();
        ports.sort();
        Class {
            namespace: pod.id.namespace.clone(),
            labels: asked.map(|(key, value)| (key.clone(), value.clone())).collect(),
            ports,
            addresses: self.signature(&pod.ips),
            shared: pod.ips.iter().chain(&pod.host_ips).copied().filter(|ip| self.shared.contains(ip)).collect(),
        }
    }

    fn class_of(&mut self, pod: &Pod) -> usize {
        let (class, next) = (self.class(pod), self.classes.len());
        *self.classes.entry(class).or_insert(next)
    }

    pub(super) fn signature(&self, addresses: &[IpAddr]) -> Vec<(bool, Vec<IpNet>)> {
        addresses.iter().map(|address| (address.is_ipv6(), self.blocks.holding(*address))).collect()
    }
}

/// The pod that each address belongs to.
fn owned(cluster: &Cluster) -> HashMap<IpAddr, &NamespacedName> {
    let mut owned = HashMap::new();
    for pod in cluster.pods.values() {
        for address in pod.addresses() {
            let several = owned.insert(*address, &pod.id).is_some();
            if let Some(owner) = several.then(|| cluster.owner(*address)).flatten() {
                owned.insert(*address, &owner.id);
            }
        }
    }
    owned
}

/// What the pod is one of.
pub(super) fn workload_of(pod: &Pod) -> NamespacedName {
    NamespacedName::new(pod.id.namespace.clone(), palisade_model::workload(&pod.id.name, &pod.labels))
}

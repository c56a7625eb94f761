//! What expectations are asked of: objects, arranged so that a question costs what it is about.
//!
//! Pods that policies cannot tell apart are of one class: namespace, labels that any selector asks for, ports, and the
//! blocks that hold their addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use palisade_model::reference::Cluster;
use palisade_model::{
    Age, ClusterPeer, ClusterPeers, ClusterPolicy, ContainerPort, Direction, Enforcement, Labels, Namespace,
    NamespacedName, Node, Peer, Peers, Phase, Pod, PodGroup, Policy, Selector, Service,
};

use super::blocks::{Blocks, step};
use crate::manifests::Besides;

/// How many addresses around one are tried to find another of its kind.
const AROUND: u128 = 256;

/// A pod that connections may be asked about.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What it is called.
    pub(super) title: String,
    /// The pod; of one that need not exist two, since it may not be alone.
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
struct Class {
    namespace: Arc<str>,
    labels: Vec<(Arc<str>, Arc<str>)>,
    ports: Vec<ContainerPort>,
    /// The blocks that hold each address, and its family.
    addresses: Vec<(bool, Vec<IpNet>)>,
    /// Which addresses it, or its node, has that are a node's and a pod's at once.
    shared: Vec<IpAddr>,
}

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
    blocks: Blocks,
    classes: HashMap<Class, usize>,
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
        let mut situation = Self { services: besides.services, ..Self::default() };
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
                situation.add_unplaced(pod, &workload_of(pod));
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
            situation.add_unplaced(pod, &pod.id);
        }
        situation.others = cluster.pods.into_iter().filter(|(_, pod)| !live(&pod)).collect();
        situation.namespaces = cluster.namespaces;
        situation
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

    /// A pod that need not exist, at each kind of address that pods have.
    pub(super) fn hypothetical(&self, pod: &Pod, title: &str) -> Vec<Candidate> {
        let at = |(kind, addresses): (usize, &[Vec<IpAddr>; 2])| {
            let with = |(twin, ips): (usize, &Vec<IpAddr>)| {
                let name = format!("{} (at {kind}, {twin})", pod.id.name);
                Pod { id: NamespacedName::new(pod.id.namespace.clone(), name), ips: ips.clone(), ..pod.clone() }
            };
            let pods: Vec<Pod> = addresses.iter().enumerate().filter(|(_, ips)| !ips.is_empty()).map(with).collect();
            // A class that no pod is of is as good as any other that none is of.
            let known = pods.first().and_then(|pod| self.classes.get(&self.class(pod)).copied());
            let class = known.unwrap_or(usize::MAX - kind);
            Candidate { title: title.to_owned(), workload: pod.id.clone(), pods, class, exists: false }
        };
        self.kinds.iter().enumerate().map(at).collect()
    }

    /// A pod that need not exist, at addresses of the first kind of which there are some that nobody has, nor is to have.
    pub fn imagine(&self, pod: &Pod, taken: &[IpAddr]) -> Pod {
        let is_free = |address: &IpAddr| !self.owners.contains_key(address) && !taken.contains(address);
        let free = |address: &IpAddr| self.around(*address).find(is_free);
        let kinds = self.kinds.iter().map(|[addresses, _]| addresses.iter().filter_map(free).collect::<Vec<_>>());
        Pod { ips: kinds.into_iter().find(|ips| !ips.is_empty()).unwrap_or_default(), ..pod.clone() }
    }

    /// A pod that has no address yet.
    fn add_unplaced(&mut self, pod: &Pod, workload: &NamespacedName) {
        for candidate in self.hypothetical(pod, &pod.id.to_string()) {
            let Some(first) = candidate.pods.first() else { continue };
            let class = self.class_of(first);
            self.candidates.push(Arc::new(Candidate { class, workload: workload.clone(), exists: true, ..candidate }));
        }
    }

    fn class(&self, pod: &Pod) -> Class {
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

    fn signature(&self, addresses: &[IpAddr]) -> Vec<(bool, Vec<IpNet>)> {
        addresses.iter().map(|address| (address.is_ipv6(), self.blocks.holding(*address))).collect()
    }

    /// The kinds of addresses that pods of this cluster have; where none has any, one of no block that is smaller than
    /// everything.
    fn kinds_of(&self, cluster: &Cluster) -> Vec<[Vec<IpAddr>; 2]> {
        let mut seen = BTreeMap::new();
        let shown = cluster.pods.values().map(Pod::addresses).filter(|addresses| !addresses.is_empty());
        for addresses in shown.filter(|addresses| !addresses.iter().any(|address| self.blocks.is_named(*address))) {
            seen.entry(self.signature(addresses)).or_insert(addresses);
        }
        let twins = |addresses: &[IpAddr]| {
            let others: Option<Vec<IpAddr>> = addresses.iter().map(|address| self.another(*address)).collect();
            [addresses.to_vec(), others.unwrap_or_default()]
        };
        let kinds: Vec<_> = seen.into_values().map(twins).collect();
        if kinds.is_empty() { vec![twins(&self.anywhere())] } else { kinds }
    }

    /// An address of each family that as few blocks hold as can be.
    fn anywhere(&self) -> Vec<IpAddr> {
        let all = self.blocks.outside(|address| self.of_nodes.contains(&address));
        let least = |is_ipv4: bool| {
            let of_family = all.iter().copied().filter(|address| address.is_ipv4() == is_ipv4);
            of_family
                .filter(|address| !address.is_unspecified())
                .min_by_key(|address| self.blocks.holding(*address).len())
        };
        [least(true), least(false)].into_iter().flatten().collect()
    }

    /// Another address that policies do not tell from this one.
    fn another(&self, address: IpAddr) -> Option<IpAddr> {
        self.around(address).find(|other| *other != address)
    }

    /// Addresses that policies do not tell from this one, and this one, but for those of nodes.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> {
        let held = self.blocks.holding(address);
        let all = (0..AROUND).filter_map(move |by| step(address, by)).chain(before(address));
        all.filter(move |other| self.blocks.holding(*other) == held && !self.of_nodes.contains(other))
    }
}

fn before(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    (1..AROUND).filter_map(move |by| {
        Some(match address {
            IpAddr::V4(address) => IpAddr::V4(u32::from(address).checked_sub(u32::try_from(by).ok()?)?.into()),
            IpAddr::V6(address) => IpAddr::V6(u128::from(address).checked_sub(by)?.into()),
        })
    })
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

/// By what name such a pod is called: no object can have it.
fn hypothetical_name(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("({})", labels.join(","))
}

/// A pod that need not exist, without addresses.
pub fn imagined(namespace: &str, labels: &Labels, ports: &[ContainerPort]) -> Pod {
    Pod {
        id: NamespacedName::new(namespace, hypothetical_name(labels)),
        uid: None,
        labels: labels.clone(),
        node: None,
        ips: Vec::new(),
        host_ips: Vec::new(),
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age::default(),
        ports: ports.to_vec(),
    }
}

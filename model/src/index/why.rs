//! Why a local pod's connection passes or not ([`crate::why`]): the facts as the index has them.

use std::net::IpAddr;

use super::Index;
use super::objects::PodRecord;
use super::slots::PodId;
use crate::why::{Facts, PeerFacts, PodFacts};
use crate::{Attempt, ClusterPolicy, Enforcement, Labels, Policy, Why};

/// How much of policies is looked at to decide, at some 0.1 µs each: half of what a namespace's share admits.
const LOOKS: usize = 50_000;

impl Index {
    /// Why an attempt of, or to, a local pod passes or not, by the objects as they are now: of what the last delta
    /// brought into force only cluster policies and closed namespaces count. `None` where no local pod of that name
    /// owns an address.
    pub fn why(&self, attempt: &Attempt) -> Option<Why> {
        let pod = self.cluster.pod(&attempt.pod).filter(|pod| self.cluster.pods[*pod].claim.local)?;
        self.cluster.owned(pod).next()?;
        let class = &self.cluster.classes[self.cluster.pods[pod].class];
        let space = &self.cluster.spaces[class.space];
        let isolating =
            |policy: &&Policy| policy.enforcement <= attempt.up_to && policy.rules(attempt.direction).is_some();
        let is_asked = |policy: &&ClusterPolicy| policy.enforcement <= attempt.up_to;
        let facts = Facts {
            direction: attempt.direction,
            traffic: attempt.traffic,
            subject: self.pod_facts(pod),
            policies: space.selecting(&class.key.labels).into_iter().filter(isolating).collect(),
            cluster_policies: self.tiers.about(self.cluster.pods[pod].class).filter(is_asked).collect(),
            closed: self.bills.closed(Enforcement::Enforced).contains_key(&space.name),
            peer: self.peer_facts(pod, attempt.peer),
            looks: LOOKS,
        };
        Some(facts.why())
    }

    fn pod_facts(&self, pod: PodId) -> PodFacts<'_> {
        let class = &self.cluster.classes[self.cluster.pods[pod].class];
        let space = &self.cluster.spaces[class.space];
        PodFacts {
            namespace: &space.name,
            namespace_labels: space.labels.as_ref(),
            labels: &class.key.labels,
            ports: &class.key.ports,
        }
    }

    fn peer_facts(&self, subject: PodId, address: IpAddr) -> PeerFacts<'_> {
        let owner = self.cluster.owner(address);
        let peer = owner.filter(|owner| !self.cluster.pods[*owner].claim.lingering);
        PeerFacts {
            address,
            pod: peer.map(|peer| self.pod_facts(peer)),
            nodes: self.labels_of_nodes(address),
            is_itself: owner == Some(subject),
            is_own_node: self.is_own_node(subject, address),
        }
    }

    /// Nobody but cluster policies asks for nodes.
    fn labels_of_nodes(&self, address: IpAddr) -> Vec<&Labels> {
        if self.tiers.len() == 0 {
            return Vec::new();
        }
        let nodes = self.cluster.nodes.values().filter(|node| node.addresses.contains(&address));
        nodes.map(|node| &node.labels).collect()
    }

    /// Whether it is an address of this node, by what is known of the local pod, or, where it is deleted, of others.
    fn is_own_node(&self, pod: PodId, address: IpAddr) -> bool {
        let PodRecord { claim, .. } = &self.cluster.pods[pod];
        let sandbox = claim.addresses.iter().find_map(|own| self.sandboxes().get(self.sandbox_at(*own)?));
        let known = self.bound_pod(&self.cluster.pod_name(pod)).or(sandbox.map(|sandbox| &sandbox.pod));
        match known {
            Some(pod) => pod.host_ips.contains(&address),
            None => self.bound_pods().any(|pod| pod.host_ips.contains(&address)),
        }
    }
}

//! The reference verdict between two ends, asked of a cluster that holds these two and what judges them.
//!
//! Invariant: it decides nothing itself (`tests.rs` holds it against the verdict on the whole cluster).

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::reference::{Cluster, Flow};
use palisade_model::{Attempt, Direction, Enforcement, NamespacedName, Pod, Policy, Traffic, Why};

use super::situation::Situation;

type Policies = BTreeMap<NamespacedName, Policy>;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party<'a> {
    pub(super) address: IpAddr,
    /// What the pod is called.
    pub(super) title: &'a str,
    /// Whose address it is.
    pub(super) pod: Option<&'a Pod>,
}

/// `shop/web (10.0.0.1)`, or the address alone.
impl fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.title.is_empty() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{} ({})", self.title, self.address)
        }
    }
}

/// Judges connections, one after the other.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    situation: &'a Situation,
    /// Two ends, and the policies of one namespace.
    scratch: Cluster,
    policies: BTreeMap<Arc<str>, Policies>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(situation: &'a Situation) -> Self {
        let cluster_policies = situation.cluster_policies.clone();
        let scratch = Cluster { cluster_policies, ..Cluster::default() };
        Self { situation, scratch, policies: situation.policies.clone() }
    }

    /// What is asked about.
    pub(super) fn situation(&self) -> &'a Situation {
        self.situation
    }

    /// Whether all of these are allowed between the two, one by one: by the egress of the one and the ingress of the other.
    pub(super) fn allows(&mut self, source: Party<'_>, destination: Party<'_>, all: &[Traffic]) -> Vec<bool> {
        self.meet(source, destination);
        let flow =
            |traffic: &Traffic| Flow { source: source.address, destination: destination.address, traffic: *traffic };
        let mut allowed = vec![true; all.len()];
        for (direction, subject) in [(Direction::Egress, source), (Direction::Ingress, destination)] {
            let Some(subject) = subject.pod else { continue };
            self.with_policies_of(&subject.id.namespace, |cluster| {
                for (allowed, traffic) in allowed.iter_mut().zip(all) {
                    *allowed = *allowed && cluster.verdict(&flow(traffic)).of(direction).allowed;
                }
            });
        }
        allowed
    }

    /// What each end that is a pod says, and why.
    pub(super) fn why(&mut self, source: Party<'_>, destination: Party<'_>, traffic: Traffic) -> Vec<Why> {
        self.meet(source, destination);
        let ends = [(Direction::Egress, source, destination), (Direction::Ingress, destination, source)];
        let mut all = Vec::new();
        for (direction, subject, peer) in ends {
            let Some(pod) = subject.pod else { continue };
            let attempt =
                Attempt { direction, pod: pod.id.clone(), peer: peer.address, traffic, up_to: Enforcement::Enforced };
            all.extend(self.with_policies_of(&pod.id.namespace, |cluster| cluster.why(&attempt)));
        }
        all
    }

    /// The cluster holds these two, their namespaces and nodes.
    fn meet(&mut self, source: Party<'_>, destination: Party<'_>) {
        let Self { situation, scratch, .. } = self;
        scratch.pods.clear();
        scratch.namespaces.clear();
        scratch.nodes.clear();
        for party in [source, destination] {
            let nodes = situation.nodes.get(&party.address).into_iter().flatten();
            scratch.nodes.extend(nodes.map(|node| (node.name.clone(), node.clone())));
            let Some(pod) = party.pod else { continue };
            scratch.pods.insert(pod.id.clone(), pod.clone());
            if let Some(namespace) = situation.namespaces.get(&pod.id.namespace) {
                scratch.namespaces.insert(namespace.name.clone(), namespace.clone());
            }
        }
    }

    fn with_policies_of<T>(&mut self, namespace: &str, ask: impl FnOnce(&Cluster) -> T) -> T {
        let Some(policies) = self.policies.get_mut(namespace) else { return ask(&self.scratch) };
        mem::swap(policies, &mut self.scratch.policies);
        let answer = ask(&self.scratch);
        mem::swap(policies, &mut self.scratch.policies);
        answer
    }
}

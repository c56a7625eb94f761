//! Why a pod's connection passes or not ([`crate::why`]): the facts as the objects say them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Cluster, End};
use crate::why::{Facts, PeerFacts, PodFacts};
use crate::{Attempt, NamespacedName, Pod, Why};

impl Cluster {
    /// Why an attempt of, or to, a pod of any node passes or not. `None` where no pod of that name owns an address.
    ///
    /// That a pod whose address is that of another's node may always talk to that other is known to the
    /// [verdict](Cluster::verdict) alone.
    pub fn why(&self, attempt: &Attempt) -> Option<Why> {
        let end = self.end_of(&attempt.pod)?;
        let subject = end.subject?;
        let is_isolating = |policy: &&crate::Policy| {
            let is_of_its = policy.id.namespace == subject.id.namespace && policy.selector.matches(&subject.labels);
            is_of_its && policy.enforcement <= attempt.up_to && policy.rules(attempt.direction).is_some()
        };
        let peer = self.end(attempt.peer);
        let is_asked = |policy: &&crate::ClusterPolicy| policy.enforcement <= attempt.up_to;
        let nodes = self.nodes.values().filter(|node| node.addresses.contains(&attempt.peer));
        let facts = Facts {
            direction: attempt.direction,
            traffic: attempt.traffic,
            subject: self.pod_facts(subject),
            policies: self.policies.values().filter(is_isolating).collect(),
            cluster_policies: self.cluster_policies.values().filter(is_asked).collect(),
            closed: self.closed.contains(&subject.id.namespace),
            peer: PeerFacts {
                address: attempt.peer,
                pod: peer.pod.map(|pod| self.pod_facts(pod)),
                nodes: nodes.map(|node| &node.labels).collect(),
                is_itself: peer.id() == Some(attempt.pod.clone()),
                is_own_node: subject.host_ips.contains(&attempt.peer),
            },
            looks: usize::MAX,
        };
        Some(facts.why())
    }

    /// An address of a pod, by a name that nobody else has.
    fn end_of(&self, id: &NamespacedName) -> Option<End<'_>> {
        let shown = self.pods.get(id).into_iter().flat_map(|pod| pod.ips.iter().copied());
        let sandboxes = self.sandboxes.values().flat_map(|sandbox| sandbox.addresses.iter().copied());
        let lingering = self.lingering.iter().flat_map(|lingering| lingering.pods.keys().copied());
        let addresses: BTreeSet<IpAddr> = shown.chain(sandboxes).chain(lingering).collect();
        addresses.into_iter().map(|address| self.end(address)).find(|end| end.id().as_ref() == Some(id))
    }

    fn pod_facts<'a>(&'a self, pod: &'a Pod) -> PodFacts<'a> {
        let namespace = self.namespaces.get(&pod.id.namespace);
        PodFacts {
            namespace: &pod.id.namespace,
            namespace_labels: namespace.map(|namespace| &namespace.labels),
            labels: &pod.labels,
            ports: &pod.ports,
        }
    }
}

//! The verdict where policies may cost only so much: who is closed differs by node.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::reference::{Cluster, Flow, Verdict};
use palisade_model::{Change, Index, Shares};

/// On how many nodes costs are counted: each takes an index of all objects.
const NODES: usize = 16;

/// Who is closed where, counted only where it matters: where a rule was asked.
pub(super) struct Closings<'a> {
    /// Those of the cluster.
    objects: &'a [Change],
    shares: Shares,
    by_node: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Whether some nodes were left out.
    left_out: bool,
}

impl<'a> Closings<'a> {
    pub(super) fn new(objects: &'a [Change], shares: Shares) -> Self {
        Self { objects, shares, by_node: HashMap::new(), left_out: false }
    }

    /// The verdict on `flow`, each end judged by what holds on its own node.
    pub(super) fn verdict(&mut self, cluster: &mut Cluster, flow: &Flow) -> Verdict {
        cluster.closed.clear();
        let mut verdict = cluster.verdict(flow);
        if self.shares == Shares::UNLIMITED || verdict.pass.is_some() {
            return verdict;
        }
        if verdict.egress.isolated {
            cluster.closed = self.closed_where(cluster, flow.source);
            verdict.egress = cluster.verdict(flow).egress;
        }
        if verdict.ingress.isolated {
            cluster.closed = self.closed_where(cluster, flow.destination);
            verdict.ingress = cluster.verdict(flow).ingress;
        }
        verdict.allowed = verdict.egress.allowed && verdict.ingress.allowed;
        verdict
    }

    /// The namespaces that are closed on the node of the pod that has `address`.
    fn closed_where(&mut self, cluster: &Cluster, address: IpAddr) -> BTreeSet<Arc<str>> {
        let Some(node) = cluster.owner(address).and_then(|pod| pod.node.clone()) else { return BTreeSet::new() };
        if let Some(closed) = self.by_node.get(&node) {
            return closed.clone();
        }
        if self.by_node.len() >= NODES {
            self.left_out = true;
            return BTreeSet::new();
        }
        let mut index = Index::with_shares(node.clone(), self.shares);
        self.objects.iter().for_each(|change| index.apply(change.clone()));
        index.take_delta();
        let closed: BTreeSet<Arc<str>> = index.closed().map(|(namespace, _)| namespace.clone()).collect();
        self.by_node.insert(node, closed.clone());
        closed
    }

    /// What is to be known of that.
    pub(super) fn hint(&self) -> Option<String> {
        self.left_out.then(|| {
            format!("whether a namespace is over its share was looked at on {NODES} nodes alone: --shares unlimited leaves it out")
        })
    }
}

//! The verdict where policies may cost only so much: who is closed differs by node.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::reference::{Cluster, Flow, Verdict};
use palisade_model::{Change, Index, Shares};

/// The verdict on `flow`, each end judged by what holds on its own node. `objects` are those of `cluster`.
///
/// Costs are counted only where it matters: where a rule was asked.
pub(super) fn verdict(cluster: &mut Cluster, objects: &[Change], shares: Shares, flow: &Flow) -> Verdict {
    let mut verdict = cluster.verdict(flow);
    if shares == Shares::UNLIMITED || verdict.pass.is_some() {
        return verdict;
    }
    if verdict.egress.isolated {
        cluster.closed = closed_where(cluster, objects, shares, flow.source);
        verdict.egress = cluster.verdict(flow).egress;
    }
    if verdict.ingress.isolated {
        cluster.closed = closed_where(cluster, objects, shares, flow.destination);
        verdict.ingress = cluster.verdict(flow).ingress;
    }
    verdict.allowed = verdict.egress.allowed && verdict.ingress.allowed;
    verdict
}

/// The namespaces that are closed on the node of the pod that has `address`.
fn closed_where(cluster: &Cluster, objects: &[Change], shares: Shares, address: IpAddr) -> BTreeSet<Arc<str>> {
    let Some(node) = cluster.owner(address).and_then(|pod| pod.node.clone()) else { return BTreeSet::new() };
    let mut index = Index::with_shares(node, shares);
    objects.iter().for_each(|change| index.apply(change.clone()));
    index.take_delta();
    index.closed().map(|(namespace, _)| namespace.clone()).collect()
}

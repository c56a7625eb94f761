//! `palisade render`.

use std::io::Write;

use anyhow::bail;
use palisade_model::{Delta, Index};

use super::{kernel, sources};
use crate::cli::RenderArgs;
use crate::render::{self, Logs, PodRange, Settings};
use crate::shares;

pub(super) fn render(args: &RenderArgs) -> anyhow::Result<()> {
    let node = &args.node;
    let mut index = Index::with_shares(&*node.node_name, node.shares.shares);
    sources::snapshot(&node.source, &node.node_name)?.into_iter().for_each(|change| index.apply(change));
    let delta = index.take_delta();
    let range = sources::pod_range(node)?;
    if args.check {
        tell_outside(&delta, &range)?;
        return check(&index);
    }
    let settings = Settings { range, logs: node.log_group.unwrap_or(Logs::STANDARD) };
    let ruleset = render::render_with(kernel::table(), &delta, settings);
    Ok(write!(std::io::stdout().lock(), "{ruleset}")?)
}

/// Says which pods guarding the range does nothing for: others with such addresses are open until they are known.
fn tell_outside(delta: &Delta, range: &PodRange) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let pods = delta.locals.iter().filter(|_| !range.is_empty());
    for (pod, address) in
        pods.flat_map(|(id, pod)| pod.iter().flat_map(move |pod| pod.addresses.iter().map(move |at| (id, at))))
    {
        if !range.contains(*address) {
            writeln!(out, "not in the pod range: {pod} {address}")?;
        }
    }
    Ok(())
}

/// Says which namespaces are closed, and which cluster policies are refused.
fn check(index: &Index) -> anyhow::Result<()> {
    let closed = shares::closed(index);
    let mut out = std::io::stdout().lock();
    for namespace in &closed {
        writeln!(out, "closed: {namespace}")?;
    }
    let refused: Vec<_> = index.refused_cluster_policies().collect();
    for policy in &refused {
        writeln!(out, "refused: ClusterNetworkPolicy {policy}: with it they would cost more than their share")?;
    }
    if !refused.is_empty() {
        bail!("{} ClusterNetworkPolicies would be refused on {}", refused.len(), index.node());
    }
    if !closed.is_empty() {
        bail!(
            "{} namespaces would be closed on {}: their policies cost more than their share",
            closed.len(),
            index.node()
        );
    }
    Ok(())
}

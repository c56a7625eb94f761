//! Holds what the index puts out against the reference verdict.

use palisade_model::reference::{Cluster, DirectionVerdict, Flow, Pass};
use palisade_model::testing::{NODE, Output, flows, objects};
use palisade_model::{Direction, Index};

/// What a new index puts out for the objects of `cluster`.
#[allow(dead_code, reason = "not every test asks for it")]
pub(crate) fn output(cluster: &Cluster) -> Output {
    let index = Index::new(NODE);
    let mut index = if cluster.lingering.is_some() { index.keep_lingering() } else { index };
    objects(cluster).for_each(|change| index.apply(change));
    Output::new(index.take_full())
}

/// Holds it against the reference for every flow that may differ from others.
pub(crate) fn check_output(cluster: &Cluster, output: &Output) {
    for flow in flows(cluster) {
        let (verdict, audited) = (cluster.verdict(&flow), cluster.audited_verdict(&flow));
        for direction in Direction::ALL {
            check(cluster, output, direction, &flow, [verdict.of(direction), audited.of(direction)], verdict.pass);
        }
    }
}

/// Holds the output against the reference for one end of a flow, as things are and with audited policies.
fn check(
    cluster: &Cluster,
    output: &Output,
    direction: Direction,
    flow: &Flow,
    [reference, audited]: [&DirectionVerdict; 2],
    pass: Option<Pass>,
) {
    let Some(subject) = &reference.subject else { return };
    let (own, peer) = match direction {
        Direction::Egress => (flow.source, flow.destination),
        Direction::Ingress => (flow.destination, flow.source),
    };
    let pod = output.pods.get(subject);
    if cluster.pods.get(subject).is_some_and(|pod| pod.node.as_deref() != Some(NODE)) {
        assert_eq!(pod, None, "{subject} is not local");
        return;
    }
    assert_eq!(pod.is_some_and(|pod| pod.table(direction).is_some()), reference.isolated, "{subject} {direction}");
    assert!(pod.is_none_or(|pod| pod.addresses.contains(&own)), "{subject} owns {own}");
    let allowed = output.allows(subject, direction, peer, flow.traffic, pass);
    assert_eq!(allowed, reference.allowed, "{direction} of {flow:?}: {reference:?}");
    let would_drop = output.would_drop(subject, direction, peer, flow.traffic, pass);
    assert_eq!(would_drop, reference.allowed && !audited.allowed, "{direction} of {flow:?}: {audited:?}");
}

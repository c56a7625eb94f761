//! The tables that the index puts out judge every flow as the reference verdict does.

use std::sync::Arc;

use palisade_model::reference::{Cluster, DirectionVerdict, Flow};
use palisade_model::testing::{NODE, Output, change, changes, flows, many_rules};
use palisade_model::{Change, Direction, Index};
use proptest::prelude::*;

fn output(cluster: &Cluster) -> Output {
    let mut index = Index::new(NODE);
    cluster.namespaces.values().cloned().for_each(|namespace| index.apply(Change::Namespace(namespace)));
    cluster.pods.values().cloned().for_each(|pod| index.apply(Change::Pod(pod)));
    cluster.policies.values().cloned().for_each(|policy| index.apply(Change::Policy(policy)));
    Output::new(index.take_full())
}

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

/// Holds the output against the reference for one end of a flow.
fn check(cluster: &Cluster, output: &Output, direction: Direction, flow: &Flow, reference: &DirectionVerdict) {
    let Some(subject) = &reference.subject else { return };
    let (own, peer) = match direction {
        Direction::Egress => (flow.source, flow.destination),
        Direction::Ingress => (flow.destination, flow.source),
    };
    let pod = output.pods.get(subject);
    if cluster.pods[subject].node.as_deref() != Some(NODE) {
        assert_eq!(pod, None, "{subject} is not local");
        return;
    }
    assert_eq!(pod.is_some_and(|pod| pod.table(direction).is_some()), reference.isolated, "{subject} {direction}");
    assert!(pod.is_none_or(|pod| pod.addresses.contains(&own)), "{subject} owns {own}");
    let allowed = output.allows(subject, direction, peer, flow.traffic);
    assert_eq!(allowed, reference.allowed, "{direction} of {flow:?}: {reference:?}");
}

fn check_all(cluster: &Cluster) {
    let output = output(cluster);
    for flow in flows(cluster) {
        let verdict = cluster.verdict(&flow);
        if verdict.pass.is_none() {
            check(cluster, &output, Direction::Egress, &flow, &verdict.egress);
            check(cluster, &output, Direction::Ingress, &flow, &verdict.ingress);
        }
    }
}

/// A part of the usual number of cases, for tests whose cases are large.
fn fewer_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: (usual.cases / 8).max(1), ..usual }
}

proptest! {
    #[test]
    fn tables_judge_as_the_reference(changes in changes(40)) {
        check_all(&cluster(changes));
    }

    #[test]
    fn tables_are_in_normal_form(policies in prop::collection::vec(many_rules(30), 1..=3)) {
        for direction in Direction::ALL {
            let table = palisade_model::compile(direction, &policies, &[]);
            prop_assert_eq!(&table, &palisade_model::compile(direction, policies.iter().rev(), &[]));
            for segments in table.segments.values() {
                prop_assert!(segments.is_sorted_by(|a, b| a.ports.last() < b.ports.first()));
                for pair in segments.windows(2) {
                    let equal = pair[0].clauses == pair[1].clauses;
                    prop_assert!(!equal || u32::from(pair[0].ports.last()) + 1 < pair[1].ports.first().into());
                    prop_assert!(!equal || Arc::ptr_eq(&pair[0].clauses, &pair[1].clauses));
                }
                prop_assert!(segments.iter().all(|segment| !segment.clauses.is_empty()));
            }
        }
    }
}

proptest! {
    #![proptest_config(fewer_cases())]

    #[test]
    fn overlapping_ranges_judge_as_the_reference(
        objects in prop::collection::vec(change(), 20),
        policies in prop::collection::vec(many_rules(30), 1..=3),
    ) {
        let objects = objects.into_iter().filter(|change| !matches!(change, Change::Policy(_)));
        check_all(&cluster(objects.chain(policies.into_iter().map(Change::Policy))));
    }
}

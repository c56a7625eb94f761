//! The tables that the index puts out judge every flow as the reference verdict does.

mod judge;

use std::sync::Arc;

use judge::{check_output, output};
use palisade_model::reference::Cluster;
use palisade_model::testing::{change, changes, many_rules};
use palisade_model::{Change, Direction};
use proptest::prelude::*;

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

fn check_all(cluster: &Cluster) {
    check_output(cluster, &output(cluster));
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

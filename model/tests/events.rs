//! Long sequences of events in any order, with everything that sources and clusters do to them: what the index has come
//! to change by change is what a new index makes of the end, and judges as the reference does.
//!
//! `PROPTEST_CASES` is the number of sequences: 256, or as many as a soak wants.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use judge::{check_output, output};
use palisade_model::reference::Cluster;
use palisade_model::testing::{NODE, Output, changes};
use palisade_model::{Change, Index, NamespacedName, Pod};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const LENGTH: usize = 150;

/// How many events there were, and of what kinds.
#[derive(Clone, Copy, Debug, Default)]
struct Coverage {
    events: u64,
    /// Objects that are told again as they are, and objects that go although they are not there.
    duplicates: u64,
    /// Objects that are told as they were before: what comes late.
    late: u64,
    /// Pods that claim an address that another has claimed before.
    reuses: u64,
    /// Pods that claim an address that another claims, too.
    rivals: u64,
    /// Such that are of the same second.
    twins: u64,
}

impl Coverage {
    fn of(changes: &[Change]) -> Self {
        let mut coverage = Self::default();
        let mut cluster = Cluster::default();
        let mut told = BTreeSet::<String>::new();
        let mut claimed = BTreeMap::<IpAddr, BTreeSet<NamespacedName>>::new();
        for change in changes {
            coverage.events += 1;
            let before = cluster.clone();
            cluster.apply(change.clone());
            let duplicate = format!("{before:?}") == format!("{cluster:?}");
            coverage.duplicates += u64::from(duplicate);
            coverage.late += u64::from(!told.insert(format!("{change:?}")) && !duplicate);
            if let Change::Pod(pod) = change {
                coverage.add_claims(pod, &before, &claimed);
                for ip in &pod.ips {
                    claimed.entry(*ip).or_default().insert(pod.id.clone());
                }
            }
        }
        coverage
    }

    fn add_claims(&mut self, pod: &Pod, before: &Cluster, claimed: &BTreeMap<IpAddr, BTreeSet<NamespacedName>>) {
        let others = |ip: &IpAddr| claimed.get(ip).is_some_and(|ids| ids.iter().any(|id| *id != pod.id));
        self.reuses += u64::from(pod.ips.iter().any(others));
        let rival = |other: &&Pod| other.id != pod.id && other.ips.iter().any(|ip| pod.ips.contains(ip));
        let rivals: Vec<&Pod> = before.pods.values().filter(rival).collect();
        self.rivals += u64::from(!rivals.is_empty());
        self.twins += u64::from(rivals.iter().any(|other| other.age.created == pod.age.created));
    }

    fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            duplicates: self.duplicates + other.duplicates,
            late: self.late + other.late,
            reuses: self.reuses + other.reuses,
            rivals: self.rivals + other.rivals,
            twins: self.twins + other.twins,
        }
    }
}

/// The index that takes its output at `takes`, and at the end.
fn incremental(changes: &[Change], takes: &[bool]) -> Output {
    let (mut index, mut output) = (Index::new(NODE), Output::default());
    for (change, take) in changes.iter().zip(takes.iter().chain(std::iter::repeat(&false))) {
        index.apply(change.clone());
        if *take {
            output.apply(index.take_delta());
        }
    }
    output.apply(index.take_delta());
    output
}

#[test]
fn incremental_equals_fresh_equals_reference() {
    let coverage = Cell::new(Coverage::default());
    let sequences = (changes(LENGTH), vec(any::<bool>(), LENGTH));
    let result = TestRunner::new(Config::with_source_file(file!())).run(&sequences, |(changes, takes)| {
        coverage.set(coverage.get().plus(Coverage::of(&changes)));
        let mut cluster = Cluster::default();
        changes.iter().cloned().for_each(|change| cluster.apply(change));
        let output_so_far = incremental(&changes, &takes);
        prop_assert_eq!(&output_so_far, &output(&cluster));
        check_output(&cluster, &output_so_far);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let coverage = coverage.get();
    println!("{coverage:?}");
    let Coverage { events, duplicates, late, reuses, rivals, twins } = coverage;
    for (what, count) in
        [("duplicate", duplicates), ("late", late), ("reuse", reuses), ("rival", rivals), ("twin", twins)]
    {
        assert!(count * 50 > events, "only {count} of {events} events are of kind `{what}`");
    }
}

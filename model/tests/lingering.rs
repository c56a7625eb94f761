//! A deleted pod of this node is judged until its address is another pod's, or is released.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use judge::check_output;
use palisade_model::reference::{Cluster, Lingering};
use palisade_model::testing::{NODE, Output, bare_pod, changes, objects};
use palisade_model::{Age, Change, Enforcement, Index, NamespacedName, Pod, Policy, Selector};
use proptest::prelude::*;

fn cluster() -> Cluster {
    Cluster { lingering: Some(Lingering { node: NODE.into(), pods: BTreeMap::new() }), ..Cluster::default() }
}

fn index() -> Index {
    Index::new(NODE).keep_lingering()
}

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

fn lingering(cluster: &Cluster) -> BTreeMap<IpAddr, NamespacedName> {
    let pods = cluster.lingering.iter().flat_map(|lingering| &lingering.pods);
    pods.map(|(address, pod)| (*address, pod.id.clone())).collect()
}

proptest! {
    #[test]
    fn incremental_equals_fresh_equals_reference(
        changes in changes(60),
        takes in prop::collection::vec(prop::bool::weighted(0.3), 60),
        releases in prop::collection::vec(prop::option::weighted(0.1, 1..6_u8), 60),
    ) {
        let (mut index, mut cluster, mut output) = (index(), cluster(), Output::default());
        for ((change, take), release) in changes.into_iter().zip(takes).zip(releases) {
            cluster.apply(change.clone());
            index.apply(change);
            if let Some(last) = release {
                let address = IpAddr::from([10, 0, 0, last]);
                cluster.release(&BTreeSet::from([address]));
                index.release(address);
            }
            prop_assert_eq!(index.lingering(), &lingering(&cluster));
            if take {
                output.apply(index.take_delta());
                prop_assert_eq!(&output, &judge::output(&cluster));
                check_output(&cluster, &output);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As `palisade diff` takes them from the agent.
    #[test]
    fn who_is_told_of_lingering_pods_judges_them_alike(changes in changes(60)) {
        let (mut told, mut cluster) = (index(), cluster());
        for change in changes {
            cluster.apply(change.clone());
            told.apply(change);
        }
        let mut other = Index::new(NODE);
        objects(&cluster).for_each(|change| other.apply(change));
        told.lingering_pods().for_each(|pod| other.set_lingering(&pod));
        prop_assert_eq!(other.lingering(), told.lingering());
        prop_assert_eq!(Output::new(other.take_full()), Output::new(told.take_full()));
    }
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

fn web(ip: &str, created: i64) -> Change {
    let age = Age { created, revision: created.unsigned_abs() };
    Change::Pod(Pod { node: Some(NODE.into()), age, ..bare_pod(id("web-0"), [address(ip)]) })
}

/// An index of the local pod `web-0` at 10.0.0.1, which nothing may call.
fn shop() -> Index {
    let mut index = index();
    let deny = Policy {
        id: id("deny"),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(vec![]),
        egress: None,
    };
    index.apply(web("10.0.0.1", 1));
    index.apply(Change::Policy(deny));
    index
}

/// By whose name each address is judged.
fn judged(index: &mut Index) -> Vec<(String, String)> {
    Output::new(index.take_full()).judged()
}

fn expected(pods: &[(&str, &str)]) -> Vec<(String, String)> {
    pods.iter().map(|(address, name)| ((*address).to_owned(), (*name).to_owned())).collect()
}

const DELETED: (&str, &str) = ("10.0.0.1", "web-0 (deleted, 10.0.0.1)");

#[test]
fn a_deleted_pod_is_judged_until_its_address_is_released() {
    let mut index = shop();
    index.apply(Change::PodGone(id("web-0")));
    assert_eq!(judged(&mut index), expected(&[DELETED]));
    assert_eq!(index.size().pods, 0, "the pod is gone");
    index.release(address("10.0.0.1"));
    assert_eq!(judged(&mut index), []);
}

#[test]
fn it_loses_its_address_when_it_is_released_and_not_before() {
    let mut index = shop();
    let at = address("10.0.0.1");
    index.take_delta();
    index.apply(Change::PodGone(id("web-0")));
    assert_eq!(index.take_delta().disowned, BTreeSet::new());
    index.release(at);
    assert_eq!(index.take_delta().disowned, BTreeSet::from([at]));
    index.apply(web("10.0.0.1", 2));
    index.take_delta();
    for change in [Change::PodGone(id("web-0")), web("10.0.0.1", 3), Change::PodGone(id("web-0"))] {
        index.apply(change);
    }
    assert_eq!(index.take_delta().disowned, BTreeSet::from([at]), "who lingers is not who had it");
}

#[test]
fn its_successor_of_the_same_name_is_judged_beside_it() {
    for gone in [true, false] {
        let mut index = shop();
        if gone {
            index.apply(Change::PodGone(id("web-0")));
        }
        index.apply(web("10.0.0.2", 2));
        assert_eq!(judged(&mut index), expected(&[("10.0.0.2", "web-0"), DELETED]), "{gone}");
        index.apply(web("10.0.0.1", 3));
        let deleted = ("10.0.0.2", "web-0 (deleted, 10.0.0.2)");
        assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "web-0"), deleted]), "the address is taken: {gone}");
    }
}

#[test]
fn who_has_ended_does_not_linger_and_neither_does_an_address_that_was_given_back() {
    let mut index = shop();
    index.apply(web("10.0.0.2", 1));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.2", "web-0")]), "the same pod in a new sandbox");
    let Change::Pod(pod) = web("10.0.0.2", 1) else { unreachable!() };
    index.apply(Change::Pod(Pod { phase: palisade_model::Phase::Finished, ..pod }));
    index.apply(Change::PodGone(id("web-0")));
    assert_eq!(judged(&mut index), []);
}

#[test]
fn without_being_asked_to_nothing_lingers() {
    let mut index = Index::new(NODE);
    index.apply(web("10.0.0.1", 1));
    index.apply(Change::PodGone(id("web-0")));
    assert!(index.lingering().is_empty());
}

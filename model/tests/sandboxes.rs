//! What the node itself says of addresses goes before what the API says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::collections::BTreeSet;
use std::net::IpAddr;

use judge::check_output;
use palisade_model::reference::Cluster;
use palisade_model::testing::{NODE, Output, bare_pod, changes, objects, pod};
use palisade_model::{Age, Change, Enforcement, Index, NamespacedName, Phase, Pod, Policy, Sandbox, Selector};
use proptest::prelude::*;
use proptest::sample::select;

/// What the network plugin does.
#[derive(Clone, Debug)]
enum Deed {
    Nothing,
    Add(Sandbox),
    Del(&'static str),
}

const IDS: [&str; 3] = ["s0", "s1", "s2"];
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"];

fn deed() -> impl Strategy<Value = Deed> {
    let addresses = prop::collection::btree_set(select(&ADDRESSES[..]), 0..=2);
    let add = (select(&IDS[..]), pod(), addresses).prop_map(|(id, pod, addresses)| {
        Deed::Add(Sandbox { id: id.into(), pod, addresses: addresses.into_iter().map(address).collect() })
    });
    prop_oneof![4 => Just(Deed::Nothing), 2 => add, 1 => select(&IDS[..]).prop_map(Deed::Del)]
}

fn cluster() -> Cluster {
    Cluster { node: NODE.into(), ..Cluster::default() }
}

/// A new index fed with all that there is, and with what was given back.
fn fresh(cluster: &Cluster) -> Index {
    let mut index = Index::new(NODE);
    objects(cluster).for_each(|change| index.apply(change));
    for (id, addresses) in &cluster.given_back {
        let addresses = addresses.iter().copied().collect();
        index.set_sandbox(Sandbox { id: "gone".into(), pod: cluster.pods[id].clone(), addresses });
        index.drop_sandbox("gone");
    }
    cluster.sandboxes.values().for_each(|sandbox| index.set_sandbox(sandbox.clone()));
    index
}

proptest! {
    #[test]
    fn incremental_equals_fresh_equals_reference(
        changes in changes(60),
        deeds in prop::collection::vec(deed(), 60),
        takes in prop::collection::vec(prop::bool::weighted(0.3), 60),
    ) {
        let (mut index, mut cluster, mut output) = (Index::new(NODE), cluster(), Output::default());
        for ((change, deed), take) in changes.into_iter().zip(deeds).zip(takes) {
            cluster.apply(change.clone());
            index.apply(change);
            match deed {
                Deed::Nothing => {}
                Deed::Add(sandbox) => {
                    cluster.set_sandbox(sandbox.clone());
                    index.set_sandbox(sandbox);
                }
                Deed::Del(id) => {
                    cluster.drop_sandbox(id);
                    index.drop_sandbox(id);
                }
            }
            prop_assert_eq!(index.sandboxes(), &cluster.sandboxes);
            if take {
                let mut fresh = fresh(&cluster);
                output.apply(index.take_delta());
                prop_assert_eq!(&output, &Output::new(fresh.take_full()));
                prop_assert_eq!(index.size(), fresh.size());
                check_output(&cluster, &output);
            }
        }
        cluster.pods.into_keys().for_each(|id| index.apply(Change::PodGone(id)));
        cluster.namespaces.into_keys().for_each(|name| index.apply(Change::NamespaceGone(name)));
        cluster.policies.into_keys().for_each(|id| index.apply(Change::PolicyGone(id)));
        cluster.cluster_policies.into_keys().for_each(|name| index.apply(Change::ClusterPolicyGone(name)));
        cluster.nodes.into_keys().for_each(|name| index.apply(Change::NodeGone(name)));
        IDS.iter().for_each(|id| index.drop_sandbox(id));
        prop_assert_eq!(Output::new(index.take_full()), Output::default());
        prop_assert_eq!(index.size(), Index::new(NODE).size());
    }
}

fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// A pod of this node; the API shows no address of it where `ips` has none.
fn web(uid: &str, ips: &[&str]) -> Pod {
    let (uid, node) = (Some(uid.into()), Some(NODE.into()));
    Pod { uid, node, ..bare_pod(id("web"), ips.iter().map(|ip| address(ip))) }
}

fn sandbox(id: &str, pod: Pod, ip: &str) -> Sandbox {
    Sandbox { id: id.into(), pod, addresses: vec![address(ip)] }
}

/// An index in which nothing may call any pod of `shop`.
fn shop() -> Index {
    let mut index = Index::new(NODE);
    let deny = Policy {
        id: id("deny"),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(vec![]),
        egress: None,
    };
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

#[test]
fn a_pod_is_judged_before_the_api_shows_its_address() {
    let mut index = shop();
    index.apply(Change::Pod(web("1", &[])));
    assert_eq!(judged(&mut index), []);
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "web")]));
    assert_eq!((index.size().sandboxes, index.size().lone_sandboxes, index.size().local_pods), (1, 0, 1));
}

#[test]
fn no_claim_of_the_api_prevails_over_a_sandbox() {
    let mut index = shop();
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.apply(Change::Pod(web("1", &["10.0.0.7"])));
    let age = Age { revision: 99, created: 99 };
    for node in [NODE, "elsewhere"] {
        let thief = bare_pod(id("thief"), [address("10.0.0.1")]);
        index.apply(Change::Pod(Pod { node: Some(node.into()), age, ..thief }));
        assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "web")]), "{node}");
    }
}

#[test]
fn a_pod_is_judged_until_its_sandbox_is_gone_however_it_was_deleted() {
    let lone = [("10.0.0.1", "web (sandbox s)")];
    let mut index = shop();
    index.apply(Change::Pod(web("1", &[])));
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.take_delta();
    index.apply(Change::PodGone(id("web")));
    assert!(index.take_delta().disowned.is_empty(), "its connections are its own");
    assert_eq!(judged(&mut index), expected(&lone));
    index.apply(Change::Pod(web("2", &["10.0.0.2"])));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.2", "web"), lone[0]]), "beside its successor");
    index.drop_sandbox("s");
    assert_eq!(index.take_delta().disowned, BTreeSet::from([address("10.0.0.1")]));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.2", "web")]));
}

#[test]
fn what_was_given_back_is_nobodys_though_the_api_shows_it() {
    let mut index = shop();
    index.apply(Change::Pod(web("1", &["10.0.0.1"])));
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.drop_sandbox("s");
    assert_eq!(judged(&mut index), []);
    index.apply(Change::Pod(web("1", &["10.0.0.2"])));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.2", "web")]), "in a new sandbox, without the plugin");
    index.apply(Change::Pod(web("2", &["10.0.0.1"])));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "web")]), "another pod");
}

#[test]
fn an_address_is_that_sandboxs_which_was_given_it_last() {
    let mut index = shop();
    index.apply(Change::Pod(web("1", &[])));
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.take_delta();
    let next = Pod { id: id("next"), ..web("3", &[]) };
    index.apply(Change::Pod(next.clone()));
    index.set_sandbox(sandbox("t", next, "10.0.0.1"));
    assert_eq!(index.take_delta().disowned, BTreeSet::from([address("10.0.0.1")]));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "next")]));
    index.drop_sandbox("t");
    assert_eq!(judged(&mut index), [], "it does not come back");
}

#[test]
fn what_was_given_back_counts_as_shown_when_the_pod_is_no_longer_of_this_node() {
    let aged = |pod: Pod, revision| Pod { age: Age { revision, ..pod.age }, ..pod };
    let elsewhere = |pod: Pod| Pod { node: None, ..pod };
    let (mut index, mut cluster) = (shop(), cluster());
    let both = |change: Change, index: &mut Index, cluster: &mut Cluster| {
        cluster.apply(change.clone());
        index.apply(change);
    };
    both(Change::Pod(aged(web("1", &["10.0.0.1"]), 2)), &mut index, &mut cluster);
    let other = Pod { id: id("other"), ..elsewhere(aged(web("2", &["10.0.0.1"]), 1)) };
    both(Change::Pod(other), &mut index, &mut cluster);
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    cluster.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.drop_sandbox("s");
    cluster.drop_sandbox("s");
    both(Change::Pod(elsewhere(web("1", &["10.0.0.1"]))), &mut index, &mut cluster);
    assert_eq!(Output::new(index.take_full()), Output::new(fresh(&cluster).take_full()));
    assert_eq!(index.conflicts(), fresh(&cluster).conflicts());
}

#[test]
fn who_has_ended_is_judged_while_there_is_a_sandbox() {
    let mut index = shop();
    index.set_sandbox(sandbox("s", web("1", &[]), "10.0.0.1"));
    index.apply(Change::Pod(Pod { phase: Phase::Finished, ..web("1", &[]) }));
    assert_eq!(judged(&mut index), expected(&[("10.0.0.1", "web")]));
}

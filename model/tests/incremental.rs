//! After any sequence of changes the index's output is that of a new index fed with the final objects.

use std::collections::BTreeSet;

use palisade_model::reference::Cluster;
use palisade_model::testing::{NODE, Output, changes};
use palisade_model::{Change, Index};
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Copy, Debug)]
enum Take {
    Nothing,
    Delta,
    Full,
}

/// A new index fed with the objects of `cluster`, policies first.
fn fresh(cluster: Cluster) -> Index {
    let mut index = Index::new(NODE);
    let nodes = cluster.nodes.into_values().map(Change::Node);
    let policies = cluster.policies.into_values().map(Change::Policy);
    let policies = policies.chain(cluster.cluster_policies.into_values().map(Change::ClusterPolicy));
    let pods = cluster.pods.into_values().rev().map(Change::Pod);
    let namespaces = cluster.namespaces.into_values().map(Change::Namespace);
    policies.chain(pods).chain(nodes).chain(namespaces).for_each(|change| index.apply(change));
    index
}

proptest! {
    #[test]
    fn incremental_equals_fresh(
        changes in changes(60),
        takes in prop::collection::vec(select(&[Take::Nothing, Take::Nothing, Take::Delta, Take::Full][..]), 60),
    ) {
        let (mut index, mut cluster, mut output) = (Index::new(NODE), Cluster::default(), Output::default());
        for (change, take) in changes.into_iter().zip(takes) {
            cluster.apply(change.clone());
            index.apply(change);
            match take {
                Take::Nothing => continue,
                Take::Delta => output.apply(index.take_delta()),
                Take::Full => output = Output::new(index.take_full()),
            }
            let mut fresh = fresh(cluster.clone());
            prop_assert_eq!(&output, &Output::new(fresh.take_full()));
            prop_assert_eq!(index.size(), fresh.size());
            prop_assert!(index.take_delta().is_empty());
        }
    }

    /// Whose turn it is when makes no difference in the end, and no pod is judged at an address that is another's meanwhile.
    #[test]
    fn namespaces_may_come_in_turns(
        changes in changes(60),
        turns in prop::collection::vec(prop::option::of(0..4_usize), 60),
    ) {
        let (mut index, mut cluster, mut output) = (Index::new(NODE), Cluster::default(), Output::default());
        for (change, turn) in changes.into_iter().zip(turns) {
            cluster.apply(change.clone());
            index.apply(change);
            let Some(turn) = turn else { continue };
            let unsettled: Vec<_> = index.unsettled().into_iter().collect();
            let whose = unsettled.get(turn).cloned();
            output.apply(index.take_delta_of(|namespace| whose.as_deref() == Some(namespace)));
            prop_assert!(whose.is_none_or(|whose| !index.unsettled().contains(&whose)));
            let judged: Vec<_> = output.pods.values().flat_map(|pod| &pod.addresses).collect();
            let owned: BTreeSet<_> = output.locals.values().flat_map(|pod| &pod.addresses).collect();
            prop_assert!(judged.iter().all(|address| owned.contains(address)));
            prop_assert_eq!(judged.iter().collect::<BTreeSet<_>>().len(), judged.len());
        }
        output.apply(index.take_delta());
        prop_assert_eq!(&output, &Output::new(fresh(cluster).take_full()));
        prop_assert!(index.unsettled().is_empty() && index.take_delta().is_empty());
    }

    #[test]
    fn nothing_is_left_of_objects_that_are_gone(changes in changes(40)) {
        let (mut index, mut cluster) = (Index::new(NODE), Cluster::default());
        for change in changes {
            cluster.apply(change.clone());
            index.apply(change);
            index.take_delta();
        }
        cluster.pods.into_keys().for_each(|id| index.apply(Change::PodGone(id)));
        cluster.namespaces.into_keys().for_each(|name| index.apply(Change::NamespaceGone(name)));
        cluster.policies.into_keys().for_each(|id| index.apply(Change::PolicyGone(id)));
        cluster.cluster_policies.into_keys().for_each(|name| index.apply(Change::ClusterPolicyGone(name)));
        cluster.nodes.into_keys().for_each(|name| index.apply(Change::NodeGone(name)));
        prop_assert_eq!(Output::new(index.take_full()), Output::default());
        prop_assert_eq!(index.size(), Index::new(NODE).size());
    }
}

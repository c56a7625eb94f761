//! Policies that only watch change nothing of what is enforced, and say what they would drop.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use judge::{check_output, output};
use palisade_model::reference::Cluster;
use palisade_model::testing::{
    NODE, Output, bare_pod, change, changes, cluster_policy, flows, objects, shares, without_audited,
};
use palisade_model::{
    Audit, Change, Clause, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Cost, Delta, Direction, Enforcement,
    Index, NamespaceScope, NamespacedName, PeerMatch, Peers, Pod, PodEnforcement, PodGroup, Policy, Ports, Rule,
    Selector, Shares, Table, Tier, TierAction, Verdict,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

/// The same cluster, where audited policies are enforced.
fn all_enforced(mut cluster: Cluster) -> Cluster {
    cluster.policies.values_mut().for_each(|policy| policy.enforcement = Enforcement::Enforced);
    cluster.cluster_policies.values_mut().for_each(|policy| policy.enforcement = Enforcement::Enforced);
    cluster
}

/// What judges pods, audits aside.
fn judged(output: &Output) -> BTreeMap<NamespacedName, PodEnforcement> {
    let without_audit = |pod: &PodEnforcement| PodEnforcement { audit: BTreeMap::new(), ..pod.clone() };
    let pods = output.pods.iter().map(|(id, pod)| (id.clone(), without_audit(pod)));
    pods.filter(|(_, pod)| Direction::ALL.into_iter().any(|direction| pod.is_judged(direction))).collect()
}

/// The change without rules that allow everything.
fn narrowed(change: Change) -> Change {
    let Change::Policy(mut policy) = change else { return change };
    for rules in [&mut policy.ingress, &mut policy.egress].into_iter().flatten() {
        rules.retain(|rule| rule.peers != Peers::All || rule.ports != Ports::All);
    }
    Change::Policy(policy)
}

/// Whether a table lets everything through.
fn is_open(table: &Table) -> bool {
    table.always.contains(&Clause { peers: PeerMatch::All, verdict: Verdict::Accept })
}

proptest! {
    #[test]
    fn what_is_enforced_is_as_if_audited_policies_were_not_there(changes in changes(40)) {
        let audited = cluster(changes);
        let enforced = without_audited(&audited);
        let (with, without) = (output(&audited), output(&enforced));
        prop_assert_eq!(judged(&with), without.pods);
        for (key, table) in &without.tables {
            prop_assert_eq!(&with.tables[key], table);
        }
        for (key, table) in &without.tiers {
            prop_assert_eq!(&with.tiers[key], table);
        }
        let all = all_enforced(audited.clone());
        for flow in flows(&audited) {
            prop_assert_eq!(audited.verdict(&flow), enforced.verdict(&flow));
            prop_assert_eq!(audited.audited_verdict(&flow), all.verdict(&flow));
        }
    }

    #[test]
    fn audits_say_what_the_reference_would_drop(changes in many_policies()) {
        let cluster = cluster(changes);
        check_output(&cluster, &output(&cluster));
    }

    /// Audits close nobody, and where they are left out nothing lets more through.
    #[test]
    fn audits_have_what_is_left(changes in changes(40), shares in shares()) {
        let cluster = cluster(changes);
        let fresh = |cluster: &Cluster| {
            let mut index = Index::with_shares(NODE, shares);
            objects(cluster).for_each(|change| index.apply(change));
            index
        };
        let [mut audited, mut enforced] = [fresh(&cluster), fresh(&without_audited(&cluster))];
        let [with, without] = [&mut audited, &mut enforced].map(|index| Output::new(index.take_full()));
        prop_assert!(audited.closed().eq(enforced.closed()));
        for (key, table) in &without.tables {
            prop_assert_eq!(&with.tables[key], table, "{:?}", key);
        }
    }

    /// An audit that is left out lets everything through: no pod is ever judged by that, whoever's turn it is.
    #[test]
    fn nobody_is_judged_by_what_is_left_out(
        changes in changes(60),
        turns in vec(prop::option::of(0..4_usize), 60),
        shares in shares(),
    ) {
        let (mut index, mut output) = (Index::with_shares(NODE, shares), Output::default());
        for (change, turn) in changes.into_iter().zip(turns) {
            index.apply(narrowed(change));
            let Some(turn) = turn else { continue };
            let whose = index.unsettled().into_iter().nth(turn);
            output.apply(index.take_delta_of(|namespace| whose.as_deref() == Some(namespace)));
            for key in output.pods.values().flat_map(|pod| [&pod.egress, &pod.ingress]).flatten() {
                prop_assert!(!is_open(&output.tables[key]), "{:?}", key);
            }
        }
    }
}

/// Changes that lead to clusters with many policies, above all cluster policies.
fn many_policies() -> impl Strategy<Value = Vec<Change>> {
    let policies = vec(cluster_policy(6).prop_map(Change::ClusterPolicy), 2..=6);
    (vec(change(), 30), policies).prop_map(|(changes, policies)| changes.into_iter().chain(policies).collect())
}

/// The clusters of these tests have policies whose enforcement would drop something, of both kinds.
#[test]
fn much_would_be_dropped() {
    let counts = Cell::new([0_u32; 3]);
    let mut runner = TestRunner::new(Config { cases: 128, ..Config::with_source_file(file!()) });
    let result = runner.run(&many_policies(), |changes| {
        let mut policies = cluster(changes);
        let mut cluster_policies = policies.clone();
        policies.cluster_policies.retain(|_, policy| !policy.is_audited());
        cluster_policies.policies.retain(|_, policy| !policy.is_audited());
        let would_drop = |cluster: &Cluster| {
            let of_flow = |flow| Direction::ALL.into_iter().any(|direction| cluster.would_drop(&flow, direction));
            u32::from(flows(cluster).into_iter().any(of_flow))
        };
        let [clusters, by_policies, by_cluster_policies] = counts.get();
        counts.set([
            clusters + 1,
            by_policies + would_drop(&policies),
            by_cluster_policies + would_drop(&cluster_policies),
        ]);
        Ok(())
    });
    result.unwrap();
    let [clusters, by_policies, by_cluster_policies] = counts.get();
    println!("of {clusters} clusters {by_policies}, {by_cluster_policies} by cluster policies");
    assert!(by_policies * 16 > clusters && by_cluster_policies * 64 > clusters);
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// `name` lets nothing in.
fn deny(name: &str, enforcement: Enforcement) -> Policy {
    Policy { id: id(name), enforcement, selector: Selector::default(), ingress: Some(vec![]), egress: None }
}

/// `name` denies all pods that a pod sends anything to.
fn deny_egress(name: &str, tier: Tier, enforcement: Enforcement) -> ClusterPolicy {
    let everyone = || PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() };
    let rule = ClusterRule {
        name: None,
        action: TierAction::Deny,
        peers: ClusterPeers::AnyOf(vec![ClusterPeer::Pods(everyone())]),
        ports: Ports::All,
    };
    let name = name.into();
    let namespaces = NamespaceScope::Named("shop".into());
    let subject = PodGroup { namespaces, ..everyone() };
    ClusterPolicy { name, enforcement, tier, priority: 0, subject, ingress: vec![], egress: vec![rule] }
}

/// An index of the local pod `web`, with these policies.
fn shop(policies: impl IntoIterator<Item = Change>) -> Index {
    let mut index = Index::new(NODE);
    let web = bare_pod(id("web"), ["10.0.0.1".parse().unwrap()]);
    index.apply(Change::Pod(Pod { node: Some(NODE.into()), ..web }));
    policies.into_iter().for_each(|policy| index.apply(policy));
    index
}

fn web(delta: &Delta) -> &PodEnforcement {
    delta.pods[&id("web")].as_ref().unwrap()
}

fn names(audit: &Audit) -> Vec<Arc<str>> {
    audit.table.iter().flat_map(|key| &key.policies).map(|policy| policy.name.clone()).collect()
}

#[test]
fn a_pod_that_only_audited_policies_select_is_watched_and_not_isolated() {
    let mut index = shop([deny("one", Enforcement::Audited), deny("two", Enforcement::Audited)].map(Change::Policy));
    let delta = index.take_delta();
    assert!(!Direction::ALL.into_iter().any(|direction| web(&delta).is_judged(direction)));
    assert_eq!(names(web(&delta).audit(Direction::Ingress).unwrap()), ["one".into(), "two".into()]);
    assert_eq!(web(&delta).audit(Direction::Egress), None);
    assert_eq!((index.size().isolated_pods, index.size().tables), (0, 1));
}

/// More policies only allow more: where one isolates, another drops nothing.
#[test]
fn where_a_policy_isolates_an_audited_one_has_nothing_to_say() {
    let mut index = shop([Change::Policy(deny("one", Enforcement::Enforced))]);
    index.take_delta();
    let all = Rule { peers: Peers::All, ports: Ports::All };
    index.apply(Change::Policy(Policy { ingress: Some(vec![all]), ..deny("two", Enforcement::Audited) }));
    assert!(index.take_delta().is_empty());
    index.apply(Change::PolicyGone(id("one")));
    assert_eq!(names(web(&index.take_delta()).audit(Direction::Ingress).unwrap()), ["two".into()]);
}

/// The table that was its audit judges the pod, in one delta; and back.
#[test]
fn to_enforce_what_was_audited_moves_the_pod_alone() {
    let mut index = shop([Change::Policy(deny("one", Enforcement::Audited))]);
    let before = index.take_delta();
    index.apply(Change::Policy(deny("one", Enforcement::Enforced)));
    let enforced = index.take_delta();
    assert_eq!(web(&enforced).ingress, web(&before).audit(Direction::Ingress).unwrap().table);
    assert_eq!(web(&enforced).audit(Direction::Ingress), None);
    assert!(enforced.tables.is_empty() && enforced.sets.is_empty());
    assert_eq!(index.size().isolated_pods, 1);
    index.apply(Change::Policy(deny("one", Enforcement::Audited)));
    assert_eq!(web(&index.take_delta()), web(&before));
}

#[test]
fn the_audit_of_a_cluster_policy_holds_what_is_enforced_beside_it() {
    let mut index = shop([
        Change::Policy(Policy { ingress: None, egress: Some(vec![]), ..deny("enforced", Enforcement::Enforced) }),
        Change::ClusterPolicy(deny_egress("first", Tier::Admin, Enforcement::Enforced)),
        Change::ClusterPolicy(deny_egress("watched", Tier::Admin, Enforcement::Audited)),
        Change::ClusterPolicy(deny_egress("never-asked", Tier::Baseline, Enforcement::Audited)),
    ]);
    let delta = index.take_delta();
    let pod = web(&delta);
    let audit = pod.audit(Direction::Egress).unwrap();
    assert_eq!(pod.tiers.iter().flat_map(|key| &key.policies).collect::<Vec<_>>(), [&"first".into()]);
    let both: [Arc<str>; 2] = ["first".into(), "watched".into()];
    assert_eq!(audit.tier(Tier::Admin).unwrap().policies, both);
    assert_eq!((audit.tier(Tier::Baseline), &audit.table), (None, &pod.egress));
    index.apply(Change::ClusterPolicyGone("watched".into()));
    assert_eq!(web(&index.take_delta()).audit(Direction::Egress), None, "the pod is isolated: Baseline is not asked");
    index.apply(Change::PolicyGone(id("enforced")));
    let delta = index.take_delta();
    let audit = web(&delta).audit(Direction::Egress).unwrap();
    assert!(audit.tier(Tier::Baseline).is_some() && audit.table.is_none());
    index.apply(Change::ClusterPolicy(deny_egress("never-asked", Tier::Baseline, Enforcement::Enforced)));
    let delta = index.take_delta();
    assert_eq!(web(&delta).audit(Direction::Egress), None);
    assert!(web(&delta).tier(Direction::Egress, Tier::Baseline).is_some());
}

/// What the kernel does not take is first the audit's, then the namespace's.
#[test]
fn a_refused_namespace_loses_its_audit_first() {
    let out = Policy { ingress: None, egress: Some(vec![]), ..deny("out", Enforcement::Enforced) };
    let mut index = shop([deny("in", Enforcement::Audited), out].map(Change::Policy));
    let mut output = Output::new(index.take_delta());
    let closed = |index: &Index| (index.closed().count(), index.audits_left_out().count());
    for (expected, is_left_out) in [((0, 1), true), ((1, 1), true)] {
        index.refuse(&"shop".into());
        output.apply(index.take_delta());
        assert_eq!(closed(&index), expected);
        let audit = output.pods[&id("web")].audit(Direction::Ingress).unwrap().table.clone().unwrap();
        assert_eq!(is_open(&output.tables[&audit]), is_left_out);
    }
    index.readmit();
    output.apply(index.take_delta());
    assert_eq!(closed(&index), (0, 0));
}

/// Cluster policies that are enforced come first, whatever they cost.
#[test]
fn of_cluster_policies_audited_ones_have_what_is_left() {
    let shares = Shares { cluster: Cost { chains: 1, ..Cost::UNLIMITED }, ..Shares::UNLIMITED };
    let mut index = Index::with_shares(NODE, shares);
    let web = bare_pod(id("web"), ["10.0.0.1".parse().unwrap()]);
    index.apply(Change::Pod(Pod { node: Some(NODE.into()), ..web }));
    let enforced = deny_egress("b", Tier::Admin, Enforcement::Enforced);
    let twice = ClusterPolicy { egress: [enforced.egress.clone(), enforced.egress.clone()].concat(), ..enforced };
    index.apply(Change::ClusterPolicy(deny_egress("a", Tier::Admin, Enforcement::Audited)));
    index.apply(Change::ClusterPolicy(twice));
    let delta = index.take_delta();
    assert_eq!(index.refused_cluster_policies().collect::<Vec<_>>(), [&"a".into()]);
    assert!(delta.pods[&id("web")].as_ref().unwrap().tier(Direction::Egress, Tier::Admin).is_some());
}

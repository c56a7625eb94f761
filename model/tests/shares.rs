//! Namespaces whose policies cost more than their share are closed, and nobody else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod judge;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use judge::check_output;
use palisade_model::reference::Cluster;
use palisade_model::testing::workload::{Shape, Size, Workload};
use palisade_model::testing::{NODE, Output, bare_pod, changes, objects, shares, without_audited};
use palisade_model::{
    Change, Clause, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Cost, Enforcement, Index, Limit,
    NamespaceScope, NamespacedName, PeerMatch, Peers, Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol,
    Requirement, Rule, Selector, SetKey, Shares, Table, TableKey, Tier, TierAction, Verdict,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A new index fed with the objects of `cluster`, policies first or last.
fn fresh(cluster: &Cluster, shares: Shares, policies_first: bool) -> Index {
    let mut index = Index::with_shares(NODE, shares);
    let mut changes: Vec<Change> = objects(cluster).collect();
    if policies_first {
        changes.reverse();
    }
    changes.into_iter().for_each(|change| index.apply(change));
    index
}

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

fn closed(index: &Index) -> BTreeMap<Arc<str>, Limit> {
    index.closed().map(|(namespace, closed)| (namespace.clone(), closed.limit)).collect()
}

fn left_out(index: &Index) -> BTreeMap<Arc<str>, Limit> {
    index.audits_left_out().map(|(namespace, closed)| (namespace.clone(), closed.limit)).collect()
}

/// The tables that judge pods, and those that only audits need.
fn by_purpose(output: &Output) -> [Vec<&TableKey>; 2] {
    let judging: BTreeSet<_> = output.pods.values().flat_map(|pod| [&pod.egress, &pod.ingress]).flatten().collect();
    let keys = || output.tables.keys();
    let of = |judges: bool| keys().filter(|key| judging.contains(key) == judges).map(|key| &**key).collect();
    [of(true), of(false)]
}

/// The table of an audit that is left out.
fn everything() -> Arc<Table> {
    let all = Clause { peers: PeerMatch::All, verdict: Verdict::Accept };
    Arc::new(Table { always: vec![all], ..Table::default() })
}

fn namespace(key: &TableKey) -> &Arc<str> {
    &key.policies[0].namespace
}

fn sets(table: &Table) -> impl Iterator<Item = &Arc<SetKey>> {
    let in_segments = table.segments.values().flatten().flat_map(|segment| segment.clauses.iter());
    in_segments.chain(&table.always).filter_map(|clause| match &clause.peers {
        PeerMatch::Set(set) => Some(set),
        PeerMatch::All => None,
    })
}

/// What these tables of an output hold, counted one by one: elements, sets and chains, each set once.
fn counted<'a>(output: &Output, tables: impl IntoIterator<Item = &'a TableKey>) -> [u64; 3] {
    let tables: Vec<&Table> = tables.into_iter().map(|key| &*output.tables[key]).collect();
    let distinct: BTreeSet<&Arc<SetKey>> = tables.iter().flat_map(|table| sets(table)).collect();
    let members = |set: &&Arc<SetKey>| match &***set {
        SetKey::Blocks(blocks) => blocks.iter().map(|block| 2 + 2 * block.except().len()).sum(),
        SetKey::Pods(_) | SetKey::Endpoints(_) | SetKey::Nodes(_) => output.sets[*set].len(),
    };
    let segments: usize = tables.iter().flat_map(|table| table.segments.values()).map(Vec::len).sum();
    let elements = distinct.iter().map(members).sum::<usize>() + 2 * segments;
    let port_maps: usize = tables.iter().map(|table| table.segments.len()).sum();
    let lists = |table: &&Table| -> usize {
        let of_protocol = |segments: &Vec<_>| distinct_lists(segments);
        1 + table.segments.values().map(of_protocol).sum::<usize>()
    };
    let chains: usize = tables.iter().map(lists).sum();
    [elements, distinct.len() + port_maps, chains].map(|count| u64::try_from(count).unwrap())
}

fn distinct_lists(segments: &[palisade_model::Segment]) -> usize {
    segments.iter().map(|segment| &segment.clauses).collect::<BTreeSet<_>>().len()
}

fn parts(cost: Cost) -> [u64; 3] {
    [cost.elements, cost.sets, cost.chains]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Who is held back is judged as if closed, and closes others as if it was not. Then it makes no difference that it was.
    #[test]
    fn who_is_held_back_lets_nothing_through(
        changes in changes(60),
        takes in prop::collection::vec(prop::bool::weighted(0.1), 60),
        held_back in prop::sample::subsequence(vec!["x", "y", "z"], 1..3),
        counted_at in 0..40_usize,
        shares in shares(),
    ) {
        let (mut index, mut cluster, mut output) = (Index::with_shares(NODE, shares), Cluster::default(), Output::default());
        let held_back: BTreeSet<Arc<str>> = held_back.into_iter().map(Arc::from).collect();
        index.hold_back(held_back.iter().cloned());
        for (at, (change, take)) in changes.into_iter().zip(takes).enumerate() {
            cluster.apply(change.clone());
            index.apply(change);
            if at == counted_at {
                let counted: BTreeSet<_> = iter::from_fn(|| index.count_next()).collect();
                prop_assert_eq!(&counted, &held_back);
            } else if !take {
                continue;
            }
            output.apply(index.take_delta());
            prop_assert!(index.unsettled().is_superset(&held_back));
            if at >= counted_at {
                let mut fresh = fresh(&cluster, shares, false);
                fresh.take_full();
                prop_assert_eq!(closed(&index), closed(&fresh));
            }
            cluster.closed = closed(&index).into_keys().chain(held_back.iter().cloned()).collect();
            cluster.audits_left_out = left_out(&index).into_keys().chain(held_back.iter().cloned()).collect();
            check_output(&cluster, &output);
        }
        prop_assert_eq!(index.let_out(), held_back);
        output.apply(index.take_delta());
        let mut fresh = fresh(&cluster, shares, false);
        prop_assert_eq!(&output, &Output::new(fresh.take_full()));
        prop_assert_eq!(closed(&index), closed(&fresh));
        prop_assert_eq!(index.size(), fresh.size());
        prop_assert!(index.is_settled());
    }
}

proptest! {
    #[test]
    fn incremental_equals_fresh_equals_reference(
        changes in changes(60),
        takes in prop::collection::vec(prop::bool::weighted(0.3), 60),
        shares in shares(),
    ) {
        let (mut index, mut cluster, mut output) = (Index::with_shares(NODE, shares), Cluster::default(), Output::default());
        let mut told = BTreeMap::new();
        for (change, take) in changes.into_iter().zip(takes) {
            cluster.apply(change.clone());
            index.apply(change);
            if !take {
                continue;
            }
            output.apply(index.take_delta());
            for (namespace, closed) in index.take_closings() {
                let before = told.get(&namespace).copied();
                prop_assert_ne!(before, closed.map(|closed| closed.limit), "no news of {}", namespace);
                match closed {
                    Some(closed) => told.insert(namespace, closed.limit),
                    None => told.remove(&namespace),
                };
            }
            prop_assert_eq!(&told, &closed(&index));
            for policies_first in [false, true] {
                let mut fresh = fresh(&cluster, shares, policies_first);
                prop_assert_eq!(&output, &Output::new(fresh.take_full()));
                prop_assert_eq!(closed(&index), closed(&fresh));
                prop_assert_eq!(left_out(&index), left_out(&fresh));
                prop_assert_eq!(index.size(), fresh.size());
                for (namespace, cost) in index.costs().filter(|(namespace, _)| !told.contains_key(*namespace)) {
                    prop_assert_eq!(cost, fresh.cost(namespace), "{}", namespace);
                }
            }
            cluster.closed = told.keys().cloned().collect();
            cluster.audits_left_out = left_out(&index).into_keys().collect();
            check_output(&cluster, &output);
        }
    }

    /// Whose turn it is when makes no difference in the end.
    #[test]
    fn namespaces_may_come_in_turns(
        changes in changes(60),
        turns in prop::collection::vec(prop::option::of(0..4_usize), 60),
        shares in shares(),
    ) {
        let (mut index, mut cluster, mut output) = (Index::with_shares(NODE, shares), Cluster::default(), Output::default());
        for (change, turn) in changes.into_iter().zip(turns) {
            cluster.apply(change.clone());
            index.apply(change);
            let Some(turn) = turn else { continue };
            let whose = index.unsettled().into_iter().nth(turn);
            output.apply(index.take_delta_of(|namespace| whose.as_deref() == Some(namespace)));
        }
        output.apply(index.take_delta());
        let mut fresh = fresh(&cluster, shares, false);
        prop_assert_eq!(&output, &Output::new(fresh.take_full()));
        prop_assert_eq!(closed(&index), closed(&fresh));
        prop_assert_eq!(left_out(&index), left_out(&fresh));
        prop_assert!(index.unsettled().is_empty() && index.take_delta().is_empty());
    }

    /// What is counted before anything is built is what is built then, and nothing else decides about a namespace.
    #[test]
    fn a_namespace_is_judged_by_its_own_cost_alone(changes in changes(40), mut shares in shares()) {
        shares.total = Cost::UNLIMITED;
        let cluster = cluster(changes);
        let [mut limited, mut unlimited] = [shares, Shares::UNLIMITED].map(|shares| fresh(&cluster, shares, false));
        let [output, full] = [&mut limited, &mut unlimited].map(|index| Output::new(index.take_full()));
        prop_assert_eq!(&output.pods, &full.pods, "isolated is who was");
        prop_assert_eq!(&full, &judge::output(&cluster));
        let (closed, left_out) = (closed(&limited), left_out(&limited));
        let [judging, auditing] = by_purpose(&full);
        for key in &judging {
            let expected = if closed.contains_key(namespace(key)) { &Arc::default() } else { &full.tables[*key] };
            prop_assert_eq!(&output.tables[*key], expected, "{:?}", key);
        }
        for key in &auditing {
            let expected = if left_out.contains_key(namespace(key)) { &everything() } else { &full.tables[*key] };
            prop_assert_eq!(&output.tables[*key], expected, "{:?}", key);
        }
        let mut enforced = fresh(&without_audited(&cluster), Shares::UNLIMITED, false);
        enforced.take_delta();
        for (name, cost) in unlimited.costs() {
            let [judging, auditing] =
                [&judging, &auditing].map(|keys| keys.iter().copied().filter(|key| namespace(key) == name));
            let has_audit = auditing.clone().next().is_some();
            let [of_judging, of_auditing] = [counted(&full, judging), counted(&full, auditing)];
            prop_assert_eq!(parts(enforced.cost(name)), of_judging, "{}", name);
            prop_assert_eq!(parts(cost), [0, 1, 2].map(|part| of_judging[part] + of_auditing[part]), "{}", name);
            prop_assert_eq!(closed.contains_key(name), !enforced.cost(name).fits(&shares.per_namespace));
            prop_assert_eq!(left_out.contains_key(name), has_audit && !cost.fits(&shares.per_namespace));
            let mut alone = cluster.clone();
            alone.policies.retain(|id, _| id.namespace == *name);
            let mut alone = fresh(&alone, shares, false);
            alone.take_delta();
            prop_assert_eq!(alone.closed().next().is_some(), closed.contains_key(name));
            prop_assert_eq!(alone.audits_left_out().next().is_some(), left_out.contains_key(name));
        }
    }

    /// What is in force fits into the total, and nobody is closed for a total that all fit into.
    #[test]
    fn what_is_in_force_fits_into_the_total(changes in changes(40), shares in shares()) {
        let cluster = cluster(changes);
        let mut index = fresh(&cluster, shares, false);
        let output = Output::new(index.take_full());
        let (closed, left_out) = (closed(&index), left_out(&index));
        let [judging, auditing] = by_purpose(&output);
        let judging = judging.into_iter().filter(|key| !closed.contains_key(namespace(key)));
        let open = judging.chain(auditing.into_iter().filter(|key| !left_out.contains_key(namespace(key))));
        let total = parts(shares.total);
        let in_force = counted(&output, open);
        prop_assert!(in_force.iter().zip(total).all(|(part, limit)| *part <= limit), "{:?} of {:?}", in_force, total);
        let with_audits: BTreeMap<_, _> = index.audits_left_out().map(|(name, closed)| (name, closed.cost)).collect();
        let sum: Cost = index.costs().map(|(name, cost)| with_audits.get(name).copied().unwrap_or(cost)).sum();
        let by_total = closed.values().chain(left_out.values()).any(|limit| *limit == Limit::Total);
        prop_assert!(!(by_total && sum.fits(&shares.total)), "{:?} of {:?}", sum, shares.total);
    }
}

/// Until its policies change, or it is tried again.
#[test]
fn what_the_kernel_refuses_is_closed() {
    let mut index = Index::new(NODE);
    Workload::new(Shape::FewNamespaces, Size::of_pods(300), 1).cluster().for_each(|change| index.apply(change));
    let mut output = Output::new(index.take_delta());
    let namespaces: Vec<Arc<str>> = index.costs().map(|(namespace, _)| namespace.clone()).collect();
    let open = output.clone();
    let refused = BTreeMap::from([(namespaces[0].clone(), Limit::Kernel)]);
    index.refuse(&namespaces[0]);
    output.apply(index.take_delta());
    assert_eq!(closed(&index), refused);
    for (key, table) in &output.tables {
        let expected = if key.namespace() == &namespaces[0] { &Arc::default() } else { &open.tables[key] };
        assert_eq!(table, expected, "{key:?}");
    }
    assert_eq!(index.take_closings().into_keys().collect::<Vec<_>>(), namespaces[..1]);
    assert!(index.take_delta().is_empty(), "it stays closed");

    index.readmit();
    output.apply(index.take_delta());
    assert_eq!((closed(&index), &output), (BTreeMap::new(), &open));

    index.refuse(&namespaces[0]);
    output.apply(index.take_delta());
    let id = open.tables.keys().find(|key| key.namespace() == &namespaces[0]).unwrap().policies[0].clone();
    index.apply(Change::PolicyGone(id));
    index.take_delta();
    assert_eq!(closed(&index), BTreeMap::new());
}

/// Whose costs are about the same is closed or not whatever they write, as long as that is so.
#[test]
fn who_is_closed_does_not_change_with_every_edit() {
    let total = Cost { grants: 260, ..Cost::UNLIMITED };
    let mut index = Index::with_shares(NODE, Shares { total, ..Shares::UNLIMITED });
    let namespaces = ["a", "b", "c", "d"];
    let write = |index: &mut Index, namespace: &str, ports: u16| {
        let port =
            |number| PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(number, number).unwrap() };
        let rule = Rule { peers: Peers::All, ports: Ports::AnyOf((1..=ports).map(port).collect()) };
        let id = NamespacedName::new(namespace, "p");
        index.apply(Change::Policy(Policy {
            id,
            enforcement: Enforcement::Enforced,
            selector: Selector::default(),
            ingress: Some(vec![rule]),
            egress: None,
        }));
    };
    for (number, namespace) in (1..).zip(namespaces) {
        let address = std::net::IpAddr::from([10, 0, 0, number]);
        let pod = bare_pod(NamespacedName::new(namespace, "pod"), [address]);
        index.apply(Change::Pod(Pod { node: Some(NODE.into()), ..pod }));
        write(&mut index, namespace, 100);
    }
    index.take_delta();
    let closed_first = closed(&index);
    assert_eq!(closed_first.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    for (namespace, ports) in namespaces.iter().cycle().zip([70, 110, 90, 100, 80, 120, 95, 105]) {
        write(&mut index, namespace, ports);
        index.take_delta();
        assert_eq!(closed(&index), closed_first, "{namespace} has {ports}");
    }
    write(&mut index, "c", 30);
    write(&mut index, "d", 30);
    index.take_delta();
    assert_ne!(closed(&index), closed_first, "there is room for another");
}

/// One that has so many rules over all pods.
fn cluster_policy(name: &str, rules: usize) -> Change {
    let everywhere = || NamespaceScope::Matching(Selector::default());
    let peer = |app: String| {
        let pods = Selector::from_iter([Requirement::new("app", "In", [&*app]).unwrap()]);
        ClusterPeer::Pods(PodGroup { namespaces: everywhere(), pods })
    };
    let rule = |at: usize| ClusterRule {
        name: None,
        action: if at.is_multiple_of(2) { TierAction::Accept } else { TierAction::Deny },
        peers: ClusterPeers::AnyOf(vec![peer(format!("{name}-{at}"))]),
        ports: Ports::All,
    };
    Change::ClusterPolicy(ClusterPolicy {
        name: name.into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Admin,
        priority: 0,
        subject: PodGroup { namespaces: everywhere(), pods: Selector::default() },
        ingress: vec![],
        egress: (0..rules).map(rule).collect(),
    })
}

/// The cluster policies that are refused, and how many rules are in force.
type Refused = (Vec<String>, usize);

/// A node with pods, and what applies changes to it.
fn with_cluster_policies(shares: Shares) -> (Index, impl FnMut(&mut Index, Vec<Change>) -> Refused) {
    let mut index = Index::with_shares(NODE, shares);
    Workload::new(Shape::FewNamespaces, Size::of_pods(300), 1).cluster().for_each(|change| index.apply(change));
    let mut output = Output::new(index.take_delta());
    let change = move |index: &mut Index, changes: Vec<Change>| {
        changes.into_iter().for_each(|change| index.apply(change));
        output.apply(index.take_delta());
        assert!(index.cluster_cost().fits(&shares.cluster));
        let rules = output.tiers.values().flat_map(|table| table.clauses().map(|clause| clause.rule.to_string()));
        let rules: BTreeSet<String> = rules.collect();
        (index.refused_cluster_policies().map(ToString::to_string).collect(), rules.len())
    };
    (index, change)
}

/// What would be too much is left out, and what was in force of it stays, until it fits.
#[test]
fn cluster_policies_that_cost_too_much_are_refused() {
    let policy = cluster_policy;
    let shares = Shares { cluster: Cost { sets: 9, ..Cost::UNLIMITED }, ..Shares::UNLIMITED };
    let (mut index, mut refused) = with_cluster_policies(shares);
    assert_eq!(refused(&mut index, vec![policy("a", 4), policy("b", 20), policy("c", 5)]), (vec!["b".to_owned()], 9));
    assert_eq!(refused(&mut index, vec![policy("a", 6)]), (vec!["a".to_owned(), "b".to_owned()], 9));
    assert_eq!(refused(&mut index, vec![policy("c", 3)]), (vec!["b".to_owned()], 9));
    assert_eq!(refused(&mut index, vec![Change::ClusterPolicyGone("a".into()), policy("b", 4)]), (vec![], 7));
    assert_eq!(index.closed().count(), 0, "no namespace is closed for that");
}

/// First what is not in force yet is blamed, and goes back to what was; others' changes do not bring it again.
#[test]
fn a_cluster_policy_that_the_kernel_refuses_goes_back_to_what_was_in_force() {
    let policy = cluster_policy;
    let (mut index, mut refused) = with_cluster_policies(Shares::UNLIMITED);
    let refuse = |index: &mut Index| index.refuse_cluster_policy([&"a".into(), &"c".into(), &"gone".into()]);
    let of_a = || vec!["a".to_owned()];
    assert_eq!(refused(&mut index, vec![policy("a", 4), policy("c", 20)]), (vec![], 24));
    index.confirm_cluster_policies();
    assert_eq!(refused(&mut index, vec![policy("a", 6)]), (vec![], 26));
    assert_eq!(refuse(&mut index), Some("a".into()));
    assert_eq!(refused(&mut index, vec![]), (of_a(), 24));
    assert_eq!(refused(&mut index, vec![policy("b", 4)]), (of_a(), 28));
    index.confirm_cluster_policies();
    index.readmit();
    assert_eq!(refused(&mut index, vec![]), (vec![], 30));
    assert_eq!(refuse(&mut index), Some("a".into()));
    assert_eq!(refused(&mut index, vec![policy("a", 8)]), (vec![], 32), "this version was not refused");
    index.confirm_cluster_policies();
    assert_eq!(refuse(&mut index), Some("c".into()), "all are in force: the most expensive, which was none before");
    assert_eq!(refused(&mut index, vec![]), (vec!["c".to_owned()], 12));
    assert_eq!(refused(&mut index, vec![Change::ClusterPolicyGone("c".into())]), (vec![], 12));
}

/// The shares of these tests are met again and again, in both ways, and opened again; by audits, too.
#[test]
fn shares_are_met_again_and_again() {
    let sum = Cell::new(News::default());
    let sequences = (changes(100), shares());
    let result = TestRunner::new(Config::with_source_file(file!())).run(&sequences, |(changes, shares)| {
        sum.set(News::of(changes, shares, sum.get()));
        Ok(())
    });
    result.unwrap();
    let News { deltas, closings, by_total, openings, left_out } = sum.get();
    println!("{:?}", sum.get());
    assert!(closings * 100 > deltas && openings * 200 > deltas && by_total * 1000 > deltas && left_out * 50 > deltas);
}

/// How often namespaces were closed and opened, and audits left out of namespaces that were not.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    deltas: usize,
    closings: usize,
    by_total: usize,
    openings: usize,
    left_out: usize,
}

impl News {
    fn of(changes: Vec<Change>, shares: Shares, mut sum: Self) -> Self {
        let mut index = Index::with_shares(NODE, shares);
        for change in changes {
            index.apply(change);
            index.take_delta();
            let news = index.take_closings();
            sum.deltas += 1;
            sum.openings += news.values().filter(|news| news.is_none()).count();
            sum.closings += news.values().flatten().count();
            sum.left_out += left_out(&index).into_keys().filter(|name| !closed(&index).contains_key(name)).count();
            sum.by_total += news.values().flatten().filter(|closed| closed.limit == Limit::Total).count();
        }
        sum
    }
}

/// No shape of ordinary clusters comes near the standard shares: an eighth of a namespace's, a quarter of the total.
#[test]
fn ordinary_namespaces_are_far_from_their_share() {
    for shape in Shape::ALL {
        let mut index = Index::with_shares(NODE, Shares::STANDARD);
        Workload::new(shape, Size::of_pods(3_000), 1).cluster().for_each(|change| index.apply(change));
        index.take_delta();
        assert_eq!(index.closed().count(), 0, "{shape}");
        let times = |cost: Cost, factor: u64| (0..factor).map(|_| cost).sum::<Cost>();
        for (namespace, cost) in index.costs() {
            assert!(times(cost, 8).fits(&Shares::STANDARD.per_namespace), "{shape}, {namespace}: {cost:?}");
        }
        assert!(times(index.total_cost(), 4).fits(&Shares::STANDARD.total), "{shape}: {:?}", index.total_cost());
    }
}

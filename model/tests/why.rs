//! What is said of a connection is true: the decision is the reference verdict's, and what is said to be lacking is all
//! that lacks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use palisade_model::reference::{Cluster, DirectionVerdict, Flow, Lingering, Pass};
use palisade_model::testing::{NODE, changes, cluster_policy, flows, kubernetes_node, pod, shares};
use palisade_model::{
    Allowed, Attempt, Change, Decision, Denied, Direction, Enforcement, Index, IpBlock, NamespacedName, Peer, Peers,
    Sandbox, Shares, TierAction, Traffic, Why,
};
use proptest::prelude::*;
use proptest::sample::select;

/// One end of a flow, as the reference judges it.
struct End<'a> {
    direction: Direction,
    flow: &'a Flow,
    own: IpAddr,
    peer: IpAddr,
    verdict: DirectionVerdict,
    pass: Option<Pass>,
    subject: NamespacedName,
    up_to: Enforcement,
}

impl End<'_> {
    fn attempt(&self) -> Attempt {
        let Self { direction, peer, subject, up_to, .. } = self;
        let (direction, peer, up_to) = (*direction, *peer, *up_to);
        Attempt { direction, pod: subject.clone(), peer, traffic: self.flow.traffic, up_to }
    }

    /// What decides, by the reference verdict.
    fn decision(&self) -> Decision {
        let DirectionVerdict { tiers, rule, .. } = &self.verdict;
        if self.direction == Direction::Ingress && self.pass == Some(Pass::OwnNode) {
            return Decision::Allowed(Allowed::OwnNode);
        }
        let decided = tiers.iter().filter_map(|tier| tier.decision.clone()).find(|(_, says)| *says != TierAction::Pass);
        match (decided, self.pass, rule) {
            (Some((rule, TierAction::Accept)), ..) => Decision::Allowed(Allowed::ClusterRule(rule)),
            (Some((rule, _)), ..) => Decision::Denied(Denied::ClusterRule(rule)),
            _ if !self.verdict.isolated => Decision::Allowed(Allowed::NotIsolated),
            (None, Some(Pass::Loopback), _) => Decision::Allowed(Allowed::Itself),
            (None, Some(Pass::OwnNode), _) => Decision::Allowed(Allowed::OwnNode),
            _ if self.verdict.closed => Decision::Denied(Denied::ClosedNamespace),
            (None, None, Some(rule)) => Decision::Allowed(Allowed::Rule(rule.clone())),
            (None, None, None) => Decision::Denied(Denied::NoRule),
        }
    }
}

/// Every so many ends of flows that a pod's policies judge; but for pods that have the address of a node, and what is not
/// known of a node whose pods are deleted.
fn ends<'a>(cluster: &'a Cluster, up_to: Enforcement, flows: &'a [Flow], from: usize) -> impl Iterator<Item = End<'a>> {
    let hosts: BTreeSet<IpAddr> = cluster.pods.values().flat_map(|pod| pod.host_ips.iter().copied()).collect();
    let hosts: BTreeSet<IpAddr> = hosts.into_iter().chain(["192.168.0.1".parse().unwrap()]).collect();
    let both = flows.iter().skip(from % STEP).step_by(STEP).flat_map(move |flow| {
        let verdict = cluster.verdict(flow);
        let egress = (Direction::Egress, flow.source, flow.destination, verdict.egress);
        let ingress = (Direction::Ingress, flow.destination, flow.source, verdict.ingress);
        [egress, ingress].map(|(direction, own, peer, of)| (flow, direction, own, peer, of, verdict.pass))
    });
    let ends = both.filter_map(move |(flow, direction, own, peer, verdict, pass)| {
        Some(End { subject: verdict.subject.clone()?, direction, flow, own, peer, verdict, pass, up_to })
    });
    let is_deleted = |end: &End<'_>| cluster.lingering.is_some() && !cluster.pods.contains_key(&end.subject);
    ends.filter(move |end| {
        let is_unknown = is_deleted(end) && hosts.contains(&end.peer);
        !is_unknown && !hosts.contains(&end.own)
    })
}

/// A prime, so that all addresses and ports come.
const STEP: usize = 13;

fn both(changes: impl IntoIterator<Item = Change>, shares: Shares, lingers: bool) -> (Cluster, Index) {
    let (mut cluster, mut index) =
        (Cluster { node: NODE.into(), ..Cluster::default() }, Index::with_shares(NODE, shares));
    if lingers {
        cluster.lingering = Some(Lingering { node: NODE.into(), pods: BTreeMap::new() });
        index = index.keep_lingering();
    }
    for change in changes {
        cluster.apply(change.clone());
        index.apply(change);
    }
    (cluster, index)
}

/// What is known beyond the reference verdict.
fn check_why(cluster: &Cluster, end: &End<'_>, why: &Why) {
    assert_eq!(why.decision, end.decision(), "{:?} {:?}", end.attempt(), end.verdict);
    assert_eq!(why.decision.is_allowed(), end.verdict.allowed);
    assert_eq!(why.isolating, end.verdict.policies);
    assert!(why.complete && why.to_string().len() <= 400, "{why}");
    assert!(why.nearest.is_none() || !end.verdict.allowed);
    let block = narrowest(cluster, end);
    match why.block {
        Some(net) => {
            assert!(net.contains(&end.peer) && cluster.owner(end.peer).is_none());
            assert!(block.is_none_or(|block| block.cidr().prefix_len() <= net.prefix_len()));
        }
        None => assert!(block.is_none() || cluster.owner(end.peer).is_some()),
    }
    let Some(miss) = &why.nearest else {
        let rules = end.verdict.policies.iter().flat_map(|id| cluster.policies[id].rules(end.direction).unwrap());
        assert!(why.decision != Decision::Denied(Denied::NoRule) || rules.count() == 0, "there is a rule: {why}");
        return;
    };
    assert!(miss.to_string().len() <= 303, "{miss}");
    let mended = mend::all(cluster, end.flow, miss);
    mend::check(&mended, end.direction, end.flow, miss);
    for lack in miss.lacks.iter().filter(|_| miss.lacks.len() > 1) {
        let mended = mend::all(cluster, end.flow, &palisade_model::Miss { lacks: vec![lack.clone()], ..miss.clone() });
        assert!(mend::matched(&mended, end.direction, end.flow) != Some(mend::named(miss)), "more than lacks: {miss}");
    }
}

/// The narrowest block of the isolating policies that holds the peer.
fn narrowest<'a>(cluster: &'a Cluster, end: &End<'_>) -> Option<&'a IpBlock> {
    let rules = end.verdict.policies.iter().flat_map(|id| cluster.policies[id].rules(end.direction).unwrap());
    let peers = rules.flat_map(|rule| match &rule.peers {
        Peers::All => &[][..],
        Peers::AnyOf(peers) => peers,
    });
    let blocks = peers.filter_map(|peer| match peer {
        Peer::Block(block) => Some(block),
        Peer::Pods(_) => None,
    });
    let holds = |block: &&IpBlock| {
        block.cidr().contains(&end.peer) && !block.except().iter().any(|except| except.contains(&end.peer))
    };
    blocks.filter(holds).max_by_key(|block| block.cidr().prefix_len())
}

/// Holds what is said against the reference, and what the index says against what the objects say.
fn check(cluster: &Cluster, index: &Index, from: usize) {
    let flows = flows(cluster);
    for (up_to, judging) in [(Enforcement::Enforced, cluster.clone()), (Enforcement::Audited, enforced(cluster))] {
        for end in ends(&judging, up_to, &flows, from) {
            let attempt = end.attempt();
            let why = cluster.why(&attempt).unwrap();
            check_why(&judging, &end, &why);
            let is_elsewhere = cluster.pods.get(&end.subject).is_some_and(|pod| pod.node.as_deref() != Some(NODE));
            assert_eq!(index.why(&attempt), (!is_elsewhere).then_some(why), "{attempt:?}");
            assert_eq!(index.local_owner(end.own), (!is_elsewhere).then_some(end.subject), "{}", end.own);
        }
    }
    for pod in cluster.pods.values() {
        let (direction, traffic) = (Direction::Ingress, Traffic::Other(1));
        let (peer, up_to) = ([172, 16, 0, 1].into(), Enforcement::Enforced);
        let attempt = Attempt { direction, pod: pod.id.clone(), peer, traffic, up_to };
        let is_here = pod.node.as_deref() == Some(NODE);
        assert_eq!(index.why(&attempt), cluster.why(&attempt).filter(|_| is_here), "{attempt:?}");
    }
}

/// The same cluster, whose audited policies are enforced.
fn enforced(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.policies.values_mut().for_each(|policy| policy.enforcement = Enforcement::Enforced);
    cluster.cluster_policies.values_mut().for_each(|policy| policy.enforcement = Enforcement::Enforced);
    cluster
}

proptest! {
    #[test]
    fn what_is_said_is_true(changes in changes(40), from in any::<usize>()) {
        let (cluster, mut index) = both(changes, Shares::UNLIMITED, false);
        index.take_delta();
        check(&cluster, &index, from);
    }

    #[test]
    fn of_deleted_pods_as_well(changes in changes(60), from in any::<usize>()) {
        let (cluster, mut index) = both(changes, Shares::UNLIMITED, true);
        index.take_delta();
        check(&cluster, &index, from);
    }

    #[test]
    fn of_closed_namespaces_as_well(changes in changes(40), shares in shares(), from in any::<usize>()) {
        let (mut cluster, mut index) = both(changes, shares, false);
        index.take_delta();
        cluster.closed = index.closed().map(|(namespace, _)| namespace.clone()).collect();
        check(&cluster, &index, from);
    }

    /// Cluster policies are in force with a delta, other changes before it.
    #[test]
    fn of_cluster_policies_and_nodes_as_well(
        changes in changes(20),
        nodes in prop::collection::vec(kubernetes_node(), 1..=3),
        policies in prop::collection::vec(cluster_policy(6), 1..=3),
        from in any::<usize>(),
    ) {
        let nodes = nodes.into_iter().map(Change::Node);
        let policies = policies.into_iter().map(Change::ClusterPolicy);
        let (mut cluster, mut index) = both(nodes.chain(policies), Shares::UNLIMITED, false);
        index.take_delta();
        let is_another = |change: &Change| !matches!(change, Change::ClusterPolicy(_) | Change::ClusterPolicyGone(_));
        for change in changes.into_iter().filter(is_another) {
            cluster.apply(change.clone());
            index.apply(change);
        }
        check(&cluster, &index, from);
    }

    #[test]
    fn of_sandboxes_as_well(
        before in changes(30),
        sandboxes in prop::collection::vec((select(&["s0", "s1"][..]), pod(), 1..4_u8), 1..=3),
        after in changes(10),
        from in any::<usize>(),
    ) {
        let (mut cluster, mut index) = both(before, Shares::UNLIMITED, false);
        for (id, pod, last) in sandboxes {
            let sandbox = Sandbox { id: id.into(), pod, addresses: vec![[10, 0, 0, last].into()] };
            cluster.set_sandbox(sandbox.clone());
            index.set_sandbox(sandbox);
        }
        for change in after {
            cluster.apply(change.clone());
            index.apply(change);
        }
        index.take_delta();
        check(&cluster, &index, from);
    }
}

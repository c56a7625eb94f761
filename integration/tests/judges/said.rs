//! What is said before anything is applied, held against packets: a sample of what the map draws, of what a preview says and
//! of what a recommendation promises.

use std::collections::BTreeMap;
use std::net::IpAddr;

use palisade_integration::netns::Network;
use palisade_integration::probe::{self, Patience, probe};
use palisade_model::reach::{Changes, Edge, PlaceId, PlaceName, PortChange, PortSet, Reach, Ways};
use palisade_model::recommend::{End, MOST_BLOCKS, Scope, Surplus, Whom, Wish, recommend, surplus};
use palisade_model::reference::{Cluster, Flow, Traffic};
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, Direction, Labels, Namespace, NamespacedName, Policy, PortRange, workload};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{attach, can_be_sent, enforce, question};

const CLUSTERS: usize = 3;
/// Of a cluster's many flows so many are tried, spread evenly.
const FLOWS: usize = 120;
/// So many of them are wished.
const WISHES: usize = 6;

#[test]
fn what_is_said_before_it_is_applied_is_what_packets_find() {
    let mut runner = TestRunner::deterministic();
    let mut counts = Counts::default();
    for _ in 0..CLUSTERS {
        let before = cluster(testing::changes(50).new_tree(&mut runner).unwrap().current());
        let edits = prop::collection::vec(testing::policy(), 2).new_tree(&mut runner).unwrap().current();
        let after = edited(&before, edits);
        let stage = Stage::new(&before);
        let (old, new) = Reach::pair(&before, &after);
        let answered = [&before, &after].map(|cluster| stage.answers(cluster));
        check_map(&before, &old, &stage.flows, &answered[0]);
        check_preview(&before, [&old, &new], &stage.flows, [&answered[0], &answered[1]], &mut counts);
        // And of the way back.
        check_preview(&before, [&new, &old], &stage.flows, [&answered[1], &answered[0]], &mut counts);
        check_recommendation(&before, &stage, &mut counts);
    }
    let Counts { closed, opened, wished, other } = counts;
    assert!(closed > 0 && opened > 0 && wished > WISHES && other > FLOWS, "{counts:?} show too little");
}

/// How often something was said that packets could prove wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    closed: usize,
    opened: usize,
    wished: usize,
    other: usize,
}

/// All pods are the node's, and all namespaces are known.
fn cluster(changes: Vec<Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster.pods.values_mut().for_each(|pod| pod.node = Some(NODE.into()));
    for name in ["x", "y", "z"].into_iter().filter(|name| !cluster.namespaces.contains_key(*name)).collect::<Vec<_>>() {
        let labels = Labels::from_iter([("kubernetes.io/metadata.name", name)]);
        cluster.apply(Change::Namespace(Namespace { name: name.into(), labels }));
    }
    cluster
}

/// With these policies, and without the first half of those that are there.
fn edited(before: &Cluster, policies: Vec<Policy>) -> Cluster {
    let mut after = before.clone();
    before.policies.keys().take(before.policies.len().div_ceil(2)).for_each(|id| drop(after.policies.remove(id)));
    let of_cluster = before.cluster_policies.keys().take(before.cluster_policies.len().div_ceil(2));
    of_cluster.for_each(|name| drop(after.cluster_policies.remove(name)));
    policies.into_iter().map(Change::Policy).for_each(|change| after.apply(change));
    after
}

/// A node, and what is tried on it.
struct Stage {
    network: Network,
    hosts: BTreeMap<IpAddr, palisade_integration::netns::Host>,
    flows: Vec<Flow>,
}

impl Stage {
    fn new(cluster: &Cluster) -> Self {
        let flows = testing::flows(cluster).into_iter().filter(can_be_sent);
        // What passes whatever policies say is said of nobody.
        let flows: Vec<Flow> = flows.filter(|flow| cluster.verdict(flow).pass.is_none()).collect();
        let step = flows.len().div_ceil(FLOWS).max(1);
        let flows: Vec<Flow> = flows.into_iter().step_by(step).collect();
        let mut network = Network::new(1).unwrap();
        let hosts = attach(&mut network, cluster, &flows);
        Self { network, hosts, flows }
    }

    /// Which of the flows are answered where these objects are enforced.
    fn answers(&self, cluster: &Cluster) -> Vec<bool> {
        let changes: Vec<Change> = testing::objects(cluster).collect();
        self.network.nodes()[0].namespace().enter(|| enforce(&changes)).unwrap();
        // Where a flow is expected decides how long is waited for it alone.
        let expected = |flow: &Flow| testing::passes(cluster, flow).unwrap_or(false);
        let probes: Vec<probe::Flow<'_>> =
            self.flows.iter().map(|flow| question(&self.hosts, flow, expected(flow))).collect();
        probe(&probes, Patience::FULL).unwrap()
    }
}

fn workload_at(cluster: &Cluster, address: IpAddr) -> Option<NamespacedName> {
    let pod = cluster.owner(address)?;
    Some(NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels)))
}

fn place(cluster: &Cluster, reach: &Reach, address: IpAddr) -> PlaceId {
    if let Some(name) = workload_at(cluster, address) {
        return reach.find(&name).unwrap();
    }
    let holds = |name: &PlaceName| match name {
        PlaceName::Workload(_) => false,
        PlaceName::Outside { blocks, .. } => blocks.iter().any(|block| {
            block.cidr().contains(&address) && !block.except().iter().any(|except| except.contains(&address))
        }),
    };
    reach.places().find(|(_, place)| holds(&place.name)).unwrap().0
}

fn pair(cluster: &Cluster, reach: &Reach, flow: &Flow) -> (PlaceId, PlaceId) {
    (place(cluster, reach, flow.source), place(cluster, reach, flow.destination))
}

/// What is answered is drawn, and what is drawn for all is answered.
fn check_map(cluster: &Cluster, reach: &Reach, flows: &[Flow], answered: &[bool]) {
    let edges: BTreeMap<(PlaceId, PlaceId), Ways> =
        reach.edges().map(|Edge { from, to, ways }| ((from, to), ways)).collect();
    for (flow, answered) in flows.iter().zip(answered) {
        assert_eq!(reach.allows(flow.source, flow.destination, flow.traffic), *answered, "{flow:?}");
        let (from, to) = pair(cluster, reach, flow);
        let usual = reach.usual(from, to);
        let (some, all) = edges.get(&(from, to)).map_or((&usual, &usual), |ways| (&ways.some, &ways.all));
        assert!(!answered || some.contains(flow.traffic), "{flow:?} is answered, and drawn is {some}");
        // Without an edge, what is usual is what some of them may.
        let is_certain = edges.contains_key(&(from, to)) && all.contains(flow.traffic);
        assert!(*answered || !is_certain, "{flow:?} is not answered, and drawn is {all}");
    }
}

/// What is said to close is not answered any more, what is said to open was not before, and nothing else comes to pass.
fn check_preview(
    cluster: &Cluster,
    [old, new]: [&Reach; 2],
    flows: &[Flow],
    answered: [&[bool]; 2],
    counts: &mut Counts,
) {
    let changes = Changes::new(old, new);
    // Nothing is said of addresses among themselves that are no pod's.
    let is_of_pods = |flow: &Flow| [flow.source, flow.destination].iter().any(|end| cluster.owner(*end).is_some());
    for (at, flow) in flows.iter().enumerate().filter(|(_, flow)| is_of_pods(flow)) {
        let (from, to) = pair(cluster, old, flow);
        let name = |place: PlaceId| old.place(place).name.clone();
        let said = said(&changes, &(name(from), name(to)));
        let opens = said.is_some_and(|ports| ports.opens.contains(flow.traffic));
        let closes = said.is_some_and(|ports| ports.closes.contains(flow.traffic));
        let (before, after) = (answered[0][at], answered[1][at]);
        assert!(!opens || !before, "{flow:?} is said to open, and passed before");
        assert!(!closes || !after, "{flow:?} is said to close, and passes");
        let some = old.ways(from, to).is_some_and(|ways| ways.some.contains(flow.traffic));
        assert!(!after || opens || some, "{flow:?} passes now, and nobody said so");
        counts.closed += usize::from(closes && before);
        counts.opened += usize::from(opens && after);
    }
}

fn said<'a>(changes: &'a Changes, pair: &(PlaceName, PlaceName)) -> Option<&'a PortChange> {
    let way = changes.ways.iter().find(|way| (&way.from, &way.to) == (&pair.0, &pair.1)).map(|way| &way.ports);
    let others = || changes.others.iter().find(|all| all.from.contains(&pair.0) && all.to.contains(&pair.1));
    way.or_else(|| others().filter(|_| !changes.stays.contains(pair)).map(|others| &others.ports))
}

/// What is wished is answered; what is neither wished nor said to pass as well is not.
fn check_recommendation(cluster: &Cluster, stage: &Stage, counts: &mut Counts) {
    let mut cluster = cluster.clone();
    cluster.policies.clear();
    cluster.cluster_policies.clear();
    let end =
        |address| workload_at(&cluster, address).map_or_else(|| End::Network(IpAddr::into(address)), End::Workload);
    let wish = |flow: &Flow| {
        let Traffic::Port { protocol, port } = flow.traffic else { return None };
        let (from, to) = (end(flow.source), end(flow.destination));
        let is_of_pods = [&from, &to].into_iter().any(|end| matches!(end, End::Workload(_)));
        is_of_pods.then_some(Wish { from, to, protocol, ports: PortRange::single(port) })
    };
    let possible: Vec<Wish> = stage.flows.iter().filter_map(wish).collect();
    let step = possible.len().div_ceil(WISHES).max(1);
    let wishes: Vec<Wish> = possible.into_iter().step_by(step).collect();
    let namespaces = cluster.namespaces.keys().cloned().collect();
    let scope = Scope { namespaces, directions: Direction::ALL.into(), most_blocks: MOST_BLOCKS };
    let recommended = recommend(&cluster, &wishes, &scope);
    assert_eq!(recommended.left_out, []);
    let mut after = cluster.clone();
    recommended.policies.into_iter().for_each(|one| after.apply(Change::Policy(one.policy)));
    let also = surplus(&after, &wishes, &scope);
    for (flow, answered) in stage.flows.iter().zip(stage.answers(&after)) {
        let is_wished = wish(flow).is_some_and(|wish| wishes.contains(&wish));
        let ends = [flow.source, flow.destination].map(|address| workload_at(&cluster, address));
        let is_said = also.iter().any(|one| is_about(one, &ends, flow.traffic));
        // Nobody judges what is between addresses that are no pod's.
        let is_judged = ends.iter().any(Option::is_some);
        assert!(!is_wished || answered, "{flow:?} is wished, and not answered");
        assert!(is_wished || is_said || !answered || !is_judged, "{flow:?} is answered, and nobody wished or said so");
        counts.wished += usize::from(is_wished);
        counts.other += usize::from(is_judged && !is_wished && !is_said);
    }
}

fn is_about(one: &Surplus, ends: &[Option<NamespacedName>; 2], traffic: Traffic) -> bool {
    let is = |whom: &Whom, name: &Option<NamespacedName>| match (whom, name) {
        (Whom::Place(PlaceName::Workload(one)), Some(name)) => one == name,
        _ => false,
    };
    let ports: &PortSet = &one.ports;
    is(&one.from, &ends[0]) && is(&one.to, &ends[1]) && ports.contains(traffic)
}

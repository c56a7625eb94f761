//! Who reaches whom is what the reference verdict says of each pair.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use palisade_model::reach::{Changes, Counted, Edge, PlaceId, PlaceName, PortSet, Reach, Ways};
use palisade_model::reference::{Cluster, Flow};
use palisade_model::testing::{change, changes, flows, many_rules, policy};
use palisade_model::{Change, Direction, NamespacedName, Traffic, workload};
use proptest::prelude::*;

fn cluster(changes: impl IntoIterator<Item = Change>) -> Cluster {
    let mut cluster = Cluster::default();
    changes.into_iter().for_each(|change| cluster.apply(change));
    cluster
}

/// The place of an address, as the cluster has it.
fn place(cluster: &Cluster, reach: &Reach, address: IpAddr) -> PlaceId {
    if let Some(pod) = cluster.owner(address) {
        let name = NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels));
        return reach.find(&name).unwrap();
    }
    let holds = |name: &PlaceName| match name {
        PlaceName::Workload(_) => false,
        PlaceName::Outside { blocks, .. } => blocks.iter().any(|block| {
            block.cidr().contains(&address) && !block.except().iter().any(|except| except.contains(&address))
        }),
    };
    let mut holding = reach.places().filter(|(_, place)| holds(&place.name));
    let (id, _) = holding.next().unwrap();
    assert!(holding.next().is_none(), "{address} is in two places");
    id
}

/// Flows and whether they may be opened, but for those that pass whatever policies say.
fn verdicts(cluster: &Cluster) -> Vec<(Flow, bool)> {
    let verdicts = flows(cluster).into_iter().map(|flow| (flow, cluster.verdict(&flow)));
    verdicts.filter(|(_, verdict)| verdict.pass.is_none()).map(|(flow, verdict)| (flow, verdict.allowed)).collect()
}

/// Places with a pod that has the address of a node: what such a pod and the node's own pods say to each other passes whatever
/// policies say, so that the flows do not show what its policies would.
fn at_nodes(cluster: &Cluster, reach: &Reach) -> BTreeSet<PlaceId> {
    let hosts: BTreeSet<IpAddr> = cluster.pods.values().flat_map(|pod| pod.host_ips.iter().copied()).collect();
    let owned = hosts.into_iter().filter(|host| cluster.owner(*host).is_some());
    owned.map(|host| place(cluster, reach, host)).collect()
}

/// For each pair of places, and what flows carry: whether some pair of their addresses may.
type Truth = BTreeMap<(PlaceId, PlaceId), BTreeMap<String, (Traffic, bool)>>;

fn truth(cluster: &Cluster, reach: &Reach, verdicts: &[(Flow, bool)]) -> Truth {
    let mut truth = Truth::new();
    let addresses: BTreeSet<IpAddr> = verdicts.iter().flat_map(|(flow, _)| [flow.source, flow.destination]).collect();
    let places: BTreeMap<IpAddr, PlaceId> =
        addresses.into_iter().map(|address| (address, place(cluster, reach, address))).collect();
    for (flow, allowed) in verdicts {
        let pair = (places[&flow.source], places[&flow.destination]);
        let allows = truth.entry(pair).or_default().entry(flow.traffic.to_string()).or_insert((flow.traffic, false));
        allows.1 |= *allowed;
    }
    let at_nodes = at_nodes(cluster, reach);
    truth.retain(|(from, to), _| !at_nodes.contains(from) && !at_nodes.contains(to));
    truth
}

/// Holds the edges against all pairs. Some nodes' addresses may be in places outside that no flow is to.
fn check_edges(cluster: &Cluster, reach: &Reach, verdicts: &[(Flow, bool)]) {
    let edges: BTreeMap<(PlaceId, PlaceId), Ways> =
        reach.edges().map(|Edge { from, to, ways }| ((from, to), ways)).collect();
    assert_eq!(edges.len(), reach.edges().count(), "an edge comes twice");
    for (pair, flows) in truth(cluster, reach, verdicts) {
        let usual = reach.usual(pair.0, pair.1);
        let ways = edges.get(&pair).map_or(&usual, |ways| &ways.some);
        for (traffic, allowed) in flows.values() {
            let names = (&reach.place(pair.0).name, &reach.place(pair.1).name);
            assert_eq!(ways.contains(*traffic), *allowed, "{names:?} {traffic}: {ways}, usually {usual}");
        }
    }
    for ((from, to), ways) in &edges {
        let judged = !reach.is_open(*from, Direction::Egress) || !reach.is_open(*to, Direction::Ingress);
        assert!(judged && ways.some != reach.usual(*from, *to));
        assert_eq!(reach.ways(*from, *to).as_ref(), Some(ways));
        assert_eq!(ways.all.intersection(&ways.some), ways.all);
    }
}

/// What a place lets pass at one end is what its rules say, and nothing but that.
fn check_causes(reach: &Reach) {
    for Edge { from, to, ways } in reach.edges() {
        for direction in Direction::ALL {
            let own = if direction == Direction::Egress { from } else { to };
            let causes = reach.causes(from, to, direction);
            let about = causes.iter().fold(PortSet::default(), |all, cause| all.union(&cause.ports));
            let isolated = reach.is_isolated(own, direction);
            if isolated && reach.judged_by(own, direction).len() == 1 {
                assert!(ways.all.without(&about).is_empty(), "{ways:?} by {causes:?}");
            }
            assert!(causes.iter().all(|cause| !cause.ports.is_empty()));
        }
    }
}

/// How many of all addresses may open a connection is what is said of each of them.
fn check_crowd(cluster: &Cluster, reach: &Reach, verdicts: &[(Flow, bool)]) {
    let addresses: BTreeSet<IpAddr> = verdicts.iter().flat_map(|(flow, _)| [flow.source, flow.destination]).collect();
    let mut crowd = reach.crowd(addresses.iter().copied());
    let questions: HashSet<(IpAddr, Traffic)> =
        verdicts.iter().map(|(flow, _)| (flow.destination, flow.traffic)).collect();
    for (to, traffic) in questions {
        let is_outside = |address: IpAddr| cluster.owner(address).is_none();
        let meets = |from: &IpAddr| from.is_ipv4() == to.is_ipv4() && !(is_outside(*from) && is_outside(to));
        let all: Vec<bool> =
            addresses.iter().filter(|from| meets(from)).map(|from| reach.allows(*from, to, traffic)).collect();
        let allowed = all.iter().filter(|allowed| **allowed).count();
        assert_eq!(crowd.count(to, traffic), Counted { asked: all.len(), allowed }, "{to} {traffic}");
    }
}

fn check(cluster: &Cluster) {
    let reach = Reach::new(cluster);
    let verdicts = verdicts(cluster);
    for (flow, allowed) in &verdicts {
        assert_eq!(reach.allows(flow.source, flow.destination, flow.traffic), *allowed, "{flow:?}");
    }
    check_edges(cluster, &reach, &verdicts);
    check_causes(&reach);
    check_crowd(cluster, &reach, &verdicts);
    let isolating = |direction| {
        let addresses = cluster.pods.values().flat_map(|pod| pod.addresses());
        addresses.filter(move |address| {
            let flow = Flow { source: **address, destination: **address, traffic: Traffic::Other(1) };
            cluster.verdict(&flow).of(direction).isolated
        })
    };
    for direction in Direction::ALL {
        let isolated: BTreeSet<PlaceId> = isolating(direction).map(|at| place(cluster, &reach, *at)).collect();
        let says = reach.places().map(|(id, _)| id).filter(|id| reach.is_isolated(*id, direction));
        assert_eq!(says.collect::<BTreeSet<_>>(), isolated, "{direction}");
    }
}

/// What is said to change between two places is what the reference verdict says that changes. Flows are those of
/// `flows`.
fn check_changes(before: &Cluster, after: &Cluster) {
    let (old, new) = Reach::pair(before, after);
    let changes = Changes::new(&old, &new);
    let [old, new] = [(before, &old), (after, &new)].map(|(cluster, reach)| {
        let truth = truth(cluster, reach, &verdicts(cluster));
        let name = |id| reach.place(id).name.clone();
        let named = truth.into_iter().map(|((from, to), flows)| ((name(from), name(to)), flows));
        named.collect::<BTreeMap<_, _>>()
    });
    for pair in old.keys().chain(new.keys()) {
        let ways = changes.ways.iter().find(|way| (&way.from, &way.to) == (&pair.0, &pair.1)).map(|way| &way.ports);
        let others = changes.others.iter().find(|all| all.from.contains(&pair.0) && all.to.contains(&pair.1));
        let stays = changes.stays.contains(pair);
        assert!(!stays || (others.is_some() && ways.is_none()), "{pair:?} stays what it was");
        let ports = ways.or(others.filter(|_| !stays).map(|others| &others.ports));
        let traffic = [&old, &new].into_iter().filter_map(|truth| truth.get(pair)).flat_map(|flows| flows.keys());
        for traffic in traffic {
            let passes = |truth: &BTreeMap<_, BTreeMap<String, (Traffic, bool)>>| {
                let flows: Option<&BTreeMap<String, (Traffic, bool)>> = truth.get(pair);
                flows.map(|flows| flows.get(traffic).copied())
            };
            // A port that is no bound of the other cluster's rules is not in its flows.
            let (Some(Some((carried, was))), Some(Some((_, is)))) = (passes(&old), passes(&new)) else { continue };
            let says = ports.map(|ports| (ports.opens.contains(carried), ports.closes.contains(carried)));
            assert_eq!(says.unwrap_or_default(), (!was && is, was && !is), "{pair:?} {traffic}: {ports:?}");
        }
    }
}

/// Addresses at which rules may tell something apart: those of flows, and one of each place outside.
fn all_flows(cluster: &Cluster, reach: &Reach) -> Vec<Flow> {
    let mut all = flows(cluster);
    let traffic: Vec<Traffic> = all
        .iter()
        .map(|flow| (flow.traffic.to_string(), flow.traffic))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect();
    let outside = reach.places().filter_map(|(_, place)| match &place.name {
        PlaceName::Outside { blocks, .. } => blocks.iter().find_map(|block| {
            block
                .cidr()
                .hosts()
                .take(300)
                .find(|ip| !block.except().iter().any(|except| except.contains(ip)) && cluster.owner(*ip).is_none())
        }),
        PlaceName::Workload(_) => None,
    });
    let outside: BTreeSet<IpAddr> = outside.collect();
    for pod in cluster.pods.values().flat_map(|pod| pod.addresses()) {
        for peer in outside.iter().filter(|peer| peer.is_ipv6() == pod.is_ipv6()) {
            for (source, destination) in [(*pod, *peer), (*peer, *pod)] {
                all.extend(traffic.iter().map(|traffic| Flow { source, destination, traffic: *traffic }));
            }
        }
    }
    all
}

/// A policy that is said to have no effect can be left out, and one that is not said to cannot, unless it may have one
/// that no flow shows.
fn check_effects(cluster: &Cluster) {
    let reach = Reach::new(cluster);
    let ids: BTreeSet<NamespacedName> = reach.policies().iter().map(|facts| facts.id.clone()).collect();
    let without_effect = reach.without_effect(cluster, &ids);
    let flows = all_flows(cluster, &reach);
    for facts in reach.policies().iter().filter(|facts| facts.pods > 0) {
        let mut without = cluster.clone();
        without.policies.remove(&facts.id);
        without.cluster_policies.retain(|name, _| !facts.id.namespace.is_empty() || *name != facts.id.name);
        let differs = |flow: &&Flow| cluster.verdict(flow).allowed != without.verdict(flow).allowed;
        let found = without_effect.iter().find(|one| one.policy == facts.id);
        if let Some(found) = found {
            assert_eq!(flows.iter().find(differs), None, "{} has an effect", facts.id);
            assert!(!found.beside.contains(&facts.id));
        } else if cluster.cluster_policies.is_empty() && at_nodes(cluster, &reach).is_empty() {
            assert_ne!(flows.iter().find(differs), None, "{} has no effect", facts.id);
        }
    }
}

/// A part of the usual number of cases: each asks for thousands of verdicts.
fn fewer_cases(part: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: (usual.cases / part).max(1), ..usual }
}

proptest! {
    #![proptest_config(fewer_cases(2))]

    #[test]
    fn reach_says_what_the_reference_says(changes in changes(40)) {
        check(&cluster(changes));
    }

    #[test]
    fn a_policy_without_effect_is_one_without_which_the_reference_says_the_same(
        changes in changes(25),
        policies in prop::collection::vec(policy(), 1..=4),
    ) {
        check_effects(&cluster(changes.into_iter().chain(policies.into_iter().map(Change::Policy))));
    }

    #[test]
    fn changes_are_what_the_reference_says(changes in changes(30), more in prop::collection::vec(change(), 1..4)) {
        let before = cluster(changes);
        let mut after = before.clone();
        more.into_iter().for_each(|change| after.apply(change));
        check_changes(&before, &after);
    }
}

proptest! {
    #![proptest_config(fewer_cases(8))]
    #[test]
    fn overlapping_ranges_and_closed_namespaces_too(
        objects in prop::collection::vec(change(), 20),
        policies in prop::collection::vec(many_rules(12), 1..=3),
        closed in prop::option::of(prop::sample::select(vec!["x", "y", "z"])),
    ) {
        let mut cluster = cluster(objects.into_iter().chain(policies.into_iter().map(Change::Policy)));
        cluster.closed.extend(closed.map(Into::into));
        check(&cluster);
    }
}

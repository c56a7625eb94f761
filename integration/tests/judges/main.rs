//! The third judge: real packets between network namespaces must fare as the reference verdict says, over random clusters
//! that came about by random events.

#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use palisade::enforcer::Enforcer;
use palisade_integration::netns::{Host, Network, Place};
use palisade_integration::probe::{self, Family, Kind, Patience, probe};
use palisade_model::reference::{Cluster, Flow, Traffic};
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, Protocol};
use palisade_nft::{Kernel, Name, Ownership};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

const CLUSTERS: usize = 12;
/// Of a cluster's many flows so many are tried, spread evenly.
const FLOWS: usize = 200;

#[test]
fn packets_agree_with_the_reference_verdict() {
    let mut runner = TestRunner::deterministic();
    let (mut allowed, mut denied) = (0, 0);
    for number in 0..CLUSTERS {
        let changes = testing::changes(60).new_tree(&mut runner).unwrap().current();
        let mut cluster = Cluster::default();
        changes.iter().cloned().for_each(|change| cluster.apply(change));
        let flows = sample(&cluster);
        for (flow, expected, answered) in play(&cluster, &changes, &flows) {
            assert_eq!(answered, expected, "cluster {number}: {flow:?} by {:?}", cluster.verdict(&flow));
            *(if expected { &mut allowed } else { &mut denied }) += 1;
        }
    }
    assert!(allowed > FLOWS && denied > FLOWS, "{allowed} allowed and {denied} denied flows show too little");
}

fn sample(cluster: &Cluster) -> Vec<Flow> {
    let flows: Vec<Flow> = testing::flows(cluster).into_iter().filter(can_be_sent).collect();
    let step = flows.len().div_ceil(FLOWS).max(1);
    flows.into_iter().step_by(step).collect()
}

/// Port 0 is none, and who talks to itself does not leave its namespace.
fn can_be_sent(flow: &Flow) -> bool {
    flow.source != flow.destination && !matches!(flow.traffic, Traffic::Port { port: 0, .. })
}

/// The flows with what the reference verdict says of them, and whether they were answered.
fn play(cluster: &Cluster, changes: &[Change], flows: &[Flow]) -> Vec<(Flow, bool, bool)> {
    let mut network = Network::new(1).unwrap();
    let hosts = attach(&mut network, cluster, flows);
    network.nodes()[0].namespace().enter(|| enforce(changes)).unwrap();
    let expected: Vec<(Flow, bool)> =
        flows.iter().filter_map(|flow| Some((*flow, testing::passes(cluster, flow)?))).collect();
    let probes: Vec<probe::Flow<'_>> =
        expected.iter().map(|(flow, expected)| question(&hosts, flow, *expected)).collect();
    let answers = probe(&probes, Patience::FULL).unwrap();
    expected.into_iter().zip(answers).map(|((flow, expected), answered)| (flow, expected, answered)).collect()
}

/// Each address is a host: those of the node's own pods behind it, all others outside.
fn attach(network: &mut Network, cluster: &Cluster, flows: &[Flow]) -> BTreeMap<IpAddr, Host> {
    let addresses: BTreeSet<IpAddr> = flows.iter().flat_map(|flow| [flow.source, flow.destination]).collect();
    let place = |address: IpAddr| match cluster.owner(address) {
        Some(pod) if pod.node.as_deref() == Some(NODE) => Place::Behind(0),
        _ => Place::External,
    };
    let places: Vec<(Place, Vec<IpAddr>)> = addresses.iter().map(|address| (place(*address), vec![*address])).collect();
    addresses.into_iter().zip(network.attach(&places).unwrap()).collect()
}

/// As the events came: the first half in one commit, the rest one by one.
fn enforce(changes: &[Change]) {
    let table = Name::new("palisade").unwrap();
    let kernel = Kernel::open(table.clone(), Ownership::Plain).unwrap();
    let mut enforcer = Enforcer::new(NODE, table, kernel);
    let (first, rest) = changes.split_at(changes.len() / 2);
    first.iter().cloned().for_each(|change| enforcer.apply(change));
    enforcer.commit().unwrap();
    for change in rest {
        enforcer.apply(change.clone());
        enforcer.commit().unwrap();
    }
}

fn question<'a>(hosts: &'a BTreeMap<IpAddr, Host>, flow: &Flow, expected: bool) -> probe::Flow<'a> {
    let kind = match flow.traffic {
        Traffic::Port { protocol: Protocol::Tcp, port } => Kind::Tcp(port),
        Traffic::Port { protocol: Protocol::Udp, port } => Kind::Udp(port),
        Traffic::Port { protocol: Protocol::Sctp, port } => Kind::Sctp(port),
        Traffic::Other(_) => Kind::Echo,
    };
    let family = if flow.source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    probe::Flow { from: &hosts[&flow.source], to: &hosts[&flow.destination], called: None, family, kind, expected }
}

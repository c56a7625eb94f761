//! The harness itself: an open network, and one with rules written by hand.

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

use std::net::IpAddr;

use palisade_integration::netns::{Host, Network, Place, Topology};
use palisade_integration::probe::{Connection, Family, Flow, Kind, Patience, probe, talk};

const KINDS: [Kind; 4] = [Kind::Tcp(80), Kind::Udp(80), Kind::Sctp(80), Kind::Echo];

/// Drops what node-0 forwards to 10.1.0.2 and fd01::2, but for TCP to port 80 from the neighbour.
const RULES: &str = "
table inet test {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ct state established,related accept
        ip daddr 10.1.0.2 ip saddr 10.1.0.1 tcp dport 80 accept
        ip daddr 10.1.0.2 drop
        ip6 daddr fd01::2 ip6 saddr fd01::1 tcp dport 80 accept
        ip6 daddr fd01::2 drop
    }
}";

fn dual(number: u8) -> Vec<IpAddr> {
    [format!("10.1.0.{number}"), format!("fd01::{number:x}")].iter().map(|text| text.parse().unwrap()).collect()
}

const ROUTED: Topology = Topology::routed(2);
const TOPOLOGIES: [Topology; 4] = [ROUTED, ROUTED.on_bridges(), ROUTED.over_vxlan(), ROUTED.on_bridges().over_vxlan()];

/// Two pods on each of two nodes, a host-network pod on the second, and an external host.
fn network(topology: Topology) -> (Network, Vec<Host>) {
    let mut network = Network::new(topology).unwrap();
    let places =
        [Place::Behind(0), Place::Behind(0), Place::Behind(1), Place::Behind(1), Place::OnNode(1), Place::External];
    let specs: Vec<_> = places.into_iter().zip(1..).map(|(place, number)| (place, dual(number))).collect();
    let hosts = network.attach(&specs).unwrap();
    (network, hosts)
}

/// Every kind of flow, in both families, from every host to every host, as `from`, `to` and the rest.
fn all_flows(hosts: &[Host], expected: impl Fn(usize, usize, Kind) -> bool) -> Vec<(usize, usize, Flow<'_>)> {
    let mut flows = Vec::new();
    for (a, from) in hosts.iter().enumerate() {
        for (b, to) in hosts.iter().enumerate() {
            for kind in KINDS {
                for family in [Family::Ipv4, Family::Ipv6] {
                    flows.push((a, b, Flow { from, to, called: None, family, kind, expected: expected(a, b, kind) }));
                }
            }
        }
    }
    flows
}

fn check(hosts: &[Host], expected: impl Fn(usize, usize, Kind) -> bool) {
    let flows = all_flows(hosts, expected);
    let probed: Vec<_> = flows.iter().map(|(.., flow)| *flow).collect();
    let answered = probe(&probed, Patience::FULL).unwrap();
    let wrong: Vec<_> = flows
        .iter()
        .zip(answered)
        .filter(|((.., flow), answered)| flow.expected != *answered)
        .map(|((a, b, flow), answered)| format!("{a} -> {b} {} {}: {answered}", flow.kind, flow.family))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn in_an_open_network_all_reach_all() {
    for topology in TOPOLOGIES {
        let (_network, hosts) = network(topology);
        check(&hosts, |_, _, _| true);
    }
}

#[test]
fn rules_in_a_node_decide_in_both_families() {
    for topology in TOPOLOGIES {
        let (network, hosts) = network(topology);
        network.nodes()[0].namespace().nft(RULES).unwrap();
        check(&hosts, |from, to, kind| to != 1 || from == 1 || (from == 0 && kind == Kind::Tcp(80)));
    }
}

#[test]
fn what_the_rules_allowed_before_is_asked_anew() {
    let (network, hosts) = network(ROUTED);
    check(&hosts[..2], |_, _, _| true);
    network.nodes()[0].namespace().nft(RULES).unwrap();
    check(&hosts[..2], |from, to, kind| to != 1 || from == 1 || kind == Kind::Tcp(80));
    network.nodes()[0].namespace().nft("delete table inet test").unwrap();
    check(&hosts[..2], |_, _, _| true);
}

#[test]
fn an_address_moves_to_another_host() {
    for topology in TOPOLOGIES {
        let (mut network, mut hosts) = network(topology);
        hosts.remove(1).detach().unwrap();
        let moved = network.attach_one(Place::Behind(1), &dual(2)).unwrap();
        hosts.insert(1, moved);
        hosts.remove(4).detach().unwrap();
        let moved = network.attach_one(Place::External, &dual(5)).unwrap();
        hosts.insert(4, moved);
        check(&hosts, |_, _, _| true);
    }
}

#[test]
fn a_silent_host_is_not_reached() {
    let (mut network, hosts) = network(ROUTED);
    let gone = network.attach_one(Place::Behind(0), &dual(9)).unwrap();
    gone.namespace().ip("link set eth0 down\n").unwrap();
    let flows = KINDS.map(|kind| Flow {
        from: &hosts[0],
        to: &gone,
        called: None,
        family: Family::Ipv4,
        kind,
        expected: false,
    });
    assert_eq!(probe(&flows, Patience::FULL).unwrap(), [false; 4]);
}

/// As long as nothing is in between; after that, whoever speaks.
#[test]
fn both_ends_of_a_connection_are_heard_until_it_is_cut() {
    const EXPECTED: Patience = Patience::FULL;
    for topology in TOPOLOGIES {
        let (network, hosts) = network(topology);
        let flow = |from: usize, family| Flow {
            from: &hosts[from],
            to: &hosts[1],
            called: None,
            family,
            kind: Kind::Tcp(443),
            expected: true,
        };
        let open = |from, family| Connection::open(&flow(from, family)).unwrap();
        let mut stays = [open(1, Family::Ipv4), open(1, Family::Ipv6)];
        let mut cut = [open(0, Family::Ipv4), open(2, Family::Ipv6)];
        let all = stays.iter_mut().chain(&mut cut).map(|connection| (connection, true));
        assert_eq!(talk(&mut all.collect::<Vec<_>>(), EXPECTED).unwrap(), [[true; 2]; 4]);
        let cutting = "table inet test {
        chain forward {
            type filter hook forward priority 0
            ip daddr 10.1.0.2 drop
            ip saddr 10.1.0.2 drop
            ip6 daddr fd01::2 drop
            ip6 saddr fd01::2 drop
        }
        }";
        network.nodes()[0].namespace().nft(cutting).unwrap();
        let mut all: Vec<_> = stays.iter_mut().map(|connection| (connection, true)).collect();
        all.extend(cut.iter_mut().map(|connection| (connection, false)));
        assert_eq!(talk(&mut all, EXPECTED).unwrap(), [[true; 2], [true; 2], [false; 2], [false; 2]]);
    }
}

#[test]
fn an_address_that_a_node_translates_is_answered() {
    for topology in TOPOLOGIES {
        let (network, hosts) = network(topology);
        let translate = "table inet test {
        chain prerouting {
            type nat hook prerouting priority dstnat
            ip daddr 10.96.0.1 dnat ip to 10.1.0.3
            ip6 daddr fd96::1 dnat ip6 to fd01::3
        }
        }";
        network.nodes()[0].namespace().nft(translate).unwrap();
        let flow = |kind, family, called: &str| Flow {
            from: &hosts[0],
            to: &hosts[2],
            called: Some(called.parse().unwrap()),
            family,
            kind,
            expected: true,
        };
        let flows: Vec<_> = KINDS
            .iter()
            .flat_map(|kind| [flow(*kind, Family::Ipv4, "10.96.0.1"), flow(*kind, Family::Ipv6, "fd96::1")])
            .collect();
        assert_eq!(probe(&flows, Patience::FULL).unwrap(), [true; 8]);
    }
}

#[test]
fn a_missing_family_is_an_error() {
    let mut network = Network::new(1).unwrap();
    let host = network.attach_one(Place::Behind(0), &dual(1)[..1]).unwrap();
    let flow = Flow { from: &host, to: &host, called: None, family: Family::Ipv6, kind: Kind::Echo, expected: true };
    let error = probe(&[flow], Patience::FULL).unwrap_err().to_string();
    assert!(error.contains("10.1.0.1") && error.contains("IPv6"), "{error}");
}

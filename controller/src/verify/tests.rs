//! What is said of random clusters, held against the reference verdict on the whole of them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use palisade_model::reference::{Cluster, Flow};
use palisade_model::testing::{bare_pod, changes, flows};
use palisade_model::{
    Change, Enforcement, IpBlock, Labels, NamespaceScope, NamespacedName, Peer, Peers, Phase, Pod, PodGroup, Policy,
    Ports, Protocol, Requirement, Rule, Selector, Traffic,
};
use proptest::prelude::*;

use super::*;
use crate::manifests::{Besides, Place, Schema};

fn case(from: End, to: End, protocol: Protocol, port: u16, allowed: bool) -> Case {
    Case {
        place: Place { file: "f".into(), document: None, line: None },
        name: String::new(),
        from: vec![from],
        to: vec![to],
        traffic: Wanted::Ports(protocol, vec![Port::Number(port)]),
        allowed,
        only: false,
        allow_empty: false,
    }
}

/// The pods that have addresses, with those that are theirs.
fn owners(cluster: &Cluster) -> Vec<(NamespacedName, Vec<IpAddr>)> {
    let live = cluster.pods.values().filter(|pod| !pod.host_network && pod.phase == Phase::Active);
    let owned = live.map(|pod| {
        let is_its = |address: &IpAddr| cluster.owner(*address).is_some_and(|owner| owner.id == pod.id);
        (pod.id.clone(), pod.addresses().iter().copied().filter(is_its).collect::<Vec<_>>())
    });
    owned.filter(|(_, addresses)| !addresses.is_empty()).collect()
}

fn flows_between(from: &[IpAddr], to: &[IpAddr], traffic: Traffic) -> Vec<Flow> {
    let all = from.iter().flat_map(|source| to.iter().map(move |destination| (*source, *destination)));
    let all = all.filter(|(source, destination)| source.is_ipv4() == destination.is_ipv4());
    all.map(|(source, destination)| Flow { source, destination, traffic }).collect()
}

fn outcome(situation: &Situation, case: Case) -> Outcome {
    verify(situation, &[case], || {}).remove(0).outcome
}

/// The address of a title such as `shop/web (10.0.0.1)`.
fn address_of(title: &str) -> IpAddr {
    let address = title.rsplit('(').next().unwrap_or(title);
    address.trim_end_matches(')').parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pairs_are_judged_as_the_whole_cluster_judges_them(changes in changes(30)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let situation = Situation::new(cluster.clone(), Besides::default(), false);
        let all = flows(&cluster);
        let ports: BTreeSet<(Protocol, u16)> = all.iter().filter_map(|flow| match flow.traffic {
            Traffic::Port { protocol, port } if port > 0 => Some((protocol, port)),
            Traffic::Port { .. } | Traffic::Other(_) => None,
        }).collect();
        let owners = owners(&cluster);
        for (from, sources) in &owners {
            for (to, destinations) in owners.iter().filter(|(to, _)| to != from) {
                for (protocol, port) in ports.iter().copied().take(12) {
                    let flows = flows_between(sources, destinations, Traffic::Port { protocol, port });
                    let expected = flows.iter().all(|flow| cluster.verdict(flow).allowed);
                    let said = outcome(&situation, case(End::Pod(from.clone()), End::Pod(to.clone()), protocol, port, true));
                    match said {
                        Outcome::Error { .. } => prop_assert!(flows.is_empty()),
                        Outcome::Passed { .. } => prop_assert!(expected, "{from} {to} {protocol} {port}"),
                        Outcome::Failed { failures, .. } => {
                            prop_assert!(!expected, "{from} {to} {protocol} {port}");
                            prop_assert!(failures.iter().all(|failure| !failure.allowed && !failure.reasons.is_empty()));
                        }
                    }
                }
            }
        }
    }

    /// What is counted, and told of what fails, is what asking each by itself gives.
    #[test]
    fn many_are_counted_as_few_are_asked(changes in changes(40), udp in any::<bool>()) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let asked = Situation::new(cluster.clone(), Besides::default(), false);
        let mut counted = Situation::new(cluster.clone(), Besides::default(), false);
        counted.few = 0;
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        let pods = owners(&cluster).into_iter().take(2).map(|(pod, _)| End::Pod(pod));
        for (to, only) in [(End::Any, false)].into_iter().chain(pods.map(|pod| (pod, true))) {
            for (port, allowed) in [(80, true), (80, false), (53, true), (53, false)] {
                let only = only && allowed;
                let of_ports = Case { only, ..case(End::Any, to.clone(), protocol, port, allowed) };
                let from = if only { vec![to.clone()] } else { vec![End::Any] };
                for case in [Case { from, ..of_ports.clone() }, Case { traffic: Wanted::Icmp, ..of_ports }] {
                    let said = [&asked, &counted].map(|situation| {
                        serde_json::to_value(outcome(situation, case.clone())).unwrap()
                    });
                    prop_assert_eq!(&said[0], &said[1], "{:?}", case);
                }
            }
        }
    }

    /// Though pods that are alike are asked about once.
    #[test]
    fn nobody_is_left_out_of_any(changes in changes(30)) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let situation = Situation::new(cluster.clone(), Besides::default(), false);
        let all = flows(&cluster);
        let is_a_nodes = |address: &IpAddr| situation.of_nodes.contains(address);
        for (to, destinations) in owners(&cluster) {
            for (protocol, port) in [(Protocol::Tcp, 80), (Protocol::Tcp, 7777), (Protocol::Udp, 53)] {
                let traffic = Traffic::Port { protocol, port };
                let of_case = |flow: &&Flow| {
                    let source = cluster.owner(flow.source).map(|pod| &pod.id);
                    let is_somebody = source.is_some() || !is_a_nodes(&flow.source);
                    destinations.contains(&flow.destination) && flow.traffic == traffic && is_somebody && source != Some(&to)
                };
                let is_open = all.iter().filter(of_case).any(|flow| cluster.verdict(flow).allowed);
                let is_closed = all.iter().filter(of_case).any(|flow| !cluster.verdict(flow).allowed);
                for (expected, is_wrong) in [(false, is_open), (true, is_closed)] {
                    let said = outcome(&situation, case(End::Any, End::Pod(to.clone()), protocol, port, expected));
                    let Outcome::Failed { failures, .. } = said else {
                        prop_assert!(!is_wrong, "{to} {traffic} {expected}: {said:?}");
                        continue;
                    };
                    for failure in failures {
                        let (source, destination) = (address_of(&failure.from), address_of(&failure.to));
                        let is_known = cluster.owner(source).is_some_and(|pod| failure.from.starts_with(&pod.id.to_string()));
                        if is_known || failure.from == source.to_string() {
                            let verdict = cluster.verdict(&Flow { source, destination, traffic });
                            prop_assert_eq!(verdict.allowed, failure.allowed, "{:?}", failure);
                        }
                    }
                }
            }
        }
    }
}

/// The second of two pods that are alike but for one thing is asked about, too.
#[test]
fn what_policies_tell_apart_is_asked_about_apart() {
    let block = |cidr: &str| Peer::Block(IpBlock::new(cidr.parse().unwrap(), []).unwrap());
    let group = |pods| Peer::Pods(PodGroup { namespaces: NamespaceScope::Named("s".into()), pods });
    let labelled = |key: &str| group(Selector::from_iter([Requirement::new(key, "Exists", [""; 0]).unwrap()]));
    for (peer, expected) in [(block("10.1.0.0/16"), "s/c ("), (block("10.0.0.2/32"), "s/b ("), (labelled("x"), "s/d (")]
    {
        let mut cluster = Cluster::default();
        let rule = Rule { peers: Peers::AnyOf(vec![peer.clone()]), ports: Ports::All };
        cluster.apply(Change::Policy(Policy {
            id: NamespacedName::new("s", "p"),
            enforcement: Enforcement::Enforced,
            selector: Selector::from_iter([Requirement::new("app", "In", ["db"]).unwrap()]),
            ingress: Some(vec![rule]),
            egress: None,
        }));
        for (name, labels, ip) in [
            ("a", [("app", "web")], "10.0.0.1"),
            ("b", [("app", "web")], "10.0.0.2"),
            ("c", [("app", "web")], "10.1.0.1"),
            ("d", [("x", "")], "10.0.0.3"),
            ("db", [("app", "db")], "10.0.0.4"),
        ] {
            let pod = bare_pod(NamespacedName::new("s", name), [ip.parse().unwrap()]);
            cluster.apply(Change::Pod(Pod { labels: labels.into_iter().collect(), ..pod }));
        }
        let situation = Situation::new(cluster, Besides::default(), false);
        let to = End::Pod(NamespacedName::new("s", "db"));
        let all = End::Labelled { namespace: Some("s".into()), labels: Labels::default() };
        let said = outcome(&situation, case(all, to, Protocol::Tcp, 80, false));
        let Outcome::Failed { failures, failed, .. } = said else { panic!("{peer:?}: {said:?}") };
        assert!(failed == 1 && failures[0].from.starts_with(expected), "{peer:?}: {failures:?}");
    }
}

fn parsed(text: &str) -> Result<Vec<Case>, String> {
    parse(Path::new("f.yaml"), text).map_err(|errors| errors.to_string())
}

#[test]
fn what_is_wrong_is_told_with_line_and_field() {
    let with =
        |rest: &str| format!("cases:\n- from: {{pod: a/b}}\n  to: {{pod: a/c}}\n  port: 80\n  expect: allowed\n{rest}");
    for (text, expected) in [
        (
            with("  alowEmpty: true\n"),
            "f.yaml:6: cases[0].alowEmpty: is no field of a file of expectations: did you mean allowEmpty?",
        ),
        (
            with("  expct: denied\n"),
            "f.yaml:6: cases[0].expct: is no field of a file of expectations: did you mean expect?",
        ),
        (with("  ports: [81]\n"), "f.yaml:6: cases[0].ports: stands beside `port`: write one of the two"),
        (with("  protocol: ICMP\n"), "f.yaml:4: cases[0].port: ICMP has no ports: leave it out"),
        (with("  protocol: TPC\n"), "f.yaml:6: cases[0].protocol: is not one of TCP, UDP, SCTP, ICMP"),
        (with("").replace("allowed", "yes"), "f.yaml:5: cases[0].expect: must be text, but is true: put it in quotes"),
        (with("").replace("allowed", "maybe"), "f.yaml:5: cases[0].expect: \"maybe\" is not one of allowed, denied"),
        (
            with("  only: true\n").replace("allowed", "denied"),
            "f.yaml:6: cases[0].only: goes with `expect: allowed` alone: nobody but these is allowed",
        ),
        (with("").replace("80", "70000"), "f.yaml:4: cases[0].port: 70000 is not a port: 1 to 65535"),
        (
            with("").replace("  port: 80\n", ""),
            "f.yaml:2: cases[0].port: is missing: a number, or a name that the destination declares",
        ),
        (with("").replace("pod: a/c", "pod: c"), "f.yaml:3: cases[0].to.pod: \"c\" is not of the form NAMESPACE/NAME"),
        (
            with("").replace("pod: a/c", "adress: 1.1.1.1"),
            "f.yaml:3: cases[0].to.adress: is no field of a file of expectations: did you mean address?",
        ),
        (
            with("").replace("{pod: a/b}", "[{pod: a/b}, {pod: b}]"),
            "f.yaml:2: cases[0].from[1].pod: \"b\" is not of the form NAMESPACE/NAME",
        ),
        (
            with("").replace("pod: a/b", "service: a/b"),
            "f.yaml:2: cases[0].from: is a Service, which opens no connections: name the pods behind it",
        ),
        ("cases: []\n".to_owned(), "f.yaml:1: cases: is empty: nothing would be verified"),
        ("cases:\n- to: {any: true}\n".to_owned(), "f.yaml:2: cases[0]: missing field `from`"),
        (String::new(), "f.yaml: is empty: it has to hold a file of expectations"),
    ] {
        assert_eq!(parsed(&text).map(|cases| cases.len()), Err(expected.to_owned()), "{text}");
    }
    assert_eq!(parsed(&with("")).unwrap()[0].name, "a/b -> a/c TCP 80: allowed");
}

/// The fields of each map of our own form are those of the JSON schema, and no others.
fn assert_same(schema: &Schema, json: &serde_json::Value, whole: &serde_json::Value, at: &str) {
    let json = match json["$ref"].as_str() {
        Some(reference) => whole.pointer(reference.trim_start_matches('#')).unwrap(),
        None => json,
    };
    match schema {
        Schema::Closed(fields) => {
            let theirs: BTreeSet<&str> = json["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(fields.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), theirs, "{at}");
            assert_eq!(json["additionalProperties"], false, "{at}");
            fields
                .iter()
                .for_each(|(name, of)| assert_same(of, &json["properties"][name], whole, &format!("{at}.{name}")));
        }
        Schema::List(of) => assert_same(of, &json["items"], whole, at),
        Schema::OneOrMany(of) => {
            assert_same(of, &json["oneOf"][0], whole, at);
            assert_same(of, &json["oneOf"][1]["items"], whole, at);
        }
        Schema::Text => assert!(json["type"] == "string" || json["enum"].is_array(), "{at}"),
        Schema::Integer => assert_eq!(json["type"], "integer", "{at}"),
        Schema::Flag => assert!(json["type"] == "boolean" || json["const"] == true, "{at}"),
        Schema::TextMap => assert_eq!(json["additionalProperties"]["type"], "string", "{at}"),
        Schema::IntegerOrText => assert_eq!(json["oneOf"].as_array().unwrap().len(), 2, "{at}"),
        Schema::Any | Schema::Open(_) => panic!("{at} is not strict"),
    }
}

#[test]
fn the_schema_for_editors_has_the_fields_that_are_read() {
    let json: serde_json::Value = serde_json::from_str(include_str!("../../../deploy/verify.schema.json")).unwrap();
    assert_same(&form::FILE, &json, &json, "file");
    let case = &json["$defs"]["case"];
    assert_eq!(case["required"], serde_json::json!(["from", "to", "expect"]));
    let text = include_str!("../../../deploy/verify/expectations.yaml");
    assert_eq!(parsed(text).unwrap().len(), 7);
}

use model::{
    Age, ContainerPort, Enforcement, IpBlock, NamespaceScope, Peer, Peers, Phase, PodGroup, PortMatch, PortRange,
    Ports, Protocol, Requirement, Rule, Selector,
};
use serde_json::{Value, json};

use super::*;
use crate::objects::{self, NetworkPolicy};

fn convert(spec: Value) -> (model::Policy, Vec<Problem>) {
    let mut object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": "web"},
    });
    object["spec"] = spec;
    policy(&serde_json::from_value::<NetworkPolicy>(object).unwrap())
}

/// The policy, which must be understood in full.
fn understood(spec: Value) -> model::Policy {
    let (policy, problems) = convert(spec);
    assert_eq!(problems, []);
    policy
}

/// The only ingress rule of a policy, and where its problems are.
fn ingress(rule: Value) -> (Rule, Vec<String>) {
    let mut spec = json!({"podSelector": {}});
    spec["ingress"] = Value::Array(vec![rule]);
    let (policy, problems) = convert(spec);
    let [rule] = <[Rule; 1]>::try_from(policy.ingress.unwrap()).unwrap();
    (rule, problems.into_iter().map(|problem| problem.field).collect())
}

fn selector(key: &str, operator: &str, values: &[&str]) -> Selector {
    Selector::from_iter([Requirement::new(key, operator, values.iter().copied()).unwrap()])
}

fn numbers(protocol: Protocol, first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol, ports: PortRange::new(first, last).unwrap() }
}

#[test]
fn every_kind_of_peer_and_port_is_understood() {
    let policy = understood(json!({
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Ingress"],
        "ingress": [{
            "from": [
                {"podSelector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["db"]}]}},
                {"namespaceSelector": {"matchLabels": {"team": "a"}}},
                {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "x"}}},
                {"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.0/16"]}},
            ],
            "ports": [
                {}, {"protocol": "UDP", "port": 53}, {"port": 8000, "endPort": 9000}, {"protocol": "SCTP", "port": "web"},
            ],
        }],
    }));
    let own = NamespaceScope::Named("shop".into());
    let block = IpBlock::new("10.0.0.0/8".parse().unwrap(), ["10.1.0.0/16".parse().unwrap()]).unwrap();
    let group = |namespaces, pods| Peer::Pods(PodGroup { namespaces, pods });
    let rule = Rule {
        peers: Peers::AnyOf(vec![
            group(own, selector("tier", "NotIn", &["db"])),
            group(NamespaceScope::Matching(selector("team", "In", &["a"])), Selector::default()),
            group(NamespaceScope::Matching(Selector::default()), selector("app", "In", &["x"])),
            Peer::Block(block),
        ]),
        ports: Ports::AnyOf(vec![
            numbers(Protocol::Tcp, 0, 65535),
            numbers(Protocol::Udp, 53, 53),
            numbers(Protocol::Tcp, 8000, 9000),
            PortMatch::Named { protocol: Protocol::Sctp, name: "web".into() },
        ]),
    };
    assert_eq!(policy.id.to_string(), "shop/web");
    assert_eq!(policy.selector, selector("app", "In", &["web"]));
    assert_eq!((policy.ingress, policy.egress), (Some(vec![rule]), None));
}

#[test]
fn missing_and_empty_lists_mean_all_in_a_rule_and_nothing_in_a_policy() {
    let everything = Rule { peers: Peers::All, ports: Ports::All };
    for rule in [json!({}), json!({"from": [], "ports": []})] {
        assert_eq!(ingress(rule), (everything.clone(), vec![]));
    }
    assert_eq!(understood(json!({"podSelector": {}, "ingress": []})).ingress, Some(vec![]));
    assert_eq!(understood(json!({"podSelector": {}})).ingress, Some(vec![]));
}

#[test]
fn policy_types_default_by_the_rules_and_are_literal_where_written() {
    for (spec, expected) in [
        (json!({}), (true, false)),
        (json!({"policyTypes": []}), (true, false)),
        (json!({"egress": []}), (true, false)),
        (json!({"egress": [{}]}), (true, true)),
        (json!({"policyTypes": ["Egress"], "ingress": [{}]}), (false, true)),
        (json!({"policyTypes": ["Ingress"], "egress": [{}]}), (true, false)),
        (json!({"policyTypes": ["Egress", "Ingress"]}), (true, true)),
    ] {
        let policy = understood(spec.clone());
        assert_eq!((policy.ingress.is_some(), policy.egress.is_some()), expected, "{spec}");
    }
}

/// Both kinds: what the annotation is, and whether it is complained about.
#[test]
fn only_what_is_understood_as_audit_is_not_enforced() {
    for (annotations, expected, is_wrong) in [
        (json!(null), Enforcement::Enforced, false),
        (json!({"palisade.dev/enforcements": "audit"}), Enforcement::Enforced, false),
        (json!({"palisade.dev/enforcement": "enforce"}), Enforcement::Enforced, false),
        (json!({"palisade.dev/enforcement": "audit"}), Enforcement::Audited, false),
        (json!({"palisade.dev/enforcement": "Audit"}), Enforcement::Enforced, true),
        (json!({"palisade.dev/enforcement": ""}), Enforcement::Enforced, true),
    ] {
        let metadata = json!({"namespace": "shop", "name": "web", "annotations": annotations});
        let spec = json!({"podSelector": {}, "tier": "Admin", "priority": 1, "subject": {"namespaces": {}}});
        let object = json!({"metadata": metadata, "spec": spec});
        let (policy, problems) = policy(&serde_json::from_value(object.clone()).unwrap());
        let (cluster_policy, of_cluster_policy) = cluster_policy(&serde_json::from_value(object).unwrap());
        assert_eq!((policy.enforcement, problems.len()), (expected, usize::from(is_wrong)), "{metadata}");
        assert_eq!((cluster_policy.unwrap().enforcement, &of_cluster_policy), (expected, &problems), "{metadata}");
        for problem in problems {
            assert_eq!(problem.field, "metadata.annotations[palisade.dev/enforcement]");
            assert!(problem.message.contains("not one of audit, enforce"), "{problem}");
        }
    }
}

#[test]
fn an_unknown_policy_type_isolates_both_ways() {
    let (policy, problems) = convert(json!({"podSelector": {}, "policyTypes": ["ingress"]}));
    assert_eq!((policy.ingress, policy.egress), (Some(vec![]), Some(vec![])));
    assert_eq!(problems[0].field, "spec.policyTypes[0]");
}

#[test]
fn a_pod_selector_not_understood_isolates_the_namespace_and_allows_nothing() {
    let spec = json!({
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "Like", "values": ["w"]}]},
        "ingress": [{}], "egress": [{}],
    });
    let (policy, problems) = convert(spec);
    assert_eq!(policy.selector, Selector::default());
    assert_eq!((policy.ingress, policy.egress), (Some(vec![]), Some(vec![])));
    assert_eq!(problems[0].field, "spec.podSelector.matchExpressions[0].operator");
}

#[test]
fn a_peer_not_understood_is_left_out_and_never_becomes_everyone() {
    for (peer, field) in [
        (json!({}), ""),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}), ""),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "namespaceSelector": {}}), ""),
        (json!({"ipBlock": {"cidr": "10.0.0.0"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/33"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "::ffff:10.0.0.0/95"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "::ffff:10.0.0.0/129"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/+8"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/0x8"}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "::/0", "except": ["::ffff:0.0.0.0/90"]}}), ".ipBlock.except[0]"),
        (json!({"ipBlock": {"cidr": "::/0", "except": ["::ffff:10.0.0.0/104"]}}), ".ipBlock.except[0]"),
        (json!({"ipBlock": {"cidr": ""}}), ".ipBlock.cidr"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}), ".ipBlock.except[0]"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/9", "10.0.0.0/8"]}}), ".ipBlock.except[1]"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/64"]}}), ".ipBlock.except[0]"),
        (json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["all"]}}), ".ipBlock.except[0]"),
        (json!({"podSelector": {"matchLabels": {"a b": "c"}}}), ".podSelector.matchLabels[a b]"),
        (json!({"podSelector": {"matchLabels": {"a": "-"}}}), ".podSelector.matchLabels[a]"),
        (
            json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            ".namespaceSelector.matchExpressions[0].values",
        ),
        (
            json!({"podSelector": {}, "namespaceSelector": {"matchExpressions": [{"key": "", "operator": "Exists"}]}}),
            ".namespaceSelector.matchExpressions[0].key",
        ),
    ] {
        let (rule, fields) = ingress(json!({"from": [peer]}));
        assert_eq!(rule, Rule { peers: Peers::AnyOf(vec![]), ports: Ports::All }, "{peer}");
        assert_eq!(fields, [format!("spec.ingress[0].from[0]{field}")], "{peer}");
    }
}

#[test]
fn a_port_not_understood_is_left_out_and_never_becomes_every_port() {
    for (port, field) in [
        (json!({"protocol": "tcp", "port": 80}), "protocol"),
        (json!({"protocol": "ICMP"}), "protocol"),
        (json!({"protocol": "", "port": 80}), "protocol"),
        (json!({"port": 0}), "port"),
        (json!({"port": 65536}), "port"),
        (json!({"port": -1}), "port"),
        (json!({"port": "80"}), "port"),
        (json!({"port": ""}), "port"),
        (json!({"port": "Web"}), "port"),
        (json!({"port": "-web"}), "port"),
        (json!({"port": "web-"}), "port"),
        (json!({"port": "w--b"}), "port"),
        (json!({"port": "sixteen-letters-"}), "port"),
        (json!({"endPort": 90}), "endPort"),
        (json!({"port": "web", "endPort": 90}), "endPort"),
        (json!({"port": 90, "endPort": 80}), "endPort"),
        (json!({"port": 90, "endPort": 65536}), "endPort"),
    ] {
        let (rule, fields) = ingress(json!({"ports": [port]}));
        assert_eq!(rule, Rule { peers: Peers::All, ports: Ports::AnyOf(vec![]) }, "{port}");
        assert_eq!(fields, [format!("spec.ingress[0].ports[0].{field}")], "{port}");
    }
}

#[test]
fn what_is_understood_beside_a_problem_stays_in_its_place() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
        {"to": [{}]},
        {"to": [{"podSelector": {}}, {"ipBlock": {"cidr": "?"}}], "ports": [{"port": 0}, {"port": 80}]},
    ]});
    let (policy, problems) = convert(spec);
    let egress = policy.egress.unwrap();
    assert_eq!(egress[0].peers, Peers::AnyOf(vec![]));
    let all_pods = PodGroup { namespaces: NamespaceScope::Named("shop".into()), pods: Selector::default() };
    assert_eq!(egress[1].peers, Peers::AnyOf(vec![Peer::Pods(all_pods)]));
    assert_eq!(egress[1].ports, Ports::AnyOf(vec![numbers(Protocol::Tcp, 80, 80)]));
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let expected = ["spec.egress[0].to[0]", "spec.egress[1].to[1].ipBlock.cidr", "spec.egress[1].ports[0].port"];
    assert_eq!(fields, expected);
}

#[test]
fn a_namespace_carries_its_name_as_a_label() {
    let convert = |labels: Value| {
        namespace(&serde_json::from_value(json!({"metadata": {"name": "shop", "labels": labels}})).unwrap()).labels
    };
    assert_eq!(convert(json!({"a": "b"})).get("kubernetes.io/metadata.name"), Some("shop"));
    assert_eq!(convert(json!({"a": "b"})).get("a"), Some("b"));
    assert_eq!(convert(Value::Null).get("kubernetes.io/metadata.name"), Some("shop"));
}

fn pod_of(spec: Value, status: Value) -> (model::Pod, Vec<Problem>) {
    let mut object = json!({"metadata": {
        "namespace": "shop", "name": "web-1", "labels": {"app": "web"},
        "creationTimestamp": "1970-01-01T00:01:00Z", "resourceVersion": "77",
    }});
    (object["spec"], object["status"]) = (spec, status);
    pod(&serde_json::from_value::<objects::Pod>(object).unwrap(), &mut Fresh)
}

#[test]
fn a_pod_is_read_from_metadata_spec_and_status() {
    let port = |name: Option<&str>, number: u16| json!({"name": name, "containerPort": number});
    let (pod, problems) = pod_of(
        json!({
            "nodeName": "n1",
            "containers": [{"name": "a", "ports": [port(Some("web"), 80), port(None, 81)]}],
            "initContainers": [
                {"name": "sidecar", "restartPolicy": "Always", "ports": [
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                ]},
                {"name": "setup", "ports": [port(Some("setup"), 1)]},
            ],
        }),
        json!({
            "phase": "Running",
            "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "10.0.0.1"}],
            "hostIP": "172.16.0.1", "hostIPs": [{"ip": "172.16.0.1"}, {"ip": "fd16::1"}],
        }),
    );
    assert_eq!(problems, []);
    let declared = |name: &str, protocol, port| ContainerPort { name: name.into(), protocol, port };
    let expected = model::Pod {
        id: model::NamespacedName::new("shop", "web-1"),
        uid: None,
        labels: model::Labels::from_iter([("app", "web")]),
        node: Some("n1".into()),
        ips: ["10.0.0.1", "fd00::1"].map(|ip| ip.parse().unwrap()).to_vec(),
        host_ips: ["172.16.0.1", "fd16::1"].map(|ip| ip.parse().unwrap()).to_vec(),
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age { created: 60, revision: 77 },
        ports: vec![declared("web", Protocol::Tcp, 80), declared("dns", Protocol::Udp, 53)],
    };
    assert_eq!(pod, expected);
}

#[test]
fn a_pod_that_is_not_there_yet_or_no_more() {
    let (waiting, problems) = pod_of(json!({}), json!({"phase": "Pending", "podIP": "", "hostIP": "172.16.0.1"}));
    assert_eq!((waiting.ips.len(), waiting.node, waiting.phase, problems), (0, None, Phase::Active, vec![]));
    assert_eq!(waiting.host_ips.len(), 1, "the single field counts where there is no list");
    for phase in ["Succeeded", "Failed"] {
        assert_eq!(pod_of(json!({}), json!({"phase": phase})).0.phase, Phase::Finished);
    }
    let going = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "x"}});
    let (going, _) = pod(&serde_json::from_value::<objects::Pod>(going).unwrap(), &mut Fresh);
    assert!(going.terminating);
    assert_eq!(going.age, Age::default());
    assert!(pod_of(json!({"hostNetwork": true}), json!({})).0.host_network);
}

#[test]
fn addresses_and_ports_not_understood_are_left_out_of_a_pod() {
    let ports = json!([
        {"name": "a", "containerPort": 0}, {"name": "b", "containerPort": 80, "protocol": "ICMP"},
        {"name": "c", "containerPort": 80}, {"containerPort": 99999},
    ]);
    let (pod, problems) = pod_of(
        json!({"containers": [{"name": "x", "ports": ports}]}),
        json!({"podIPs": [{"ip": "10.0.0.256"}, {"ip": "fd00::1%eth0"}, {"ip": "10.0.0.1"}], "hostIP": "n1"}),
    );
    assert_eq!((pod.ips.len(), pod.ports.len()), (1, 1));
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let expected = [
        "status.podIPs[0].ip",
        "status.podIPs[1].ip",
        "status.hostIP",
        "spec.containers[0].ports[0].containerPort",
        "spec.containers[0].ports[1].protocol",
    ];
    assert_eq!(fields, expected);
}

/// As older API servers took and stored them.
#[test]
fn addresses_in_another_notation_are_the_same_addresses() {
    let read = |text: &str| {
        let (pod, problems) = pod_of(json!({}), json!({"podIPs": [{"ip": text}], "hostIPs": [{"ip": text}]}));
        assert_eq!(pod.ips, pod.host_ips);
        (pod.ips.first().copied(), problems.len())
    };
    for (text, same) in [
        ("::ffff:10.1.0.6", "10.1.0.6"),
        ("::FFFF:a01:6", "10.1.0.6"),
        ("0:0:0:0:0:ffff:0a01:0006", "10.1.0.6"),
        ("010.001.000.006", "10.1.0.6"),
        ("10.1.0.0000000006", "10.1.0.6"),
        ("10.1.0.099", "10.1.0.99"),
        ("::ffff:010.001.000.006", "10.1.0.6"),
        ("fd00:0000::0001", "fd00::1"),
        ("FD00::00001", "fd00::1"),
        ("::10.1.0.6", "::a01:6"),
        ("::", "::"),
        ("000.0.00.0", "0.0.0.0"),
    ] {
        assert_eq!(read(text), (Some(same.parse().unwrap()), 0), "{text}");
    }
    let no_addresses = [
        "10.1.0",
        "10.1.6",
        "10.1.0.0256",
        "0x0a.1.0.6",
        "10.1.0.6.",
        ".10.1.0.6",
        "10..0.6",
        "1::2::3",
        "::fffff",
        " 10.1.0.6",
        "10.1.0.6 ",
        "10.1.0.+6",
        "010",
        "0",
        "00",
        "::ffff:10.1.0",
        "1:2:3:4:5:6:7:8:9",
        "::ffff:10.1.0.6%0",
        "[::1]",
        ":",
        ":::",
    ];
    for text in no_addresses {
        assert_eq!(read(text), (None, 2), "{text}");
    }
    let both = json!({"podIPs": [{"ip": "10.1.0.6"}, {"ip": "::ffff:10.1.0.6"}, {"ip": "010.1.0.6"}]});
    assert_eq!(pod_of(json!({}), both).0.ips, ["10.1.0.6".parse::<std::net::IpAddr>().unwrap()]);
    let single = pod_of(json!({}), json!({"podIP": "::ffff:10.1.0.6", "hostIP": "010.0.0.1"})).0;
    assert_eq!((single.ips[0].to_string(), single.host_ips[0].to_string()), ("10.1.0.6".into(), "10.0.0.1".into()));
}

#[test]
fn blocks_in_another_notation_are_the_same_blocks() {
    for (cidr, except, same) in [
        ("010.000.0.0/8", "10.001.0.0/16", "10.0.0.0/8 except 10.1.0.0/16"),
        ("10.0.0.0/008", "10.1.0.0/016", "10.0.0.0/8 except 10.1.0.0/16"),
        ("::ffff:10.0.0.0/104", "::ffff:10.1.0.0/112", "10.0.0.0/8 except 10.1.0.0/16"),
        ("10.9.9.9/8", "::ffff:a01:909/112", "10.0.0.0/8 except 10.1.0.0/16"),
        ("::ffff:010.0.0.0/0104", "10.1.0.0/16", "10.0.0.0/8 except 10.1.0.0/16"),
        ("::ffff:0:0/96", "0.0.0.0/1", "0.0.0.0/0 except 0.0.0.0/1"),
        ("::ffff:10.1.0.6/127", "::ffff:10.1.0.6/128", "10.1.0.6/31 except 10.1.0.6/32"),
        ("0FD00:0::/08", "fd00:0000::/16", "fd00::/8 except fd00::/16"),
    ] {
        let (rule, problems) = ingress(json!({"from": [{"ipBlock": {"cidr": cidr, "except": [except]}}]}));
        let Peers::AnyOf(peers) = rule.peers else { panic!("everyone") };
        let blocks: Vec<_> = peers
            .iter()
            .map(|peer| if let Peer::Block(block) = peer { block.to_string() } else { "".into() })
            .collect();
        assert_eq!((blocks, problems), (vec![same.to_owned()], vec![]), "{cidr}");
    }
}

/// Of two pods that claim one address in two notations, the newer one owns it, as in one.
#[test]
fn to_the_index_an_address_in_another_notation_has_one_owner() {
    let on_node = |name: &str, created: &str, ip: &str| {
        let object = json!({
            "metadata": {"namespace": "shop", "name": name, "labels": {"app": name}, "creationTimestamp": created},
            "spec": {"nodeName": "n1"}, "status": {"podIPs": [{"ip": ip}]},
        });
        model::Change::Pod(pod(&serde_json::from_value::<objects::Pod>(object).unwrap(), &mut Fresh).0)
    };
    for (older, newer) in [("10.1.0.6", "::ffff:10.1.0.6"), ("::ffff:10.1.0.6", "010.001.000.006")] {
        let mut index = model::Index::new("n1");
        index.apply(on_node("old", "2026-01-01T00:00:00Z", older));
        index.apply(on_node("new", "2026-01-02T00:00:00Z", newer));
        index.apply(model::Change::Policy(understood(json!({"podSelector": {}}))));
        let owners: Vec<_> = index
            .take_delta()
            .pods
            .into_iter()
            .filter_map(|(id, rules)| Some((id.to_string(), rules?.addresses)))
            .collect();
        assert_eq!(owners, [("shop/new".to_owned(), vec!["10.1.0.6".parse().unwrap()])], "{older}, {newer}");
    }
}

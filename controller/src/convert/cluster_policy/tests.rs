use palisade_model::{Enforcement, Requirement};
use serde_json::json;

use super::*;

fn convert(spec: &Value) -> (Option<ClusterPolicy>, Vec<String>) {
    let object = json!({"metadata": {"name": "lockdown"}, "spec": spec});
    let (policy, problems) = cluster_policy(&serde_json::from_value(object).unwrap());
    (policy, problems.into_iter().map(|problem| problem.field).collect())
}

fn spec(direction: &str, rules: &Value) -> Value {
    let mut spec = json!({"tier": "Admin", "priority": 7, "subject": {"namespaces": {}}});
    spec[direction] = rules.clone();
    spec
}

/// The only rule of a policy, and where its problems are.
fn rule(direction: Direction, rule: &Value) -> (ClusterRule, Vec<String>) {
    let (policy, fields) = convert(&spec(&direction.to_string(), &json!([rule])));
    let [rule] = <[ClusterRule; 1]>::try_from(policy.unwrap().rules(direction).to_vec()).unwrap();
    (rule, fields)
}

fn all() -> PodGroup {
    PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods: Selector::default() }
}

fn numbers(protocol: Protocol, first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol, ports: PortRange::new(first, last).unwrap() }
}

#[test]
fn every_kind_of_peer_and_port_is_understood() {
    let app = Selector::from_iter([Requirement::new("app", "In", ["web"]).unwrap()]);
    let (policy, problems) = convert(&json!({
        "tier": "Baseline", "priority": 1000,
        "subject": {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}},
        "ingress": [],
        "egress": [
            {
                "name": "out", "action": "Accept",
                "to": [
                    {"namespaces": {}},
                    {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}},
                    {"networks": ["10.1.2.3/8", "fd00::/8"]},
                    {"nodes": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}},
                ],
                "protocols": [
                    {"tcp": {"destinationPort": {"number": 80}}},
                    {"udp": {"destinationPort": {"range": {"start": 1, "end": 65535}}}},
                ],
            },
            {"action": "Pass", "to": [{"namespaces": {}}], "protocols": [{"destinationNamedPort": "http"}]},
        ],
    }));
    assert_eq!(problems, [""; 0]);
    let block = |text: &str| ClusterPeer::Network(IpBlock::new(text.parse().unwrap(), []).unwrap());
    let named = |protocol| PortMatch::Named { protocol, name: "http".into() };
    let out = ClusterRule {
        name: Some("out".into()),
        action: TierAction::Accept,
        peers: ClusterPeers::AnyOf(vec![
            ClusterPeer::Pods(all()),
            ClusterPeer::Pods(PodGroup { pods: app.clone(), ..all() }),
            block("10.0.0.0/8"),
            block("fd00::/8"),
            ClusterPeer::Nodes(app.clone()),
        ]),
        ports: Ports::AnyOf(vec![numbers(Protocol::Tcp, 80, 80), numbers(Protocol::Udp, 1, 65535)]),
    };
    let passed = ClusterRule {
        name: None,
        action: TierAction::Pass,
        peers: ClusterPeers::AnyOf(vec![ClusterPeer::Pods(all())]),
        ports: Ports::AnyOf(Protocol::ALL.map(named).into()),
    };
    let expected = ClusterPolicy {
        name: "lockdown".into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Baseline,
        priority: 1000,
        subject: PodGroup { pods: app, ..all() },
        ingress: vec![],
        egress: vec![out, passed],
    };
    assert_eq!(policy.unwrap(), expected);
}

/// Each of these is something that the schema of the custom resource lets through, or that a newer one may hold.
#[test]
fn a_rule_that_is_not_understood_is_closed_in_its_place() {
    let pods = json!([{"namespaces": {}}]);
    let with_port = |port: Value| json!({"to": pods, "protocols": [port]});
    let peers = |peers: Value| json!({"to": peers});
    let expression = |expression: Value| json!({"to": [{"namespaces": {"matchExpressions": [expression]}}]});
    for (rule, at) in [
        (
            expression(json!({"key": "a", "operator": "Inn", "values": ["b"]})),
            "to[0].namespaces.matchExpressions[0].operator",
        ),
        (expression(json!({"key": "a", "operator": "In"})), "to[0].namespaces.matchExpressions[0].values"),
        (
            expression(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            "to[0].namespaces.matchExpressions[0].values",
        ),
        (peers(json!([{"namespaces": {"matchLabels": {"-": "b"}}}])), "to[0].namespaces.matchLabels[-]"),
        (peers(json!([{"pods": {"namespaceSelector": {}}}])), "to[0].pods.podSelector"),
        (peers(json!([{"domainNames": ["example.com"]}])), "to[0].domainNames"),
        (peers(json!([{}])), "to[0]"),
        (peers(json!([{"namespaces": {}, "networks": ["10.0.0.0/8"]}])), "to[0]"),
        (peers(json!([{"namespaces": {}}, {"services": {}}])), "to[1].services"),
        (peers(json!([])), "to"),
        (json!({"from": pods, "to": pods}), "from"),
        (json!({}), "to"),
        (peers(json!([{"networks": ["10.0.0.0/33"]}])), "to[0].networks[0]"),
        (peers(json!([{"networks": ["010.0.0.0/8"]}])), "to[0].networks[0]"),
        (peers(json!([{"networks": ["::ffff:10.0.0.0/104"]}])), "to[0].networks[0]"),
        (peers(json!([{"networks": ["10.0.0.1"]}])), "to[0].networks[0]"),
        (peers(json!([{"networks": []}])), "to[0].networks"),
        (with_port(json!({"destinationNamedPort": ""})), "protocols[0].destinationNamedPort"),
        (with_port(json!({"tcp": {}})), "protocols[0].tcp.destinationPort"),
        (with_port(json!({"tcp": {"destinationPort": {}}})), "protocols[0].tcp.destinationPort"),
        (with_port(json!({"tcp": {"destinationPort": {"number": 0}}})), "protocols[0].tcp.destinationPort.number"),
        (
            with_port(json!({"tcp": {"destinationPort": {"range": {"start": 80, "end": 80}}}})),
            "protocols[0].tcp.destinationPort.range",
        ),
        (with_port(json!({"tcp": {"destinationPort": {"number": 80}, "flags": "syn"}})), "protocols[0].tcp.flags"),
        (with_port(json!({})), "protocols[0]"),
        (with_port(json!({"icmp": {}})), "protocols[0].icmp"),
        (json!({"to": pods, "protocols": []}), "protocols"),
        (json!({"to": [{"nodes": {}}], "protocols": [{"destinationNamedPort": "http"}]}), "to[0]"),
        (json!({"to": pods, "protocls": []}), "protocls"),
        (json!({"to": 5}), "to"),
    ] {
        for action in ["Accept", "Deny", "Pass"] {
            let mut rule = rule.clone();
            rule["action"] = action.into();
            let spec = spec("egress", &json!([rule, {"action": "Accept", "to": pods}]));
            let (policy, fields) = convert(&spec);
            assert_eq!(fields, [format!("spec.egress[0].{at}")], "{rule}");
            let policy = policy.unwrap();
            let action = match action {
                "Accept" => TierAction::Accept,
                _ => TierAction::Deny,
            };
            assert_eq!(policy.egress[0], ClusterRule::closed(None, Some(action)), "{rule}");
            assert_eq!(policy.egress[1].peers, ClusterPeers::AnyOf(vec![ClusterPeer::Pods(all())]), "{rule}");
        }
    }
}

#[test]
fn an_action_that_is_not_known_denies() {
    for action in [json!("Allow"), json!("accept"), json!(null), json!(5)] {
        let (closed, fields) = rule(Direction::Ingress, &json!({"action": action, "from": [{"namespaces": {}}]}));
        assert_eq!(closed, ClusterRule::closed(None, None));
        assert_eq!(fields.first().map(String::as_str), Some("spec.ingress[0].action"), "{action}");
    }
}

#[test]
fn there_are_no_networks_and_nodes_that_come_in() {
    for peer in [json!({"networks": ["10.0.0.0/8"]}), json!({"nodes": {}}), json!({"domainNames": ["a.b"]})] {
        let (closed, fields) = rule(Direction::Ingress, &json!({"action": "Pass", "from": [peer]}));
        assert_eq!(closed, ClusterRule::closed(None, Some(TierAction::Pass)));
        assert_eq!(fields, ["spec.ingress[0].from[0]"]);
    }
}

/// Nobody can say where it holds.
#[test]
fn without_a_subject_or_a_tier_there_is_no_policy() {
    for (field, value, at) in [
        ("tier", json!("admin"), "spec.tier"),
        ("tier", json!(null), "spec.tier"),
        ("priority", json!(1001), "spec.priority"),
        ("priority", json!(-1), "spec.priority"),
        ("priority", json!(null), "spec.priority"),
        ("subject", json!({}), "spec.subject"),
        ("subject", json!({"namespaces": {}, "pods": {"podSelector": {}}}), "spec.subject"),
        ("subject", json!({"nodes": {}}), "spec.subject.nodes"),
        ("subject", json!(null), "spec.subject"),
        ("subject", json!({"namespaces": {"matchLabels": {"a": "-"}}}), "spec.subject.namespaces.matchLabels[a]"),
        ("subject", json!({"pods": {}}), "spec.subject.pods.podSelector"),
    ] {
        let mut spec = spec("egress", &json!([]));
        spec[field] = value.clone();
        let (policy, fields) = convert(&spec);
        assert_eq!((policy, fields), (None, vec![at.to_owned()]), "{field} {value}");
    }
}

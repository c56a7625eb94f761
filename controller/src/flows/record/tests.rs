use serde_json::{Value, json};

use super::*;

/// `shop/web-1` sends to `shop/db-0` at TCP 80, which the pod does not admit.
pub(crate) fn record() -> Record {
    Record {
        time: "2026-11-28T22:56:12.25Z".parse().unwrap(),
        node: "worker-1".to_owned(),
        verdict: Verdict::Dropped,
        reason: Reason::Policy,
        direction: Direction::Ingress,
        pod: LocalPod {
            namespace: "shop".to_owned(),
            name: "db-0".to_owned(),
            workload: "db".to_owned(),
            address: [10, 0, 1, 1].into(),
            labels: BTreeMap::from([("app".to_owned(), "db".to_owned())]),
        },
        peer: Peer {
            address: [10, 0, 0, 1].into(),
            pod: Some(PeerPod { namespace: "shop".to_owned(), name: "web-1".to_owned(), workload: "web".to_owned() }),
            node: Some("worker-2".to_owned()),
            service: None,
            block: None,
        },
        protocol: IpProtocol(6),
        port: Some(80),
        packets: 3,
        bytes: Some(180),
        connections: None,
        ended: None,
        policies: vec!["shop/db".to_owned()],
        rule: None,
        nearest: Some(Nearest {
            policy: "shop/db".to_owned(),
            field: "spec.ingress[0]".to_owned(),
            text: "shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web".to_owned(),
        }),
        text: "no rule of shop/db admits it".to_owned(),
    }
}

/// The same, where it is allowed: of so many connections that began, and that ended.
pub(crate) fn allowed(connections: u64, ended: u64) -> Record {
    let rule = Rule { policy: "shop/db".to_owned(), field: "spec.ingress[0]".to_owned() };
    Record {
        verdict: Verdict::Allowed,
        packets: 0,
        bytes: None,
        connections: Some(connections),
        ended: Some(ended),
        rule: Some(rule),
        nearest: None,
        text: "allowed by shop/db spec.ingress[0]".to_owned(),
        ..record()
    }
}

/// The same from an address that is no pod's.
pub(crate) fn from_address(address: impl Into<IpAddr>) -> Record {
    Record { peer: Peer { address: address.into(), pod: None, node: None, service: None, block: None }, ..record() }
}

/// What is written here others rely on.
#[test]
fn the_json_form_is_stable() {
    let expected = json!({
        "time": "2026-11-28T22:56:12.25Z", "node": "worker-1", "verdict": "dropped", "reason": "policy",
        "direction": "ingress",
        "pod": {"namespace": "shop", "name": "db-0", "workload": "db", "address": "10.0.1.1",
                "labels": {"app": "db"}},
        "peer": {"address": "10.0.0.1", "node": "worker-2",
                 "pod": {"namespace": "shop", "name": "web-1", "workload": "web"}},
        "protocol": "TCP", "port": 80, "packets": 3, "bytes": 180, "policies": ["shop/db"],
        "nearest": {"policy": "shop/db", "field": "spec.ingress[0]",
                    "text": "shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web"},
        "text": "no rule of shop/db admits it",
    });
    assert_eq!(serde_json::to_value(record()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Record>(expected).unwrap(), record());
}

#[test]
fn of_what_was_allowed_connections_are_told() {
    let value = serde_json::to_value(allowed(3, 1)).unwrap();
    assert_eq!((&value["connections"], &value["ended"], &value["packets"]), (&json!(3), &json!(1), &json!(0)));
    assert_eq!(value["rule"], json!({"policy": "shop/db", "field": "spec.ingress[0]"}));
    assert_eq!(serde_json::from_value::<Record>(value).unwrap(), allowed(3, 1));
}

#[test]
fn what_is_united_is_as_much_as_both() {
    let ended = |packets, bytes| Record { packets, bytes, ..allowed(0, 1) };
    let united = |mut one: Record, other: Record| {
        one.unite(&other);
        (one.connections, one.ended, one.packets, one.bytes)
    };
    assert_eq!(united(allowed(3, 0), ended(10, Some(800))), (Some(3), Some(1), 10, Some(800)));
    assert_eq!(united(ended(10, Some(800)), allowed(2, 0)), (Some(2), Some(1), 10, Some(800)));
    assert_eq!(united(ended(10, None), ended(1, Some(60))), (Some(0), Some(2), 11, None), "it is not known of all");
    assert_eq!(united(record(), record()), (None, None, 6, Some(360)));
}

#[test]
fn what_a_later_version_adds_is_ignored() {
    let mut value = serde_json::to_value(record()).unwrap();
    value["mood"] = json!({"colour": "red"});
    value["reason"] = json!("moonPhase");
    value["verdict"] = json!("postponed");
    let read: Record = serde_json::from_value(value).unwrap();
    assert_eq!(read, Record { reason: Reason::Other, verdict: Verdict::Other, ..record() });
}

#[test]
fn what_is_not_known_is_absent() {
    let bare = Record { port: None, bytes: None, policies: Vec::new(), nearest: None, ..from_address([192, 0, 2, 7]) };
    let value = serde_json::to_value(&bare).unwrap();
    for field in ["port", "bytes", "connections", "ended", "policies", "rule", "nearest"] {
        assert_eq!(value.get(field), None, "{field}");
    }
    assert_eq!(value["peer"], json!({"address": "192.0.2.7"}));
    assert_eq!(serde_json::from_value::<Record>(value).unwrap(), bare);
}

#[test]
fn reasons_are_called_alike_everywhere() {
    for reason in <Reason as clap::ValueEnum>::value_variants() {
        assert_eq!(serde_json::to_value(reason).unwrap(), Value::from(reason.name()));
        let given = clap::ValueEnum::to_possible_value(reason).unwrap();
        assert_eq!(given.get_name(), reason.name());
    }
}

#[test]
fn what_is_too_long_is_cut() {
    let long = "ä".repeat(2000);
    let mut all = Record { node: long.clone(), text: long.clone(), policies: vec![long.clone(); 40], ..record() };
    all.pod.name.clone_from(&long);
    all.peer.block = Some(long.clone());
    all.rule = Some(Rule { policy: long.clone(), field: long.clone() });
    all.nearest = Some(Nearest { policy: long.clone(), field: long.clone(), text: long });
    let cut = all.bounded();
    assert_eq!((cut.text.len(), cut.policies.len(), cut.policies[0].len()), (512, 16, 320));
    assert!(cut.size() < 12 << 10, "{}", cut.size());
    assert_eq!(record().bounded(), record(), "what is short stays");
}

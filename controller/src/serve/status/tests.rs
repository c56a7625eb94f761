use super::*;
use crate::shares::{Over, Part};

fn status() -> Status {
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    Status {
        node: "worker-1".to_owned(),
        version: "0.1.0".to_owned(),
        started: at(0),
        uptime_seconds: 3 * 86_400 + 4 * 3_600 + 59,
        alive: true,
        synced: true,
        ready: true,
        behind: vec![],
        generation: Some(12),
        totals: Totals { pods: 150, local_pods: 11, isolated_pods: 7, lingering_pods: 0, namespaces: 4, policies: 9 },
        closed_namespaces: 0,
        closed: vec![],
        cluster_policies: ClusterPolicyStatus::default(),
        sandboxes: SandboxStatus::default(),
        outside_pod_range: None,
        lingering: vec![],
        last_commit: Some(LastCommit { at: at(60), seconds: 0.0012, changes: "2 elements added".to_owned() }),
        last_check: Some(at(61)),
        last_error: Some(LastError { at: at(1), message: "no buffer space".to_owned(), resolved: true }),
        source: SourceStatus {
            watches: vec![WatchStatus {
                resource: "pods".to_owned(),
                synced: true,
                connected: true,
                without: None,
                last_event: Some(at(59)),
                errors: 1,
                relists: 0,
                last_error: None,
            }],
            no_such_node: false,
            hints: vec![],
            policies_with_problems: 1,
        },
    }
}

#[test]
fn fits_a_screen() {
    assert_eq!(
        status().to_string(),
        "node        worker-1\n\
         agent       0.1.0, up 3d 4h (since 2023-11-14T22:13:20Z)\n\
         state       enforcing\n\
         generation  12\n\
         pods        150 known, 11 on this node, 7 of them isolated\n\
         policies    9 in 4 namespaces, 1 with problems (see its events)\n\
         last commit 2023-11-14T22:14:20Z, in 1.2 ms: 2 elements added\n\
         last check  2023-11-14T22:14:21Z\n\
         last error  2023-11-14T22:13:21Z, resolved since: no buffer space\n\
         watch       pods: synced, 1 errors, 0 relists, last heard of 2023-11-14T22:14:19Z\n"
    );
}

#[test]
fn says_what_is_wrong_first() {
    let state = |alive, synced, ready| Status { alive, synced, ready, ..status() }.summary();
    assert!(state(false, true, true).starts_with("not alive"));
    assert!(state(true, false, false).starts_with("waiting"));
    assert!(state(true, true, false).starts_with("behind"));
    let behind = vec!["the last commit failed".to_owned()];
    let text = Status { ready: false, behind, ..status() }.to_string();
    assert!(
        text.contains("state       behind; what was enforced before still is\nbehind      the last commit failed\n")
    );
}

#[test]
fn closed_namespaces_are_listed_with_what_they_cost() {
    let costs = [("elements", 9, 8), ("bytes", 3 << 20, 2 << 20)];
    let costs = costs.map(|(what, cost, limit)| Part { what: what.to_owned(), cost, limit }).into();
    let policies = vec!["big".to_owned(), "less".to_owned()];
    let closed = vec![ClosedNamespace { namespace: "shop".to_owned(), over: Over::Share, costs, policies }];
    let text = Status { closed, closed_namespaces: 3, ..status() }.to_string();
    let expected = "closed      shop: its policies need more than a namespace's share of this node: 9 elements (8 fit); 3.0 MiB \
                    (2.0 fit); most of it: big, less\nclosed      and 2 namespaces more\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn deleted_pods_that_linger_are_counted() {
    let totals = Totals { lingering_pods: 2, ..status().totals };
    let text = Status { totals, ..status() }.to_string();
    let expected =
        "7 of them isolated\nlingering   2 addresses of deleted pods are judged as before: links lead there still\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_watch_that_lost_its_server_says_so() {
    let mut status = status();
    status.source.watches[0].connected = false;
    status.source.watches[0].last_error = Some("connection refused".to_owned());
    assert!(status.to_string().contains("pods: synced, not connected, 1 errors"), "{status}");
    assert!(status.to_string().ends_with(", failing: connection refused\n"), "{status}");
}

#[test]
fn uptimes_have_two_units() {
    let uptimes = [6, 306, 14_700, 360_000].map(|seconds| Uptime(seconds).to_string());
    assert_eq!(uptimes, ["6s", "5m 6s", "4h 5m", "4d 4h"]);
}

#[test]
fn counts_only_what_changed() {
    let summary = Summary { chains_added: 1, elements_added: 3, rules_removed: 2, ..Summary::default() };
    assert_eq!(changes(&summary), "1 chains, 3 elements added; 2 rules removed");
    assert_eq!(changes(&Summary::default()), "");
}

#[test]
fn is_one_flat_document() {
    let json = serde_json::to_value(status()).unwrap();
    assert_eq!((&json["isolatedPods"], &json["lingeringPods"]), (&7.into(), &0.into()));
    assert_eq!(json["watches"][0]["lastEvent"], "2023-11-14T22:14:19Z");
    assert_eq!(json["policiesWithProblems"], 1);
    assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status());
}

use std::time::Duration;

use palisade_model::{Change, Direction, Labels, Namespace, NamespacedName};
use palisade_nft::{BackendError, Errno};

use crate::enforcer::Settled;
use crate::epochs::Sweep;
use crate::flows::{DropKey, Dropped, Figures, Reason};
use crate::serve::State;
use crate::serve::state::tests::{Attempt, commit, state};
use crate::sysctl::{Sysctl, Unmet};

fn value(state: &State, series: &str) -> String {
    let text = state.metrics();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in\n{text}")).to_owned()
}

fn series(state: &State) -> usize {
    state.metrics().lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn every_kind_of_event_is_counted() {
    let state = state();
    let id = NamespacedName::new("shop", "web");
    let namespace = Namespace { name: "shop".into(), labels: Labels::default() };
    state.received(&[Change::Namespace(namespace), Change::PodGone(id.clone()), Change::PodGone(id)]);
    assert_eq!(value(&state, r#"palisade_events_total{resource="namespaces",kind="applied"}"#), "1");
    assert_eq!(value(&state, r#"palisade_events_total{resource="pods",kind="gone"}"#), "2");
    assert_eq!(value(&state, r#"palisade_events_total{resource="networkpolicies",kind="gone"}"#), "0");
}

#[test]
fn commits_are_counted_and_timed() {
    let state = state();
    Attempt::committed(90).report(&state);
    Attempt::committed(2_000_000).report(&state);
    assert_eq!(value(&state, "palisade_commits_total"), "2");
    assert_eq!(value(&state, r#"palisade_commit_duration_seconds_bucket{le="0.0001"}"#), "1");
    assert_eq!(value(&state, r#"palisade_commit_duration_seconds_bucket{le="1.0"}"#), "1");
    assert_eq!(value(&state, r#"palisade_commit_duration_seconds_bucket{le="+Inf"}"#), "2");
    assert_ne!(value(&state, "palisade_last_commit_timestamp_seconds"), "0.0");
    assert_eq!(value(&state, "palisade_last_check_timestamp_seconds"), "0.0");
}

#[test]
fn epochs_and_sweeps_are_counted() {
    let state = state();
    let settled = |commit, swept| Ok(Some(Settled { commit, swept }));
    let sweep = Sweep { cleared: 9, elapsed: Duration::from_millis(20) };
    state.settled(&settled(Some(commit(90)), Some(sweep)), true);
    assert_eq!(value(&state, "palisade_settled"), "1");
    state.settled(&settled(None, Some(sweep)), true);
    state.settled(&Ok(None), false);
    assert_eq!(value(&state, "palisade_settled"), "0");
    assert_eq!(value(&state, "palisade_epochs_total"), "1");
    assert_eq!(value(&state, r#"palisade_sweep_duration_seconds_bucket{le="0.025"}"#), "2");
    let error = BackendError::System { what: "mark".to_owned(), errno: Errno(nix::libc::EPERM) };
    state.settled(&Err(error.into()), false);
    assert_eq!(value(&state, r#"palisade_netlink_errors_total{operation="sweep",errno="EPERM"}"#), "1");
}

#[test]
fn what_is_behind_is_shown_by_kind() {
    let state = state();
    let behind = || {
        ["node", "lists", "commit", "work"].map(|what| value(&state, &format!(r#"palisade_behind{{what="{what}"}}"#)))
    };
    assert_eq!(behind(), ["0", "1", "0", "0"]);
    state.synced();
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    assert_eq!((behind(), &*value(&state, "palisade_ready")), (["0", "0", "1", "0"].map(str::to_owned), "0"));
    state.fall_silent();
    assert_eq!(behind(), ["0", "0", "1", "1"]);
}

#[test]
fn what_is_held_is_shown_by_kind() {
    let state = state();
    Attempt::committed(1).report(&state);
    assert_eq!(value(&state, r#"palisade_chains{kind="base"}"#), "1");
    assert_eq!(value(&state, r#"palisade_chains{kind="regular"}"#), "1");
    assert_eq!(value(&state, r#"palisade_sets{kind="ipv4"}"#), "1");
    assert_eq!(value(&state, r#"palisade_elements{kind="ipv4"}"#), "2");
    assert_eq!(value(&state, r#"palisade_elements{kind="port_verdicts"}"#), "0");
    assert_eq!(value(&state, "palisade_isolated_pods"), "2");
    assert_eq!(value(&state, "palisade_policies"), "5");
}

#[test]
fn a_hundred_closed_namespaces_are_named() {
    let state = state();
    assert_eq!(value(&state, r#"palisade_namespace_closed{namespace=""}"#), "0");
    Attempt::committed(1).report(&state);
    assert_eq!(value(&state, r#"palisade_namespace_closed{namespace="ns-099"}"#), "1");
    assert_eq!(value(&state, r#"palisade_namespace_closed{namespace=""}"#), "50");
    assert_eq!(state.metrics().matches("palisade_namespace_closed{").count(), 101);
    assert_eq!(value(&state, r#"palisade_shares_used_ratio{what="bytes"}"#), "0.25");
}

#[test]
fn the_source_is_asked_at_each_scrape() {
    let state = state();
    assert_eq!(value(&state, r#"palisade_watch_synced{resource="pods"}"#), "1.0");
    assert_eq!(value(&state, r#"palisade_watch_synced{resource="namespaces"}"#), "0.0");
    assert_eq!(value(&state, r#"palisade_watch_connected{resource="pods"}"#), "1.0");
    assert_eq!(value(&state, r#"palisade_watch_last_event_timestamp_seconds{resource="pods"}"#), "1700000000.0");
    assert_eq!(value(&state, r#"palisade_watch_errors_total{resource="pods"}"#), "3");
    assert_eq!(value(&state, r#"palisade_watch_relists_total{resource="pods"}"#), "2");
    assert_eq!(value(&state, "palisade_policies_with_problems"), "4");
}

#[test]
fn memory_is_taken_from_the_system() {
    let bytes: u64 = value(&state(), "palisade_resident_memory_bytes").parse().unwrap();
    assert!((1 << 20..1 << 40).contains(&bytes), "{bytes}");
}

#[test]
fn errors_are_counted_by_operation_and_name() {
    let state = state();
    Attempt::failed(nix::libc::ENOBUFS).report(&state);
    Attempt::unreadable(BackendError::Malformed("odd".to_owned())).report(&state);
    Attempt::unreadable(BackendError::System { what: "list".to_owned(), errno: Errno(123_456) }).report(&state);
    assert_eq!(value(&state, r#"palisade_netlink_errors_total{operation="commit",errno="ENOBUFS"}"#), "1");
    assert_eq!(value(&state, r#"palisade_netlink_errors_total{operation="read",errno="EBADMSG"}"#), "1");
    assert_eq!(value(&state, r#"palisade_netlink_errors_total{operation="read",errno="UnknownErrno"}"#), "1");
    assert_eq!(value(&state, r#"palisade_netlink_errors_total{operation="read",errno="EPERM"}"#), "0");
}

#[test]
fn parameters_that_are_not_as_they_should_be_are_shown_until_they_are() {
    let state = state();
    let shown = |name: &str| value(&state, &format!(r#"palisade_sysctl_unmet{{sysctl="{name}"}}"#));
    assert_eq!(Sysctl::ALL.map(|sysctl| shown(sysctl.name())), ["0"; 6]);
    state.sysctls(&[Unmet { sysctl: Sysctl::BridgeIpv4, exists: true, bridges: ["cni0".to_owned()].into() }]);
    assert_eq!(shown("net.bridge.bridge-nf-call-iptables"), "1");
    assert_eq!(shown("net.ipv4.ip_forward"), "0");
    state.sysctls(&[]);
    assert_eq!(shown("net.bridge.bridge-nf-call-iptables"), "0");
}

#[test]
fn drops_are_shown_by_pod_and_reason() {
    let state = state().with_metrics_pods(1);
    let key = |pod: &str| {
        let (namespace, pod) = ("shop".to_owned(), pod.to_owned());
        DropKey { direction: Direction::Ingress, namespace, pod, reason: Reason::NoConnection }
    };
    let nameless = r#"palisade_dropped_packets_total{direction="ingress",namespace="",pod="",reason="policy"}"#;
    assert_eq!(value(&state, nameless), "0");
    let dropped = |packets| Dropped { packets, bytes: 60 * packets };
    state.dropped(&[(key("db-0"), dropped(3)), (key("web"), dropped(4))].into());
    let labels = |pod| format!(r#"{{direction="ingress",namespace="shop",pod="{pod}",reason="noConnection"}}"#);
    assert_eq!(value(&state, &format!("palisade_dropped_packets_total{}", labels("db-0"))), "3");
    assert_eq!(value(&state, &format!("palisade_dropped_bytes_total{}", labels("db-0"))), "180");
    assert_eq!(value(&state, &nameless.replace("policy", "noConnection")), "4");
    assert_eq!(value(&state, "palisade_dropped_series_over_limit"), "1");
    assert_eq!(value(&state, r#"palisade_drop_records_total{outcome="lost"}"#), "0");
    state.flows().set_figures(Figures { lost: 7, ..Figures::default() });
    assert_eq!(value(&state, r#"palisade_drop_records_total{outcome="lost"}"#), "7");
    assert!(!state.metrics().contains("palisade_flow_records"), "nobody tells what is allowed");
    state.flows().set_allowed_figures(Figures { lost: 5, ..Figures::default() });
    assert_eq!(value(&state, r#"palisade_flow_records_total{outcome="lost"}"#), "5");
}

#[test]
fn bounded_cardinality() {
    let state = state();
    Attempt::committed(1).report(&state);
    let before = series(&state);
    for errno in -1..1000 {
        Attempt::failed(errno).report(&state);
    }
    for n in 0..1000 {
        state.received(&[Change::PodGone(NamespacedName::new("shop", format!("web-{n}")))]);
        Attempt::committed(n).report(&state);
    }
    let after = series(&state);
    assert!(after < before + 150, "{before} series became {after}: there are no more than 134 errnos");
}

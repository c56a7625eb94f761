//! What single changes do to the index's output.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use palisade_model::reference::Cluster;
use palisade_model::testing::{NODE, Output, bare_pod};
use palisade_model::{
    Age, Change, ContainerPort, Delta, Enforcement, Index, Labels, Member, Namespace, NamespaceScope, NamespacedName,
    Peer, Peers, Phase, Pod, PodGroup, Policy, PortMatch, Ports, Protocol, Requirement, Rule, Selector, SetDelta,
};

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

fn pod(name: &str, app: &str, ip: &str) -> Pod {
    Pod {
        labels: Labels::from_iter([("app", app)]),
        node: Some("elsewhere".into()),
        age: Age { created: 1, revision: 1 },
        ..bare_pod(id(name), [ip.parse().unwrap()])
    }
}

fn local(name: &str, app: &str, ip: &str) -> Pod {
    Pod { node: Some(NODE.into()), ..pod(name, app, ip) }
}

fn app(app: &str) -> Selector {
    Selector::from_iter([Requirement::new("app", "In", [app]).unwrap()])
}

fn group(scope: NamespaceScope, pods: Selector) -> Peers {
    Peers::AnyOf(vec![Peer::Pods(PodGroup { namespaces: scope, pods })])
}

/// `web` admits the pods of `peers`.
fn ingress(peers: Peers) -> Policy {
    let rule = Rule { peers, ports: Ports::All };
    Policy {
        id: id("ingress"),
        enforcement: Enforcement::Enforced,
        selector: app("web"),
        ingress: Some(vec![rule]),
        egress: None,
    }
}

fn from_clients() -> Policy {
    ingress(group(NamespaceScope::Named("shop".into()), app("client")))
}

/// An index of the local pod `web` at 10.0.0.1 that admits clients, and its output so far.
fn shop() -> (Index, Output) {
    let mut index = Index::new(NODE);
    index.apply(Change::Pod(local("web", "web", "10.0.0.1")));
    index.apply(Change::Policy(from_clients()));
    let output = Output::new(index.take_delta());
    (index, output)
}

fn members(output: &Output) -> Vec<Member> {
    output.sets.values().flatten().copied().collect()
}

fn address(ip: &str) -> Member {
    Member::Address(ip.parse().unwrap())
}

/// Applies changes, and gives the delta.
fn after(index: &mut Index, changes: impl IntoIterator<Item = Change>) -> Delta {
    changes.into_iter().for_each(|change| index.apply(change));
    index.take_delta()
}

#[test]
fn a_remote_pod_writes_only_members() {
    let (mut index, _) = shop();
    let came = after(&mut index, [Change::Pod(pod("client", "client", "10.0.0.2"))]);
    let added = vec![address("10.0.0.2")];
    assert_eq!(came.sets.values().collect::<Vec<_>>(), [&SetDelta::Changed { added, removed: vec![] }]);
    assert!(came.pods.is_empty() && came.tables.is_empty());

    let moved = after(&mut index, [Change::Pod(pod("client", "client", "10.0.0.3"))]);
    let (added, removed) = (vec![address("10.0.0.3")], vec![address("10.0.0.2")]);
    assert_eq!(moved.sets.values().collect::<Vec<_>>(), [&SetDelta::Changed { added, removed }]);
    assert!(after(&mut index, [Change::Pod(pod("stranger", "other", "10.0.0.9"))]).is_empty());
}

#[test]
fn what_comes_and_goes_between_deltas_is_not_in_them() {
    let (mut index, _) = shop();
    let client = || Change::Pod(pod("client", "client", "10.0.0.2"));
    assert!(after(&mut index, [client(), Change::PodGone(id("client"))]).is_empty());
    after(&mut index, [client()]);
    assert!(after(&mut index, [Change::PodGone(id("client")), client(), client()]).is_empty());
    let other = Policy { id: id("other"), ..from_clients() };
    assert!(after(&mut index, [Change::Policy(other), Change::PolicyGone(id("other"))]).is_empty());
    assert!(after(&mut index, [Change::PolicyGone(id("ingress")), Change::Policy(from_clients())]).is_empty());
    assert!(after(&mut index, [Change::PodGone(id("web")), Change::Pod(local("web", "web", "10.0.0.1"))]).is_empty());
}

#[test]
fn a_status_update_without_news_changes_nothing() {
    let (mut index, _) = shop();
    after(&mut index, [Change::Pod(pod("client", "client", "10.0.0.2"))]);
    let newer = Pod { age: Age { created: 1, revision: 2 }, ..pod("client", "client", "10.0.0.2") };
    assert!(after(&mut index, [Change::Pod(newer)]).is_empty());
}

#[test]
fn the_live_then_the_newest_then_the_last_by_name_owns_an_address() {
    let claim = |name: &str, app: &str, terminating, created| Pod {
        terminating,
        age: Age { created, revision: 0 },
        ..pod(name, app, "10.0.0.2")
    };
    for (client, other, client_owns) in [
        (claim("a", "client", false, 1), claim("b", "other", false, 2), false),
        (claim("a", "client", false, 2), claim("b", "other", false, 1), true),
        (claim("a", "client", false, 1), claim("b", "other", true, 2), true),
        (claim("a", "client", false, 1), claim("b", "other", false, 1), false),
        (claim("b", "client", false, 1), claim("a", "other", false, 1), true),
    ] {
        for order in [[client.clone(), other.clone()], [other.clone(), client.clone()]] {
            let (mut index, mut output) = shop();
            output.apply(after(&mut index, order.map(Change::Pod)));
            let expected = if client_owns { vec![address("10.0.0.2")] } else { vec![] };
            assert_eq!(members(&output), expected, "{client:?} {other:?}");
            output.apply(after(&mut index, [Change::PodGone(other.id.clone())]));
            assert_eq!(members(&output), [address("10.0.0.2")]);
        }
    }
}

/// After a restart of its node, a pod that was created first may be given the address of one that is still live for the
/// API: it came to show it last, whatever is written to the other one later.
#[test]
fn who_came_to_show_an_address_last_has_it() {
    let (mut index, _) = shop();
    let at = |name: &str, app: &str, created, revision, ip: &str| {
        Change::Pod(Pod { age: Age { created, revision }, ..pod(name, app, ip) })
    };
    let mut cluster = Cluster::default();
    let mut has = |change: Change| {
        cluster.apply(change.clone());
        index.apply(change);
        let output = Output::new(index.take_full());
        let owner = cluster.owner("10.0.0.2".parse().unwrap()).map_or(id("nobody"), |pod| pod.id.clone());
        assert_eq!(members(&output).contains(&address("10.0.0.2")), owner == id("client"));
        let conflicts: Vec<NamespacedName> = index.conflicts().into_values().flatten().collect();
        (owner, conflicts)
    };
    has(at("client", "client", 1, 10, "10.0.0.3"));
    assert_eq!(has(at("younger", "other", 2, 11, "10.0.0.2")), (id("younger"), vec![]));
    let both = vec![id("client"), id("younger")];
    assert_eq!(has(at("client", "client", 1, 12, "10.0.0.2")), (id("client"), both.clone()));
    assert_eq!(has(at("younger", "other", 2, 13, "10.0.0.2")), (id("client"), both), "a write is no address");
    assert_eq!(has(at("younger", "other", 2, 14, "10.0.0.4")), (id("client"), vec![]));
    let both = vec![id("younger"), id("client")];
    assert_eq!(has(at("younger", "other", 2, 15, "10.0.0.2")), (id("younger"), both));
    assert_eq!(has(at("client", "client", 3, 16, "10.0.0.2")).0, id("client"), "another pod of that name");
}

#[test]
fn a_local_pod_is_judged_only_at_addresses_it_owns() {
    let (mut index, mut output) = shop();
    let newer = Pod { age: Age { created: 2, revision: 2 }, ..pod("newer", "other", "10.0.0.1") };
    output.apply(after(&mut index, [Change::Pod(newer.clone())]));
    assert_eq!(output, Output::default(), "its only address went to another pod");
    output.apply(after(&mut index, [Change::Pod(Pod { terminating: true, ..newer })]));
    let addresses: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(output.pods[&id("web")].addresses, addresses);
}

#[test]
fn pods_without_an_address_of_their_own_are_neither_subject_nor_peer() {
    let states: [fn(Pod) -> Pod; 3] = [
        |pod| Pod { host_network: true, ..pod },
        |pod| Pod { phase: Phase::Finished, ..pod },
        |pod| Pod { ips: vec![], ..pod },
    ];
    for state in states {
        let (mut index, mut output) = shop();
        output.apply(after(&mut index, [Change::Pod(state(pod("client", "client", "10.0.0.2")))]));
        assert_eq!(members(&output), []);
        output.apply(after(&mut index, [Change::Pod(state(local("web", "web", "10.0.0.1")))]));
        assert_eq!(output, Output::default());
    }
}

#[test]
fn an_unknown_namespace_is_matched_by_its_name_alone() {
    let (mut index, mut output) = shop();
    output.apply(after(&mut index, [Change::Pod(pod("client", "client", "10.0.0.2"))]));
    assert_eq!(members(&output), [address("10.0.0.2")]);
    let everywhere = ingress(group(NamespaceScope::Matching(Selector::default()), app("client")));
    output.apply(after(&mut index, [Change::Policy(everywhere)]));
    assert_eq!(members(&output), []);
    let known = Namespace { name: "shop".into(), labels: Labels::default() };
    output.apply(after(&mut index, [Change::Namespace(known)]));
    assert_eq!(members(&output), [address("10.0.0.2")]);
    output.apply(after(&mut index, [Change::NamespaceGone("shop".into())]));
    assert_eq!(members(&output), []);
}

#[test]
fn pods_with_the_same_policies_share_tables_unless_port_names_differ() {
    let http = PortMatch::Named { protocol: Protocol::Tcp, name: "http".into() };
    let rule = Rule { peers: Peers::All, ports: Ports::AnyOf(vec![http]) };
    let policy = Policy {
        id: id("ingress"),
        enforcement: Enforcement::Enforced,
        selector: app("web"),
        ingress: Some(vec![rule]),
        egress: None,
    };
    let web = |name: &str, ip: &str, port: u16| Pod {
        ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port }],
        ..local(name, "web", ip)
    };
    let mut index = Index::new(NODE);
    let mut output = Output::default();
    let pods = [web("a", "10.0.0.1", 80), web("b", "10.0.0.2", 80), web("c", "10.0.0.3", 8080)].map(Change::Pod);
    output.apply(after(&mut index, pods.into_iter().chain([Change::Policy(policy)])));
    assert_eq!(output.tables.len(), 2);
    assert_eq!(output.pods[&id("a")].ingress, output.pods[&id("b")].ingress);
    assert_ne!(output.pods[&id("a")].ingress, output.pods[&id("c")].ingress);
}

#[test]
fn who_takes_the_place_of_another_is_judged_before_its_turn() {
    let (mut index, _) = shop();
    index.apply(Change::PodGone(id("web")));
    index.apply(Change::Pod(local("web-2", "web", "10.0.0.7")));
    let delta = index.take_delta_of(|_| false);
    assert!(delta.pods[&id("web-2")].as_ref().is_some_and(|pod| pod.ingress.is_some()));
    assert!(delta.tables.is_empty());
}

#[test]
fn an_edit_touches_the_tables_of_its_policy_alone() {
    let (mut index, _) = shop();
    index.apply(Change::Pod(local("db", "db", "10.0.0.5")));
    let db = Policy { id: id("db"), selector: app("db"), ..from_clients() };
    assert_eq!(after(&mut index, [Change::Policy(db)]).sets.len(), 0, "the two tables look up the same set");

    let edited = ingress(group(NamespaceScope::Named("shop".into()), app("admin")));
    let delta = after(&mut index, [Change::Policy(edited)]);
    assert_eq!(delta.tables.keys().map(|key| &key.policies[0]).collect::<Vec<_>>(), [&id("ingress")]);
    assert!(delta.pods.is_empty(), "the table's key stays");
    assert_eq!(delta.sets.len(), 1, "the set of the admins is new, that of the clients is still in use");

    let after_all_goes = after(&mut index, [Change::PolicyGone(id("ingress")), Change::PolicyGone(id("db"))]);
    assert!(after_all_goes.sets.values().all(|set| *set == SetDelta::Gone));
    assert_eq!(after_all_goes.sets.len(), 2);
}

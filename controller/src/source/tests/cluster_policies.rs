//! ClusterNetworkPolicies, which an API server may not know, and the Nodes that they may be about.

use super::fake::{Answer, Api, Step, complete, event};
use super::*;

/// What an absent resource is asked at most in.
const APPEARS: Duration = Duration::from_secs(10);
const GROUP: &str = "policy.networking.k8s.io";

pub(super) fn policy(name: &str, generation: u32, peer: &Value) -> Value {
    let metadata =
        json!({"name": name, "uid": name, "generation": generation, "resourceVersion": generation.to_string()});
    let rule = json!({"action": "Deny", "to": [peer]});
    let spec = json!({"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "egress": [rule]});
    json!({"metadata": metadata, "spec": spec})
}

pub(super) fn of_networks(name: &str, generation: u32) -> Value {
    policy(name, generation, &json!({"networks": ["10.0.0.0/8"]}))
}

fn of_nodes(name: &str, generation: u32) -> Value {
    policy(name, generation, &json!({"nodes": {}}))
}

fn node(name: &str, version: u32, address: &str) -> Value {
    let addresses = json!([{"type": "InternalIP", "address": address}]);
    let metadata = json!({"name": name, "resourceVersion": version.to_string(), "labels": {"zone": "a"}});
    json!({"metadata": metadata, "status": {"addresses": addresses, "heartbeat": version}})
}

/// A list of these objects, then `steps`.
pub(super) fn listed(objects: &[Value], steps: impl IntoIterator<Item = Step>) -> Answer {
    let objects = objects.iter().map(|object| event("ADDED", object));
    Answer::Stream(objects.chain([Step::Line(complete("7"))]).chain(steps).collect())
}

/// An API server whose discovery names these versions of the group, each with ClusterNetworkPolicies.
pub(super) fn serving(versions: &[&str]) -> Api {
    let api = Api::default();
    let named =
        versions.iter().map(|version| json!({"groupVersion": format!("{GROUP}/{version}"), "version": version}));
    let group = json!({"name": GROUP, "versions": named.collect::<Vec<_>>(), "preferredVersion": null});
    let groups = if versions.is_empty() { json!([]) } else { json!([group]) };
    api.otherwise("apis", Answer::Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})));
    for version in versions {
        let resource = json!({
            "name": "clusternetworkpolicies", "singularName": "", "namespaced": false, "kind": "ClusterNetworkPolicy",
            "verbs": ["list", "watch"],
        });
        let group_version = format!("{GROUP}/{version}");
        let resources = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": [resource]});
        api.otherwise(version, Answer::Json(resources));
    }
    api
}

fn watch(source: &Source, resource: &str) -> super::super::WatchState {
    let watches = source.health.watches();
    watches.into_iter().find(|(name, _)| *name == resource).unwrap().1
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_nobody_has_defined_is_none_until_it_is() {
    let api = serving(&[]);
    api.otherwise("clusternetworkpolicies", Answer::Status(404));
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "synced");
    let state = watch(&source, "clusternetworkpolicies");
    assert!(state.synced && state.without.is_some() && state.last_error.is_none(), "{state:?}");
    assert_eq!(source.within(Duration::from_secs(600)).await, "");
    let (asked, confirmed) = (api.asked("clusternetworkpolicies").len(), api.asked("apis").len());
    assert!((60..=160).contains(&asked) && confirmed < 20, "{asked} and {confirmed} requests in ten minutes");

    api.otherwise("clusternetworkpolicies", listed(&[of_networks("admin", 1)], [Step::Hold]));
    assert_eq!(source.within(APPEARS).await, "+admin");
    let state = watch(&source, "clusternetworkpolicies");
    assert_eq!((state.without, state.objects, state.errors), (None, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_found_for_another_reason_is_not_none() {
    let (ours, other, none) = (["v1alpha2"], ["v1beta1"], []);
    let cases: [(&[&str], Answer, &str); 5] = [
        (&ours, Answer::Status(404), "404"),
        (&other, Answer::Status(404), "v1beta1"),
        (&none, Answer::Status(403), "403"),
        (&none, Answer::Status(503), "503"),
        (&none, Answer::Refused, "refused"),
    ];
    for (versions, answer, expected) in cases {
        let api = serving(versions);
        api.otherwise("clusternetworkpolicies", answer);
        let mut source = Source::start(&api);
        assert_eq!(source.within(RETRY).await, "", "{expected}");
        let state = watch(&source, "clusternetworkpolicies");
        assert!(!state.synced && state.last_error.as_ref().is_some_and(|error| error.contains(expected)), "{state:?}");
    }
    let api = serving(&[]);
    api.otherwise("clusternetworkpolicies", Answer::Status(404)).otherwise("apis", Answer::Status(503));
    assert_eq!(Source::start(&api).within(RETRY).await, "", "discovery does not say");
    api.otherwise("apis", Answer::Status(403));
    assert_eq!(Source::start(&api).within(RETRY).await, "synced", "discovery is not for everybody");
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_goes_for_good_takes_its_objects_along() {
    let api = serving(&[]);
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1)], [Step::Cut])]);
    api.otherwise("clusternetworkpolicies", Answer::Status(404));
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(4)).await, "+admin synced");
    assert!(watch(&source, "clusternetworkpolicies").last_error.unwrap().contains("gone"));
    assert_eq!(source.within(APPEARS).await, "-admin");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_back_at_once_has_lost_nothing() {
    let api = serving(&[]);
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1), of_networks("other", 1)], [Step::Cut])]);
    api.script("clusternetworkpolicies", [Answer::Status(404), Answer::Status(404)]);
    api.otherwise("clusternetworkpolicies", listed(&[of_networks("admin", 2)], [Step::Hold]));
    let mut source = Source::start(&api);
    assert_eq!(source.within(2 * APPEARS).await, "+admin +other +admin -other synced");
}

#[tokio::test(start_paused = true)]
async fn nodes_are_not_asked_for_where_no_policy_has_them() {
    let api = serving(&["v1alpha2"]);
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1)], [Step::Hold])]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(APPEARS).await, "+admin synced");
    assert!(api.asked("nodes").is_empty());
    assert!(watch(&source, "nodes").without.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_nodes_waits_for_all_of_them() {
    let api = serving(&["v1alpha2"]);
    let gone = [Step::Pause(APPEARS), event("DELETED", &of_nodes("admin", 2)), Step::Hold];
    api.script("clusternetworkpolicies", [listed(&[of_nodes("admin", 1)], gone)]);
    let late = vec![event("ADDED", &node("a", 1, "172.20.0.1")), Step::Pause(RETRY), Step::Line(complete("7"))];
    let followed = [event("MODIFIED", &node("a", 8, "172.20.0.1")), event("MODIFIED", &node("a", 9, "172.20.0.2"))];
    api.script("nodes", [Answer::Stream(late.into_iter().chain(followed).chain([Step::Hold]).collect())]);
    let mut source = Source::start(&api);
    assert_eq!(source.inputs(SOON).await, ["+a"], "neither the policy, nor that this is all");
    assert_eq!(source.within(RETRY).await, "+admin +a synced", "what a kubelet says again and again is not heard");
    assert_eq!(source.within(APPEARS).await, "-admin -a", "nobody asks for nodes any more");
    let asked = api.asked("nodes").len();
    assert_eq!(source.within(APPEARS).await, "");
    assert_eq!(api.asked("nodes").len(), asked);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_version_holds_while_nodes_are_not_known() {
    let api = serving(&["v1alpha2"]);
    let changed = [Step::Pause(RETRY), event("MODIFIED", &of_nodes("admin", 2)), Step::Hold];
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1)], changed)]);
    api.otherwise("nodes", Answer::Status(403));
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+admin synced");
    assert_eq!(source.within(2 * RETRY).await, "");
    assert!(watch(&source, "nodes").last_error.unwrap().contains("403"));
    api.otherwise("nodes", listed(&[node("a", 1, "172.20.0.1")], [Step::Hold]));
    assert_eq!(source.within(2 * APPEARS).await, "+a +admin");
}

#[tokio::test(start_paused = true)]
async fn who_writes_the_status_wakes_nobody() {
    let api = serving(&["v1alpha2"]);
    let mut with_status = of_networks("admin", 1);
    with_status["metadata"]["resourceVersion"] = json!("9");
    with_status["status"] = json!({"conditions": []});
    let steps = [event("MODIFIED", &with_status), event("MODIFIED", &of_networks("admin", 2)), Step::Hold];
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1)], steps)]);
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+admin +admin synced");
}

/// The version whose rules are only watched.
pub(super) fn annotated(mut policy: Value, enforcement: &str) -> Value {
    policy["metadata"]["annotations"] = json!({"palisade.dev/enforcement": enforcement, "other": "x"});
    policy
}

/// No generation comes with an annotation.
#[tokio::test(start_paused = true)]
async fn who_has_a_policy_audited_or_enforced_is_heard() {
    let api = serving(&["v1alpha2"]);
    let versions = [
        annotated(of_networks("admin", 1), "audit"),
        annotated(of_networks("admin", 1), "audit"),
        annotated(of_networks("admin", 1), "adit"),
        of_networks("admin", 1),
    ];
    let steps = versions.iter().map(|version| event("MODIFIED", version)).chain([Step::Hold]);
    api.script("clusternetworkpolicies", [listed(&[of_networks("admin", 1)], steps)]);
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+admin +admin (audited) +admin +admin synced");
    let text = logged.text();
    assert!(text.contains("so it is") && text.contains("palisade.dev/enforcement"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_no_known_tier_keeps_its_earlier_version_or_has_none() {
    let api = serving(&["v1alpha2"]);
    let of_no_tier = |name: &str| {
        let mut policy = of_networks(name, 2);
        policy["spec"]["tier"] = json!("Middle");
        policy
    };
    let steps = [event("MODIFIED", &of_no_tier("known")), event("ADDED", &of_no_tier("new")), Step::Hold];
    api.script("clusternetworkpolicies", [listed(&[of_networks("known", 1)], steps)]);
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let mut source = Source::start(&api);
    assert_eq!(source.within(SOON).await, "+known synced");
    assert_eq!(watch(&source, "clusternetworkpolicies").objects_with_problems, 2);
    let text = logged.text();
    let line = |name: &str| text.lines().find(|line| line.contains(&format!("id={name}"))).unwrap_or_default();
    assert!(line("known").contains("earlier version stays"), "{text}");
    assert!(line("new").contains("not in force"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn policies_of_an_earlier_version_are_told_of_once() {
    let api = serving(&["v1alpha1", "v1alpha2"]);
    let verbs = ["list"];
    let admin =
        json!({"name": "adminnetworkpolicies", "singularName": "", "namespaced": false, "kind": "A", "verbs": verbs});
    let resources =
        json!({"kind": "APIResourceList", "groupVersion": format!("{GROUP}/v1alpha1"), "resources": [admin]});
    api.otherwise("v1alpha1", Answer::Json(resources));
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.subscriber());
    let mut source = Source::start(&api);
    assert_eq!(source.within(Duration::from_secs(3600)).await, "synced");
    assert!(source.health.outdated_policies());
    assert_eq!(logged.text().matches("AdminNetworkPolicies and").count(), 1, "{}", logged.text());
}

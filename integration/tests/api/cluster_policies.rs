use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use palisade_integration::apiserver::{AGENT_ACCOUNT, Channel, Labels, Site, deployed_rules};
use palisade_integration::netns::Place;
use palisade_integration::patience::LIMIT;
use palisade_integration::steady::Steady;
use serde_json::{Value, json};

use super::scene::{SHOP, Scene};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// ClusterNetworkPolicies beside what cases say of them, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("their-definition-comes-and-goes", comes_and_goes),
    ("another-form-of-their-definition-opens-nothing", redefined),
    ("without-the-right-to-them-nothing-is-opened", right_taken),
    ("nodes-are-followed", nodes_are_followed),
    ("what-the-schema-lets-through-is-told", told),
    ("conditions-are-written-by-one", conditions),
];

/// Longer than an agent takes to find that it may not ask.
const AWHILE: Duration = Duration::from_secs(12);
const PERIOD: Duration = Duration::from_millis(5);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// An Admin policy for the pods `role=web`, with these rules for egress.
fn policy(name: &str, egress: &Value) -> Value {
    let subject = json!({"pods": {"podSelector": {"matchLabels": {"role": "web"}}}});
    json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {"tier": "Admin", "priority": 10, "subject": subject, "egress": egress},
    })
}

/// Pods `role=web` reach nobody in the shop.
fn denying() -> Value {
    let shop = json!({"matchLabels": {"kubernetes.io/metadata.name": SHOP}});
    policy("no-shop", &json!([{"action": "Deny", "to": [{"namespaces": shop}]}]))
}

/// Agents that start where nobody has defined ClusterNetworkPolicies enforce all else, and these once they are defined.
fn comes_and_goes(context: &Context) -> Outcome {
    let site = Site::new(&context.pool, 1, &deployed_rules()?)?;
    site.api.cluster().undefine_cluster_policies()?;
    let mut scene = Scene::at(context, site)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    let always = [("friend", "web", true), ("stranger", "web", false)];
    scene.expect(&always)?;
    scene.expect(&[("web", "friend", true)])?;
    for channel in [Channel::Experimental, Channel::Standard] {
        scene.site.api.cluster().define_cluster_policies(channel)?;
        scene.site.api.cluster().create_cluster_policy(&denying())?;
        scene.expect(&[("web", "friend", false)])?;
        scene.expect(&always)?;
        scene.site.api.cluster().undefine_cluster_policies()?;
        scene.expect(&[("web", "friend", true)])?;
        scene.expect(&always)?;
    }
    Ok(())
}

/// While their definition is replaced by others, whose versions of it the API server has to load anew, none is lost: not one
/// datagram that is denied comes through, and what is edited afterwards is followed.
fn redefined(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    scene.site.api.cluster().create_cluster_policy(&denying())?;
    scene.expect(&[("web", "friend", false), ("web", "stranger", false)])?;
    let streams = [scene.stream("web", "friend", 7000), scene.stream("web", "stranger", 7001)];
    let steady = Steady::start(&streams, PERIOD)?;
    for channel in [Channel::Standard, Channel::Experimental, Channel::Standard] {
        scene.site.api.cluster().define_cluster_policies(channel)?;
        sleep(AWHILE / 3);
    }
    let (sent, arrived) = steady.stop().iter().fold((0, 0), |(sent, arrived), record| {
        let (through, lost) = record.since(record.datagrams()[0].sent);
        (sent + through + lost, arrived + through)
    });
    assert!(sent > 1000 && arrived == 0, "{arrived} of {sent} datagrams came through\n{}", scene.logs());
    scene.site.api.cluster().replace_cluster_policy(&policy("no-shop", &json!([])))?;
    scene.expect(&[("web", "friend", true)])
}

fn right_taken(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    scene.site.api.cluster().create_cluster_policy(&denying())?;
    scene.expect(&[("web", "friend", false)])?;
    let mut rules = deployed_rules()?;
    rules.retain(|rule| rule["resources"] != json!(["clusternetworkpolicies"]));
    scene.site.api.cluster().set_rules(AGENT_ACCOUNT, &rules)?;
    scene.site.proxy.cut();
    sleep(AWHILE);
    scene.expect(&[("web", "friend", false), ("friend", "web", true), ("stranger", "web", false)])?;
    let refused = scene.site.requests()?;
    let refused = refused.iter().filter(|one| one.code == 403 && one.resource == "clusternetworkpolicies").count();
    assert!(refused > 0, "the agent asked without the right");
    scene.set_role("stranger", "friend")?;
    scene.expect(&[("stranger", "web", true)])
}

/// Their labels, their addresses, and which there are; other writes of kubelets change nothing.
fn nodes_are_followed(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend"])?;
    let address = |number: u8| Place::External.addresses(number);
    for (name, number) in [("one", 1), ("other", 2)] {
        scene.attach(name, Place::External, &address(number))?;
    }
    let reported = |number: u8| {
        let addresses = address(number).into_iter().map(|ip| json!({"type": "InternalIP", "address": ip}));
        Value::Array(addresses.chain([json!({"type": "Hostname", "address": "worker"})]).collect())
    };
    let zone = |zone: &str| Labels::from([("zone".to_owned(), zone.to_owned())]);
    let cluster = scene.site.api.cluster();
    cluster.register_node("worker", &zone("a"), &reported(1))?;
    let in_zone_a = json!([{"action": "Deny", "to": [{"nodes": {"matchLabels": {"zone": "a"}}}]}]);
    cluster.create_cluster_policy(&policy("no-nodes", &in_zone_a))?;
    scene.expect(&[("web", "one", false), ("web", "other", true), ("friend", "one", true)])?;
    scene.site.api.cluster().set_node_addresses("worker", &reported(2))?;
    scene.expect(&[("web", "one", true), ("web", "other", false)])?;
    scene.site.api.cluster().set_node_labels("worker", &zone("b"))?;
    scene.expect(&[("web", "one", true), ("web", "other", true)])?;
    scene.site.api.cluster().set_node_labels("worker", &zone("a"))?;
    scene.expect(&[("web", "other", false)])?;
    scene.site.api.cluster().delete_node("worker")?;
    scene.expect(&[("web", "other", true)])
}

/// Each of these is accepted by the API server and closed by the agent, which writes an Event on it.
fn told(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    let everybody = json!({"namespaces": {}});
    let of = |peer: Value| json!([{"action": "Deny", "to": [peer]}]);
    let requirement = |requirement: Value| of(json!({"namespaces": {"matchExpressions": [requirement]}}));
    let named = |name: &str, peer: &Value| json!([{"action": "Deny", "to": [peer], "protocols": [{"destinationNamedPort": name}]}]);
    let mistakes = [
        ("unknown-operator", requirement(json!({"key": "a", "operator": "Inn", "values": ["b"]}))),
        ("no-values", requirement(json!({"key": "a", "operator": "In"}))),
        ("too-many-values", requirement(json!({"key": "a", "operator": "Exists", "values": ["b"]}))),
        ("impossible-key", of(json!({"namespaces": {"matchLabels": {"a b": "c"}}}))),
        ("empty-port-name", named("", &everybody)),
        ("domain-names", of(json!({"domainNames": ["example.com"]}))),
    ];
    are_told(&mut scene, &mistakes)?;
    // The standard channel's schema lets that through as well.
    scene.site.api.cluster().undefine_cluster_policies()?;
    scene.site.api.cluster().define_cluster_policies(Channel::Standard)?;
    are_told(&mut scene, &[("named-port-of-networks", named("http", &json!({"networks": ["10.0.0.0/8"]})))])
}

/// Each of them closes what it would deny, and gets an Event.
fn are_told(scene: &mut Scene<'_>, mistakes: &[(&str, Value)]) -> Outcome {
    for (name, egress) in mistakes {
        scene.site.api.cluster().create_cluster_policy(&policy(name, egress))?;
        scene.expect(&[("web", "friend", false), ("friend", "web", true), ("stranger", "web", false)])?;
        wait_for_event(scene, name)?;
        scene.site.api.cluster().delete_cluster_policy(name)?;
        scene.expect(&[("web", "friend", true)])?;
    }
    Ok(())
}

/// Waits for an Event on the policy of this name.
fn wait_for_event(scene: &Scene<'_>, name: &str) -> Outcome {
    let is_about = |event: &Event| {
        let regarding = event.regarding.as_ref();
        let kind = regarding.and_then(|regarding| regarding.kind.as_deref());
        kind == Some("ClusterNetworkPolicy") && regarding.and_then(|one| one.name.as_deref()) == Some(name)
    };
    let started = Instant::now();
    loop {
        let cluster = scene.site.api.cluster();
        let events = cluster.of::<Event>("default");
        let events = cluster.wait("list events", async { events.list(&ListParams::default()).await })?;
        if events.iter().any(is_about) {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err::<(), Box<dyn Error>>(format!("no event on {name}\n{}", scene.logs()).into());
        }
        sleep(POLL_INTERVAL);
    }
}

/// Each policy gets its condition, for each of its versions, whichever of two agents writes it; then nothing is written any
/// more.
fn conditions(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 2)?;
    let unknown = json!([
        {"action": "Accept", "to": [{"namespaces": {}}]},
        {"action": "Deny", "to": [{"namespaces": {"matchExpressions": [{"key": "a", "operator": "Inn"}]}}]},
    ]);
    let unsupported = json!([{"action": "Accept", "to": [{"domainNames": ["example.com"]}]}]);
    for (name, egress) in [("good", &json!([])), ("invalid", &unknown), ("unsupported", &unsupported)] {
        scene.site.api.cluster().create_cluster_policy(&policy(name, egress))?;
    }
    wait_for_condition(&scene, "good", 1, "True", "Accepted", "")?;
    wait_for_condition(&scene, "invalid", 1, "False", "Invalid", "spec.egress[1].to[0].namespaces")?;
    wait_for_condition(&scene, "unsupported", 1, "False", "Unsupported", "spec.egress[0].to[0].domainNames")?;
    scene.site.api.cluster().replace_cluster_policy(&policy("invalid", &json!([])))?;
    wait_for_condition(&scene, "invalid", 2, "True", "Accepted", "")?;
    sleep(AWHILE);
    let written = scene.site.requests()?;
    let written = written.iter().filter(|request| request.verb == "patch" && request.code == 200).count();
    assert!((4..=6).contains(&written), "{written} conditions were written of four, and a few twice at most");
    scene.check_agents()
}

/// Waits until a policy shows this of this version.
fn wait_for_condition(
    scene: &Scene<'_>,
    name: &str,
    generation: i64,
    status: &str,
    reason: &str,
    message: &str,
) -> Outcome {
    let started = Instant::now();
    loop {
        let cluster = scene.site.api.cluster();
        let policies = cluster.cluster_policies();
        let policy = cluster.wait(format!("get {name}"), policies.get(name))?;
        let shown = policy.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is_right = |condition: &Value| {
            condition["type"] == "palisade.dev/Accepted"
                && condition["observedGeneration"] == generation
                && condition["status"] == status
                && condition["reason"] == reason
                && condition["message"].as_str().is_some_and(|text| text.starts_with(message))
        };
        if shown.iter().any(is_right) {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err(format!("{name} shows {shown:?}\n{}", scene.logs()).into());
        }
        sleep(POLL_INTERVAL);
    }
}

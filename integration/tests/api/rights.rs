use std::collections::BTreeSet;
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use palisade_integration::apiserver::{
    ClusterAgent, Request, Site, deployed_rules, deployed_rules_of_namespace, has_table,
};
use palisade_integration::patience::LIMIT;
use serde_json::{Value, json};

use super::scene::{SHOP, Scene};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// What the agent's ServiceAccount may do, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("exactly-those-that-are-used", exactly_used),
    ("one-too-few-keeps-the-agent-from-writing", one_too_few),
    ("without-events-it-enforces", without_events),
];

/// Longer than an agent with all its rights takes to write its table.
const AWHILE: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// (group, resource, verb), as RBAC grants it.
type Right = (String, String, String);

/// Nothing that is asked for is refused, and what is never asked for is not granted: on an API server where all of it is
/// needed, which does not stream lists and takes a policy that the agents do not understand. They write one Event.
fn exactly_used(context: &Context) -> Outcome {
    let mut scene = Scene::at(context, Site::new(&context.older, 2, &deployed_rules()?)?)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    complicate(&scene)?;
    about_nodes(&scene)?;
    wait_for_events(&scene, 2)?;
    let requests = wait_for(&scene, "leases", "update", 1)?;
    let refused: Vec<_> = requests.iter().filter(|request| request.code == 403).collect();
    assert!(refused.is_empty(), "a right too few: {refused:?}");
    let granted = rights(&[deployed_rules()?, deployed_rules_of_namespace()?].concat());
    let used = used(&requests);
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "rights too many: {unused:?}");

    let cluster = scene.site.api.cluster();
    let events = cluster.wait("list events", async { cluster.of::<Event>(SHOP).list(&ListParams::default()).await })?;
    let notes: Vec<_> = events.iter().map(|event| event.note.as_deref().unwrap_or_default()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains(r#"spec.ingress[0].from[0].ipBlock.cidr: "::ffff:10.0.0.0/64""#), "{notes:?}");
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])
}

/// An agent that may not write Events does all the rest.
fn without_events(context: &Context) -> Outcome {
    let mut rules = deployed_rules()?;
    rules.retain(|rule| rule["resources"] != json!(["events"]));
    assert!(!rights(&rules).iter().any(|(_, resource, _)| resource == "events"));
    let mut scene = Scene::at(context, Site::new(&context.older, 1, &rules)?)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    complicate(&scene)?;
    let requests = wait_for_events(&scene, 1)?;
    assert!(requests.iter().all(|request| (request.code == 403) == (request.resource == "events")), "{requests:?}");
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    scene.set_role("stranger", "friend")?;
    scene.expect(&[("stranger", "web", true)])
}

/// A second policy for the pod `web`, with a block that is neither of IPv4 nor of IPv6.
fn complicate(scene: &Scene<'_>) -> Outcome {
    let policy = json!({
        "metadata": {"namespace": SHOP, "name": "neither"},
        "spec": {
            "podSelector": {"matchLabels": {"role": "web"}},
            "ingress": [{"from": [{"ipBlock": {"cidr": "::ffff:10.0.0.0/64"}}]}],
        },
    });
    Ok(scene.site.api.cluster().create::<NetworkPolicy>(&policy).map(drop)?)
}

/// A policy for which nodes have to be known.
fn about_nodes(scene: &Scene<'_>) -> Outcome {
    let rule = json!({"action": "Accept", "to": [{"nodes": {}}]});
    let policy = json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "nodes"},
        "spec": {"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "egress": [rule]},
    });
    Ok(scene.site.api.cluster().create_cluster_policy(&policy)?)
}

/// All requests, once so many were made to write Events.
fn wait_for_events(scene: &Scene<'_>, count: usize) -> Result<Vec<Request>, Box<dyn Error>> {
    wait_for(scene, "events", "create", count)
}

/// All requests, once so many were of this kind.
fn wait_for(scene: &Scene<'_>, resource: &str, verb: &str, count: usize) -> Result<Vec<Request>, Box<dyn Error>> {
    let started = Instant::now();
    loop {
        let requests = scene.site.requests()?;
        if requests.iter().filter(|one| (&*one.resource, &*one.verb) == (resource, verb)).count() >= count {
            return Ok(requests);
        }
        if started.elapsed() > LIMIT {
            return Err(format!("fewer than {count} times {verb} of {resource}\n{}", scene.logs()).into());
        }
        sleep(POLL_INTERVAL);
    }
}

fn one_too_few(context: &Context) -> Outcome {
    for resource in ["pods", "namespaces", "networkpolicies", "clusternetworkpolicies"] {
        let mut rules = deployed_rules()?;
        for rule in &mut rules {
            if let Some(resources) = rule["resources"].as_array_mut() {
                resources.retain(|one| one != resource);
            }
        }
        rules.retain(|rule| rule["resources"] != json!([]));
        let (refused, table) = run_with(context, &rules)?;
        assert!(refused.contains(resource), "{resource} is not granted, and only {refused:?} were refused");
        assert!(!table, "without {resource} the agent cannot know what to write");
    }
    Ok(())
}

/// Runs an agent with these rules for a while: which resources were refused, and whether it wrote its table.
fn run_with(context: &Context, rules: &[Value]) -> Result<(BTreeSet<String>, bool), Box<dyn Error>> {
    let mut site = Site::new(&context.pool, 1, rules)?;
    let node = &site.network.nodes()[0];
    site.agents.push(ClusterAgent::start(&context.program, node, &site.kubeconfig)?);
    sleep(AWHILE);
    let table = has_table(&site.network.nodes()[0])?;
    let requests = site.requests()?;
    Ok((requests.into_iter().filter(|one| one.code == 403).map(|one| one.resource).collect(), table))
}

fn used(requests: &[Request]) -> BTreeSet<Right> {
    requests.iter().map(|one| (one.group.clone(), one.resource.clone(), one.verb.clone())).collect()
}

fn rights(rules: &[Value]) -> BTreeSet<Right> {
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap_or_default() };
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rights.extend(texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    rights
}

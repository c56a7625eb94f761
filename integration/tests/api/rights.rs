use std::collections::BTreeSet;
use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::apiserver::{ClusterAgent, Request, Site, deployed_rules, has_table};
use serde_json::{Value, json};

use super::scene::Scene;
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// What the agent's ServiceAccount may do, by name.
pub(crate) const TESTS: &[(&str, Test)] =
    &[("exactly-those-that-are-used", exactly_used), ("one-too-few-keeps-the-agent-from-writing", one_too_few)];

const LIMIT: Duration = Duration::from_secs(20);
/// Longer than an agent with all its rights takes to write its table.
const AWHILE: Duration = Duration::from_secs(5);

/// (group, resource, verb), as RBAC grants it.
type Right = (String, String, String);

/// Nothing that is asked for is refused, and what is never asked for is not granted. Events are left out: they take a
/// policy that the API server accepts and the agent does not understand.
fn exactly_used(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pod("web", "web", 0, 2)?;
    scene.run_pod("stranger", "stranger", 0, 3)?;
    scene.expect(&[("stranger", "web", false)])?;
    let granted = rights(&deployed_rules()?);
    let started = Instant::now();
    loop {
        let requests = scene.site.requests()?;
        let refused: Vec<_> = requests.iter().filter(|request| request.code == 403).collect();
        if !refused.is_empty() {
            return Err(format!("a right too few: {refused:?}").into());
        }
        let used = used(&requests);
        let unused: Vec<_> = granted.difference(&used).filter(|(_, resource, _)| resource != "events").collect();
        if unused.is_empty() {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            return Err(format!("rights too many: {unused:?}").into());
        }
        sleep(AWHILE / 10);
        scene.site.proxy.cut();
    }
}

fn one_too_few(context: &Context) -> Outcome {
    for resource in ["pods", "namespaces", "networkpolicies"] {
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

/// API servers that stream lists as watches are never asked for a `list`, others are: who watches may need both.
fn used(requests: &[Request]) -> BTreeSet<Right> {
    let rights = |one: &Request| -> Vec<Right> {
        let verbs = if one.verb == "watch" { vec!["watch", "list"] } else { vec![one.verb.as_str()] };
        verbs.into_iter().map(|verb| (one.group.clone(), one.resource.clone(), verb.to_owned())).collect()
    };
    requests.iter().flat_map(rights).collect()
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

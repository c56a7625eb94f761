use std::error::Error;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use palisade_integration::apiserver::{Fault, Pool, Request, Site, deployed_rules, has_table};
use palisade_integration::patience::LIMIT;
use serde_json::json;

use super::scene::{SHOP, Scene};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// How everything becomes known, by name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("streamed-where-the-server-can", streamed),
    ("in-pages-where-it-cannot", in_pages),
    ("of-this-node-first", of_this_node_first),
];

/// More objects than the agent asks for in one page.
const MORE_THAN_A_PAGE: usize = 520;
const KINDS: [&str; 3] = ["pods", "namespaces", "networkpolicies"];

fn streamed(context: &Context) -> Outcome {
    let requests = list(&context.pool, context)?;
    for kind in KINDS {
        assert_eq!(answered(&requests, kind, |one| one.initial_events), 1, "{kind}: {requests:?}");
        assert_eq!(answered(&requests, kind, lists_all), 0, "{kind}: {requests:?}");
    }
    Ok(())
}

fn in_pages(context: &Context) -> Outcome {
    let requests = list(&context.older, context)?;
    for (kind, pages) in KINDS.into_iter().zip([2, 1, 1]) {
        assert_eq!(answered(&requests, kind, |one| one.initial_events), 0, "{kind}: {requests:?}");
        assert_eq!(answered(&requests, kind, lists_all), pages, "{kind}: {requests:?}");
    }
    Ok(())
}

/// On a node where nothing is in force, and as long as the list of all pods is cut short: who lets nobody in is closed, who
/// lets pods in is open to all. Then policies say what they say.
fn of_this_node_first(context: &Context) -> Outcome {
    const LARGE: usize = 200_000;
    let mut scene = Scene::at(context, Site::new(&context.pool, 1, &deployed_rules()?)?)?;
    let vault = json!({"podSelector": {"matchLabels": {"role": "vault"}}, "policyTypes": ["Ingress"]});
    let vault = json!({"metadata": {"namespace": SHOP, "name": "vault"}, "spec": vault});
    scene.site.api.cluster().create::<NetworkPolicy>(&vault)?;
    scene.run_pods(&["web", "friend", "stranger", "vault"])?;
    scene.site.api.cluster().create_namespace("elsewhere", &[].into())?;
    for number in 0..40 {
        let metadata = json!({
            "namespace": "elsewhere",
            "name": format!("pod-{number}"),
            "annotations": {"large": "-".repeat(LARGE)},
        });
        let spec = json!({"nodeName": "node-9", "containers": [{"name": "main", "image": "none"}]});
        scene.site.api.cluster().create::<Pod>(&json!({"metadata": metadata, "spec": spec}))?;
    }
    let exactly = [("friend", "web", true), ("stranger", "web", false), ("friend", "vault", false)];
    scene.expect(&exactly)?;
    scene.site.agents.clear();
    let delete = ["delete", "table", "inet", "palisade"];
    scene.site.network.nodes()[0].namespace().run(Command::new("nft").args(delete), "")?;
    scene.site.proxy.set(Fault::CutAfter(10 * LARGE));
    scene.replace_agents()?;
    let started = Instant::now();
    while !has_table(&scene.site.network.nodes()[0])? {
        scene.check_agents()?;
        if started.elapsed() > LIMIT {
            return Err(format!("nothing is in force\n{}", scene.logs()).into());
        }
        sleep(Duration::from_millis(20));
    }
    scene.expect(&[("friend", "web", true), ("stranger", "web", true), ("friend", "vault", false)])?;
    assert!(!scene.site.agents[0].is_enforcing(), "the list of all pods was not cut short");
    scene.site.proxy.set(Fault::None);
    scene.expect(&exactly)
}

/// What an agent asks for that starts in a cluster with more than a page of pods, the ones that matter last.
fn list(pool: &Pool, context: &Context) -> Result<Vec<Request>, Box<dyn Error>> {
    let mut scene = Scene::at(context, Site::new(pool, 1, &deployed_rules()?)?)?;
    scene.add_ballast(MORE_THAN_A_PAGE)?;
    scene.run_pods(&["web", "friend", "stranger", "guest"])?;
    scene.expect(&[("friend", "web", true), ("stranger", "web", false), ("guest", "web", false)])?;
    let before = scene.site.requests()?.len();
    scene.replace_agents()?;
    scene.set_role("guest", "friend")?;
    scene.expect(&[("guest", "web", true), ("friend", "web", true), ("stranger", "web", false)])?;
    Ok(scene.site.requests()?.split_off(before))
}

fn lists_all(request: &Request) -> bool {
    request.verb == "list" && !request.selects
}

/// How many requests about a kind were granted.
fn answered(requests: &[Request], kind: &str, such: impl Fn(&Request) -> bool) -> usize {
    requests.iter().filter(|one| one.resource == kind && one.code == 200 && such(one)).count()
}

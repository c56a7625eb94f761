use std::error::Error;

use palisade_integration::apiserver::{Pool, Request, Site, deployed_rules};

use super::scene::Scene;
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// How everything becomes known, by name.
pub(crate) const TESTS: &[(&str, Test)] =
    &[("streamed-where-the-server-can", streamed), ("in-pages-where-it-cannot", in_pages)];

/// More objects than the agent asks for in one page.
const MORE_THAN_A_PAGE: usize = 520;
const KINDS: [&str; 3] = ["pods", "namespaces", "networkpolicies"];

fn streamed(context: &Context) -> Outcome {
    let requests = list(&context.pool, context)?;
    for kind in KINDS {
        assert_eq!(answered(&requests, kind, |one| one.initial_events), 1, "{kind}: {requests:?}");
        assert_eq!(answered(&requests, kind, |one| one.verb == "list"), 0, "{kind}: {requests:?}");
    }
    Ok(())
}

fn in_pages(context: &Context) -> Outcome {
    let requests = list(&context.older, context)?;
    for (kind, pages) in KINDS.into_iter().zip([2, 1, 1]) {
        assert_eq!(answered(&requests, kind, |one| one.initial_events), 0, "{kind}: {requests:?}");
        assert_eq!(answered(&requests, kind, |one| one.verb == "list"), pages, "{kind}: {requests:?}");
    }
    Ok(())
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

/// How many requests about a kind were granted.
fn answered(requests: &[Request], kind: &str, such: impl Fn(&Request) -> bool) -> usize {
    requests.iter().filter(|one| one.resource == kind && one.code == 200 && such(one)).count()
}

use std::error::Error;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::apiserver::{ClusterAgent, Site};
use palisade_integration::netns::{NetnsError, Place};
use palisade_integration::patience::LIMIT;
use serde_json::Value;

use super::scene::{SHOP, Scene, addresses};
use super::{Context, Outcome};

type Test = fn(&Context) -> Outcome;

/// What the agent makes of its node's name.
pub(crate) const TESTS: &[(&str, Test)] = &[
    ("one-that-is-not-there-is-an-error-until-it-comes", not_there),
    ("one-with-pods-is-there", with_pods),
    ("its-pod-range-is-guarded-when-it-has-one", pod_range),
];

const POLL_INTERVAL: Duration = Duration::from_millis(200);

fn not_there(context: &Context) -> Outcome {
    let scene = Scene::new(context, 1)?;
    let missing = |agent: &Value| agent["noSuchNode"] == true && agent["ready"] == false;
    let status = wait_for(context, &scene, missing)?;
    assert!(status["behind"].to_string().contains("the API has no Node node-0"), "{status}");
    assert_eq!(scene.site.agents[0].log().matches("has no such Node").count(), 1);
    let refused = render(context, &scene).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("the API has no Node node-0"), "{refused}");
    scene.site.api.cluster().create_node("node-0")?;
    render(context, &scene)?;
    wait_for(context, &scene, |agent| agent["noSuchNode"] == false && agent["ready"] == true).map(drop)
}

fn with_pods(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend", "stranger"])?;
    scene.expect(&[("friend", "web", true), ("stranger", "web", false)])?;
    wait_for(context, &scene, |agent| agent["noSuchNode"] == false && agent["ready"] == true).map(drop)
}

/// The agent does not wait for a Node without a pod range. Afterwards nothing else is enforced before the range is known.
fn pod_range(context: &Context) -> Outcome {
    let mut scene = Scene::new(context, 1)?;
    scene.run_pods(&["web", "friend"])?;
    scene.attach("newcomer", Place::Behind(0), &addresses(9))?;
    restart(context, &mut scene)?;
    scene.expect(&[("friend", "web", true), ("newcomer", "friend", true)])?;
    scene.site.api.cluster().create_node_with("node-0", &NETWORKS)?;
    let shut = [("friend", "web", true), ("newcomer", "friend", false), ("friend", "newcomer", false)];
    scene.expect(&shut)?;
    restart(context, &mut scene)?;
    wait_for(context, &scene, |agent| agent["ready"] == true && agent["outsidePodRange"] == 0)?;
    scene.expect(&shut)?;
    scene.create_pod(SHOP, "newcomer", "none", 0)?;
    scene.report("newcomer", "Running", &addresses(9))?;
    scene.expect(&[("friend", "web", true), ("newcomer", "friend", true), ("friend", "newcomer", true)])
}

const NETWORKS: [&str; 2] = ["10.2.0.0/24", "fd00:10:2::/64"];

fn restart(context: &Context, scene: &mut Scene<'_>) -> Outcome {
    scene.site.agents.clear();
    let Site { network, kubeconfig, agents, .. } = &mut scene.site;
    let node = &network.nodes()[0];
    agents.push(ClusterAgent::start_with(&context.program, node, kubeconfig, &["--guard-pod-range"])?);
    Ok(())
}

/// `palisade render` for the first node; the error says what it says.
fn render(context: &Context, scene: &Scene<'_>) -> Result<(), NetnsError> {
    let mut render = Command::new(&context.program);
    render.args(["render", "--node-name", "node-0", "--kubeconfig"]).arg(scene.site.kubeconfig.path());
    scene.site.network.nodes()[0].namespace().run(&mut render, "").map(drop)
}

/// What the agent of the first node says of itself, once it is so.
fn wait_for(context: &Context, scene: &Scene<'_>, wanted: impl Fn(&Value) -> bool) -> Result<Value, Box<dyn Error>> {
    let socket = scene.site.kubeconfig.path().with_file_name("node-0.sock");
    let node = &scene.site.network.nodes()[0];
    let started = Instant::now();
    loop {
        let mut status = Command::new(&context.program);
        status.args(["status", "-o", "json", "--status-socket"]).arg(&socket);
        let output = node.namespace().run(&mut status, "")?;
        let agent = serde_json::from_slice::<Value>(&output.stdout)?["agent"].take();
        if wanted(&agent) {
            return Ok(agent);
        }
        if started.elapsed() > LIMIT {
            return Err(format!("{agent:#}\n{}", scene.logs()).into());
        }
        sleep(POLL_INTERVAL);
    }
}

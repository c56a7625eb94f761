//! A pod that is deleted, while its processes run on: `kubectl delete --force` does not wait for them.

use std::process::Command;

use palisade_integration::agent::{Agent, METRICS, binary, metrics};
use palisade_integration::netns::Topology;
use palisade_integration::traffic::Tally;

use crate::scene::{Scene, addresses, eventually, pod};

const ROUTED: Topology = Topology::routed(1);
const BRIDGED: Topology = ROUTED.on_bridges();

/// The server has two addresses.
const SERVER: usize = 2;

/// No peer is named by a policy but the friend: the server is nobody's any more once it is deleted.
const POLICY: &str = "
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: server, namespace: shop},
 spec: {podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}}
";

fn scene(topology: Topology) -> Scene {
    let scene = Scene::on(topology);
    scene.write("policies.yaml", POLICY);
    scene.once();
    scene
}

/// One that knows so many pods.
fn agent(scene: &Scene, pods: usize) -> Agent {
    let socket = scene.path("status.sock").display().to_string();
    let arguments = ["--metrics-address", METRICS, "--status-socket", &socket];
    let log = scene.path("agent.log");
    let agent = Agent::start_with(&binary().unwrap(), scene.node(), &scene.manifests(), &log, &arguments);
    let mut agent = agent.unwrap();
    linger(scene, 0, pods);
    scene.settles(&mut agent);
    agent
}

/// The pods of these names are all that there are, each with the addresses of its number.
fn keep(scene: &Scene, pods: &[(&str, u8)]) {
    let pods: Vec<_> = pods.iter().map(|(name, number)| pod(name, *number)).collect();
    scene.write("pods.yaml", &pods.join("\n---\n"));
}

fn delete_server(scene: &Scene) {
    keep(scene, &[("friend", 2), ("stranger", 3)]);
}

/// Waits until so many addresses linger, of so many pods that are known.
#[track_caller]
fn linger(scene: &Scene, lingering: usize, pods: usize) {
    let expected = [format!("palisade_lingering_pods {lingering}"), format!("palisade_pods {pods}")];
    let is_so = || {
        // It may not serve them yet.
        let metrics = scene.namespace().enter(metrics).unwrap().unwrap_or_default();
        expected.iter().all(|line| metrics.lines().any(|one| one == line)).then_some(())
    };
    eventually(is_so, || format!("not {expected:?}:\n{}", scene.log()));
}

/// What becomes of traffic to a server that is deleted, once that is known and `then` has happened.
fn after_deletion(scene: &Scene, then: impl FnOnce()) -> Tally {
    delete_server(scene);
    linger(scene, SERVER, 2);
    then();
    scene.tally(|_| ())
}

fn is_judged_as_before(topology: Topology) {
    let scene = scene(topology);
    let _agent = agent(&scene, 3);
    scene.holds_while(|traffic| {
        delete_server(&scene);
        linger(&scene, SERVER, 2);
        traffic.pass(1000);
    });
    let status = scene
        .prints(Command::new(binary().unwrap()).arg("status").arg("--status-socket").arg(scene.path("status.sock")));
    assert!(status.contains("lingering   2 addresses of deleted pods"), "{status}");
    // Figures are a second old at most.
    let nothing = || difference(&scene, "status.sock").is_empty().then_some(());
    eventually(nothing, || difference(&scene, "status.sock"));
    let without = difference(&scene, "of-no-agent.sock");
    assert!(without.contains("delete chain pod-ingress-shop-server"), "{without}");
}

/// What `palisade diff` says, to which the agent at this socket may tell something.
fn difference(scene: &Scene, socket: &str) -> String {
    let mut diff = Command::new(binary().unwrap());
    diff.args(["diff", "--node-name", scene.node().name(), "--manifests"]).arg(scene.manifests());
    scene.prints(diff.arg("--status-socket").arg(scene.path(socket)))
}

#[test]
fn it_is_judged_as_before_routed() {
    is_judged_as_before(ROUTED);
}

#[test]
fn it_is_judged_as_before_bridged() {
    is_judged_as_before(BRIDGED);
}

/// Policies that come select it too.
#[test]
fn policies_go_on_to_change_for_it() {
    let scene = scene(ROUTED);
    let _agent = agent(&scene, 3);
    let open = POLICY.replace("[{from: [{podSelector: {matchLabels: {app: friend}}}]}]", "[{}]");
    let tally = after_deletion(&scene, || {
        scene.write("policies.yaml", &open);
        eventually(|| (!scene.listing().contains("app-friend")).then_some(()), || scene.listing());
    });
    assert!(tally.leaked > 0 && tally.lost == 0, "{tally}");
}

/// `gone` takes a part of its way from it.
fn is_forgotten(topology: Topology, gone: &str) {
    let scene = scene(topology);
    let mut agent = agent(&scene, 3);
    delete_server(&scene);
    linger(&scene, SERVER, 2);
    scene.namespace().ip(gone).unwrap();
    linger(&scene, 0, 2);
    scene.settles(&mut agent);
}

#[test]
fn it_is_forgotten_when_its_interface_goes() {
    is_forgotten(ROUTED, "link del pod0\n");
}

#[test]
fn it_is_forgotten_when_its_port_goes() {
    is_forgotten(BRIDGED, "link del pod0\n");
}

#[test]
fn it_is_forgotten_when_no_route_leads_to_it() {
    let [four, six] = addresses(1);
    is_forgotten(ROUTED, &format!("route del {four} dev pod0\nroute del {six} dev pod0\n"));
}

#[test]
fn who_gets_its_address_is_judged_as_what_it_is() {
    let scene = scene(ROUTED);
    let mut agent = agent(&scene, 3);
    let tally = after_deletion(&scene, || {
        keep(&scene, &[("friend", 2), ("stranger", 3), ("heir", 1)]);
        linger(&scene, 0, 3);
        scene.settles(&mut agent);
    });
    assert!(tally.leaked > 0, "no policy isolates the heir: {tally}");
}

/// What the API does not know, an agent that starts does not either: that is what remains.
#[test]
fn it_is_judged_while_no_agent_runs_and_unknown_to_the_next_one() {
    let scene = scene(ROUTED);
    let before = agent(&scene, 3);
    delete_server(&scene);
    linger(&scene, SERVER, 2);
    drop(before);
    scene.holds_while(|_| ());
    let _after = agent(&scene, 2);
    let tally = scene.tally(|_| ());
    assert!(tally.leaked > 0, "{tally}");
}

//! Nobody speaks for another, whatever else is, or is not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::netns::{Place, Topology};
use palisade_integration::patience::LIMIT;

use crate::policies::admits;
use crate::scene::Scene;
use crate::sources::{AS_WHO_IS_ADMITTED, BY_THE_MUTE, HOSTS, Lie, Name, honest, lies, lies_between, policies};
use crate::volley::Volley;
use crate::{BRIDGED, ROUTED, TUNNELLED};

const PAUSE: Duration = Duration::from_millis(20);

fn without_agents(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let forged = lies(&scene, topology, &[&BY_THE_MUTE[..], &AS_WHO_IS_ADMITTED].concat());
    let volley = Volley { forged, honest: honest(&scene) };
    volley.works(&scene);
    scene.enforce(&policies());
    scene.stop_agents();
    volley.fails(&scene);
}

/// What was enforced stays.
#[test]
fn after_the_agents_have_gone_routed() {
    without_agents(ROUTED);
}

#[test]
fn after_the_agents_have_gone_bridged() {
    without_agents(BRIDGED);
}

/// The only policy is about a pod of the other node.
fn without_a_policy_on_the_node(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let lie: [Lie; 2] = [(["free", "far"], Name::Of("web")), (["free", "far"], Name::Of("mute"))];
    let honest = lies(&scene, topology, &[(["web", "far"], Name::Of("web")), (["free", "web"], Name::Of("free"))]);
    let volley = Volley { forged: lies(&scene, topology, &lie), honest };
    volley.fails_under(&mut scene, &[admits("far", &["web"])]);
}

#[test]
fn where_no_policy_is_about_pods_of_the_node_routed() {
    without_a_policy_on_the_node(ROUTED);
}

#[test]
fn where_no_policy_is_about_pods_of_the_node_bridged() {
    without_a_policy_on_the_node(BRIDGED);
}

#[test]
fn where_no_policy_is_about_pods_of_the_node_through_a_tunnel() {
    without_a_policy_on_the_node(TUNNELLED);
}

/// What looks as if an address was asked for, and goes to a pod.
fn by_ports_of_dhcp(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    let all = [&BY_THE_MUTE[..], &AS_WHO_IS_ADMITTED].concat();
    let ports = [[68, 67], [67, 68], [546, 547], [547, 546]];
    let forged = ports.into_iter().flat_map(|ports| lies_between(&scene, topology, &all, ports)).collect();
    let volley = Volley { forged, honest: honest(&scene) };
    volley.fails_under(&mut scene, &policies());
}

#[test]
fn through_the_ports_of_dhcp_routed() {
    by_ports_of_dhcp(ROUTED);
}

#[test]
fn through_the_ports_of_dhcp_bridged() {
    by_ports_of_dhcp(BRIDGED);
}

/// Its interface is there, and no manifest tells of it: once the agent has seen the interface, it speaks for nobody.
fn by_who_is_not_known(topology: Topology) {
    let mut scene = Scene::new(topology, &HOSTS);
    scene.enforce(&policies());
    scene.attach("unknown", Place::Behind(0), 99);
    let lie: [Lie; 3] = [
        (["unknown", "shop"], Name::Of("web")),
        (["unknown", "shop"], Name::Of("far-web")),
        (["unknown", "free"], Name::Stranger),
    ];
    let volley = Volley { forged: lies(&scene, topology, &lie), honest: honest(&scene) };
    let start = Instant::now();
    while !volley.through(&scene).is_empty() && start.elapsed() < LIMIT {
        sleep(PAUSE);
    }
    volley.fails(&scene);
    // Then it is made known.
    scene.tell();
    scene.catch_up();
    let honest = lies(&scene, topology, &[(["unknown", "free"], Name::Of("unknown"))]);
    Volley { forged: Vec::new(), honest }.works(&scene);
    volley.fails(&scene);
}

#[test]
fn by_a_pod_that_is_not_known_yet_routed() {
    by_who_is_not_known(ROUTED);
}

#[test]
fn by_a_pod_that_is_not_known_yet_bridged() {
    by_who_is_not_known(BRIDGED);
}

//! No agent, or none that knows the pod.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use palisade_integration::netns::Topology;

use crate::scene::Scene;

const TRY_AGAIN_LATER: u64 = 11;
const NOT_AVAILABLE: u64 = 50;

#[test]
fn without_an_agent_no_pod_starts_unless_it_may() {
    let scene = Scene::new(Topology::routed(1));
    let add = scene.call("ADD").with("wait", 0.3);
    let answer = add.run();
    assert_eq!(answer.code(), TRY_AGAIN_LATER);
    assert!(answer.took >= Duration::from_millis(250), "it waits: {:?}", answer.took);
    let allowed = add.with("onFailure", "allow").run().succeeds();
    assert_eq!(allowed.text, scene.call("ADD").config["prevResult"].to_string());
}

#[test]
fn the_socket_of_a_dead_agent_is_no_agent() {
    let mut scene = Scene::new(Topology::routed(1));
    std::fs::create_dir(scene.path("cni")).unwrap();
    drop(UnixListener::bind(scene.path("cni/cni.sock")).unwrap());
    assert_eq!(scene.call("ADD").with("wait", 0.2).run().code(), TRY_AGAIN_LATER);
    scene.start_agent();
    scene.call("ADD").run().succeeds();
    scene.kill_agent();
    assert_eq!(scene.call("ADD").with("wait", 0.2).run().code(), TRY_AGAIN_LATER);
    scene.call("DEL").run().succeeds();
    assert!(!scene.path("cni/sandboxes/c0ffee:eth0").exists());
}

#[test]
fn an_agent_that_comes_meanwhile_is_waited_for() {
    let mut scene = Scene::new(Topology::routed(1));
    let add = scene.call("ADD").with("wait", 60);
    let answer = std::thread::spawn(move || add.run());
    std::thread::sleep(Duration::from_millis(300));
    assert!(!answer.is_finished());
    scene.start_agent();
    answer.join().unwrap().succeeds();
    scene.judges(&["shop/friend", "shop/web"]);
}

#[test]
fn a_pod_that_is_not_known_yet_is_waited_for() {
    let scene = Scene::enforcing(Topology::routed(1));
    let friend = scene.friend.addresses();
    scene.tell(&[("friend", friend)]);
    scene.judges(&["shop/friend"]);
    let answer = loop {
        // Until the agent has read what it was told.
        let answer = scene.call("ADD").with("wait", 0.3).run();
        if !answer.succeeded {
            break answer;
        }
        scene.call("DEL").run().succeeds();
    };
    assert_eq!(answer.code(), TRY_AGAIN_LATER);
    assert!(answer.text.contains("does not know pod shop/web"), "{}", answer.text);
    let add = scene.call("ADD").with("wait", 60);
    let waiting = std::thread::spawn(move || add.run());
    std::thread::sleep(Duration::from_millis(200));
    scene.tell(&[("web", &[]), ("friend", friend)]);
    waiting.join().unwrap().succeeds();
    scene.judges(&["shop/friend", "shop/web"]);
}

/// A node that is not ready loses its pods: where they are judged, agent or not, it is ready.
#[test]
fn the_network_is_ready_once_it_has_been_enforced() {
    let mut scene = Scene::new(Topology::routed(1));
    assert_eq!(scene.call("STATUS").run().code(), NOT_AVAILABLE);
    scene.call("STATUS").with("onFailure", "allow").run().succeeds();
    scene.start_agent();
    scene.call("STATUS").run().succeeds();
    scene.kill_agent();
    scene.call("STATUS").run().succeeds();
}

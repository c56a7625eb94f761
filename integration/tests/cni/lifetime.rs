//! Until DEL.

use std::fs;
use std::time::Duration;

use palisade_integration::netns::Topology;
use palisade_integration::probe::Family;
use palisade_integration::steady::{Steady, Stream};

use crate::runtime::Call;
use crate::scene::Scene;

const ROUTED: Topology = Topology::routed(1);
const LONE: &str = "shop/web (sandbox c0ffee:eth0)";

/// Whether any of what a stranger sends to `web` arrives for a while.
fn is_open(scene: &Scene) -> bool {
    let stream = Stream { from: &scene.stranger, to: &scene.web, family: Family::Ipv4, port: 5001 };
    let steady = Steady::start(&[stream], Duration::from_millis(1)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    steady.stop()[0].datagrams().iter().any(|datagram| datagram.arrived)
}

/// `kubectl delete --force` does not wait for the processes.
#[test]
fn a_deleted_pod_is_judged_until_its_network_goes_whoever_restarts() {
    let mut scene = Scene::enforcing(ROUTED);
    assert!(is_open(&scene), "the API shows no address");
    scene.call("ADD").run().succeeds();
    assert!(!is_open(&scene));
    let friend = scene.friend.addresses().to_vec();
    scene.tell(&[("friend", &friend)]);
    scene.judges(&["shop/friend", LONE]);
    assert!(!is_open(&scene));
    scene.kill_agent();
    scene.start_agent();
    scene.judges(&["shop/friend", LONE]);
    assert!(!is_open(&scene));
    scene.sandboxes_say("ofDeletedPods", 1);
    scene.call("DEL").run().succeeds();
    scene.judges(&["shop/friend"]);
    assert!(is_open(&scene), "it is nobody's");
}

#[test]
fn a_restart_between_forgets_nothing() {
    let mut scene = Scene::enforcing(ROUTED);
    scene.call("ADD").run().succeeds();
    scene.kill_agent();
    assert!(!is_open(&scene));
    scene.start_agent();
    scene.judges(&["shop/friend", "shop/web"]);
    scene.call("CHECK").run().succeeds();
    assert!(!is_open(&scene), "though the API shows no address");
    scene.kill_agent();
    scene.call("DEL").run().succeeds();
    scene.start_agent();
    scene.judges(&["shop/friend"]);
}

#[test]
fn what_is_not_there_goes_and_what_is_there_comes_again() {
    let scene = Scene::enforcing(ROUTED);
    let unknown = Call { container: "unknown".to_owned(), ..scene.call("DEL") };
    unknown.run().succeeds();
    assert_eq!(scene.call("CHECK").run().code(), 100);
    for _ in 0..2 {
        scene.call("ADD").run().succeeds();
        scene.call("CHECK").run().succeeds();
    }
    scene.judges(&["shop/friend", "shop/web"]);
    for _ in 0..2 {
        scene.call("DEL").run().succeeds();
    }
    scene.judges(&["shop/friend"]);
}

#[test]
fn an_address_is_that_pods_which_was_given_it_last() {
    let mut scene = Scene::enforcing(ROUTED);
    scene.call("ADD").run().succeeds();
    let friend = scene.friend.addresses().to_vec();
    scene.tell(&[("web", &[]), ("next", &[]), ("friend", &friend)]);
    let next = Call { container: "beef".to_owned(), pod: "next".to_owned(), ..scene.call("ADD") };
    next.run().succeeds();
    scene.judges(&["shop/friend", "shop/next"]);
    scene.kill_agent();
    scene.start_agent();
    scene.judges(&["shop/friend", "shop/next"]);
}

#[test]
fn what_is_gone_while_nobody_looks_is_forgotten() {
    let mut scene = Scene::enforcing(ROUTED);
    let netns = scene.text("netns");
    fs::write(&netns, "").unwrap();
    Call { netns: netns.clone(), ..scene.call("ADD") }.run().succeeds();
    scene.kill_agent();
    scene.start_agent();
    scene.judges(&["shop/friend", "shop/web"]);
    scene.kill_agent();
    fs::remove_file(netns).unwrap();
    scene.start_agent();
    scene.judges(&["shop/friend"]);
    assert!(!scene.path("cni/sandboxes/c0ffee:eth0").exists());
}

#[test]
fn what_the_runtime_does_not_name_is_collected() {
    let scene = Scene::enforcing(ROUTED);
    scene.call("ADD").run().succeeds();
    // As libcni does, which says it twice.
    let gc = |valid: serde_json::Value| {
        let call = scene.call("GC").with("cniVersion", "1.1.0").with("cni.dev/attachments", valid.clone());
        call.with("cni.dev/valid-attachments", valid).run().succeeds();
    };
    gc(serde_json::json!([{"containerID": "c0ffee", "ifname": "eth0"}]));
    scene.call("CHECK").run().succeeds();
    gc(serde_json::json!([]));
    scene.judges(&["shop/friend"]);
}

/// Root in a pod is not root here; and nobody else may.
#[test]
fn only_root_can_ask() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::enforcing(ROUTED);
    let mode = |name: &str| fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("cni/cni.sock"), mode("cni/sandboxes")), (0o600, 0o700));
}

//! The agent enters the plugin into the runtime's configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use palisade_integration::agent::{METRICS, binary, metrics};
use palisade_integration::netns::Topology;
use palisade_integration::patience::eventually;
use serde_json::{Value, json};

use crate::runtime::{Call, plugin};
use crate::scene::Scene;

struct Directories {
    scene: Scene,
}

impl Directories {
    fn new() -> Self {
        let scene = Scene::new(Topology::routed(1));
        for name in ["net.d", "bin"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        Self { scene }
    }

    fn start_agent(&mut self) {
        let [configurations, programs] = ["net.d", "bin"].map(|name| self.scene.text(name));
        self.scene.start_agent_with(&[
            "--cni-conf-dir",
            &configurations,
            "--cni-bin-dir",
            &programs,
            "--cni-wait",
            "3",
            "--metrics-address",
            METRICS,
        ]);
    }

    /// The network's agent writes its file, in steps.
    fn write(&self, name: &str, list: &Value) {
        let text = list.to_string();
        let path = self.scene.path("net.d").join(name);
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        fs::write(&path, text).unwrap();
    }

    fn list(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.scene.path("net.d").join(name)).ok()?).ok()
    }

    /// Waits until the plugin is the last of a list.
    #[track_caller]
    fn enters(&self, name: &str) -> Value {
        let ours = || {
            let list = self.list(name)?;
            let last = list["plugins"].as_array()?.last()?;
            (last["type"] == "palisade-cni").then(|| last.clone())
        };
        eventually(Duration::from_millis(10), ours, || format!("{:?}\n{}", self.list(name), self.scene.log()))
    }

    /// Waits until the metrics say so.
    #[track_caller]
    fn shows(&self, state: &str) {
        let lines = ["entered", "not_entered"].map(|one| {
            let value = i32::from(one == state);
            format!("palisade_cni_plugin{{state=\"{one}\"}} {value}")
        });
        let served = || self.scene.node().namespace().enter(metrics).unwrap().unwrap_or_default();
        let is_so = || lines.iter().all(|line| served().lines().any(|one| one == line)).then_some(());
        eventually(Duration::from_millis(20), is_so, || format!("not {lines:?}: {}", served()));
    }

    fn cleanup(&self) {
        let mut command = Command::new(binary().unwrap());
        let [configurations, programs, sandboxes] = ["net.d", "bin", "cni/sandboxes"].map(|name| self.scene.text(name));
        command.args(["cleanup", "--cni-conf-dir", &configurations, "--cni-bin-dir", &programs]);
        command.args(["--cni-sandboxes", &sandboxes]);
        self.scene.node().namespace().run(&mut command, "").unwrap();
    }
}

fn ptp() -> Value {
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp"}, {"type": "portmap"}]})
}

#[test]
fn it_is_entered_whoever_writes_and_goes_with_cleanup_alone() {
    let mut node = Directories::new();
    fs::write(node.scene.path("bin/palisade-cni"), "of an older version").unwrap();
    node.start_agent();
    node.write("10-ptp.conflist", &ptp());
    let ours = node.enters("10-ptp.conflist");
    assert_eq!((&ours["wait"], &ours["onFailure"]), (&json!(3.0), &json!("refuse")));
    let program = node.scene.path("bin/palisade-cni");
    assert_eq!(fs::read(&program).unwrap(), fs::read(plugin()).unwrap());
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    for _ in 0..3 {
        node.write("10-ptp.conflist", &ptp());
        node.enters("10-ptp.conflist");
    }
    // As the runtime would.
    let call = node.scene.call("ADD");
    let config = [("socket", &ours["socket"]), ("sandboxes", &ours["sandboxes"])];
    config.into_iter().fold(call, |call: Call, (field, value)| call.with(field, value.clone())).run().succeeds();
    node.shows("entered");
    let status = node.scene.status();
    let said = status["agent"]["sandboxes"]["plugin"].as_str().unwrap();
    assert!(said.starts_with("entered in ") && said.ends_with("10-ptp.conflist"), "{said}");
    node.scene.sandboxes_say("without", json!(["shop/friend"]));
    node.scene.kill_agent();
    node.enters("10-ptp.conflist");
    node.cleanup();
    assert_eq!(node.list("10-ptp.conflist").unwrap(), ptp());
    assert!(!program.exists() && !node.scene.path("cni/sandboxes").exists());
}

/// As when the chart is uninstalled: the agent is told to end, and goes on to enter the plugin until it has.
#[test]
fn the_plugin_goes_alone_when_the_agent_has_gone() {
    let mut node = Directories::new();
    node.write("10-ptp.conflist", &ptp());
    node.start_agent();
    node.enters("10-ptp.conflist");
    let mut command = Command::new(binary().unwrap());
    let [configurations, programs, status] = ["net.d", "bin", "status.sock"].map(|name| node.scene.text(name));
    command.args(["cleanup", "--cni-only", "--cni-conf-dir", &configurations, "--cni-bin-dir", &programs]);
    let mut cleanup = command.args(["--after-agent", &status]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(cleanup.try_wait().unwrap().is_none(), "the agent is there");
    assert_eq!(node.list("10-ptp.conflist").unwrap()["plugins"][2]["type"], "palisade-cni");
    node.scene.kill_agent();
    assert!(cleanup.wait().unwrap().success());
    assert_eq!(node.list("10-ptp.conflist").unwrap(), ptp());
    assert!(!node.scene.path("bin/palisade-cni").exists());
    assert_eq!(node.scene.status()["enforced"], true);
    assert!(node.scene.path("cni/sandboxes").exists());
}

#[test]
fn what_is_not_understood_stays_and_all_else_works() {
    let mut node = Directories::new();
    let path = node.scene.path("net.d/00-strange.conflist");
    fs::write(&path, "{ \"plugins\": oh").unwrap();
    node.start_agent();
    let said = || node.scene.status()["agent"]["sandboxes"]["plugin"].as_str().map(str::to_owned);
    let told = || said().filter(|said| said.contains("00-strange.conflist stays as it is"));
    eventually(Duration::from_millis(20), told, || format!("{:?}", said()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{ \"plugins\": oh");
    node.scene.judges(&["shop/friend"]);
    node.shows("not_entered");
    fs::remove_file(&path).unwrap();
    let told = || said().filter(|said| said.contains("holds no network configuration"));
    eventually(Duration::from_millis(20), told, || format!("{:?}", said()));
}

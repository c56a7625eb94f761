//! Kernel parameters: looked at, said, and set when told to.

use std::path::Path;
use std::process::{Command, Output};

use palisade::sysctl::{PROC_SYS, look};
use palisade_integration::agent::binary;
use palisade_integration::netns::{Namespace, Place, Topology};
use serde_json::Value;

use crate::scene::Scene;

const FORWARDING: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

/// The logs of `palisade run --once` on the first node.
pub(crate) fn once(scene: &Scene, arguments: &[&str]) -> String {
    log(run(node(scene), Command::new(binary().unwrap()).args(arguments_of_once(scene)).args(arguments)))
}

/// What `palisade status` says on the first node.
pub(crate) fn status(scene: &Scene) -> Value {
    serde_json::from_str(&status_as(scene, "json")).unwrap()
}

/// The same, for a person.
pub(crate) fn status_text(scene: &Scene) -> String {
    status_as(scene, "text")
}

fn status_as(scene: &Scene, form: &str) -> String {
    let mut command = Command::new(binary().unwrap());
    command.args(["status", "-o", form, "--status-socket", "/nowhere"]);
    String::from_utf8(run(node(scene), &mut command).stdout).unwrap()
}

fn arguments_of_once(scene: &Scene) -> Vec<String> {
    let manifests = scene.manifests().into_os_string().into_string().unwrap();
    ["run", "--once", "--node-name", "node-0", "--manifests", &manifests].map(str::to_owned).into()
}

fn node(scene: &Scene) -> &Namespace {
    scene.network().nodes()[0].namespace()
}

fn run(namespace: &Namespace, command: &mut Command) -> Output {
    namespace.run(command, "").unwrap()
}

fn log(output: Output) -> String {
    String::from_utf8(output.stderr).unwrap()
}

/// Runs it once where `/proc/sys/net` is read-only, as in a container, and can be written at `elsewhere`.
fn once_contained(scene: &Scene, elsewhere: &Path, arguments: &[&str]) -> String {
    let script = "mount --bind /proc/sys/net \"$0/net\" && mount --bind /proc/sys/net /proc/sys/net \
                  && mount -o remount,bind,ro /proc/sys/net && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(elsewhere).arg(binary().unwrap());
    log(run(node(scene), command.args(arguments_of_once(scene)).args(arguments)))
}

fn values(scene: &Scene) -> [String; 2] {
    let read = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        node(scene).enter(|| std::fs::read_to_string(path)).unwrap().unwrap().trim().to_owned()
    };
    FORWARDING.map(read)
}

/// One node that forwards nothing.
fn scene() -> Scene {
    let mut scene = Scene::new(Topology::routed(1), &[("web", Place::Behind(0))]);
    scene.stop_agents();
    node(&scene).sysctl(&FORWARDING.map(|name| (name, "0"))).unwrap();
    scene
}

#[test]
fn forwarding_that_is_off_is_named_and_left_alone() {
    let scene = scene();
    let log = once(&scene, &[]);
    for name in FORWARDING {
        let line = log.lines().find(|line| line.contains(&format!("{name} is 0: this node forwards no")));
        assert!(line.is_some_and(|line| line.contains("WARN")), "{log}");
    }
    assert_eq!(values(&scene), ["0", "0"]);
    let unmet: Vec<_> = status(&scene)["sysctls"].as_array().unwrap().iter().map(|one| one["sysctl"].clone()).collect();
    assert_eq!(unmet, FORWARDING);
}

#[test]
fn it_is_set_when_told_to() {
    let scene = scene();
    let log = once(&scene, &["--set-sysctls"]);
    assert!(!log.contains("WARN") && log.matches("set to 1").count() == 2, "{log}");
    assert_eq!(values(&scene), ["1", "1"]);
    let log = once(&scene, &["--set-sysctls"]);
    assert!(!log.contains("set to 1"), "{log}");
}

#[test]
fn where_it_cannot_be_set_it_says_what_to_do_and_enforces_all_the_same() {
    let scene = scene();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(elsewhere.path().join("net")).unwrap();
    let log = once_contained(&scene, elsewhere.path(), &["--set-sysctls"]);
    for name in FORWARDING {
        let wanted = [format!("{name} cannot be set to 1"), format!("sysctl -w {name}=1")];
        assert!(wanted.iter().all(|words| log.contains(words)) && log.contains("sysctls.set=true"), "{log}");
    }
    assert_eq!(values(&scene), ["0", "0"]);
    let log =
        once_contained(&scene, elsewhere.path(), &["--set-sysctls", "--proc-sys", elsewhere.path().to_str().unwrap()]);
    assert!(log.matches("set to 1").count() == 2, "{log}");
    assert_eq!(values(&scene), ["1", "1"]);
}

/// What this node needs and does not have where the guard is off.
fn unguarded(scene: &Scene) -> Vec<&'static str> {
    let looked = node(scene).enter(|| look(Path::new(PROC_SYS), false)).unwrap().unwrap();
    looked.iter().map(|one| one.sysctl.name()).collect()
}

#[test]
fn where_the_guard_is_off_it_is_told_what_lets_pods_forge() {
    const STRICT: &str = "net.ipv4.conf.*.rp_filter";
    const TAGGED: &str = "net.bridge.bridge-nf-filter-vlan-tagged";
    for (topology, link, off) in
        [(Topology::routed(1), "pod0", vec![]), (Topology::routed(1).on_bridges(), "cni0", vec![TAGGED])]
    {
        let mut scene = Scene::new(topology, &[("web", Place::Behind(0))]);
        scene.stop_agents();
        assert_eq!(unguarded(&scene), off, "test worlds are strict about sources");
        let of_link = format!("net.ipv4.conf.{link}.rp_filter");
        for (all, own) in [("0", "0"), ("2", "1"), ("1", "2")] {
            node(&scene).sysctl(&[("net.ipv4.conf.all.rp_filter", all), (&of_link, own)]).unwrap();
            assert_eq!(unguarded(&scene), [off.clone(), vec![STRICT]].concat(), "all {all}, {link} {own}");
        }
        node(&scene).sysctl(&[("net.ipv4.conf.all.rp_filter", "0"), (&of_link, "1")]).unwrap();
        assert_eq!(unguarded(&scene), off);
        assert!(status(&scene)["sysctls"].as_array().unwrap().is_empty(), "the guard is on");
    }
    let mut scene = Scene::new(Topology::routed(1).on_bridges(), &[("web", Place::Behind(0))]);
    scene.stop_agents();
    node(&scene).sysctl(&[(TAGGED, "1")]).unwrap();
    assert_eq!(unguarded(&scene), [""; 0]);
}

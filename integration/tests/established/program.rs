//! The program itself: what is forbidden as it follows its manifests stops, and stays so without it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use palisade::render::Epoch;
use palisade_integration::agent::{Agent, binary};
use palisade_integration::patience::{self, LIMIT};
use tempfile::TempDir;

use super::world::World;
use super::{all_kinds, are_silent, go_on};

const PAUSE: Duration = Duration::from_millis(10);

const PODS: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: shop}}
---
{kind: Pod, apiVersion: v1, metadata: {name: client, namespace: shop}, status: {podIPs: [{ip: 10.1.0.1}, {ip: 'fd01::1'}]}}
---
{kind: Pod, apiVersion: v1, metadata: {name: server, namespace: shop, labels: {app: server}}, status: {podIPs: [{ip: 10.1.0.2}, {ip: 'fd01::2'}]}}
";
const POLICY: &str = "
{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: deny, namespace: shop},
 spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}}
";

/// A directory of manifests, and what runs on it.
pub(super) struct Program {
    directory: TempDir,
}

impl Program {
    pub(super) fn new() -> Self {
        let program = Self { directory: TempDir::new().unwrap() };
        fs::create_dir(program.manifests()).unwrap();
        fs::write(program.manifests().join("pods.yaml"), PODS).unwrap();
        program
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    fn forbid(&self) {
        self.apply(POLICY);
    }

    /// This policy, from now on.
    pub(super) fn apply(&self, policy: &str) {
        fs::rename(self.write("new", policy), self.manifests().join("policy.yaml")).unwrap();
    }

    /// A file beside the manifests.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.directory.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    fn allow(&self) {
        fs::remove_file(self.manifests().join("policy.yaml")).unwrap();
    }

    /// Starts an agent that is killed when dropped.
    pub(super) fn start(&self, world: &World) -> Agent {
        let log = self.directory.path().join("log");
        let mut agent = Agent::start(&binary().unwrap(), world.node(), &self.manifests(), &log).unwrap();
        agent.catch_up(world.node(), LIMIT).unwrap();
        agent
    }

    fn run(&self, world: &World, arguments: &[&str]) -> String {
        let mut palisade = Command::new(binary().unwrap());
        let output = world.node().namespace().run(palisade.args(arguments), "").unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn once(&self, world: &World) {
        let manifests = self.manifests();
        self.run(
            world,
            &["run", "--once", "--node-name", world.node().name(), "--manifests", manifests.to_str().unwrap()],
        );
    }
}

/// Waits until `status` says this.
#[track_caller]
fn until(world: &World, program: &Program, says: &str) {
    let status = || program.run(world, &["status"]);
    patience::eventually(PAUSE, || status().contains(says).then_some(()), || format!("not {says}: {}", status()));
}

#[test]
fn what_it_forbids_stops_and_stays_so_without_it() {
    const CLOSED: &str = "\n1 isolated pods";
    const OPEN: &str = "\n0 isolated pods";
    let (world, program) = (World::new(), Program::new());
    let agent = program.start(&world);
    until(&world, &program, "established connections pass once they were judged\n");
    let mut conversations = all_kinds(&world.client, &world.server, 20_000);
    program.forbid();
    until(&world, &program, CLOSED);
    are_silent(&mut conversations);
    until(&world, &program, "established connections pass once they were judged\n");
    are_silent(&mut conversations);
    drop(agent);
    are_silent(&mut conversations);
    let agent = program.start(&world);
    are_silent(&mut conversations);
    program.allow();
    until(&world, &program, OPEN);
    go_on(&mut conversations);
    // What changes while no agent runs is found by the next one.
    drop(agent);
    program.forbid();
    go_on(&mut conversations);
    let agent = program.start(&world);
    are_silent(&mut conversations);
    drop(agent);
    program.allow();
    program.once(&world);
    go_on(&mut conversations);
    program.forbid();
    program.once(&world);
    are_silent(&mut conversations);
    assert!(program.run(&world, &["status"]).contains("every packet is judged"), "who commits once begins no epoch");
    program.allow();
    let agent = program.start(&world);
    until(&world, &program, "established connections pass once they were judged\n");
    go_on(&mut conversations);
    drop(agent);
    let judged = |world: &World| world.connections().iter().filter(|one| one.mark & Epoch::BITS != 0).count();
    assert!(judged(&world) >= conversations.len());
    assert!(program.run(&world, &["cleanup"]).contains("removed"));
    assert_eq!(judged(&world), 0);
    go_on(&mut conversations);
}

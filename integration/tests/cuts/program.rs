//! The program itself: it cuts as it follows its manifests, and what is cut stays so without it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use palisade_integration::agent::{Agent, binary};
use tempfile::TempDir;

use super::world::{World, is_cut};
use super::{all_kinds, are_silent, go_on};

const PATIENCE: Duration = Duration::from_secs(30);
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
struct Program {
    directory: TempDir,
}

impl Program {
    fn new() -> Self {
        let program = Self { directory: TempDir::new().unwrap() };
        fs::create_dir(program.manifests()).unwrap();
        fs::write(program.manifests().join("pods.yaml"), PODS).unwrap();
        program
    }

    fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    fn forbid(&self) {
        let new = self.directory.path().join("new");
        fs::write(&new, POLICY).unwrap();
        fs::rename(new, self.manifests().join("policy.yaml")).unwrap();
    }

    fn allow(&self) {
        fs::remove_file(self.manifests().join("policy.yaml")).unwrap();
    }

    /// Starts an agent that is killed when dropped.
    fn start(&self, world: &World) -> Agent {
        let log = self.directory.path().join("log");
        let mut agent = Agent::start(&binary().unwrap(), world.node(), &self.manifests(), &log).unwrap();
        agent.catch_up(world.node(), PATIENCE).unwrap();
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

/// Waits until so many connections are cut.
#[track_caller]
fn cut(world: &World, count: usize) {
    let start = Instant::now();
    loop {
        let now = world.connections().iter().filter(|one| is_cut(one)).count();
        if now == count {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{now} are cut");
        sleep(PAUSE);
    }
}

#[test]
fn it_cuts_and_restores_and_what_is_cut_stays_so_without_it() {
    let (world, program) = (World::new(), Program::new());
    let agent = program.start(&world);
    let mut conversations = all_kinds(&world.client, &world.server, 20_000);
    program.forbid();
    cut(&world, conversations.len());
    are_silent(&mut conversations);
    assert!(program.run(&world, &["status"]).contains(" packets dropped of connections that were cut\n"));
    drop(agent);
    are_silent(&mut conversations);
    let agent = program.start(&world);
    are_silent(&mut conversations);
    program.allow();
    cut(&world, 0);
    go_on(&mut conversations);
    // What changes while no agent runs is found by the next one.
    drop(agent);
    program.forbid();
    go_on(&mut conversations);
    let agent = program.start(&world);
    cut(&world, conversations.len());
    drop(agent);
    program.allow();
    program.once(&world);
    cut(&world, 0);
    go_on(&mut conversations);
    program.forbid();
    program.once(&world);
    cut(&world, conversations.len());
    are_silent(&mut conversations);
    assert!(program.run(&world, &["cleanup"]).contains("removed"));
    cut(&world, 0);
    go_on(&mut conversations);
}

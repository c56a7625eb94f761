//! The agent dies, comes back, finds another world, or finds none.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use palisade_integration::agent::Agent;

use crate::scene::{Scene, eventually, rounds};

/// In which an epoch may begin, also after a change.
const LONGEST_LIFE: Duration = Duration::from_secs(1);
const SIGNALS: [Signal; 4] = [Signal::SIGKILL, Signal::SIGKILL, Signal::SIGABRT, Signal::SIGTERM];

fn end(agent: Agent, signal: Signal) {
    kill(Pid::from_raw(agent.id().try_into().unwrap()), signal).unwrap();
    let process = format!("/proc/{}/stat", agent.id());
    let ended = || fs::read_to_string(&process).unwrap().contains(") Z ").then_some(());
    eventually(ended, || format!("the agent goes on after {signal}"));
    drop(agent);
}

fn a_moment(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}

/// Moments before it has read the table, while it commits, and after. Every other life finds other policies, and some see
/// them change.
#[test]
fn killed_at_any_moment_and_started_again() {
    let scene = Scene::enforcing();
    scene.holds_while(|traffic| {
        for round in 0..rounds(12) {
            scene.policies(fastrand::bool());
            let agent = scene.agent();
            let life = a_moment(LONGEST_LIFE);
            sleep(life / 2);
            if fastrand::bool() {
                scene.policies(fastrand::bool());
            }
            sleep(life / 2);
            end(agent, fastrand::choice(SIGNALS).unwrap());
            assert_eq!(traffic.leaked().unwrap(), 0, "in round {round}, after {life:?}");
        }
        scene.settled_agent();
    });
}

/// What is allowed before and after is never lost, and what is forbidden before and after never comes through, although
/// every chain and set in between is another one.
#[test]
fn started_again_when_all_policies_have_changed() {
    let scene = Scene::enforcing();
    scene.holds_while(|traffic| {
        let mut held = scene.blocks();
        for round in 0..rounds(4) {
            scene.policies(round % 2 == 0);
            end(scene.settled_agent(), Signal::SIGKILL);
            let after = scene.blocks();
            assert_ne!(after, held, "the policies are the same");
            assert_eq!(traffic.leaked().unwrap(), 0, "in round {round}");
            held = after;
        }
    });
}

/// The same while it runs, as fast as it can.
#[test]
fn policies_that_change_all_the_time() {
    let scene = Scene::enforcing();
    let mut agent = scene.settled_agent();
    scene.holds_while(|traffic| {
        for round in 0..rounds(10) {
            scene.policies(round % 2 == 0);
            scene.settles(&mut agent);
            assert_eq!(traffic.leaked().unwrap(), 0, "in round {round}");
        }
    });
}

/// The manifests become unreadable, wrong, empty, and vanish: what was enforced stays, also when the agent starts then.
#[test]
fn a_source_that_is_away() {
    let scene = Scene::enforcing();
    let agent = scene.settled_agent();
    let held = scene.blocks();
    scene.holds_while(|traffic| {
        scene.write("policies.yaml", "kind: NetworkPolicy\nspec: {podSelector: 7}");
        eventually(|| scene.log().contains("policies.yaml").then_some(()), || scene.log());
        traffic.pass(100);
        for name in ["pods.yaml", "policies.yaml"] {
            fs::remove_file(scene.manifests().join(name)).unwrap();
        }
        traffic.pass(100);
        fs::remove_dir(scene.manifests()).unwrap();
        traffic.pass(100);
        end(agent, Signal::SIGKILL);
        for _ in 0..3 {
            let mut failing = scene.agent();
            eventually(|| failing.has_ended().unwrap().then_some(()), || scene.log());
        }
    });
    assert_eq!(scene.blocks(), held);
}

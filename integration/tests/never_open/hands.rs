//! Other people's hands in the ruleset.

use std::thread;
use std::time::{Duration, Instant};

use palisade_integration::agent::{Agent, METRICS};
use palisade_integration::netns::owns_tables;
use palisade_nft::{Backend, Kernel, Ownership};

use crate::scene::{GUARD, Scene, eventually, rounds, table};

/// What others try on a table that an agent owns, and what nft says of it.
const REFUSED: [&str; 6] = [
    "delete table inet palisade",
    "flush chain inet palisade forward-ingress",
    "insert rule inet palisade forward-ingress accept",
    "delete element inet palisade ingress-pods-4 { 10.1.0.1 }",
    "add element inet palisade ingress-pods-4 { 10.9.9.9 : accept }",
    "add table inet palisade { flags dormant; }",
];

/// What others do to a plain table: undone, while traffic goes on that is guarded otherwise.
const DAMAGES: [&str; 5] = [
    "delete element inet palisade ingress-pods-4 { 10.1.0.1 }",
    "insert rule inet palisade forward-ingress accept",
    "flush chain inet palisade forward-egress",
    "add chain inet palisade theirs { type filter hook forward priority -5; }",
    "delete table inet palisade",
];

fn is_owned(scene: &Scene) -> bool {
    scene.listing().contains("flags owner")
}

/// An agent that has taken charge, and so owns the table where the kernel knows that.
fn agent_in_charge(scene: &Scene) -> Agent {
    let agent = scene.settled_agent();
    eventually(|| scene.log().contains("enforcing").then_some(()), || scene.log());
    assert_eq!(is_owned(scene), owns_tables());
    agent
}

/// The agent that made it owns it, and so does the next one, which finds nothing to change.
#[test]
fn what_is_owned_nobody_else_can_change() {
    if !owns_tables() {
        return;
    }
    let scene = Scene::new();
    let first = agent_in_charge(&scene);
    nobody_else_can_change_it(&scene);
    drop(first);
    let next = agent_in_charge(&scene);
    nobody_else_can_change_it(&scene);
    drop(next);
}

#[track_caller]
fn nobody_else_can_change_it(scene: &Scene) {
    let held = scene.blocks();
    scene.holds_while(|_| {
        for _ in 0..rounds(3) {
            for script in REFUSED {
                let said = scene.namespace().nft(script).unwrap_err().to_string();
                assert!(said.contains("Operation not permitted"), "{script}: {said}");
            }
            scene.nft("flush ruleset");
            assert_eq!(scene.blocks(), held);
        }
    });
}

/// Others' tables come, judge, and go, with the same hooks and with our name in other families.
#[test]
fn tables_of_others_come_and_go() {
    let scene = Scene::new();
    let agent = agent_in_charge(&scene);
    let held = scene.blocks();
    scene.holds_while(|_| {
        for _ in 0..rounds(5) {
            scene.nft(GUARD);
            scene.nft("table ip palisade { chain forward { type filter hook forward priority -20; accept; }; }");
            scene.nft("delete table ip palisade; delete table inet guard");
        }
    });
    assert_eq!(scene.blocks(), held);
    drop(agent);
}

/// While the agent is away nobody owns the table. What is done to it then is undone by the next start, without harm to
/// what passes by rightly.
#[test]
fn what_is_done_while_the_agent_is_away() {
    let scene = Scene::enforcing();
    let held = scene.blocks();
    scene.holds_while(|_| {
        for damage in DAMAGES {
            scene.nft(GUARD);
            scene.nft(damage);
            scene.settled_agent();
            scene.nft("delete table inet guard");
        }
    });
    assert_eq!(scene.blocks(), held);
}

/// A table that always was plain stays so: there others' changes are noticed, told with the name of who did it, counted,
/// and undone. Till then they hold, so traffic is guarded otherwise.
#[test]
fn what_is_not_owned_is_repaired_within_moments() {
    let scene = Scene::enforcing();
    let agent = Agent::start_with(
        &palisade_integration::agent::binary().unwrap(),
        scene.node(),
        &scene.manifests(),
        &scene.path("agent.log"),
        &["--metrics-address", METRICS],
    );
    let mut agent = agent.unwrap();
    scene.settles(&mut agent);
    eventually(|| scene.log().contains("enforcing").then_some(()), || scene.log());
    assert!(!is_owned(&scene));
    let held = scene.blocks();
    let mut slowest = Duration::ZERO;
    let mut repairs = 0;
    let mut damage_and_repair = |scene: &Scene, damage: &str| {
        scene.nft(GUARD);
        slowest = slowest.max(repaired_after(scene, damage));
        repairs += 1;
        // An epoch may have begun between the damage and its repair.
        eventually(|| (scene.blocks() == held).then_some(()), || format!("{damage}: {:?}", scene.blocks()));
        scene.nft("delete table inet guard");
    };
    scene.holds_while(|_| {
        for _ in 0..rounds(2) {
            // What is made anew for want of a table is owned where it can be, and then nobody can harm it.
            for damage in &DAMAGES[..DAMAGES.len() - 1] {
                damage_and_repair(&scene, damage);
            }
        }
        damage_and_repair(&scene, DAMAGES[DAMAGES.len() - 1]);
    });
    println!("the slowest of {repairs} repairs took {slowest:?}");
    assert!(scene.log().lines().any(|line| line.contains("WARN") && line.contains("(nft)")), "{}", scene.log());
    let counted = format!("palisade_drift_repairs_total {repairs}");
    eventually(|| scene.metrics().contains(&counted).then_some(()), || scene.metrics());
}

/// How long after `damage` was committed the next transaction was.
fn repaired_after(scene: &Scene, damage: &str) -> Duration {
    let before = scene.generation();
    let watcher = scene.namespace().try_clone().unwrap();
    let watch = thread::spawn(move || {
        let watching = || {
            let mut kernel = Kernel::open(table(), Ownership::Plain).unwrap();
            let mut after = |steps| {
                let reached = || (kernel.generation().unwrap() >= before + steps).then(Instant::now);
                eventually(reached, || "nothing is committed".to_owned())
            };
            let damaged = after(1);
            after(2) - damaged
        };
        watcher.enter(watching).unwrap()
    });
    scene.nft(damage);
    watch.join().unwrap()
}

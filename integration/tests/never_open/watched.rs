//! Agents that do what ours must not: each is seen.

use std::process::Command;

use crate::scene::Scene;

/// It takes its table away when it stops.
#[test]
fn one_that_opens_when_it_stops() {
    let scene = Scene::enforcing();
    let tally = scene.tally(|traffic| {
        drop(scene.settled_agent());
        scene.prints(Command::new(palisade_integration::agent::binary().unwrap()).arg("cleanup"));
        traffic.pass(10);
        scene.once();
    });
    assert!(tally.leaked > 0, "{tally}");
}

/// It makes its table anew when it starts, in two steps.
#[test]
fn one_that_begins_with_nothing() {
    let scene = Scene::enforcing();
    let tally = scene.tally(|traffic| {
        scene.nft("delete table inet palisade");
        traffic.pass(1);
        scene.once();
    });
    assert!(tally.leaked > 0, "{tally}");
}

/// It writes the pods before the policies that let others reach them.
#[test]
fn one_that_closes_before_it_opens() {
    let scene = Scene::enforcing();
    let tally = scene.tally(|traffic| {
        scene.write("policies.yaml", "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: isolate, namespace: shop}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}");
        scene.once();
        traffic.pass(1);
        scene.policies(false);
        scene.once();
    });
    assert!(tally.lost > 0, "{tally}");
    assert_eq!(tally.leaked, 0, "{tally}");
}

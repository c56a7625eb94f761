//! A namespace whose policies cost more than its share: it is closed, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod scene;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::scene::{BIG, SHOP, Scene, allows, costly};

/// What fits at a hundredth of the standard shares, and what does not.
const FITS: u16 = 3;
const TOO_MUCH: u16 = 300;
/// What the figures say of [`BIG`] while it is closed.
const CLOSED: &str = "palisade_namespace_closed{namespace=\"big\"} 1\n";

#[test]
fn is_closed_alone_and_opens_again_when_it_fits() {
    let scene = Scene::new();
    scene.write("big.yaml", &costly(FITS));
    scene.write("shop.yaml", &allows("friend"));
    let agent = scene.agent();
    scene.becomes(&[(BIG, true), (SHOP, true)]);

    scene.write("big.yaml", &costly(TOO_MUCH));
    scene.says("closed: over its share");
    scene.becomes(&[(BIG, false), (SHOP, true)]);
    scene.counts(CLOSED, true);
    let status = scene.status();
    assert_eq!((&status["closedNamespaces"], &status["ready"]), (&1.into(), &true.into()), "{status}");
    assert_eq!(
        (&status["closed"][0]["namespace"], &status["closed"][0]["policies"][0]),
        (&BIG.into(), &"costly".into())
    );

    scene.write("shop.yaml", &allows("nobody"));
    scene.becomes(&[(BIG, false), (SHOP, false)]);
    scene.write("shop.yaml", &allows("friend"));
    scene.becomes(&[(BIG, false), (SHOP, true)]);

    scene.write("big.yaml", &costly(FITS));
    scene.says("open again");
    scene.becomes(&[(BIG, true), (SHOP, true)]);
    scene.counts("palisade_namespace_closed{namespace=\"big\"}", false);
    drop(agent);
}

#[test]
fn a_closed_pod_and_its_node_reach_each_other_and_a_pod_itself() {
    let scene = Scene::new();
    scene.write("big.yaml", &costly(TOO_MUCH));
    let _agent = scene.agent();
    scene.says("closed: over its share");
    scene.becomes(&[(BIG, false)]);
    let address = scene.server(BIG).addresses()[0];
    let listener = scene.server(BIG).namespace().enter(|| TcpListener::bind((address, 9_000))).unwrap().unwrap();
    let connect = || TcpStream::connect_timeout(&(address, 9_000).into(), Duration::from_secs(30));
    scene.node().namespace().enter(connect).unwrap().unwrap();
    scene.server(BIG).namespace().enter(connect).unwrap().unwrap();
    drop(listener);
}

#[test]
fn a_check_says_so_before() {
    let scene = Scene::new();
    scene.write("big.yaml", &costly(TOO_MUCH));
    let output = scene.palisade("render").arg("--check").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("closed: big: "));
    scene.write("big.yaml", &costly(FITS));
    assert!(scene.palisade("render").arg("--check").status().unwrap().success());
}

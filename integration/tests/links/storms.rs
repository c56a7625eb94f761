//! More than can be told one by one.

use std::fmt::Write;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade::links::watch;
use palisade_integration::patience::eventually;

use crate::world::{World, ip};

const ROUTES: usize = 30_000;

fn routes(change: &str, over: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        let _ = writeln!(lines, "route {change} 10.{}.{}.{} dev {over}", number >> 16, number >> 8 & 255, number & 255);
        lines
    })
}

/// How many messages the kernel could not give to the sockets of this namespace.
fn lost() -> u32 {
    let sockets = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    sockets.lines().skip(1).map(|line| line.split_whitespace().nth(8).unwrap().parse::<u32>().unwrap()).sum()
}

#[test]
fn what_is_lost_is_read_anew() {
    let world = World::new();
    let _pod = world.pod("veth1", "");
    // A second watch, which hears nothing while it tells.
    let gate = Arc::new(Mutex::new(()));
    let last = Arc::new(Mutex::new(None));
    let (passes, told) = (Arc::clone(&gate), Arc::clone(&last));
    let tell = move |links| {
        drop(passes.lock().unwrap());
        *told.lock().unwrap() = Some(links);
        true
    };
    let closed = gate.lock().unwrap();
    world.node().enter(|| watch(tell).unwrap()).unwrap();
    world.ip(&routes("add", "veth1", ROUTES));
    world.ip(&routes("del", "veth1", ROUTES / 2));
    eventually(
        Duration::from_millis(20),
        || (world.node().enter(lost).unwrap() > 0).then_some(()),
        || "nothing was lost".to_owned(),
    );
    drop(closed);
    let is_told = || *last.lock().unwrap() == Some(world.look());
    eventually(Duration::from_millis(20), || is_told().then_some(()), || "not told".to_owned());
    world.becomes(|links| links.routes.len() == ROUTES - ROUTES / 2);
}

#[test]
fn what_happens_elsewhere_is_nothing() {
    let world = World::new();
    let _pod = world.pod("veth1", "");
    let _uplink = world.pod("eth1", "");
    world.ip("route add 10.255.0.1 dev veth1\nroute add default dev eth1");
    world.becomes(|links| links.link_of(ip("10.255.0.1")) == Some("veth1"));
    let before = world.told();
    world.ip(&routes("add", "eth1", 2_000));
    world.ip(&routes("del", "eth1", 2_000));
    world.ip("route add 10.255.0.2 dev veth1");
    world.becomes(|links| links.link_of(ip("10.255.0.2")) == Some("veth1"));
    assert_eq!(world.told(), before + 1);
}

//! The networks that users have: pods on veth pairs and on bridges, nodes that route and nodes with tunnels, Services.
//!
//! The conformance cases are played on them too; here is what is particular to each, in both families.
//! `PALISADE_BIN` names another binary.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod bridge;
mod echo;
mod elsewhere;
mod host_ports;
mod kube_proxy;
mod node_ports;
mod paths;
mod scene;
mod services;
mod sysctls;

use std::panic::resume_unwind;
use std::thread;

use palisade_integration::netns::Topology;

const ROUTED: Topology = Topology::routed(2);
/// Two nodes each.
const TOPOLOGIES: [Topology; 4] = [ROUTED, ROUTED.on_bridges(), ROUTED.over_vxlan(), ROUTED.on_bridges().over_vxlan()];

/// Tests all topologies at once.
pub(crate) fn on_each_topology(test: impl Fn(Topology) + Sync) {
    thread::scope(|scope| {
        let running = TOPOLOGIES.map(|topology| {
            (
                topology,
                scope.spawn({
                    let test = &test;
                    move || test(topology)
                }),
            )
        });
        for (topology, test) in running {
            if let Err(panic) = test.join() {
                eprintln!("that was on {topology:?}");
                resume_unwind(panic);
            }
        }
    });
}

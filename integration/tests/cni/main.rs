//! The CNI plugin, called as a container runtime calls it, and packets that are counted from the first instant.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod away;
mod first;
mod install;
mod lifetime;
mod many;
mod range;
mod runtime;
mod scene;
mod spoken;

use palisade_integration::netns::Topology;

/// Pods on links of their own, and on a bridge.
const TOPOLOGIES: [Topology; 2] = [Topology::routed(1), Topology::routed(1).on_bridges()];

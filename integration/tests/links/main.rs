//! How pods hang on a node, as the kernel tells it: by real links and routes, in network namespaces.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod pods;
mod ports;
mod storms;
mod tunnels;
mod uplinks;
mod world;

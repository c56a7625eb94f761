//! How pods hang on a node, as the kernel tells it: by real links and routes, in network namespaces.

mod pods;
mod ports;
mod storms;
mod tunnels;
mod uplinks;
mod world;

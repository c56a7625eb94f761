//! Nobody speaks for another: attacks with packets that a pod's root can make, against what the agents enforce.
//!
//! Every attack is first seen to work where no agent runs. Each is tried in both families, on pods that are routed and
//! on pods on bridges, and with what is honest beside it, which arrives.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod always;
mod claims;
mod conntrack;
mod errors;
mod frames;
mod groups;
mod hairpin;
mod legitimate;
mod middles;
mod neighbours;
mod notations;
mod odd;
mod owners;
mod policies;
mod reflected;
mod revival;
mod routers;
mod scene;
mod sources;
mod talk;
mod tunnels;
mod turned;
mod volley;

use palisade_integration::netns::Topology;

const ROUTED: Topology = Topology::routed(2);
const BRIDGED: Topology = ROUTED.on_bridges();
const TUNNELLED: Topology = ROUTED.over_vxlan();

/// What `rp_filter` can be: no check of sources, a strict one, a loose one.
const RP_FILTERS: [u8; 3] = [0, 1, 2];
/// IPv4 and IPv6.
const FAMILIES: [bool; 2] = [false, true];

/// How a person calls a family.
fn family(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "IPv6" } else { "IPv4" }
}

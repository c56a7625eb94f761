//! Against the real kernel, each test in a network namespace of its own.
//!
//! They need root (a thread of a test process cannot enter a new user namespace, but `unshare -r cargo test` will do)
//! and `nft` (Debian: `apt-get install nftables`).

pub(super) mod counters;
mod dialects;
mod errors;
mod foreign;
mod garbage;
mod monitor;
pub(crate) mod namespace;
mod ownership;
mod round_trip;
pub(super) mod sample;
mod scale;

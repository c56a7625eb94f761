//! The library behind the `palisade` binary.
#![forbid(unsafe_code)]

pub mod agent;
pub mod cli;
pub mod cni;
pub mod commands;
pub mod completion;
pub mod convert;
pub mod drift;
pub mod dropped;
pub mod enforcer;
pub mod epochs;
pub mod events;
pub mod flows;
pub mod forged;
pub mod frames;
pub mod input;
mod lines;
pub mod links;
pub mod logging;
pub mod manifests;
mod meant;
pub mod notices;
pub mod objects;
pub mod owners;
mod progress;
pub mod remembered;
pub mod render;
pub mod serve;
pub mod shares;
pub mod source;
pub mod sysctl;
mod text;
mod turns;
pub mod verify;
pub mod worker;
pub mod written;

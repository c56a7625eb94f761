//! The library behind the `palisade` binary.
#![forbid(unsafe_code)]

pub mod agent;
pub mod cli;
pub mod commands;
pub mod convert;
pub mod enforcer;
pub mod input;
pub mod logging;
pub mod manifests;
pub mod render;

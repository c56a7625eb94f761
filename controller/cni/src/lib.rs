//! What the CNI plugin and the agent have in common: what one asks, and the other answers.
//!
//! The plugin is called by the container runtime, once for each thing that happens to a pod's network, and asks the agent
//! over a socket that only root can use: one line of JSON, and one for the answer. It needs no libraries of the host, and
//! none of the agent's.
//!
//! Invariants:
//! - ADD succeeds only after the agent said that it judges the pod, unless it is told to let pods start all the same.
//! - DEL succeeds whatever the agent does.
//! - What the plugins before it in the chain said is printed as they said it.
#![forbid(unsafe_code)]

mod attachment;
mod client;
mod config;
mod environment;
mod error;
mod plugin;
mod protocol;
mod result;

pub use attachment::{AttachmentId, FileNameError};
pub use client::ask;
pub use config::{Config, DEFAULT_WAIT, OnFailure, PLUGIN, SOCKET_PATH, STATE_PATH};
pub use environment::Environment;
pub use error::{CniError, Code};
pub use plugin::{VERSIONS, run};
pub use protocol::{Add, Answer, Request};

/// The file in the directory of sandboxes that says that this node's pods have been judged since it started.
pub const ENFORCED: &str = "enforced";

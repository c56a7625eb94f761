//! A real Kubernetes API: etcd and kube-apiserver, in a network namespace.
//!
//! - [`ApiServer`] runs the two, with RBAC and an audit log, and can be stopped, restarted and paused.
//! - [`Cluster`] writes objects as an administrator, and does what a kubelet and the namespace controller would do.
//! - [`Mirror`] keeps the objects at what manifests say.
//! - [`Site`] is a network whose agents watch one, through a proxy.
//! - [`Pool`] lends API servers to tests that run side by side.
//! - [`ClusterAgent`] is an agent that watches one.
//! - [`Kubeconfig`] is what an agent reads: a ServiceAccount's token, which tests make expire, and a server.
//! - [`Proxy`] stands between an agent and the API server, and breaks.
//!
//! There is no controller-manager: ServiceAccounts and their rights are made by hand, and the admission plugin that needs
//! a ServiceAccount for every pod is off. The data lie in memory. Everything ends with this process, also when it is
//! killed. `integration/setup-api.sh` provides the programs.

mod agent;
mod audit;
mod binaries;
mod cluster;
mod cluster_policies;
mod connect;
mod credentials;
mod directory;
mod mirror;
mod pool;
mod proxy;
mod rights;
mod server;
mod site;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::netns::NetnsError;

pub use agent::{ClusterAgent, Usage};
pub use audit::Request;
pub use cluster::{Cluster, Labels, Namespaced};
pub use cluster_policies::Channel;
pub use credentials::Kubeconfig;
pub use mirror::Mirror;
pub use pool::{CONTROL_PLANE, Lease, Pool, entrance};
pub use proxy::{Fault, Proxy};
pub use rights::{deployed_rules, deployed_rules_of_namespace};
pub use server::ApiServer;
pub use site::{AGENT_ACCOUNT, AGENT_NAMESPACE, Site, has_table};

/// What can go wrong with a real Kubernetes API.
#[derive(Debug, Error)]
pub enum ApiError {
    /// A program that this needs is not there.
    #[error("{program} is not at {}: run integration/setup-api.sh", path.display())]
    Missing {
        /// Its name.
        program: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A program ended while it was still needed.
    #[error("{program} is not ready: {reason}; the end of its log:\n{log}")]
    NotReady {
        /// Its name.
        program: &'static str,
        /// What is known.
        reason: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// A file or a socket of the harness.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A certificate or a key could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The namespace cannot be entered, or a program not be started in it.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The API server refused, or was not reached.
    #[error("{action}: {source}")]
    Request {
        /// What was asked.
        action: String,
        /// The answer.
        source: Box<kube::Error>,
    },
}

impl ApiError {
    fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    fn request(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Request { action, source: Box::new(source) }
    }
}

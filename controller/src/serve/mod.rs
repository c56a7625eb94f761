//! What the agent tells the outside while it runs: probes and metrics over HTTP, its state over a local socket.
//!
//! The agent's thread and the sources write into [`State`]; the servers only read it, save for the log level.
//!
//! Invariants:
//! - What clients can cost is bounded (`server`).
//! - Nothing served here can change or delay what is enforced: [`State`]'s lock is held for copies only.
//! - The number of time series is bounded: no label holds the name of an object (`bounded_cardinality`) but of
//!   those that the guard dropped packets of, of a hundred closed namespaces, and of so many pods of the node that something is
//!   dropped of (`metrics::drops`).
//! - What changes the agent (its log filter) is asked over the socket alone, which only its own user may open.

mod client;
mod cluster_policies;
mod flows;
mod http;
mod lingering;
mod metrics;
mod patience;
mod pulse;
mod sandboxes;
mod server;
mod socket;
mod state;
mod status;

pub use client::{ClientError, Stream, latest, set_log_filter, status, stream};
pub use cluster_policies::{ClusterPolicyFigures, ClusterPolicyStatus};
pub use http::{serve_metrics, serve_probes};
pub use lingering::LingeringPod;
pub use sandboxes::{SandboxFigures, SandboxStatus};
pub use socket::{SetLogFilter, SocketError, bind as bind_socket, serve_socket};
pub use state::{Figures, SourceProbe, State};
pub use status::{LastCommit, LastError, SourceStatus, Status, Totals, WatchStatus};

/// How many pods have metrics of their own for what was dropped unless said otherwise: more than a node has.
pub const METRICS_PODS: usize = 500;

/// Where the status socket is unless said otherwise.
pub const SOCKET_PATH: &str = "/run/palisade/status.sock";

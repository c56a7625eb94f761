//! The agent's side of the CNI plugin: pods are judged before their first process runs, and until their network is gone.
//!
//! The plugin asks over a socket ([`serve`]); the agent's thread answers ([`Desk`]) once what it asked for is in force, and
//! remembers what there is in a directory ([`Store`]). [`install`] enters the plugin into the runtime's configuration.
//!
//! Invariants:
//! - ADD is answered when the pod is judged at its addresses, and its interface is guarded where it can be: never before the
//!   commit. What is asked for together is committed together.
//! - What was answered is in the directory, so that an agent that starts knows it before it commits anything.
//! - A configuration that is not understood stays as it is.

mod desk;
pub mod install;
mod record;
mod server;
mod store;

use tokio::sync::oneshot;

use palisade_cni::{Answer, Request};

pub use desk::{Desk, Outcome, Refusal};
pub use server::serve;
pub use store::{Store, StoreError, remembered};

/// What the plugin asks, and where the answer goes.
#[derive(Debug)]
pub struct Call {
    /// The question.
    pub request: Request,
    /// Who asked may have gone: then nobody hears it.
    pub reply: oneshot::Sender<Answer>,
}

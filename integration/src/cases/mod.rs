//! Conformance cases: a small cluster, what happens to it, and who may reach whom then.
//!
//! A [`Case`] is plain data. [`World`] is the cluster after some of its actions, as a value: which manifests describe it,
//! and which hosts must exist. A [`Stage`] makes both real; [`play`] probes every flow that the case names on it.

mod data;
mod expectation;
mod load;
mod manifests;
mod play;
mod stage;
mod world;

pub use data::{Action, Case, External, Labels, Namespace, Phase, Pod, PodId, Port, Protocol, Step};
pub use expectation::Expectation;
pub use load::{LoadError, built_in, load};
pub use manifests::{ManifestDirectory, manifests};
pub use play::{PlayError, WrongFlow, play};
pub use stage::{Stage, StageError};
pub use world::{Resident, World, WorldError};

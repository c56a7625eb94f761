//! Conformance cases: a small cluster, what happens to it, and who may reach whom then.
//!
//! A [`Case`] is plain data. [`World`] is the cluster after some of its actions, as a value: which manifests describe it,
//! and which hosts must exist. [`Hosts`] are these made real, a [`Stage`] is both; [`play`] probes every flow that the case
//! names on it, and what has become of connections from before. [`play_open`] is the control.

mod data;
mod expectation;
mod hosts;
mod load;
mod manifests;
mod play;
mod stage;
mod world;

pub use data::{
    Action, Case, External, Labels, LiveFlow, Namespace, Node, Phase, Pod, PodId, Port, Protocol, Service, Step,
};
pub use expectation::Expectation;
pub use hosts::{Hosts, NoHost};
pub use load::{LoadError, built_in, load};
pub use manifests::{ManifestDirectory, manifests};
pub use play::{PlayError, WrongFlow, play, play_open, wrong_connections};
pub use stage::{Stage, StageError};
pub use world::{Resident, Translation, World, WorldError};

//! What holds for the crate as a whole.

pub(crate) mod arbitrary;
pub(crate) mod build;
mod counters;
mod kernel;
mod laws;
mod snapshots;

//! Never open: while packets flow, thousands a second, whatever happens to the agent, to its table or to the machine lets
//! no forbidden packet through and loses no allowed one.
//!
//! Each test has a network of its own. `PALISADE_SOAK` is the number of rounds of what is done over and over; without it
//! they are few. That the counting sees what goes wrong is tested in `palisade_integration::traffic`, and in [`watched`]
//! with an agent that does what ours must not.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod crashes;
mod hands;
mod layout;
mod lingering;
mod pods;
mod resources;
mod scene;
mod watched;

//! Never open: while packets flow, thousands a second, whatever happens to the agent, to its table or to the machine lets
//! no forbidden packet through and loses no allowed one.
//!
//! `PALISADE_SOAK` is the number of rounds of what is done over and over; otherwise there are few. Each test has a
//! network of its own. The tests in [`watch`] show that what is watched for is seen.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod layout;
mod scene;

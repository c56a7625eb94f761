//! What is dropped is counted to the packet, and explained, and what is allowed is told: with real packets, through the real
//! program.

#![allow(clippy::unwrap_used, reason = "a failing set-up fails the test")]

mod allowed;
mod exact;
mod scene;
mod told;

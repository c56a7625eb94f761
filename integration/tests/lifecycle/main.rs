//! `palisade` as a program, against the real kernel: how it starts, stops, fails, and what it writes when.
//!
//! Each test has a network namespace and a directory of manifests of its own. `PALISADE_BIN` names another binary.

#![allow(clippy::unwrap_used, reason = "what a test relies on holds, or the test fails")]

mod agent;
mod bad_input;
mod counters;
mod node;
mod ownership;
mod privileges;
mod repair;
mod reports;
mod restart;
mod shop;
mod stop;
mod text;
mod transactions;

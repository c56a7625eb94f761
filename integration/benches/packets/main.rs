//! What packets cost: of new connections, of known ones, and how much of a stream gets through. Each row compares sides in
//! one run, turn by turn, because machines are noisy: trust the ratios.
//!
//! ```text
//! cargo bench -p palisade-integration --bench packets                # all of it
//! cargo bench -p palisade-integration --bench packets -- throughput  # established traffic alone
//! cargo bench -p palisade-integration --bench packets -- single      # packets alone
//! cargo bench -p palisade-integration --bench packets -- audits      # what audited policies cost
//! ```
//!
//! `PALISADE_TURNS=N` compares the last two in as many turns instead of 41.

mod audits;
mod single;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod throughput;

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for (part, measure) in
        [("single", single::measure as fn()), ("audits", audits::measure), ("throughput", throughput::measure)]
    {
        if wanted.is_empty() || wanted.iter().any(|name| name == part) {
            measure();
        }
    }
}

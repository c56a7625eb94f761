//! What telling of drops costs: the kernel, the agent, and until somebody sees it. With the real program and real packets; each
//! row compares sides in one run, turn by turn, because machines are noisy: trust the ratios.
//!
//! ```text
//! cargo build --release -p palisade
//! cargo bench -p palisade-integration --bench drops            # all of it
//! cargo bench -p palisade-integration --bench drops -- cost    # a dropped packet
//! cargo bench -p palisade-integration --bench drops -- flood   # the agent, while as many are dropped as this machine can send
//! cargo bench -p palisade-integration --bench drops -- told    # from a packet to its line in `palisade monitor`
//! ```

mod cost;
mod flood;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod told;

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for (part, measure) in [("cost", cost::measure as fn()), ("flood", flood::measure), ("told", told::measure)] {
        if wanted.is_empty() || wanted.iter().any(|name| name == part) {
            measure();
        }
    }
}

//! What packets cost: of new connections, of known ones, and how much of a stream gets through. Each row compares sides in
//! one run, turn by turn, because machines are noisy: trust the ratios.
//!
//! ```text
//! cargo bench -p palisade-integration --bench packets                # all of it
//! cargo bench -p palisade-integration --bench packets -- throughput  # established traffic alone
//! cargo bench -p palisade-integration --bench packets -- single      # packets alone
//! ```

mod single;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod throughput;

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for (part, measure) in [("single", single::measure as fn()), ("throughput", throughput::measure)] {
        if wanted.is_empty() || wanted.iter().any(|name| name == part) {
            measure();
        }
    }
}

/// What is measured of each side, in each round.
struct Measured<const N: usize>(Vec<[f64; N]>);

impl<const N: usize> Measured<N> {
    /// Every other round begins from the other end: who comes first has no advantage.
    fn of(rounds: usize, mut side: impl FnMut(usize) -> f64) -> Self {
        let round = |number: usize| {
            let mut round = [0.0; N];
            let order: [usize; N] = std::array::from_fn(|i| if number.is_multiple_of(2) { i } else { N - 1 - i });
            order.into_iter().for_each(|i| round[i] = side(i));
            round
        };
        Self((0..rounds).map(round).collect())
    }

    fn medians(&self) -> [f64; N] {
        std::array::from_fn(|i| median(self.0.iter().map(|round| round[i]).collect()))
    }

    /// The median of the ratios of neighbours in time.
    fn ratio(&self, of: usize, to: usize) -> f64 {
        median(self.0.iter().map(|round| round[of] / round[to]).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

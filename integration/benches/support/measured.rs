//! Sides that are compared turn by turn, because machines are noisy.

/// What is measured of each side, in each round.
pub(crate) struct Measured<const N: usize>(Vec<[f64; N]>);

impl<const N: usize> Measured<N> {
    /// Every other round begins from the other end: who comes first has no advantage.
    pub(crate) fn of(rounds: usize, mut side: impl FnMut(usize) -> f64) -> Self {
        let round = |number: usize| {
            let mut round = [0.0; N];
            let order: [usize; N] = std::array::from_fn(|i| if number.is_multiple_of(2) { i } else { N - 1 - i });
            order.into_iter().for_each(|i| round[i] = side(i));
            round
        };
        Self((0..rounds).map(round).collect())
    }

    pub(crate) fn medians(&self) -> [f64; N] {
        std::array::from_fn(|i| median(self.0.iter().map(|round| round[i]).collect()))
    }

    /// The median of the ratios of neighbours in time.
    pub(crate) fn ratio(&self, of: usize, to: usize) -> f64 {
        median(self.0.iter().map(|round| round[of] / round[to]).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

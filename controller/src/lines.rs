//! How many lines may be logged of what others can make happen as often as they like.

use std::time::Duration;

use tokio::time::Instant;

/// What lines are counted in.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// How many there are in an interval at most.
pub(crate) const LINES: usize = 60;

/// Counts lines, and those that were left out.
#[derive(Debug)]
pub(crate) struct Lines {
    logged: usize,
    left_out: usize,
    interval_ends: Instant,
}

impl Lines {
    /// None yet, in an interval that begins `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { logged: 0, left_out: 0, interval_ends: now + INTERVAL }
    }

    /// Whether one more line may be logged.
    pub(crate) fn may_log(&mut self, now: Instant) -> bool {
        if now >= self.interval_ends {
            (self.logged, self.interval_ends) = (0, now + INTERVAL);
        }
        let may = self.logged < LINES;
        self.logged += usize::from(may);
        self.left_out += usize::from(!may);
        may
    }

    /// One is left out for another reason.
    pub(crate) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// How many lines were left out in an interval that is over; each is counted once.
    pub(crate) fn left_out(&mut self, now: Instant) -> Option<usize> {
        let told = self.left_out > 0 && now >= self.interval_ends;
        told.then(|| std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        assert_eq!((0..5 * LINES).filter(|_| lines.may_log(start)).count(), LINES);
        assert_eq!(lines.left_out(start), None);
        assert_eq!(lines.left_out(start + INTERVAL), Some(4 * LINES));
        assert!(lines.may_log(start + INTERVAL));
        assert_eq!(lines.left_out(start + INTERVAL), None);
    }
}

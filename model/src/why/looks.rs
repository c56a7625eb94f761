//! How much is looked at, so that whoever writes very large policies costs the agent no more than a few milliseconds.

/// How much of what is looked through may still be looked at.
pub(super) struct Looks {
    left: usize,
    missed: bool,
}

impl Looks {
    pub(super) fn new(most: usize) -> Self {
        Self { left: most, missed: false }
    }

    /// Whether something of that size may be looked at: the last one may be larger than what is left.
    pub(super) fn take(&mut self, size: usize) -> bool {
        let may = self.left > 0;
        self.missed |= !may;
        self.left = self.left.saturating_sub(size);
        may
    }

    /// Whether nothing was left out.
    pub(super) fn saw_all(&self) -> bool {
        !self.missed
    }
}

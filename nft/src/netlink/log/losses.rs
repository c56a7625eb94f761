/// What the kernel had no room for. It numbers what it tells, so that a gap says how many are missing; that it complains
/// says only that there will be a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// The number of the next record.
    next: u32,
    /// How many were missing in gaps.
    missing: u64,
    /// Whether there is a gap to come.
    suspected: bool,
}

impl Losses {
    /// The kernel says that there was no room.
    pub(super) fn suspect(&mut self) {
        self.suspected = true;
    }

    /// A record was read. What was read before the gap does not settle the suspicion.
    pub(super) fn hear(&mut self, sequence: u32) {
        let missing = sequence.wrapping_sub(self.next);
        // Less than nothing: the numbers have begun anew.
        if (1..=u32::MAX / 2).contains(&missing) {
            self.missing += u64::from(missing);
            self.suspected = false;
        }
        self.next = sequence.wrapping_add(1);
    }

    pub(super) fn count(&self) -> u64 {
        self.missing + u64::from(self.suspected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(heard: &[u32]) -> Losses {
        let mut losses = Losses::default();
        heard.iter().for_each(|sequence| losses.hear(*sequence));
        losses
    }

    #[test]
    fn gaps_are_counted() {
        for (heard, lost) in [(&[][..], 0), (&[0, 1, 2], 0), (&[3, 4, 6], 4), (&[0, 1, 0, 1], 0)] {
            assert_eq!(after(heard).count(), lost, "{heard:?}");
        }
        let mut losses = Losses { next: u32::MAX, ..Losses::default() };
        [u32::MAX, 0, 2].into_iter().for_each(|sequence| losses.hear(sequence));
        assert_eq!(losses.count(), 1);
    }

    #[test]
    fn what_the_kernel_complains_of_is_the_gap_that_comes() {
        let mut losses = after(&[0]);
        losses.suspect();
        losses.suspect();
        assert_eq!(losses.count(), 1);
        losses.hear(1);
        assert_eq!(losses.count(), 1, "this one was there before");
        losses.hear(12);
        assert_eq!(losses.count(), 10);
    }
}

//! Records of many nodes in the order of time, as far as a short wait makes it so.
//!
//! Invariants:
//! - Whatever is older by their own clocks and comes within the window goes first; nobody waits longer than the window.
//! - All go out that came in, once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::flows::Record;

/// A record's place: when it was, and how many had come before it.
type Place = (Timestamp, u64);

/// Holds each record for a moment, so that an older one that comes from farther away goes first.
#[derive(Debug)]
pub(super) struct Reorder {
    window: Duration,
    held: BTreeMap<Place, Arc<Record>>,
    /// Until when each is held, in the order in which they came.
    until: VecDeque<(Instant, Place)>,
    came: u64,
}

impl Reorder {
    /// Each is held for `window`.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, held: BTreeMap::new(), until: VecDeque::new(), came: 0 }
    }

    /// Takes in a record.
    pub(super) fn push(&mut self, now: Instant, record: Arc<Record>) {
        let place = (record.time, self.came);
        self.came += 1;
        self.held.insert(place, record);
        self.until.push_back((now + self.window, place));
    }

    /// Those that were held long enough, and with them all that are older.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Arc<Record>> {
        let mut newest = None;
        while let Some((_, place)) = self.until.front().copied().filter(|(until, _)| *until <= now) {
            self.until.pop_front();
            newest = newest.max(Some(place));
        }
        newest.map(|newest| self.take(newest)).unwrap_or_default()
    }

    /// When something may be due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.until.front().map(|(until, _)| *until)
    }

    /// All that are held, at the end.
    pub(super) fn rest(&mut self) -> Vec<Arc<Record>> {
        self.until.clear();
        std::mem::take(&mut self.held).into_values().collect()
    }

    fn take(&mut self, newest: Place) -> Vec<Arc<Record>> {
        let mut taken = Vec::new();
        while let Some(first) = self.held.first_entry().filter(|first| *first.key() <= newest) {
            taken.push(first.remove());
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flows::tests::record;

    const WINDOW: Duration = Duration::from_millis(500);

    fn at(millis: u32) -> Arc<Record> {
        Arc::new(Record { time: Timestamp::from_millisecond(millis.into()).unwrap(), ..record() })
    }

    fn millis(records: &[Arc<Record>]) -> Vec<i64> {
        records.iter().map(|record| record.time.as_millisecond()).collect()
    }

    #[test]
    fn who_comes_late_within_the_window_goes_first() {
        let (mut reorder, start) = (Reorder::new(WINDOW), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        reorder.push(after(0), at(20));
        reorder.push(after(100), at(10));
        reorder.push(after(200), at(30));
        assert_eq!((millis(&reorder.due(after(499))), reorder.next()), (vec![], Some(after(500))));
        assert_eq!(millis(&reorder.due(after(500))), [10, 20]);
        assert_eq!(millis(&reorder.rest()), [30]);
        assert_eq!((reorder.rest(), reorder.next()), (vec![], None));
    }

    #[test]
    fn without_a_window_nobody_waits() {
        let (mut reorder, now) = (Reorder::new(Duration::ZERO), Instant::now());
        reorder.push(now, at(20));
        assert_eq!(millis(&reorder.due(now)), [20]);
    }

    proptest! {
        /// Whose delay is less than the window, in whatever order they come.
        #[test]
        fn what_comes_in_time_goes_out_in_the_order_of_time(
            mut sent in prop::collection::vec((0..5000_u32, 0..500_u32), 0..60),
            looks in prop::collection::vec(0..6000_u64, 0..30),
        ) {
            let start = Instant::now();
            let after = |millis: u32| start + Duration::from_millis(millis.into());
            sent.sort_by_key(|(time, delay)| time + delay);
            let mut looks: Vec<Instant> = looks.into_iter().map(|look| start + Duration::from_millis(look)).collect();
            looks.sort_unstable();
            let (mut reorder, mut told, mut looks) = (Reorder::new(WINDOW), Vec::new(), looks.into_iter().peekable());
            for (time, delay) in &sent {
                let now = after(time + delay);
                while let Some(look) = looks.next_if(|look| *look <= now) {
                    told.extend(reorder.due(look));
                    let due = sent.iter().filter(|(time, delay)| after(time + delay) + WINDOW <= look);
                    prop_assert!(told.len() >= due.count(), "nobody waits longer");
                }
                reorder.push(now, at(*time));
            }
            told.extend(reorder.rest());
            let mut expected: Vec<i64> = sent.iter().map(|(time, _)| i64::from(*time)).collect();
            expected.sort_unstable();
            prop_assert_eq!(millis(&told), expected);
        }
    }
}

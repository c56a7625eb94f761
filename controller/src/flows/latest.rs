//! The latest records, one a flow and second.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::flow::Flow;
use super::record::Record;

/// A ring. Bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct Latest {
    most: usize,
    most_bytes: usize,
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// How many have gone.
    gone: usize,
    /// The second in which the last one came.
    second: i64,
    /// Where the records of that second are, counted from the first ever.
    of_second: HashMap<Flow, usize>,
}

impl Latest {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        let (records, of_second) = (VecDeque::new(), HashMap::new());
        Self { most, most_bytes, records, bytes: 0, gone: 0, second: i64::MIN, of_second }
    }

    pub(super) fn add(&mut self, record: &Arc<Record>) {
        let second = record.time.as_second();
        if second > self.second {
            self.second = second;
            self.of_second.clear();
        }
        if second < self.second {
            return self.push(record);
        }
        let flow = Flow::of(record);
        match self.of_second.get(&flow).and_then(|at| self.records.get_mut(at.checked_sub(self.gone)?)) {
            // Its size stays.
            Some(same) => Arc::make_mut(same).unite(record),
            None => {
                self.of_second.insert(flow, self.gone + self.records.len());
                self.push(record);
            }
        }
    }

    pub(super) fn get(&self, since: Option<Timestamp>, last: Option<usize>) -> Vec<Arc<Record>> {
        let is_wanted = |record: &&Arc<Record>| since.is_none_or(|since| record.time >= since);
        let mut found: Vec<_> =
            self.records.iter().rev().filter(is_wanted).take(last.unwrap_or(usize::MAX)).cloned().collect();
        found.reverse();
        found
    }

    fn push(&mut self, record: &Arc<Record>) {
        self.bytes += record.size();
        self.records.push_back(Arc::clone(record));
        while self.records.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.size();
            self.gone += 1;
        }
        // Of a second in which more came than are kept, those that went are not looked for.
        if self.of_second.len() > 2 * self.most {
            self.of_second.retain(|_, at| *at >= self.gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    fn at(millisecond: i64) -> Arc<Record> {
        Arc::new(Record { time: Timestamp::from_millisecond(millisecond).unwrap(), ..record() })
    }

    fn packets(latest: &Latest) -> Vec<u64> {
        latest.get(None, None).iter().map(|record| record.packets).collect()
    }

    #[test]
    fn there_is_one_of_a_flow_and_second() {
        let mut latest = Latest::new(10, usize::MAX);
        [1000, 1999, 2000, 1500, 2500].into_iter().for_each(|time| latest.add(&at(time)));
        assert_eq!(packets(&latest), [6, 6, 3], "one that comes late stands alone");
        latest.add(&Arc::new(Record { port: Some(81), ..(*at(2600)).clone() }));
        assert_eq!(packets(&latest), [6, 6, 3, 3]);
    }

    /// Who has a record already keeps it as it was.
    #[test]
    fn what_was_given_stays() {
        let mut latest = Latest::new(10, usize::MAX);
        latest.add(&at(1000));
        let before = latest.get(None, None);
        latest.add(&at(1001));
        assert_eq!((before[0].packets, packets(&latest)), (3, vec![6]));
    }

    #[test]
    fn the_last_and_those_since_are_found() {
        let mut latest = Latest::new(3, usize::MAX);
        (1..=5).for_each(|second| latest.add(&at(1000 * second)));
        let seconds = |since: Option<i64>, last| -> Vec<i64> {
            let since = since.map(|second| Timestamp::from_second(second).unwrap());
            latest.get(since, last).iter().map(|record| record.time.as_second()).collect()
        };
        assert_eq!(seconds(None, None), [3, 4, 5]);
        assert_eq!(seconds(Some(4), None), [4, 5]);
        assert_eq!(seconds(Some(4), Some(1)), [5]);
        assert_eq!(seconds(None, Some(0)), [0; 0]);
    }

    /// As in a scan of all ports.
    #[test]
    fn a_second_of_many_flows_is_bounded_too() {
        let mut latest = Latest::new(4, usize::MAX);
        for port in 0..1000 {
            latest.add(&Arc::new(Record { port: Some(port), ..(*at(1000)).clone() }));
        }
        assert_eq!((latest.records.len(), latest.of_second.len() <= 8), (4, true));
        latest.add(&Arc::new(Record { port: Some(999), ..(*at(1000)).clone() }));
        assert_eq!(packets(&latest), [3, 3, 3, 6]);
    }
}

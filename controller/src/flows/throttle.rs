//! One record a flow and second.
//!
//! Invariants:
//! - What a flow begins with is told at once: a person waits for it.
//! - All packets are told in the end (`nothing_is_lost_and_nobody_is_told_twice_a_second`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::flow::Flow;
use super::record::Record;

/// How long what a flow goes on with is gathered.
const SECOND: Duration = Duration::from_secs(1);

/// Gathers what flows go on with.
#[derive(Debug, Default)]
pub struct Throttle {
    /// When the last one was told, and what has come since.
    flows: HashMap<Flow, (Instant, Option<Record>)>,
    /// When something is due at the earliest.
    due: Option<Instant>,
}

impl Throttle {
    /// Takes in a record: gives it back where it is to be told at once.
    pub fn add(&mut self, now: Instant, record: Arc<Record>) -> Option<Arc<Record>> {
        match self.flows.get_mut(&Flow::of(&record)) {
            Some((_, Some(gathered))) => gathered.unite(&record),
            Some((told, gathered)) if *told + SECOND > now => *gathered = Some(Arc::unwrap_or_clone(record)),
            Some((told, _)) => {
                *told = now;
                return Some(record);
            }
            None => {
                self.flows.insert(Flow::of(&record), (now, None));
                self.due = self.due.or(Some(now + SECOND));
                return Some(record);
            }
        }
        None
    }

    /// What is to be told now of what was gathered, in the order of time. Flows that have ended are forgotten.
    pub fn due(&mut self, now: Instant) -> Vec<Arc<Record>> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut records = Vec::new();
        self.flows.retain(|_, (told, gathered)| {
            if *told + SECOND > now {
                return true;
            }
            *told = now;
            let ended = gathered.is_none();
            records.extend(gathered.take().map(Arc::new));
            !ended
        });
        self.due = self.flows.values().map(|(told, _)| *told + SECOND).min();
        records.sort_by_key(|record| record.time);
        records
    }

    /// All that was gathered, at the end.
    pub fn rest(&mut self) -> Vec<Arc<Record>> {
        self.due = None;
        let mut records: Vec<_> = self.flows.drain().filter_map(|(_, (_, gathered))| gathered).map(Arc::new).collect();
        records.sort_by_key(|record| record.time);
        records
    }

    /// When [`due`](Self::due) has something to do.
    pub fn next(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::record;
    use super::*;

    fn of_port(port: u16) -> Arc<Record> {
        Arc::new(Record { port: Some(port), packets: 1, ..record() })
    }

    fn told(records: &[Arc<Record>]) -> Vec<(u16, u64)> {
        records.iter().map(|record| (record.port.unwrap(), record.packets)).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_what_follows_within_a_second_together() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(throttle.add(at(0), of_port(80)).is_some());
        assert!(throttle.add(at(10), of_port(80)).is_none());
        assert!(throttle.add(at(20), of_port(81)).is_some(), "others do not wait");
        assert!(throttle.add(at(900), of_port(80)).is_none());
        assert_eq!((throttle.next(), throttle.due(at(999))), (Some(at(1000)), vec![]));
        assert_eq!(told(&throttle.due(at(1000))), [(80, 2)]);
        assert!(throttle.add(at(1500), of_port(80)).is_none());
        assert_eq!(told(&throttle.due(at(2000))), [(80, 1)]);
        assert!(throttle.add(at(4000), of_port(80)).is_some(), "it had ended");
    }

    #[test]
    fn flows_that_ended_are_forgotten() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        (0..1000).for_each(|port| drop(throttle.add(start, of_port(port))));
        assert_eq!(throttle.due(start + SECOND), vec![]);
        assert_eq!((throttle.flows.len(), throttle.next()), (0, None));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_is_told_twice_a_second(
            steps in prop::collection::vec((0..3_u16, 0..700_u64, any::<bool>()), 0..60),
        ) {
            let (mut throttle, start, mut now) = (Throttle::default(), Instant::now(), Duration::ZERO);
            let mut all = Vec::new();
            for (port, wait, is_asked) in &steps {
                now += Duration::from_millis(*wait);
                let due = if *is_asked { throttle.due(start + now) } else { vec![] };
                all.extend(due.into_iter().chain(throttle.add(start + now, of_port(*port))).map(|record| (now, record)));
            }
            for _ in 0..2 {
                now += SECOND;
                all.extend(throttle.due(start + now).into_iter().map(|record| (now, record)));
            }
            for port in 0..3 {
                let own: Vec<_> = all.iter().filter(|(_, record)| record.port == Some(port)).collect();
                let came = steps.iter().filter(|(of, ..)| *of == port).count();
                prop_assert_eq!(own.iter().map(|(_, record)| record.packets).sum::<u64>(), came as u64);
                prop_assert!(own.windows(2).all(|pair| pair[1].0 - pair[0].0 >= SECOND));
            }
        }
    }
}

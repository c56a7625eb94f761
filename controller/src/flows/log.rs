//! United flows in the agent's own log, for whoever collects logs.
//!
//! Invariant: there are [`LINES`] lines a minute at most, whatever is dropped; the rest is counted in one of them.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::hub::{Follower, Heard};
use super::store::{Bounds, Entry, Store};
use crate::lines::{INTERVAL, LINES};

/// How often an interval it is logged: so long flows are united.
const TIMES: u32 = 6;
const GATHERING: Duration = INTERVAL.checked_div(TIMES).expect("it is not 0");
/// How many lines there are each time; the last of them counts what has none.
const LINES_EACH_TIME: usize = LINES / TIMES as usize;
/// What is gathered: what is more than is logged, to find out what most packets were of.
const BOUNDS: Bounds = Bounds { entries: 256, entries_bytes: 1 << 20, latest: 0, latest_bytes: 0 };

/// Logs what is dropped, or would be, for as long as `follower` hears of it.
pub async fn log_drops(mut follower: Follower) {
    let mut gathered = Gathered::default();
    let mut due = Instant::now() + GATHERING;
    loop {
        match timeout_at(due, follower.next()).await {
            Ok(Some(heard)) => gathered.take(heard),
            Ok(None) => return,
            Err(_) => {}
        }
        // Also while there is always something to hear.
        if Instant::now() >= due {
            std::mem::take(&mut gathered).write();
            due = Instant::now() + GATHERING;
        }
    }
}

/// What was dropped since it was last logged.
#[derive(Debug)]
struct Gathered {
    store: Store,
    /// Records that came too fast.
    missed: u64,
}

/// What has no line of its own.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rest {
    flows: u64,
    packets: u64,
    missed: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { store: Store::with(BOUNDS), missed: 0 }
    }
}

impl Gathered {
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Record(record) => self.store.add(&record),
            Heard::Missed(records) => self.missed += records,
        }
    }

    fn write(self) {
        let (lines, rest) = self.lines();
        lines.iter().for_each(write);
        let Rest { flows, packets, missed } = rest;
        if rest != Rest::default() {
            tracing::info!(target: "palisade::drops", flows, packets, missed, "more was dropped than is logged");
        }
    }

    /// Those that have lines, the most packets first, and the rest.
    fn lines(&self) -> (Vec<Entry>, Rest) {
        let mut entries: Vec<Entry> = self.store.entries().cloned().collect();
        entries.sort_by_key(|entry| Reverse(entry.packets));
        let gone = self.store.gone();
        let fits = entries.len() <= LINES_EACH_TIME && gone.entries == 0 && self.missed == 0;
        let others = entries.split_off(if fits { entries.len() } else { entries.len().min(LINES_EACH_TIME - 1) });
        let rest = Rest {
            flows: gone.entries + others.len() as u64,
            packets: others.iter().map(|entry| entry.packets).fold(gone.packets, u64::saturating_add),
            missed: self.missed,
        };
        (entries, rest)
    }
}

fn write(entry: &Entry) {
    let Entry { first, last, packets, bytes, workload, peer, sample, .. } = entry;
    let policies = sample.policies.join(" ");
    tracing::info!(
        target: "palisade::drops",
        verdict = sample.verdict.name(),
        reason = sample.reason.name(),
        direction = %sample.direction,
        workload,
        peer,
        protocol = %sample.protocol,
        port = sample.port,
        packets,
        bytes,
        %first,
        %last,
        pod = %format_args!("{}/{}", sample.pod.namespace, sample.pod.name),
        peer_address = %sample.peer.address,
        policies,
        why = sample.says(),
        "flow"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::record::tests::record;
    use super::super::{Hub, Record, Wanted};
    use super::*;

    fn gathered(records: impl IntoIterator<Item = Record>) -> Gathered {
        let mut gathered = Gathered::default();
        records.into_iter().for_each(|record| gathered.take(Heard::Record(Arc::new(record))));
        gathered
    }

    fn of_port(port: u16) -> Record {
        Record { port: Some(port), packets: port.into(), ..record() }
    }

    #[test]
    fn flows_are_united() {
        let (lines, rest) = gathered([of_port(5), of_port(5)]).lines();
        let lines: Vec<_> = lines.iter().map(|line| (line.sample.port, line.packets)).collect();
        assert_eq!((lines, rest), (vec![(Some(5), 10)], Rest::default()));
    }

    #[test]
    fn lines_are_bounded_and_the_rest_is_counted() {
        let (lines, rest) = gathered((1..=10).map(of_port)).lines();
        assert_eq!((lines.len(), rest), (10, Rest::default()));
        let mut many = gathered((1..=300).map(of_port));
        many.take(Heard::Missed(7));
        let (lines, rest) = many.lines();
        assert_eq!((lines.len(), lines[0].packets), (9, 300));
        let told: u64 = lines.iter().map(|line| line.packets).sum();
        assert_eq!(rest, Rest { flows: 291, packets: (1..=300).sum::<u64>() - told, missed: 7 });
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_until_the_agent_ends() {
        let hub = Hub::new("worker-1");
        let (.., follower) = hub.follow(Wanted::default());
        let logging = tokio::spawn(log_drops(follower));
        hub.publish(record());
        tokio::time::sleep(3 * GATHERING).await;
        assert!(!logging.is_finished());
        drop(hub);
        logging.await.unwrap();
    }
}

//! Where records come together: whoever reads the kernel's log publishes, whoever wants to know follows.
//!
//! Invariants:
//! - Nobody who follows can hold up who publishes, nor cost it more than a clone of a pointer (`who_does_not_read_misses`).
//! - Between what was remembered and what comes nothing is missing and nothing told twice (`nothing_is_missing_between`).

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::record::Record;
use super::store::{Entry, Gone, Store};

/// How many records a follower may be behind.
const BEHIND: usize = 1024;

/// All records of an agent.
#[derive(Debug)]
pub struct Hub {
    node: String,
    begun: Timestamp,
    held: Mutex<Held>,
    followers: broadcast::Sender<Arc<Record>>,
}

#[derive(Debug, Default)]
struct Held {
    store: Store,
    figures: Figures,
}

/// What became of what the kernel wanted to tell, since the agent's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Packets that the kernel told of.
    pub logged: u64,
    /// Packets that were dropped and not told of, because there were too many.
    pub suppressed: u64,
    /// Packets that the kernel told of faster than they could be read.
    pub lost: u64,
    /// Those that made no sense.
    pub malformed: u64,
}

/// What comes before records: who tells, and what he cannot know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The node.
    pub node: String,
    /// When the agent began to look. What was before it does not know.
    pub begun: Timestamp,
    /// What became of what the kernel wanted to tell.
    #[serde(flatten)]
    pub figures: Figures,
    /// What was forgotten for want of room.
    #[serde(default)]
    pub forgotten: Gone,
}

/// Hears of what is published.
#[derive(Debug)]
pub struct Follower(broadcast::Receiver<Arc<Record>>);

/// What a follower hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A record.
    Record(Arc<Record>),
    /// It was too slow for so many.
    Missed(u64),
}

impl Hub {
    /// Of an agent that begins now.
    pub fn new(node: impl Into<String>) -> Self {
        let (node, held, begun) = (node.into(), Mutex::default(), Timestamp::now());
        Self { node, begun, held, followers: broadcast::Sender::new(BEHIND) }
    }

    /// Remembers `record`, and tells whoever follows. Never waits for them.
    pub fn publish(&self, record: Record) {
        let record = Arc::new(record.bounded());
        let mut held = self.held();
        held.store.add(&record);
        // While it is held nobody can begin to follow. That nobody follows is no error.
        let _ = self.followers.send(record);
    }

    /// What became of what the kernel wanted to tell, all since the agent's start.
    pub fn set_figures(&self, figures: Figures) {
        self.held().figures = figures;
    }

    /// What became of what the kernel wanted to tell.
    pub fn figures(&self) -> Figures {
        self.held().figures
    }

    /// Who tells.
    pub fn header(&self) -> Header {
        self.header_of(&self.held())
    }

    /// The records since `since`, the last `last` of them.
    pub fn latest(&self, since: Option<Timestamp>, last: Option<usize>) -> (Header, Vec<Arc<Record>>) {
        let held = self.held();
        (self.header_of(&held), held.store.latest(since, last))
    }

    /// The same, and from then on all.
    pub fn follow(&self, since: Option<Timestamp>, last: Option<usize>) -> (Header, Vec<Arc<Record>>, Follower) {
        let held = self.held();
        (self.header_of(&held), held.store.latest(since, last), Follower(self.followers.subscribe()))
    }

    /// All united flows, the latest first.
    pub fn summary(&self) -> (Header, Vec<Entry>) {
        let held = self.held();
        (self.header_of(&held), held.store.entries().cloned().collect())
    }

    fn header_of(&self, held: &Held) -> Header {
        let (node, figures, forgotten) = (self.node.clone(), held.figures, held.store.gone());
        Header { node, begun: self.begun, figures, forgotten }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding it")
    }
}

impl Follower {
    /// What comes next; `None` when nothing can come any more. May be cancelled.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(record) => Some(Heard::Record(record)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    fn of_port(port: u16) -> Record {
        Record { port: Some(port), ..record() }
    }

    fn ports(records: &[Arc<Record>]) -> Vec<u16> {
        records.iter().filter_map(|record| record.port).collect()
    }

    #[tokio::test]
    async fn who_follows_hears() {
        let hub = Hub::new("worker-1");
        hub.publish(of_port(1));
        let (header, before, mut follower) = hub.follow(None, Some(5));
        assert_eq!((header.node.as_str(), ports(&before)), ("worker-1", vec![1]));
        hub.publish(of_port(2));
        assert_eq!(follower.next().await, Some(Heard::Record(Arc::new(of_port(2)))));
        drop(hub);
        assert_eq!(follower.next().await, None);
    }

    #[tokio::test]
    async fn who_does_not_read_misses() {
        let hub = Hub::new("worker-1");
        let (_, _, mut follower) = hub.follow(None, Some(0));
        let total = u16::try_from(BEHIND).unwrap() + 500;
        (0..total).for_each(|port| hub.publish(of_port(port)));
        assert_eq!(follower.next().await, Some(Heard::Missed(500)));
        assert_eq!(follower.next().await, Some(Heard::Record(Arc::new(of_port(500)))));
        assert_eq!(hub.summary().1.len(), usize::from(total), "what is remembered does not depend on him");
    }

    #[test]
    fn nothing_is_missing_between() {
        let hub = Hub::new("worker-1");
        std::thread::scope(|threads| {
            let publisher = threads.spawn(|| (0..1000).for_each(|port| hub.publish(of_port(port))));
            for _ in 0..20 {
                let (_, before, mut follower) = hub.follow(None, None);
                let next = ports(&before).len();
                if next < 1000 {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let Some(Heard::Record(first)) = runtime.block_on(follower.next()) else { panic!("nothing came") };
                    assert_eq!(first.port.map(usize::from), Some(next));
                }
            }
            publisher.join().unwrap();
        });
    }

    #[test]
    fn a_header_says_what_is_not_known() {
        let hub = Hub::new("worker-1");
        let figures = Figures { logged: 4, suppressed: 3, lost: 2, malformed: 1 };
        hub.set_figures(figures);
        let value = serde_json::to_value(hub.header()).unwrap();
        assert_eq!((&value["node"], &value["lost"]), (&"worker-1".into(), &2.into()));
        assert_eq!(serde_json::from_value::<Header>(value).unwrap(), hub.header());
        assert_eq!(hub.figures(), figures);
    }
}

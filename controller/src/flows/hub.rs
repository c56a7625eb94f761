//! Where records come together: whoever reads the kernel's log publishes, whoever wants to know follows.
//!
//! Invariants:
//! - Nobody who follows can hold up who publishes, nor cost it more than a clone of a pointer (`who_does_not_read_misses`).
//! - What was allowed, of which there is much where it is told of, pushes out nothing that was dropped, and costs who follows
//!   drops nothing (`what_was_allowed_is_apart`).
//! - Between what was remembered and what comes nothing is missing and nothing told twice (`nothing_is_missing_between`).

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::record::{Record, Verdict};
use super::store::{Entry, Gone, Store};

/// How many records a follower may be behind.
const BEHIND: usize = 1024;

/// All records of an agent.
#[derive(Debug)]
pub struct Hub {
    node: String,
    begun: Timestamp,
    held: Mutex<Held>,
    drops: broadcast::Sender<Arc<Record>>,
    allowed: broadcast::Sender<Arc<Record>>,
}

#[derive(Debug, Default)]
struct Held {
    drops: Store,
    allowed: Store,
    figures: Figures,
    /// How many packets somebody could have been told of.
    to_be_told: u64,
    /// Where somebody tells of what is allowed.
    allowed_figures: Option<Figures>,
}

impl Held {
    /// What the kernel told nobody of was suppressed by it.
    fn figures(&self) -> Figures {
        let Figures { logged, suppressed, lost, malformed } = self.figures;
        let untold = self.to_be_told.saturating_sub(logged + lost + malformed);
        Figures { suppressed: suppressed + untold, ..self.figures }
    }
}

/// Which records are wanted: without anything, all that was dropped or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Since then.
    pub since: Option<Timestamp>,
    /// The last so many of them.
    pub last: Option<usize>,
    /// Those that were allowed, too.
    pub allowed: bool,
}

/// What became of what the kernel wanted to tell, since the agent's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Packets that the kernel told of; or connections, each as it begins and as it ends.
    pub logged: u64,
    /// Those that nobody is told of, because there were too many.
    pub suppressed: u64,
    /// Those that the kernel told of faster than they could be read.
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
    /// The same of what was allowed; absent where the agent tells nothing of that: it runs without `--flows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<AllowedFigures>,
}

/// What became of connections that the kernel told of, and of what was told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedFigures {
    /// What became of them.
    #[serde(flatten)]
    pub figures: Figures,
    /// What was forgotten for want of room.
    #[serde(default)]
    pub forgotten: Gone,
}

/// Hears of what is published.
#[derive(Debug)]
pub struct Follower {
    drops: broadcast::Receiver<Arc<Record>>,
    allowed: Option<broadcast::Receiver<Arc<Record>>>,
}

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
        let [drops, allowed] = [BEHIND; 2].map(broadcast::Sender::new);
        Self { node, begun, held, drops, allowed }
    }

    /// Remembers `record`, and tells whoever follows. Never waits for them.
    pub fn publish(&self, record: Record) {
        let record = Arc::new(record.bounded());
        let mut held = self.held();
        let (store, followers) = match record.verdict {
            Verdict::Allowed => (&mut held.allowed, &self.allowed),
            Verdict::Dropped | Verdict::WouldDrop | Verdict::Other => (&mut held.drops, &self.drops),
        };
        store.add(&record);
        // While it is held nobody can begin to follow. That nobody follows is no error.
        let _ = followers.send(record);
    }

    /// What became of what the kernel wanted to tell of drops, all since the agent's start.
    pub fn set_figures(&self, figures: Figures) {
        self.held().figures = figures;
    }

    /// So many packets were to be told of since the agent's start: those of which nobody heard were suppressed.
    pub fn set_to_be_told(&self, packets: u64) {
        let mut held = self.held();
        held.to_be_told = held.to_be_told.max(packets);
    }

    /// The same of connections. From the first time on it is said that what is allowed is told.
    pub fn set_allowed_figures(&self, figures: Figures) {
        self.held().allowed_figures = Some(figures);
    }

    /// What became of what the kernel wanted to tell of drops.
    pub fn figures(&self) -> Figures {
        self.held().figures()
    }

    /// The same of connections; `None` where nothing is told of what is allowed.
    pub fn allowed_figures(&self) -> Option<Figures> {
        self.held().allowed_figures
    }

    /// The latest records that are remembered, in the order of time.
    pub fn latest(&self, wanted: Wanted) -> (Header, Vec<Arc<Record>>) {
        let held = self.held();
        (self.header(&held), held.latest(wanted))
    }

    /// The same, and from then on all.
    pub fn follow(&self, wanted: Wanted) -> (Header, Vec<Arc<Record>>, Follower) {
        let held = self.held();
        let allowed = wanted.allowed.then(|| self.allowed.subscribe());
        (self.header(&held), held.latest(wanted), Follower { drops: self.drops.subscribe(), allowed })
    }

    /// All united flows of what was dropped, or of what was `allowed`, too: the latest first.
    pub fn summary(&self, allowed: bool) -> (Header, Vec<Entry>) {
        let held = self.held();
        let others = held.allowed.entries().take(if allowed { usize::MAX } else { 0 });
        (self.header(&held), held.drops.entries().chain(others).cloned().collect())
    }

    fn header(&self, held: &Held) -> Header {
        let allowed = held.allowed_figures.map(|figures| AllowedFigures { figures, forgotten: held.allowed.gone() });
        let forgotten = held.drops.gone();
        Header { node: self.node.clone(), begun: self.begun, figures: held.figures(), forgotten, allowed }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding it")
    }
}

impl Held {
    fn latest(&self, Wanted { since, last, allowed }: Wanted) -> Vec<Arc<Record>> {
        let mut records = self.drops.latest(since, last);
        if allowed {
            records.extend(self.allowed.latest(since, last));
            records.sort_by_key(|record| record.time);
        }
        let first = records.len().saturating_sub(last.unwrap_or(usize::MAX));
        records.split_off(first)
    }
}

impl Follower {
    /// What was allowed and has come already.
    #[cfg(test)]
    pub(super) fn try_next_allowed(&mut self) -> Option<Arc<Record>> {
        self.allowed.as_mut()?.try_recv().ok()
    }

    /// What comes next; `None` when nothing can come any more. May be cancelled.
    pub async fn next(&mut self) -> Option<Heard> {
        let allowed = async {
            match &mut self.allowed {
                Some(allowed) => allowed.recv().await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            record = self.drops.recv() => record,
            record = allowed => record,
        };
        match heard {
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
        let (header, before, mut follower) = hub.follow(Wanted { last: Some(5), ..Wanted::default() });
        assert_eq!((header.node.as_str(), ports(&before)), ("worker-1", vec![1]));
        hub.publish(of_port(2));
        assert_eq!(follower.next().await, Some(Heard::Record(Arc::new(of_port(2)))));
        drop(hub);
        assert_eq!(follower.next().await, None);
    }

    #[tokio::test]
    async fn who_does_not_read_misses() {
        let hub = Hub::new("worker-1");
        let (.., mut follower) = hub.follow(Wanted::default());
        let total = u16::try_from(BEHIND).unwrap() + 500;
        (0..total).for_each(|port| hub.publish(of_port(port)));
        assert_eq!(follower.next().await, Some(Heard::Missed(500)));
        assert_eq!(follower.next().await, Some(Heard::Record(Arc::new(of_port(500)))));
        assert_eq!(hub.summary(false).1.len(), usize::from(total), "what is remembered does not depend on him");
    }

    #[tokio::test]
    async fn what_was_allowed_is_apart() {
        let hub = Hub::new("worker-1");
        let (_, _, mut drops) = hub.follow(Wanted::default());
        let all = Wanted { allowed: true, ..Wanted::default() };
        let (_, _, mut both) = hub.follow(all);
        hub.publish(of_port(1));
        for port in 0..20_000 {
            hub.publish(Record { verdict: Verdict::Allowed, ..of_port(port) });
        }
        hub.publish(of_port(2));
        assert_eq!(drops.next().await, Some(Heard::Record(Arc::new(of_port(1)))));
        assert_eq!(drops.next().await, Some(Heard::Record(Arc::new(of_port(2)))));
        assert_eq!(ports(&hub.latest(Wanted::default()).1), [1, 2]);
        assert_eq!(hub.summary(false).1.len(), 2);
        assert_eq!((hub.latest(all).1.len(), hub.summary(true).1.len()), (10_002, 4098));
        let mut heard = Vec::new();
        while heard.len() < 1027 {
            heard.push(both.next().await.unwrap());
        }
        let drops = heard.iter().filter(|heard| matches!(heard, Heard::Record(one) if one.verdict == Verdict::Dropped));
        assert_eq!((drops.count(), heard.contains(&Heard::Missed(20_000 - 1024))), (2, true));
    }

    #[test]
    fn nothing_is_missing_between() {
        let hub = Hub::new("worker-1");
        std::thread::scope(|threads| {
            let publisher = threads.spawn(|| (0..1000).for_each(|port| hub.publish(of_port(port))));
            for _ in 0..20 {
                let (_, before, mut follower) = hub.follow(Wanted::default());
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
        let header = hub.latest(Wanted::default()).0;
        let value = serde_json::to_value(&header).unwrap();
        assert_eq!((&value["node"], &value["lost"]), (&"worker-1".into(), &2.into()));
        assert_eq!(serde_json::from_value::<Header>(value).unwrap(), header);
        assert_eq!(hub.figures(), figures);
        hub.set_to_be_told(12);
        assert_eq!(hub.figures(), Figures { suppressed: 3 + 5, ..figures }, "of five packets nobody was told");
    }

    #[test]
    fn a_header_says_whether_what_is_allowed_is_told() {
        let hub = Hub::new("worker-1");
        let value = || serde_json::to_value(hub.latest(Wanted::default()).0).unwrap();
        assert_eq!(value().get("allowed"), None);
        hub.set_allowed_figures(Figures { lost: 2, ..Figures::default() });
        assert_eq!((&value()["lost"], &value()["allowed"]["lost"]), (&0.into(), &2.into()));
        assert_eq!(value()["allowed"]["forgotten"]["entries"], 0);
        assert_eq!(serde_json::from_value::<Header>(value()).unwrap(), hub.latest(Wanted::default()).0);
    }
}

//! What all feeds say, as one: what was first, in the order of time, then what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep_until;

use super::feed::{Event, FeedId};
use super::plan::Plan;
use super::printer::Printer;
use super::reorder::Reorder;
use super::top;
use crate::flows::{Entry, Header, Message, Record};
use crate::text::some_of;

/// How long is waited for what the slowest remembers, before what comes is told: it is told when it is there, then.
const GATHERING: Duration = Duration::from_secs(10);
/// How many nodes are named.
const NAMED: usize = 10;
/// In bytes.
const LONGEST_NAME: usize = 253;

/// Shows what is heard.
pub(super) struct View {
    plan: Plan,
    printer: Printer,
    /// Since when what was is asked for.
    from: Option<Timestamp>,
    /// Those that have not told all that they remember: how much is left, where that is known.
    gathering: BTreeMap<FeedId, Option<usize>>,
    gather_until: Instant,
    past: Vec<Arc<Record>>,
    coming: Reorder,
    entries: Vec<Entry>,
    /// Whether there is more than one.
    is_of_many: bool,
    /// Since when nodes are not heard.
    silent: BTreeMap<String, Timestamp>,
    heard: BTreeSet<String>,
}

/// Who was heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// How many nodes.
    pub(super) nodes: usize,
    /// Those that were not, at the end.
    pub(super) silent: Vec<String>,
}

impl View {
    /// Of these feeds first; others may come. `window`: how long a record is held, so that older ones go first.
    pub(super) fn new(plan: Plan, printer: Printer, feeds: impl IntoIterator<Item = FeedId>, window: Duration) -> Self {
        let gathering: BTreeMap<_, _> = feeds.into_iter().map(|feed| (feed, None)).collect();
        Self {
            from: plan.from(),
            plan,
            printer,
            gathering,
            gather_until: Instant::now() + GATHERING,
            past: Vec::new(),
            coming: Reorder::new(window),
            entries: Vec::new(),
            is_of_many: !window.is_zero(),
            silent: BTreeMap::new(),
            heard: BTreeSet::new(),
        }
    }

    /// Shows all that comes, until nothing can come any more.
    ///
    /// # Errors
    /// That of a feed that has nothing to say because of it; where nobody reads what is printed.
    pub(super) async fn show(mut self, mut events: Receiver<(FeedId, Event)>) -> anyhow::Result<Heard> {
        loop {
            let due = self.due();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some((feed, event)) => self.take(feed, event)?,
                    None => break,
                },
                () = timer => {}
            }
            self.print(Instant::now())?;
            if events.is_empty() {
                self.printer.flush()?;
            }
        }
        self.gathering.clear();
        self.print(Instant::now())?;
        self.coming.rest().iter().try_for_each(|record| self.printer.record(record))?;
        if self.plan.top {
            self.printer.entries(top::united(std::mem::take(&mut self.entries)))?;
        }
        self.printer.flush()?;
        Ok(Heard { nodes: self.heard.len(), silent: self.silent.into_keys().collect() })
    }

    /// When something is to be printed although nothing comes.
    fn due(&self) -> Option<Instant> {
        if self.gathering.is_empty() { self.coming.next() } else { Some(self.gather_until) }
    }

    fn take(&mut self, feed: FeedId, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Message(Message::Begin(header)) => self.begin(feed, header)?,
            Event::Message(Message::Record(record)) => self.record(feed, record),
            Event::Message(Message::Entry(entry)) => self.entries.push(entry),
            Event::Message(Message::Alive) => self.printer.alive()?,
            Event::Message(Message::Missed { node, records }) => {
                let says = format!("{node}: {records} records came faster than they could be told");
                self.printer.tell(&Message::Missed { node, records }, Some(&says))?;
            }
            Event::Message(Message::Silent { node, error }) => self.silence(feed, node, error)?,
            Event::Message(Message::Other) => {}
            Event::Ended(ended) => {
                self.gathering.remove(&feed);
                ended?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, feed: FeedId, header: Header) -> io::Result<()> {
        let says = match self.silent.remove(&header.node) {
            Some(silent) if header.begun > silent => Some(format!(
                "{} is heard again. Its agent began anew at {}: what was dropped between {} and then is not known",
                header.node,
                self.printer.time(header.begun),
                self.printer.time(silent)
            )),
            Some(_) => Some(format!("{} is heard again", header.node)),
            None => self.does_not_know(&header),
        };
        self.heard.insert(header.node.clone());
        match self.gathering.get_mut(&feed) {
            Some(left) if header.records > 0 && left.is_none() => *left = Some(header.records),
            Some(_) => drop(self.gathering.remove(&feed)),
            None => {}
        }
        // What several remember is told together.
        let records = if self.is_of_many { 0 } else { header.records };
        self.printer.tell(&Message::Begin(Header { records, ..header }), says.as_deref())
    }

    /// What is asked for and not known.
    fn does_not_know(&self, header: &Header) -> Option<String> {
        let asks_for_past = self.plan.last != Some(0);
        let is_too_late = self.from.is_some_and(|from| from < header.begun);
        let began = is_too_late || (asks_for_past && self.from.is_none());
        let began = began.then(|| format!("its agent began to look at {}", self.printer.time(header.begun)));
        let missing = header.figures.suppressed.saturating_add(header.figures.lost);
        let missing = (asks_for_past && missing > 0).then(|| {
            format!("of {missing} dropped packets nothing is told, because there were too many: they are counted alone")
        });
        let parts: Vec<String> = began.into_iter().chain(missing).collect();
        (!parts.is_empty()).then(|| format!("{}: {}", header.node, parts.join("; ")))
    }

    fn record(&mut self, feed: FeedId, record: Arc<Record>) {
        match self.gathering.get_mut(&feed) {
            Some(Some(left)) => {
                self.past.push(record);
                *left -= 1;
                if *left == 0 {
                    self.gathering.remove(&feed);
                }
            }
            Some(None) | None => self.coming.push(Instant::now(), record),
        }
    }

    fn silence(&mut self, feed: FeedId, node: String, error: String) -> io::Result<()> {
        self.gathering.remove(&feed);
        if self.silent.contains_key(&node) {
            return Ok(());
        }
        self.silent.insert(node.clone(), Timestamp::now());
        let goes_on = if self.plan.follows { ": it is tried again until it is" } else { "" };
        let says = format!("{node} is not heard{goes_on}: {error}");
        self.printer.tell(&Message::Silent { node, error }, Some(&says))
    }

    /// Prints what is due.
    fn print(&mut self, now: Instant) -> io::Result<()> {
        if now >= self.gather_until {
            self.gathering.clear();
        }
        if !self.gathering.is_empty() {
            return Ok(());
        }
        let mut past = std::mem::take(&mut self.past);
        past.sort_by_key(|record| record.time);
        let first = past.len().saturating_sub(self.plan.last.unwrap_or(usize::MAX));
        past[first..].iter().try_for_each(|record| self.printer.record(record))?;
        self.coming.due(now).iter().try_for_each(|record| self.printer.record(record))
    }
}

impl Heard {
    /// An error where somebody was not heard.
    pub(super) fn expect_all(&self) -> anyhow::Result<()> {
        let silent = some_of(&self.silent, NAMED, LONGEST_NAME, ", ");
        anyhow::ensure!(self.silent.is_empty(), "{} nodes were heard, and these were not: {silent}", self.nodes);
        Ok(())
    }
}

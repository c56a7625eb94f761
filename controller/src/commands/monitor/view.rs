//! What all feeds say, as one: what was first, in the order of time, then what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use super::feed::{Event, FeedId};
use super::plan::Plan;
use super::printer::Printer;
use super::reorder::Reorder;
use super::top;
use crate::cli::FilterArgs;
use crate::flows::{Entry, Figures, Header, Message, Record};
use crate::text::some_of;

/// How long is waited for what the slowest remembers, before what comes is told: it is told when it is there, then.
const GATHERING: Duration = Duration::from_secs(10);
/// How long a record of many is held, so that older ones of other nodes go first.
const WINDOW: Duration = Duration::from_millis(500);
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
    /// Those that have not told all that they remember.
    gathering: BTreeSet<FeedId>,
    gather_until: Instant,
    /// What was, until all have told theirs.
    past: Option<Vec<Arc<Record>>>,
    coming: Reorder,
    is_of_one: bool,
    entries: Vec<Entry>,
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
    /// Of one feed, which tells all in order.
    pub(super) fn of_one(plan: Plan, printer: Printer) -> Self {
        Self {
            from: plan.from(),
            plan,
            printer,
            gathering: BTreeSet::new(),
            gather_until: Instant::now(),
            past: None,
            coming: Reorder::new(Duration::ZERO),
            is_of_one: true,
            entries: Vec::new(),
            silent: BTreeMap::new(),
            heard: BTreeSet::new(),
        }
    }

    /// Of these feeds first; others may come.
    pub(super) fn of_many(plan: Plan, printer: Printer, feeds: impl IntoIterator<Item = FeedId>) -> Self {
        Self {
            gathering: feeds.into_iter().collect(),
            gather_until: Instant::now() + GATHERING,
            past: Some(Vec::new()),
            coming: Reorder::new(WINDOW),
            is_of_one: false,
            ..Self::of_one(plan, printer)
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
                    Some(due) => sleep_until(due).await,
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
            Event::Message(Message::Begin(header)) => self.begin(header)?,
            Event::Message(Message::Record(record)) => self.record(feed, record),
            Event::Message(Message::Entry(entry)) => self.entries.push(entry),
            Event::Message(Message::Alive) => self.printer.alive()?,
            Event::Message(Message::Missed { node, records }) => {
                let says = format!("{node}: {records} records came faster than they could be told");
                self.printer.tell(&Message::Missed { node, records }, Some(&says))?;
            }
            Event::Message(Message::Silent { node, error }) => self.silence(feed, node, error)?,
            Event::Message(Message::Now) => self.now(feed)?,
            Event::Message(Message::Counting(_) | Message::Connections(_) | Message::Other) => {}
            Event::Ended(ended) => {
                self.gathering.remove(&feed);
                ended?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, header: Header) -> io::Result<()> {
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
        self.printer.tell(&Message::Begin(header), says.as_deref())
    }

    fn now(&mut self, feed: FeedId) -> io::Result<()> {
        self.gathering.remove(&feed);
        if self.is_of_one && !self.plan.top { self.printer.tell(&Message::Now, None) } else { Ok(()) }
    }

    /// What is asked for and not known.
    fn does_not_know(&self, header: &Header) -> Option<String> {
        let asks_for_past = self.plan.last != Some(0);
        let is_too_late = self.from.is_some_and(|from| from < header.begun);
        let began = is_too_late || (asks_for_past && self.from.is_none());
        let began = began.then(|| format!("its agent began to look at {}", self.printer.time(header.begun)));
        let missing =
            |figures: &Figures| Some(figures.suppressed.saturating_add(figures.lost)).filter(|missing| *missing > 0);
        let FilterArgs { allowed, would_drop, .. } = self.plan.filter;
        let drops = missing(&header.figures).filter(|_| asks_for_past && (would_drop || !allowed)).map(|missing| {
            format!("of {missing} dropped packets nothing is told, because there were too many: they are counted alone")
        });
        let flows = match &header.allowed {
            _ if !allowed => None,
            None => Some("its agent tells nothing of what is allowed: it runs without --flows".to_owned()),
            Some(told) => missing(&told.figures).filter(|_| asks_for_past).map(|missing| {
                format!("of {missing} beginnings and ends of connections nothing is told, because there were too many")
            }),
        };
        let parts: Vec<String> = began.into_iter().chain(drops).chain(flows).collect();
        (!parts.is_empty()).then(|| format!("{}: {}", header.node, parts.join("; ")))
    }

    fn record(&mut self, feed: FeedId, record: Arc<Record>) {
        match &mut self.past {
            Some(past) if self.gathering.contains(&feed) => past.push(record),
            _ => self.coming.push(Instant::now(), record),
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
        if let Some(past) = self.past.take() {
            self.print_past(past)?;
        }
        self.coming.due(now).iter().try_for_each(|record| self.printer.record(record))
    }

    fn print_past(&mut self, mut past: Vec<Arc<Record>>) -> io::Result<()> {
        past.sort_by_key(|record| record.time);
        let first = past.len().saturating_sub(self.plan.last.unwrap_or(usize::MAX));
        past[first..].iter().try_for_each(|record| self.printer.record(record))?;
        if self.plan.top { Ok(()) } else { self.printer.tell(&Message::Now, None) }
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

#[cfg(test)]
mod tests;

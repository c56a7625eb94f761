//! Hears what rules tell of packets, on a thread of its own, and passes it on to the agent, which knows what it means.
//!
//! Invariants:
//! - The agent is woken some fifty times a second at most, and has so much of it to do at most: what it cannot take is counted.
//! - Whatever becomes of the group, enforcement goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{io, thread};

use jiff::Timestamp;
use palisade_nft::{LogError, LogReader, LogRecord};
use tokio::sync::mpsc::UnboundedSender;

use super::{Figures, Hub, Told};
use crate::input::Input;
use crate::render::{Logs, Prefix};

/// How long what comes together is gathered.
const GATHERING: Duration = Duration::from_millis(20);
/// How many flows may wait for the agent.
const WAITING: usize = 2000;
/// How soon a group that another program has is asked for again.
const PAUSE: Duration = Duration::from_secs(10);

/// Flows that the agent has not taken yet.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// So many were taken.
    pub fn taken(&self, flows: usize) {
        self.0.fetch_sub(flows, Ordering::Relaxed);
    }

    /// So many are sent.
    pub(super) fn sent(&self, flows: usize) {
        self.0.fetch_add(flows, Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether this node's kernel can tell of packets: rules that do are refused otherwise. Says what it cannot.
pub fn supported(logs: Logs) -> Logs {
    let Logs(Some(_)) = logs else { return logs };
    match LogReader::is_supported() {
        Ok(true) => logs,
        Ok(false) => {
            tracing::warn!("{}: what is dropped is counted, but not explained", LogError::NoLog);
            Logs(None)
        }
        Err(error) => {
            tracing::warn!(%error, "what is dropped is counted, but not explained");
            Logs(None)
        }
    }
}

/// Follows the group, and tells the agent.
///
/// # Errors
/// Where there can be no further thread.
pub fn listen(logs: Logs, inputs: UnboundedSender<Input>, hub: Arc<Hub>) -> io::Result<()> {
    let Logs(Some(group)) = logs else { return Ok(()) };
    thread::Builder::new().name("drops".to_owned()).spawn(move || follow(group, &inputs, &hub))?;
    Ok(())
}

fn follow(group: u16, inputs: &UnboundedSender<Input>, hub: &Hub) {
    let Some(mut reader) = open(group, inputs) else { return };
    let waiting = Waiting::default();
    let mut figures = Figures::default();
    loop {
        let records = match reader.recv() {
            Ok(records) if records.is_empty() => return,
            Ok(records) => records,
            Err(error) => return tracing::error!(%error, "what is dropped is not explained any more"),
        };
        figures.logged += records.len() as u64;
        figures.lost = reader.lost();
        figures.malformed = reader.malformed();
        let mut told = united(&records);
        let room = WAITING.saturating_sub(waiting.count());
        figures.suppressed += told.drain(room.min(told.len())..).map(|told| told.packets).sum::<u64>();
        hub.set_figures(figures);
        waiting.sent(told.len());
        if inputs.send(Input::Told(told, waiting.clone())).is_err() {
            return;
        }
        thread::sleep(GATHERING);
    }
}

/// `None` where nobody would hear of it any more.
fn open(group: u16, inputs: &UnboundedSender<Input>) -> Option<LogReader> {
    let mut has_told = false;
    loop {
        match LogReader::open(group) {
            Ok(reader) => return Some(reader),
            Err(error @ LogError::Taken { .. }) => {
                if !std::mem::replace(&mut has_told, true) {
                    tracing::warn!(%error, "what is dropped is counted, but not explained; asked again every 10 s (--log-group)");
                }
                if inputs.is_closed() {
                    return None;
                }
                thread::sleep(PAUSE);
            }
            Err(error) => {
                tracing::warn!(%error, "what is dropped is counted, but not explained");
                return None;
            }
        }
    }
}

/// One of each flow, in the order in which they came. What no rule of ours has told is left out.
fn united(records: &[LogRecord]) -> Vec<Told> {
    let time = Timestamp::now();
    let mut all: Vec<Told> = Vec::new();
    for told in records.iter().filter_map(|record| told(record, time)) {
        match all.iter_mut().rev().take(LOOKED_BACK).find(|other| other.is_like(&told)) {
            Some(other) => {
                other.packets += told.packets;
                other.bytes += told.bytes;
            }
            None => all.push(told),
        }
    }
    all
}

/// Among so many flows the one of a record is looked for.
const LOOKED_BACK: usize = 64;

fn told(record: &LogRecord, time: Timestamp) -> Option<Told> {
    let prefix = Prefix::parse(&record.prefix)?;
    let service = record.original.as_ref().map(|original| (original.destination, original.ports.map(|(_, to)| to)));
    let LogRecord { source, destination, protocol, ports, length, .. } = *record;
    let bytes = u64::from(length);
    Some(Told { time, prefix, source, destination, protocol, ports, service, packets: 1, bytes })
}

//! What is remembered of flows: which there were, united, and the latest records.
//!
//! Invariants:
//! - The memory is bounded, in number and in bytes, whatever comes (`bounds_hold_and_counts_are_kept`).
//! - What is told of in an entry is counted in it: the packets of all entries and of those that went are those of all records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use palisade_model::Direction;
use serde::{Deserialize, Serialize};

use super::latest::Latest;
use super::protocol::IpProtocol;
use super::record::{Reason, Record, Verdict, add_known};
use super::shared;

/// How much may be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// United flows.
    pub(crate) entries: usize,
    /// What they may take, in bytes.
    pub(crate) entries_bytes: usize,
    /// The latest records.
    pub(crate) latest: usize,
    /// What they may take, in bytes.
    pub(crate) latest_bytes: usize,
}

/// Of usual names all of them fit: a record has some 1 KiB.
pub(crate) const BOUNDS: Bounds =
    Bounds { entries: 4096, entries_bytes: 8 << 20, latest: 10_000, latest_bytes: 16 << 20 };

/// The prefix in which addresses are united that are no pod's.
const PREFIX: [u8; 2] = [24, 64];

/// Flows that are united: between one workload and another, or a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    verdict: Verdict,
    reason: Reason,
    direction: Direction,
    namespace: String,
    workload: String,
    peer: PeerKey,
    protocol: IpProtocol,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PeerKey {
    Workload { namespace: String, workload: String },
    Prefix(IpNet),
}

/// United flows.
///
/// ```json
/// {"first":"2026-11-28T22:50:00Z","last":"2026-11-28T22:56:12Z","packets":412,"bytes":24720,
///  "workload":"shop/db","peer":"shop/web","sample":{…}}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When the first packet came that is remembered.
    pub first: Timestamp,
    /// When the last came.
    pub last: Timestamp,
    /// How many there were.
    pub packets: u64,
    /// How many bytes they had, as far as that is known.
    pub bytes: u64,
    /// How many connections began, where connections are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// How many ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// The workload that was judged, as `namespace/name`.
    pub workload: String,
    /// The workload of the other end, or a prefix that holds its address: a /24, or a /64 of IPv6.
    pub peer: String,
    /// The latest record; what else unites them is in it: verdict, reason, direction, protocol and port.
    #[serde(with = "shared")]
    pub sample: Arc<Record>,
}

/// What is remembered. Bounded.
#[derive(Debug)]
pub struct Store {
    bounds: Bounds,
    entries: BTreeMap<Arc<Key>, Entry>,
    /// The same, the one with the oldest packet first.
    by_age: BTreeSet<(Timestamp, Arc<Key>)>,
    bytes: usize,
    gone: Gone,
    latest: Latest,
}

/// What was forgotten for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// United flows.
    pub entries: u64,
    /// The packets in them.
    pub packets: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::with(BOUNDS)
    }
}

impl Store {
    pub(crate) fn with(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: BTreeMap::new(),
            by_age: BTreeSet::new(),
            bytes: 0,
            gone: Gone::default(),
            latest: Latest::new(bounds.latest, bounds.latest_bytes),
        }
    }

    /// Takes note of a record.
    pub(crate) fn add(&mut self, record: &Arc<Record>) {
        self.latest.add(record);
        self.unite(record);
        while self.entries.len() > 1
            && (self.entries.len() > self.bounds.entries || self.bytes > self.bounds.entries_bytes)
        {
            self.forget_oldest();
        }
    }

    /// The united flows, the one with the latest packet first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_age.iter().rev().filter_map(|(_, key)| self.entries.get(key))
    }

    /// The latest records in the order in which they came, one a flow and second: those since `since`, the last `last` of
    /// them.
    pub fn latest(&self, since: Option<Timestamp>, last: Option<usize>) -> Vec<Arc<Record>> {
        self.latest.get(since, last)
    }

    /// What was forgotten for want of room.
    pub fn gone(&self) -> Gone {
        self.gone
    }

    fn unite(&mut self, record: &Arc<Record>) {
        let key = Arc::new(Key::of(record));
        let Some((key, _)) = self.entries.get_key_value(&key) else {
            let entry = Entry::new(&key, record);
            self.bytes += entry.size();
            self.by_age.insert((entry.last, Arc::clone(&key)));
            self.entries.insert(key, entry);
            return;
        };
        let key = Arc::clone(key);
        let entry = self.entries.get_mut(&key).expect("it was found by this key");
        let (before, last) = (entry.size(), entry.last);
        entry.unite(record);
        self.bytes = self.bytes - before + entry.size();
        if entry.last != last {
            self.by_age.insert((entry.last, Arc::clone(&key)));
            self.by_age.remove(&(last, key));
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, key)) = self.by_age.pop_first() else { return };
        let Some(entry) = self.entries.remove(&key) else { return };
        self.bytes -= entry.size();
        self.gone.entries += 1;
        self.gone.packets = self.gone.packets.saturating_add(entry.packets);
    }
}

impl Key {
    fn of(record: &Record) -> Self {
        let Record { verdict, reason, direction, pod, peer, protocol, port, .. } = record;
        let peer = match &peer.pod {
            Some(pod) => PeerKey::Workload { namespace: pod.namespace.clone(), workload: pod.workload.clone() },
            None => {
                let [ipv4, ipv6] = PREFIX;
                let length = if peer.address.is_ipv4() { ipv4 } else { ipv6 };
                let prefix = IpNet::new(peer.address, length).expect("such prefixes are shorter than addresses");
                PeerKey::Prefix(prefix.trunc())
            }
        };
        Self {
            verdict: *verdict,
            reason: *reason,
            direction: *direction,
            namespace: pod.namespace.clone(),
            workload: pod.workload.clone(),
            peer,
            protocol: *protocol,
            port: *port,
        }
    }
}

impl Entry {
    fn new(key: &Key, record: &Arc<Record>) -> Self {
        let peer = match &key.peer {
            PeerKey::Workload { namespace, workload } => format!("{namespace}/{workload}"),
            PeerKey::Prefix(prefix) => prefix.to_string(),
        };
        Self {
            first: record.time,
            last: record.time,
            packets: record.packets,
            bytes: record.bytes.unwrap_or_default(),
            connections: record.connections,
            ended: record.ended,
            workload: format!("{}/{}", key.namespace, key.workload),
            peer,
            sample: Arc::clone(record),
        }
    }

    fn unite(&mut self, record: &Arc<Record>) {
        self.first = self.first.min(record.time);
        self.packets = self.packets.saturating_add(record.packets);
        self.bytes = self.bytes.saturating_add(record.bytes.unwrap_or_default());
        self.connections = add_known(self.connections, record.connections);
        self.ended = add_known(self.ended, record.ended);
        if record.time >= self.last {
            self.last = record.time;
            self.sample = Arc::clone(record);
        }
    }

    /// What it takes in memory with its key, in bytes.
    fn size(&self) -> usize {
        // The names are in the key once more.
        let names = 2 * (self.workload.len() + self.peer.len());
        size_of::<Self>() + size_of::<Key>() + names + self.sample.size()
    }
}

#[cfg(test)]
mod tests;

//! Sums by workloads.

use std::cmp::Reverse;
use std::collections::HashMap;

use palisade_model::Direction;

use crate::flows::{Entry, IpProtocol, Lines, Reason, Verdict, add_known, printable, service};

/// What entries of several nodes have in common.
type Key = (String, String, Verdict, Reason, Direction, IpProtocol, Option<u16>);

fn key(entry: &Entry) -> Key {
    let (workload, peer, sample) = (entry.workload.clone(), entry.peer.clone(), &entry.sample);
    (workload, peer, sample.verdict, sample.reason, sample.direction, sample.protocol, sample.port)
}

/// Those of several nodes that are of the same workloads in one, the one with the most packets first.
pub(super) fn united(entries: Vec<Entry>) -> Vec<Entry> {
    let mut sums = HashMap::<Key, Entry>::new();
    for entry in entries {
        match sums.get_mut(&key(&entry)) {
            Some(sum) => unite(sum, entry),
            None => drop(sums.insert(key(&entry), entry)),
        }
    }
    let mut sums: Vec<Entry> = sums.into_values().collect();
    sums.sort_by_cached_key(|entry| (Reverse((entry.packets, entry.connections)), key(entry)));
    sums
}

fn unite(sum: &mut Entry, other: Entry) {
    sum.first = sum.first.min(other.first);
    sum.packets = sum.packets.saturating_add(other.packets);
    sum.bytes = sum.bytes.saturating_add(other.bytes);
    sum.connections = add_known(sum.connections, other.connections);
    sum.ended = add_known(sum.ended, other.ended);
    if other.last > sum.last {
        (sum.last, sum.sample) = (other.last, other.sample);
    }
}

/// For a person. Connections have columns where there are any.
pub(super) fn table(entries: &[Entry], lines: &Lines) -> String {
    let has_connections = entries.iter().any(|entry| entry.connections.is_some());
    let with_connections = |amounts: [String; 2], connections: [String; 2], others: [String; 7]| -> Vec<String> {
        let connections = connections.into_iter().filter(|_| has_connections);
        amounts.into_iter().chain(connections).chain(others).collect()
    };
    let header = with_connections(
        ["PACKETS", "BYTES"].map(str::to_owned),
        ["BEGUN", "ENDED"].map(str::to_owned),
        ["LAST", "DIRECTION", "VERDICT", "WORKLOAD", "PEER", "PORT", "WHY"].map(str::to_owned),
    );
    let row = |Entry { last, packets, bytes, connections, ended, workload, peer, sample, .. }: &Entry| {
        let others = [
            lines.time(*last),
            sample.direction.to_string(),
            sample.verdict.name().to_owned(),
            printable(workload),
            printable(peer),
            service(sample),
            printable(sample.says()),
        ];
        let connections = [connections, ended].map(|count| count.map(|count| count.to_string()).unwrap_or_default());
        with_connections([packets, bytes].map(u64::to_string), connections, others)
    };
    aligned(&[header].into_iter().chain(entries.iter().map(row)).collect::<Vec<_>>())
}

/// Columns as wide as what is in them; the last one ends where it ends.
pub(in crate::commands) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::flows::tests::{allowed, from_address, record};
    use crate::flows::{Hub, Record};

    /// What an agent remembers of these.
    fn entries(records: impl IntoIterator<Item = Record>) -> Vec<Entry> {
        let hub = Hub::new("worker-1");
        records.into_iter().for_each(|record| hub.publish(record));
        hub.summary(true).1
    }

    #[test]
    fn what_nodes_say_of_the_same_workloads_is_one_sum() {
        let later = |second, packets| Record { time: Timestamp::from_second(second).unwrap(), packets, ..record() };
        let all: Vec<Entry> = [entries([later(5, 2)]), entries([later(9, 1), from_address([192, 0, 2, 7])])].concat();
        let sums = united(all);
        let shown: Vec<_> = sums.iter().map(|sum| (&*sum.peer, sum.packets, sum.first.as_second())).collect();
        assert_eq!(shown[0], ("192.0.2.0/24", 3, record().time.as_second()));
        assert_eq!(shown[1], ("shop/web", 3, 5));
        assert_eq!(sums[1].sample, Arc::new(later(9, 1)));
    }

    #[test]
    fn a_table_has_columns() {
        let sums = united(entries([Record { packets: 4000, ..record() }, from_address([192, 0, 2, 7])]));
        let text = table(&sums, &Lines::plain(TimeZone::UTC));
        let expected = "\
PACKETS  BYTES  LAST      DIRECTION  VERDICT  WORKLOAD  PEER          PORT    WHY
4000     180    22:56:12  ingress    dropped  shop/db   shop/web      TCP 80  shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web
3        180    22:56:12  ingress    dropped  shop/db   192.0.2.0/24  TCP 80  shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web
";
        assert_eq!(text, expected);
    }

    #[test]
    fn connections_have_columns_where_there_are_any() {
        let both = [entries([allowed(3, 1), record()]), entries([allowed(2, 0)])].concat();
        let text = table(&united(both), &Lines::plain(TimeZone::UTC));
        let expected = "\
PACKETS  BYTES  BEGUN  ENDED  LAST      DIRECTION  VERDICT  WORKLOAD  PEER      PORT    WHY
3        180                  22:56:12  ingress    dropped  shop/db   shop/web  TCP 80  shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web
0        0      5      1      22:56:12  ingress    allowed  shop/db   shop/web  TCP 80  allowed by shop/db spec.ingress[0]
";
        assert_eq!(text, expected);
    }
}

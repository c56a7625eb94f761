//! When such connections were dropped, as the agent of this machine remembers it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use palisade_model::Direction;
use serde::Serialize;

use crate::cli::ExplainArgs;
use crate::flows::{Header, Record, Verdict};
use crate::serve::{self, ClientError, SOCKET_PATH};

/// What an agent remembers.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remembered {
    /// Its node: of pods of others it knows nothing.
    node: String,
    /// When it began to look.
    begun: Timestamp,
    /// What it has seen, by direction.
    flows: Vec<Dropped>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dropped {
    direction: String,
    packets: u64,
    last: Timestamp,
    /// Why the last was.
    why: String,
}

/// The connection that is explained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: &'a str,
    pub(super) port: Option<u16>,
}

/// What is remembered of such connections; `None` where no agent is to be asked.
///
/// # Errors
/// Where the agent that is to be asked does not answer.
pub(super) fn remembered(args: &ExplainArgs, asked: Asked<'_>) -> Result<Option<Remembered>, ClientError> {
    let Some(socket) = socket(args) else { return Ok(None) };
    let (header, records) = serve::latest(&socket)?;
    Ok(Some(Remembered::of(header, &records, asked)))
}

/// The one that is given; otherwise the usual one, if it is there, and what is asked about is in the cluster.
fn socket(args: &ExplainArgs) -> Option<PathBuf> {
    let usual = PathBuf::from(SOCKET_PATH);
    let is_here = args.source.manifests.is_none() && usual.exists();
    args.status_socket.clone().or(is_here.then_some(usual))
}

impl Remembered {
    fn of(header: Header, records: &[Arc<Record>], asked: Asked<'_>) -> Self {
        let dropped = |direction: Direction| {
            let such = records.iter().filter(|record| record.direction == direction && asked.is(record));
            let (packets, last) = such.fold((0_u64, None::<&Arc<Record>>), |(packets, last), record| {
                let is_later = last.is_none_or(|last| last.time <= record.time);
                (packets.saturating_add(record.packets), if is_later { Some(record) } else { last })
            });
            let last = last?;
            Some(Dropped { direction: direction.to_string(), packets, last: last.time, why: last.says().to_owned() })
        };
        let flows = Direction::ALL.into_iter().filter_map(dropped).collect();
        Self { node: header.node, begun: header.begun, flows }
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let Self { node, begun, flows } = self;
        if flows.is_empty() {
            return format!("  the agent of {node} remembers no such packet that was dropped since {begun:.0}\n");
        }
        let line = |Dropped { direction, packets, last, why }: &Dropped| {
            format!(
                "  dropped on {direction}, as the agent of {node} remembers: {packets} packets, the last at {last:.0}: {why}\n"
            )
        };
        flows.iter().map(line).collect()
    }
}

impl Asked<'_> {
    fn is(&self, record: &Record) -> bool {
        let (pod, peer) = (record.pod.address, record.peer.address);
        let ends = match record.direction {
            Direction::Egress => (pod, peer),
            Direction::Ingress => (peer, pod),
        };
        // That of IPv6 is called alike where connections are explained.
        let protocol = record.protocol.to_string();
        let is_protocol = protocol == self.protocol || protocol.strip_suffix("v6") == Some(self.protocol);
        ends == (self.source, self.destination)
            && is_protocol
            && record.port == self.port
            && record.verdict == Verdict::Dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;
    use crate::flows::{Hub, IpProtocol};

    fn asked() -> Asked<'static> {
        Asked { source: [10, 0, 0, 1].into(), destination: [10, 0, 1, 1].into(), protocol: "TCP", port: Some(80) }
    }

    fn of(records: Vec<Record>, asked: Asked<'_>) -> Remembered {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        Remembered::of(Hub::new("worker-1").summary(false).0, &records, asked)
    }

    #[test]
    fn such_packets_are_counted_and_the_last_is_told() {
        let later = Record { time: "2026-11-28T23:00:00Z".parse().unwrap(), nearest: None, ..record() };
        let others = [
            Record { port: Some(81), ..record() },
            Record { verdict: Verdict::Allowed, ..record() },
            Record { direction: Direction::Egress, ..record() },
            Record { protocol: IpProtocol(17), ..record() },
        ];
        let remembered = of([vec![later, record()], others.to_vec()].concat(), asked());
        let why = "no rule of shop/db admits it".to_owned();
        let last = "2026-11-28T23:00:00Z".parse().unwrap();
        assert_eq!(remembered.flows, [Dropped { direction: "ingress".to_owned(), packets: 6, last, why }]);
        let expected = "dropped on ingress, as the agent of worker-1 remembers: 6 packets, the last at 2026-11-28T23:00:00Z: \
                        no rule of shop/db admits it\n";
        assert_eq!(remembered.text().trim_start(), expected);
    }

    #[test]
    fn both_ends_may_have_dropped_it() {
        let sent = Record { direction: Direction::Egress, protocol: IpProtocol(58), port: None, ..record() };
        let (pod, peer) = (sent.pod.address, sent.peer.address);
        let ping = Asked { source: pod, destination: peer, protocol: "ICMP", port: None };
        assert_eq!(of(vec![sent], ping).flows[0].direction, "egress");
        assert!(of(vec![], asked()).text().contains("remembers no such packet that was dropped since "));
    }
}

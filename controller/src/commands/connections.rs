//! `palisade connections`: what is connected through this node now.

use std::fs;
use std::io::{self, Write};

use anyhow::Context;
use jiff::Timestamp;
use palisade_nft::KernelConntrack;

use super::monitor::aligned;
use crate::cli::{ConnectionsArgs, Output};
use crate::flows::{Counting, Message, OpenConnections, United};
use crate::text::{age, bytes};

pub(super) fn connections(args: &ConnectionsArgs) -> anyhow::Result<()> {
    let all = united()?.into_sorted();
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.output {
        Output::Text => write!(out, "{}", table(&all, Timestamp::now()))?,
        Output::Json => {
            out.write_all(Message::Counting(counting()).line().as_bytes())?;
            for one in all {
                out.write_all(Message::Connections(one).line().as_bytes())?;
            }
        }
    }
    Ok(out.flush()?)
}

/// The same, as a command to run where an agent is.
pub(super) fn command() -> Vec<String> {
    ["palisade", "connections", "--output=json", "--log-level=error"].map(str::to_owned).to_vec()
}

/// What this network namespace's conntrack knows.
///
/// # Errors
/// Where it cannot be asked.
pub(super) fn united() -> anyhow::Result<United> {
    let mut united = United::default();
    let mut conntrack = KernelConntrack::open().context("cannot ask conntrack: it takes CAP_NET_ADMIN")?;
    conntrack.live(|connection| united.add(&connection))?;
    Ok(united)
}

/// What this kernel keeps of connections.
pub(super) fn counting() -> Counting {
    let is_on = |name: &str| {
        fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}")).is_ok_and(|text| text.trim() != "0")
    };
    Counting { bytes: is_on("acct"), ages: is_on("timestamp") }
}

fn table(all: &[OpenConnections], now: Timestamp) -> String {
    let header = ["CONNECTIONS", "OLDEST", "BYTES", "FROM", "TO", "PORT", "SERVICE"].map(str::to_owned).to_vec();
    let row = |one: &OpenConnections| {
        let port = one.port.map(|port| format!(" {port}")).unwrap_or_default();
        vec![
            one.connections.to_string(),
            one.oldest.map(|oldest| age(now, oldest)).unwrap_or_default(),
            one.bytes.map(bytes).unwrap_or_default(),
            one.source.to_string(),
            one.destination.to_string(),
            format!("{}{port}", one.protocol),
            one.service.clone().unwrap_or_default(),
        ]
    };
    aligned(&[header].into_iter().chain(all.iter().map(row)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::IpProtocol;

    #[test]
    fn a_table_leaves_out_what_is_not_known() {
        let one = OpenConnections {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            protocol: IpProtocol(6),
            port: Some(80),
            service: Some("10.96.0.1:8080".to_owned()),
            connections: 3,
            oldest: Timestamp::from_second(0).ok(),
            packets: Some(4),
            bytes: Some(2_500_000),
        };
        let bare =
            OpenConnections { port: None, service: None, oldest: None, bytes: None, protocol: IpProtocol(1), ..one };
        let expected = "\
CONNECTIONS  OLDEST  BYTES   FROM      TO        PORT    SERVICE
3            1h 1m   2.5 MB  10.0.0.1  10.0.0.2  TCP 80  10.96.0.1:8080
3                            10.0.0.1  10.0.0.2  ICMP
";
        assert_eq!(table(&[one, bare], Timestamp::from_second(3661).unwrap()), expected);
    }
}

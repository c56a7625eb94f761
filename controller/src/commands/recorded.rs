//! What passes, and passed: recorded flows of a file or of agents, and what is connected now, with the names that its ends have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use palisade_model::{NamespacedName, Traffic};
use serde::Serialize;

use super::monitor::{Asked, Heard, ask};
use crate::cli::{FlowsArgs, SourceArgs};
use crate::flows::{OpenConnections, Recorded, RecordedEnd, RecordedFlow, printable};
use crate::text::{shorten, some_of};
use crate::verify::FlowJudge;

/// How many nodes are named.
const FEW: usize = 10;
/// How long a node's name is at most, in bytes.
const NAME: usize = 253;
/// How long an error is at most, in bytes.
const SENTENCE: usize = 300;

/// What is known of flows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What is connected now, where that was asked for.
    pub(super) open: Option<Vec<OpenConnections>>,
    /// What was recorded.
    pub(super) recorded: Vec<RecordedFlow>,
    pub(super) gaps: Gaps,
}

/// What is not known, although it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Gaps {
    /// How many nodes were asked.
    pub(super) nodes_asked: usize,
    /// By node: why it was not heard, or not all of it.
    pub(super) not_heard: BTreeMap<String, String>,
    /// Nodes whose agents record nothing of what is allowed: they run without `--flows`.
    pub(super) without_flows: BTreeSet<String>,
    /// Nodes whose kernels do not count bytes (`net.netfilter.nf_conntrack_acct`).
    pub(super) without_bytes: BTreeSet<String>,
    /// Nodes whose kernels do not keep when connections began (`net.netfilter.nf_conntrack_timestamp`).
    pub(super) without_ages: BTreeSet<String>,
    /// Records that came faster than they could be told.
    pub(super) missed: u64,
}

/// What is known of flows; `None` where that was not asked for.
///
/// # Errors
/// Where a file cannot be read, or nobody can be asked.
pub(super) fn known(args: &FlowsArgs, source: &SourceArgs) -> anyhow::Result<Option<Known>> {
    let read = args.flows.as_deref().map(read).transpose()?;
    let asked = Asked { connections: true, recorded: read.is_none().then_some(args.since) };
    let heard = args.live.then(|| ask(args.whom(source), &args.agent.status_socket, asked)).transpose()?;
    Ok(match (read, heard) {
        (None, None) => None,
        (Some(recorded), None) => Some(Known { gaps: Gaps::of_records(&recorded), ..Known::of(&recorded) }),
        (read, Some(mut heard)) => {
            let open = Some(heard.take_connections());
            let recorded = read.as_ref().unwrap_or(&heard.recorded);
            Some(Known { open, gaps: Gaps::new(&heard, recorded), ..Known::of(recorded) })
        }
    })
}

/// The flows of a file, or of stdin (`-`).
///
/// # Errors
/// Where it cannot be read, or is no file of recorded flows.
fn read(path: &Path) -> anyhow::Result<Recorded> {
    if path == Path::new("-") {
        return Recorded::read(io::stdin().lock()).context("stdin");
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Recorded::read(BufReader::new(file)).with_context(|| path.display().to_string())
}

impl Known {
    fn of(recorded: &Recorded) -> Self {
        Self { recorded: recorded.flows().collect(), ..Self::default() }
    }
}

impl Gaps {
    fn of_records(recorded: &Recorded) -> Self {
        Self { not_heard: recorded.silent().clone(), missed: recorded.missed(), ..Self::default() }
    }

    /// Each in a sentence, and how many recorded flows are of workloads that are `gone`.
    pub(super) fn told(&self, gone: usize) -> Vec<String> {
        let Self { nodes_asked: _, not_heard, without_flows, without_bytes, without_ages, missed } = self;
        let nodes = |nodes: &BTreeSet<String>| some_of(&nodes.iter().collect::<Vec<_>>(), FEW, NAME, ", ");
        let of = |all: &BTreeSet<String>, says: &str| (!all.is_empty()).then(|| format!("{}: {says}", nodes(all)));
        let silent = not_heard.iter().map(|(node, error)| {
            format!("{} was not heard: {}", printable(node), printable(&shorten(error, SENTENCE)))
        });
        let others = [
            of(without_flows, "nothing was recorded: the agent runs without --flows"),
            of(without_bytes, "bytes are not counted (net.netfilter.nf_conntrack_acct is 0)"),
            of(without_ages, "ages are not kept (net.netfilter.nf_conntrack_timestamp is 0)"),
            (*missed > 0).then(|| format!("{missed} records came faster than they could be told")),
            (gone > 0).then(|| format!("{gone} recorded flows are of workloads that are gone")),
        ];
        silent.chain(others.into_iter().flatten()).collect()
    }

    fn new(heard: &Heard, recorded: &Recorded) -> Self {
        let Heard { nodes, silent, without_flows, uncounted: [without_bytes, without_ages], .. } = heard.clone();
        let of_records = Self::of_records(recorded);
        let not_heard = of_records.not_heard.into_iter().chain(silent).collect();
        Self { nodes_asked: nodes, not_heard, without_flows, without_bytes, without_ages, ..of_records }
    }
}

/// A flow between addresses that there are now, whatever its ends were called then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) traffic: Traffic,
    /// The workloads or addresses.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) connections: u64,
    pub(super) last: Timestamp,
}

/// A recorded flow as policies would see it now; `None` where nothing is left of a workload at one end.
pub(super) fn now(flow: &RecordedFlow, judge: &FlowJudge<'_>) -> Option<Passed> {
    let ipv6 = flow.source.address.is_ipv6();
    let (source, from) = end(&flow.source, judge, ipv6)?;
    let (destination, to) = end(&flow.destination, judge, ipv6)?;
    let RecordedFlow { connections, last, .. } = *flow;
    Some(Passed { source, destination, traffic: flow.traffic(), from, to, connections, last })
}

fn end(end: &RecordedEnd, judge: &FlowJudge<'_>, ipv6: bool) -> Option<(IpAddr, String)> {
    let Some(pod) = &end.pod else {
        let node = end.node.as_ref().map(|node| format!(" (node {})", printable(node))).unwrap_or_default();
        return Some((end.address, format!("{}{node}", end.address)));
    };
    let name = |name: &String| NamespacedName::new(pod.namespace.clone(), name.clone());
    let workload = name(&pod.workload);
    let address = judge.address_of(&name(&pod.name), &workload, ipv6)?;
    Some((address, workload.to_string()))
}

/// What is called by this address now: a workload, or the address itself.
pub(super) fn called(address: IpAddr, judge: &FlowJudge<'_>) -> String {
    judge.workload(address).map_or_else(|| address.to_string(), ToString::to_string)
}

//! Which ways are used: what was recorded and what is connected now, held against a map.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use palisade_model::reach::Reach;
use palisade_model::reference::Cluster;
use serde::Serialize;

use super::data::Map;
use crate::commands::recorded::{Gaps, Known, Passed, called, now};
use crate::flows::OpenConnections;
use crate::manifests::Besides;
use crate::verify::{FlowJudge, Situation};

/// What is known of flows beside what ways tell.
#[derive(Debug, Default, Serialize)]
pub(super) struct Usage {
    /// What passes where the map has no way: what both ends let anybody do.
    pub(super) others: Vec<Use>,
    /// What passed, and policies do not allow now.
    pub(super) refused: Vec<Use>,
    /// Recorded flows of workloads that are gone.
    gone: usize,
    #[serde(flatten)]
    gaps: Gaps,
}

/// Flows from one end to a port of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Use {
    pub(super) from: usize,
    pub(super) to: usize,
    /// As `TCP 5432`.
    pub(super) port: String,
    /// How many connections began, or are open.
    pub(super) connections: u64,
    /// When the last was seen.
    pub(super) last: Timestamp,
}

/// What was seen of a way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Used {
    /// How many connections began, or are open; 0: it is not used.
    pub(super) connections: u64,
    /// When the last was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Timestamp>,
    /// To which ports.
    pub(super) ports: Vec<String>,
}

/// By ends and port: what was seen.
type Uses = BTreeMap<(usize, usize, String), Seen>;

#[derive(Debug, Default)]
struct Seen {
    /// Policies do not allow some of it now.
    is_refused: bool,
    /// How many connections were recorded. One that is open may be among them.
    recorded: u64,
    open: u64,
    last: Timestamp,
}

impl Map {
    /// Says of each way whether it is used, and what is used beside them.
    pub(super) fn with_usage(mut self, cluster: Cluster, reach: &Reach, known: Known, time: Timestamp) -> Self {
        let situation = Situation::new(cluster, Besides::default(), false);
        let mut judge = FlowJudge::new(&situation);
        let Known { open, recorded, gaps } = known;
        let open = open.iter().flatten().map(|one| connected(one, &judge, time)).collect::<Vec<_>>();
        let recorded: Vec<Option<Passed>> = recorded.iter().map(|flow| now(flow, &judge)).collect();
        let gone = recorded.iter().filter(|passed| passed.is_none()).count();
        let mut uses = Uses::new();
        for passed in recorded.into_iter().flatten() {
            see(&mut uses, reach, &mut judge, &passed, |seen| &mut seen.recorded);
        }
        for passed in &open {
            see(&mut uses, reach, &mut judge, passed, |seen| &mut seen.open);
        }
        let ways: BTreeSet<(usize, usize)> = self.edges.iter().map(|way| (way.from, way.to)).collect();
        let mut of_ways = BTreeMap::<(usize, usize), Used>::new();
        let mut usage = Usage { gone, gaps, ..Usage::default() };
        for ((from, to, port), Seen { is_refused, recorded, open, last }) in uses {
            let one = Use { from, to, port, connections: recorded.max(open), last };
            match (is_refused, ways.contains(&(from, to))) {
                (true, _) => usage.refused.push(one),
                (false, true) => of_ways.entry((from, to)).or_default().add(one),
                (false, false) => usage.others.push(one),
            }
        }
        for way in &mut self.edges {
            way.used = Some(of_ways.remove(&(way.from, way.to)).unwrap_or_default());
        }
        self.usage = Some(usage);
        self
    }
}

/// A connection that is open now.
fn connected(one: &OpenConnections, judge: &FlowJudge<'_>, time: Timestamp) -> Passed {
    let [from, to] = [one.source, one.destination].map(|address| called(address, judge));
    let (traffic, connections) = (one.traffic(), one.connections);
    Passed { source: one.source, destination: one.destination, traffic, from, to, connections, last: time }
}

fn see(
    uses: &mut Uses,
    reach: &Reach,
    judge: &mut FlowJudge<'_>,
    Passed { source, destination, traffic, connections, last, .. }: &Passed,
    count: fn(&mut Seen) -> &mut u64,
) {
    // What is between two addresses outside, as a node's own connections are, the map is not about.
    if [source, destination].iter().all(|end| judge.workload(**end).is_none()) {
        return;
    }
    let [from, to] = [source, destination].map(|address| reach.place_at(*address).number());
    let seen = uses.entry((from, to, traffic.to_string())).or_default();
    *count(seen) += connections;
    seen.is_refused |= !judge.allows(*source, *destination, *traffic);
    seen.last = seen.last.max(*last);
}

impl Usage {
    /// What was asked for and is not known, each in a sentence.
    pub(super) fn not_known(&self) -> Vec<String> {
        self.gaps.told(self.gone)
    }
}

impl Used {
    fn add(&mut self, one: Use) {
        self.connections += one.connections;
        self.last = self.last.into_iter().chain([one.last]).max();
        self.ports.push(one.port);
    }
}

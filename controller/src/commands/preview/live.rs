//! What a change would cut of what is connected, and refuse of what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use palisade_model::reference::Cluster;
use palisade_model::{Decision, Denied, Traffic, Why};
use serde::Serialize;

use crate::commands::recorded::{Gaps, Known, called, now};
use crate::flows::OpenConnections;
use crate::manifests::Besides;
use crate::verify::{FlowJudge, Situation};

/// What is known of flows that the change would stop. Each is one that policies allow now, and would not then.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// Connections that are open now; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<Vec<Cut>>,
    /// Flows that were recorded.
    pub(super) refused: Vec<Refused>,
    /// How many united connections and recorded flows were looked at.
    pub(super) judged: usize,
    /// Recorded flows of workloads that are gone.
    pub(super) gone: usize,
    #[serde(flatten)]
    pub(super) gaps: Gaps,
}

/// Open connections from one workload, or address, to a port of another.
#[derive(Debug, Serialize)]
pub(super) struct Cut {
    pub(super) from: String,
    pub(super) to: String,
    /// As `TCP 5432`.
    pub(super) port: String,
    pub(super) connections: u64,
    /// When the oldest began, where the kernels keep that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oldest: Option<Timestamp>,
    /// How many bytes they had, both ways, as far as the kernels count that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(flatten)]
    pub(super) by: By,
}

/// Recorded flows, likewise.
#[derive(Debug, Serialize)]
pub(super) struct Refused {
    pub(super) from: String,
    pub(super) to: String,
    /// As `TCP 5432`.
    pub(super) port: String,
    /// How many began.
    pub(super) connections: u64,
    /// When the last was seen.
    pub(super) last: Timestamp,
    #[serde(flatten)]
    pub(super) by: By,
}

/// Who refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct By {
    /// The policies that isolate an end that refuses it, or the rule of a cluster policy that denies it.
    pub(super) by: BTreeSet<String>,
    /// For each end that refuses, what it lacks, in a sentence.
    pub(super) why: BTreeSet<String>,
}

/// What flows are united by: names of their ends, and the port.
type Key = (String, String, String);

impl Live {
    pub(super) fn new(before: &Cluster, after: &Cluster, known: Known) -> Self {
        let situations = [before, after].map(|cluster| Situation::new(cluster.clone(), Besides::default(), false));
        let mut court = Court { judges: situations.each_ref().map(FlowJudge::new) };
        let Known { open, recorded, gaps } = known;
        let judged = open.as_ref().map_or(0, Vec::len) + recorded.len();
        let cut = open.map(|open| court.cut(open));
        let mut refused = BTreeMap::<Key, Refused>::new();
        let mut gone = 0;
        for flow in &recorded {
            let Some(passed) = now(flow, &court.judges[0]) else {
                gone += 1;
                continue;
            };
            if let Some(by) = court.stops(passed.source, passed.destination, passed.traffic) {
                let key = (passed.from.clone(), passed.to.clone(), passed.traffic.to_string());
                let fresh = || Refused {
                    from: passed.from,
                    to: passed.to,
                    port: passed.traffic.to_string(),
                    connections: 0,
                    last: passed.last,
                    by: By::default(),
                };
                let refused = refused.entry(key).or_insert_with(fresh);
                refused.connections += passed.connections;
                refused.last = refused.last.max(passed.last);
                refused.by.unite(by);
            }
        }
        Self { cut, refused: refused.into_values().collect(), judged, gone, gaps }
    }

    /// Whether it stops anything.
    pub(super) fn cuts(&self) -> bool {
        !self.refused.is_empty() || self.cut.as_ref().is_some_and(|cut| !cut.is_empty())
    }
}

/// Who judges, before the change and after.
struct Court<'a> {
    judges: [FlowJudge<'a>; 2],
}

impl Court<'_> {
    fn cut(&mut self, open: Vec<OpenConnections>) -> Vec<Cut> {
        let mut cut = BTreeMap::<Key, Cut>::new();
        for one in open {
            let traffic = one.traffic();
            let Some(by) = self.stops(one.source, one.destination, traffic) else { continue };
            let [from, to] = [one.source, one.destination].map(|address| called(address, &self.judges[0]));
            let fresh = || Cut {
                from: from.clone(),
                to: to.clone(),
                port: traffic.to_string(),
                connections: 0,
                oldest: None,
                bytes: None,
                by: By::default(),
            };
            let cut = cut.entry((from.clone(), to.clone(), traffic.to_string())).or_insert_with(fresh);
            cut.connections += one.connections;
            cut.oldest = cut.oldest.into_iter().chain(one.oldest).min();
            cut.bytes = cut.bytes.into_iter().chain(one.bytes).reduce(u64::saturating_add);
            cut.by.unite(by);
        }
        cut.into_values().collect()
    }

    /// Who refuses what policies allow now.
    fn stops(&mut self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> Option<By> {
        let [before, after] = &mut self.judges;
        let is_stopped = !after.allows(source, destination, traffic) && before.allows(source, destination, traffic);
        is_stopped.then(|| By::of(&after.refusals(source, destination, traffic)))
    }
}

impl By {
    fn of(whys: &[Why]) -> Self {
        let mut by = Self::default();
        for why in whys {
            match &why.decision {
                Decision::Denied(Denied::ClusterRule(rule)) => {
                    by.by.insert(format!("{} spec.{}[{}]", rule.policy, rule.direction, rule.index));
                }
                _ => by.by.extend(why.isolating.iter().map(ToString::to_string)),
            }
            by.why.insert(format!("{}: {why}", why.direction));
        }
        by
    }

    fn unite(&mut self, other: Self) {
        self.by.extend(other.by);
        self.why.extend(other.why);
    }
}

//! `palisade status`: what the kernel holds of ours, read from the kernel itself, and what the agent says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use palisade_model::Direction;
use palisade_nft::{Backend, CounterValue, Name, Ownership, Ruleset};
use serde::Serialize;

use super::kernel;
use crate::cli::{Output, StatusArgs};
use crate::flows::Entry;
use crate::forged::{self, Forged};
use crate::render::{self, Epoch, Forger, InspectedPod, Origins, PodRange};
use crate::serve;
use crate::sysctl::{self, Unmet};

mod drops;

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let mut kernel = kernel::open(Ownership::Plain)?;
    let ruleset = kernel.read()?;
    let counters = if ruleset.is_some() { kernel.named_counters()? } else { BTreeMap::new() };
    let sysctls = sysctl::look(
        Path::new(sysctl::PROC_SYS),
        ruleset.as_ref().is_some_and(|held| render::origins(held) == Origins::Guarded),
    );
    let forged = forged::read(&mut forged::kernels(kernel::table())?)?;
    let agent = serve::status(&args.agent.status_socket);
    // One of a version before that knows nothing of drops.
    let dropped = serve::latest(&args.agent.status_socket).map(|(_, records)| records).unwrap_or_default();
    let status = Status {
        agent_error: agent.as_ref().err().map(ToString::to_string),
        agent: agent.ok(),
        table: format!("inet {}", kernel::table()),
        enforced: ruleset.is_some(),
        owner: kernel.owner()?.map(|owner| owner.to_string()),
        generation: kernel.generation()?,
        contents: ruleset.as_ref().map(Contents::new),
        sysctls_error: sysctls.as_ref().err().map(ToString::to_string),
        sysctls: sysctls.ok(),
        guarded: ruleset.as_ref().map(|held| render::origins(held) == Origins::Guarded),
        pod_range: ruleset.as_ref().and_then(|ruleset| PodRangeStatus::new(ruleset, &forged)),
        forged: forged
            .iter()
            .filter(|(forger, _)| **forger != Forger::UnknownPod)
            .map(|(forger, packets)| (forger.to_string(), *packets))
            .collect(),
        settled: ruleset.as_ref().map(|ruleset| Epoch::in_force(ruleset).is_some()),
        would_drop: ruleset.as_ref().map(|ruleset| would_drop(ruleset, &counters)).unwrap_or_default(),
        pods: ruleset.map(|ruleset| pods(&ruleset, &counters, &drops::by_pod(&dropped))).unwrap_or_default(),
    };
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?,
        Output::Text => write!(out, "{}", status.text())?,
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Status {
    /// What the agent says of itself.
    agent: Option<serve::Status>,
    /// Why it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_error: Option<String>,
    table: String,
    /// Whether the table is there.
    enforced: bool,
    /// The running agent, which owns the table.
    owner: Option<String>,
    /// The generation of the network namespace's whole ruleset.
    generation: u32,
    contents: Option<Contents>,
    /// The kernel's parameters that are not what this node's pods need.
    sysctls: Option<Vec<Unmet>>,
    /// Why they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    sysctls_error: Option<String>,
    /// Whether it is looked at where packets come from.
    guarded: Option<bool>,
    /// Packets that were dropped because they cannot be from there, by who sent them.
    forged: BTreeMap<String, u64>,
    /// The pod range that is guarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_range: Option<PodRangeStatus>,
    /// Whether established connections pass without being judged again.
    settled: Option<bool>,
    /// The isolated local pods, by `namespace/name`.
    pods: BTreeMap<String, Pod>,
    /// Packets that policies under audit would have dropped, by `egress of namespace/name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    would_drop: BTreeMap<String, u64>,
}

/// Addresses of which only those of known pods send and receive.
#[derive(Debug, Serialize)]
struct PodRangeStatus {
    addresses: String,
    /// Packets of others, which were dropped.
    dropped: u64,
}

impl PodRangeStatus {
    fn new(ruleset: &Ruleset, forged: &Forged) -> Option<Self> {
        let range = PodRange::guarded_by(ruleset);
        let dropped = forged.get(&Forger::UnknownPod).copied().unwrap_or_default();
        (!range.is_empty()).then(|| Self { addresses: range.to_string(), dropped })
    }
}

#[derive(Debug, Serialize)]
struct Contents {
    chains: usize,
    rules: usize,
    sets: usize,
    elements: usize,
    /// What others put into the table.
    foreign: usize,
}

/// An isolated pod.
#[derive(Debug, Serialize)]
struct Pod {
    addresses: BTreeSet<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<Dropped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<Dropped>,
    /// What was dropped most of late, as far as the agent remembers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flows: Vec<Entry>,
}

/// What was dropped of a pod's connections in one direction, since it came.
#[derive(Debug, Serialize)]
struct Dropped {
    packets: u64,
    bytes: u64,
}

impl Dropped {
    fn of(counter: &Name, counters: &BTreeMap<Name, CounterValue>) -> Self {
        let CounterValue { packets, bytes } = counters.get(counter).copied().unwrap_or_default();
        Self { packets, bytes }
    }
}

impl Contents {
    fn new(ruleset: &Ruleset) -> Self {
        Self {
            chains: ruleset.chains.len(),
            rules: ruleset.chains.values().map(|chain| chain.rules.len()).sum(),
            sets: ruleset.sets.len(),
            elements: ruleset.sets.values().map(|set| set.elements.len()).sum(),
            foreign: ruleset.foreign.len(),
        }
    }
}

fn pods(
    ruleset: &Ruleset,
    counters: &BTreeMap<Name, CounterValue>,
    flows: &BTreeMap<String, Vec<Entry>>,
) -> BTreeMap<String, Pod> {
    let dropped = |pod: &InspectedPod, direction| Some(Dropped::of(&pod.counter(direction)?, counters));
    render::pods(ruleset)
        .into_iter()
        .map(|(name, pod)| {
            let (egress, ingress) = (dropped(&pod, Direction::Egress), dropped(&pod, Direction::Ingress));
            let flows = flows.get(&name).cloned().unwrap_or_default();
            (name, Pod { addresses: pod.addresses, egress, ingress, flows })
        })
        .collect()
}

fn would_drop(ruleset: &Ruleset, counters: &BTreeMap<Name, CounterValue>) -> BTreeMap<String, u64> {
    let packets = |name| counters.get(name).map_or(0, |counter| counter.packets);
    render::audited(ruleset).map(|(name, whose)| (whose.to_owned(), packets(name))).collect()
}

impl Status {
    fn text(&self) -> String {
        let agent = match (&self.agent, &self.agent_error) {
            (Some(agent), _) => agent.to_string(),
            (None, error) => format!("{}\n", error.as_deref().unwrap_or_default()),
        };
        format!("{agent}\n{}{}", self.sysctls_text(), self.table_text())
    }

    fn sysctls_text(&self) -> String {
        match &self.sysctls {
            Some(unmet) => unmet.iter().map(|one| format!("{one}\n")).collect(),
            None => format!("kernel parameters are not known: {}\n", self.sysctls_error.as_deref().unwrap_or_default()),
        }
    }

    fn table_text(&self) -> String {
        let Some(contents) = &self.contents else {
            return format!("table {}: not there: nothing is enforced on this node\n", self.table);
        };
        let owner = match (&self.owner, &self.agent) {
            (Some(owner), _) => format!("owned by {owner}"),
            // An agent owns its table, where the kernel lets it.
            (None, Some(_)) => {
                "kept by the agent; others can write it, as this kernel knows no owned tables".to_owned()
            }
            (None, None) => "no agent owns it".to_owned(),
        };
        let Contents { chains, rules, sets, elements, foreign } = contents;
        let mut text = format!(
            "table {}: enforced, {owner}\nruleset generation {}\n{chains} chains, {rules} rules, {sets} sets and maps, {elements} elements\n",
            self.table, self.generation
        );
        if *foreign > 0 {
            text += &format!("{foreign} objects in it are not ours: the next check of a running agent removes them\n");
        }
        text += match self.guarded {
            Some(false) => "it is not looked at where packets come from (--no-guard): pods can speak for others\n",
            Some(true) | None => "",
        };
        for (forger, packets) in &self.forged {
            text += &format!("{packets} packets that cannot be from there were dropped: from {forger}\n");
        }
        if let Some(PodRangeStatus { addresses, dropped }) = &self.pod_range {
            text +=
                &format!("of {addresses} only known pods send and receive: {dropped} packets of others were dropped\n");
        }
        text += match self.settled {
            Some(true) => "established connections pass once they were judged\n",
            Some(false) | None => "every packet is judged, of established connections, too\n",
        };
        text += &format!(
            "\n{} isolated pods{}\n",
            self.pods.len(),
            if self.pods.is_empty() { "" } else { ", packets dropped:" }
        );
        for (whose, packets) in &self.would_drop {
            text += &format!("  policies under audit would have dropped {packets} packets: {whose}\n");
        }
        let width = self.pods.keys().map(String::len).max().unwrap_or_default();
        let count = |dropped: &Option<Dropped>| {
            dropped.as_ref().map_or("open".to_owned(), |dropped| dropped.packets.to_string())
        };
        for (name, pod) in &self.pods {
            let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
            text += &format!(
                "  {name:width$}  egress {:>8}  ingress {:>8}  {}\n",
                count(&pod.egress),
                count(&pod.ingress),
                addresses.join(" ")
            );
            text.extend(pod.flows.iter().map(drops::line));
        }
        text
    }
}

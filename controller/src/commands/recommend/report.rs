//! A recommendation, and all that there is to say about it: the JSON form.

use std::collections::{BTreeMap, BTreeSet};

use palisade_model::reach::{Population, RuleName};
use palisade_model::recommend::{Recommendation, Surplus, Whom, Widened, Wish};
use palisade_model::{Direction, NamespacedName};
use serde::Serialize;
use serde_json::Value;

use super::made::{Made, Seen};
use crate::commands::reached::ports;
use crate::verify::{CaseReport, Failure, Outcome};
use crate::written;

/// What is recommended, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The policies, each an object to apply.
    pub(super) policies: Vec<Value>,
    /// By policy, for each of its rules: which of `flows` it lets pass.
    pub(super) rules: Vec<Vec<Reasons>>,
    /// What the policies are made from.
    pub(super) flows: Vec<Flow>,
    /// Flows that no policy says, and why not.
    pub(super) told: Vec<Told>,
    /// What passes as well, and by which rules.
    pub(super) also_passes: Vec<Also>,
    /// Workloads that labels do not tell apart.
    pub(super) alike: Vec<Vec<String>>,
    /// Blocks that hold more than they stand for.
    pub(super) widened: Vec<Block>,
    /// Policies that are there, and say what these say.
    pub(super) replaces: Vec<String>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
    /// What was asked of the policies as they are recommended.
    pub(super) proof: Proof,
}

#[derive(Debug, Serialize)]
pub(super) struct Reasons {
    /// As `spec.ingress[0]`.
    pub(super) field: String,
    /// Positions in `flows`.
    pub(super) flows: Vec<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Flow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) protocol: String,
    pub(super) ports: String,
    /// Whether it was wished, with `--allow`.
    pub(super) wished: bool,
    pub(super) connections: u64,
    pub(super) last: Option<String>,
    #[serde(skip)]
    pub(super) text: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) flow: String,
    pub(super) connections: u64,
    pub(super) last: Option<String>,
    pub(super) why: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Also {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) ports: Vec<String>,
    pub(super) by: Vec<String>,
    pub(super) why: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Block {
    pub(super) workloads: Vec<String>,
    pub(super) direction: String,
    pub(super) block: String,
    pub(super) networks: usize,
}

/// What `verify` says of the policies.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    /// How many expectations are met.
    pub(super) met: usize,
    /// Those that are not, and why.
    pub(super) unmet: Vec<String>,
}

impl Report {
    pub(super) fn new(
        recommended: &Recommendation,
        wishes: &[Wish],
        made: &Made,
        surplus: &[Surplus],
        cases: &[CaseReport],
    ) -> Self {
        let rules = recommended.policies.iter().map(|one| {
            // As the object has them: ingress comes first for whoever reads.
            let directions = [Direction::Ingress, Direction::Egress].into_iter();
            let fields = directions.flat_map(|direction| {
                let reasons = one.reasons[direction as usize].iter().enumerate();
                reasons
                    .map(move |(at, flows)| Reasons { field: format!("spec.{direction}[{at}]"), flows: flows.clone() })
            });
            fields.collect()
        });
        Self {
            policies: recommended.policies.iter().map(|one| written::policy(&one.policy)).collect(),
            rules: rules.collect(),
            flows: wishes.iter().map(|wish| flow(wish, made.wishes.get(wish))).collect(),
            told: told(recommended, wishes, made),
            also_passes: surplus.iter().map(|one| also(one, &recommended.alike)).collect(),
            alike: recommended.alike.iter().map(|names| names.iter().map(ToString::to_string).collect()).collect(),
            widened: recommended.widened.iter().map(block).collect(),
            replaces: Vec::new(),
            notes: Vec::new(),
            proof: Proof::new(cases),
        }
    }
}

impl Proof {
    fn new(cases: &[CaseReport]) -> Self {
        let why = |case: &CaseReport| match &case.outcome {
            Outcome::Passed { .. } => None,
            Outcome::Error { message } => Some(format!("{}: {message}", case.name)),
            Outcome::Failed { failures, .. } => Some(format!("{}: {}", case.name, first(failures))),
        };
        let unmet: Vec<String> = cases.iter().filter_map(why).collect();
        Self { met: cases.len() - unmet.len(), unmet }
    }
}

fn first(failures: &[Failure]) -> String {
    let Some(Failure { from, to, allowed, reasons, .. }) = failures.first() else { return String::new() };
    let is = if *allowed { "allowed" } else { "denied" };
    let reasons: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    format!("{from} -> {to} is {is}: {}", reasons.join("; "))
}

fn flow(wish: &Wish, seen: Option<&Seen>) -> Flow {
    let Seen { connections, last, wished } = seen.copied().unwrap_or_default();
    let last = last.map(time);
    let text = format!("{wish}: {}", said(connections, last.as_deref(), wished));
    let (from, to) = (wish.from.to_string(), wish.to.to_string());
    let (protocol, ports) = (wish.protocol.to_string(), wish.ports.to_string());
    Flow { from, to, protocol, ports, wished, connections, last, text }
}

/// `12 connections, last 2026-11-28T22:56:12Z; as wished`.
pub(super) fn said(connections: u64, last: Option<&str>, wished: bool) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    let seen = last.map(|last| format!("{connections} connection{plural}, last {last}"));
    let parts: Vec<String> = seen.into_iter().chain(wished.then(|| "as wished".to_owned())).collect();
    parts.join("; ")
}

fn time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn told(recommended: &Recommendation, wishes: &[Wish], made: &Made) -> Vec<Told> {
    let one = |flow: String, seen: Option<&Seen>, why: String| {
        let Seen { connections, last, .. } = seen.copied().unwrap_or_default();
        Told { flow, connections, last: last.map(time), why }
    };
    let unsaid = made.told.iter().map(|((flow, why), seen)| one(flow.clone(), Some(seen), (*why).to_owned()));
    let left_out = recommended.left_out.iter().map(|(number, why)| {
        let wish = &wishes[*number];
        one(wish.to_string(), made.wishes.get(wish), why.to_string())
    });
    unsaid.chain(left_out).collect()
}

fn also(one: &Surplus, alike: &[Vec<NamespacedName>]) -> Also {
    let whom = |whom: &Whom| match whom {
        Whom::Place(place) => place.to_string(),
        Whom::Anybody(Population { ipv6, outside }) => {
            let family = if *ipv6 { "IPv6" } else { "IPv4" };
            if *outside { format!("any {family} address outside") } else { format!("any pod over {family}") }
        }
    };
    let (from, to) = (whom(&one.from), whom(&one.to));
    let group = alike.iter().find(|names| names.iter().any(|name| [&from, &to].contains(&&name.to_string())));
    let of_cluster = one.by.iter().any(|rule| matches!(rule, RuleName::Cluster(_))) || one.by.is_empty();
    let why = match group {
        _ if of_cluster => "cluster policies accept it".to_owned(),
        Some(names) => {
            let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
            format!("no labels tell {} apart", names.into_iter().collect::<Vec<_>>().join(" and "))
        }
        None => "a block that was wished holds its address".to_owned(),
    };
    Also { from, to, ports: ports(&one.ports), by: one.by.iter().map(ToString::to_string).collect(), why }
}

fn block(one: &Widened) -> Block {
    let workloads = one.workloads.iter().map(ToString::to_string).collect();
    let Widened { direction, block, networks, .. } = one;
    Block { workloads, direction: direction.to_string(), block: block.to_string(), networks: *networks }
}

/// By namespace: how many policies there are for it.
pub(super) fn count(policies: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for namespace in policies.iter().filter_map(|policy| policy["metadata"]["namespace"].as_str()) {
        *counts.entry(namespace).or_default() += 1;
    }
    counts
}

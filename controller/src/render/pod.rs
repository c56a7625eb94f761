//! The chains of a pod, and what counts in them.
//!
//! | chain | holds |
//! |---|---|
//! | `pod-egress-NAMESPACE-POD-HASH` | its tables in turn, then what is dropped is counted and told |
//! | `denied-egress-...` | counts, tells and drops what cluster policies deny |
//! | `audit-egress-...` | what is allowed comes here: the tables that it would come under with audited policies enforced |
//! | `would-drop-egress-...` | counts and tells what those would drop, and allows it |
//!
//! Tables are shared by pods, so what they deny finds its pod's chain by the address of the pod (`ways.rs`).
//!
//! Invariant: a pod has its counters for as long as it is here, however often its chains are written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use palisade_model::{Audit, Direction, NamespacedName, PodEnforcement, TableKey, Tier, TierKey};
use palisade_nft::{Action, Chain, Comment, CtState, Match, Name, NamedCounter, Statement, Verdict};

use super::dispatch::Map;
use super::logs::{Logs, Prefix, Told};
use super::names::{self, Form};
use super::objects::{allowed, peer, statement};
use super::origin::chain;
use super::tiers;

/// What judged pods have of their own.
#[derive(Debug, Default)]
pub(super) struct Chains {
    pub(super) chains: BTreeMap<Name, Chain>,
    /// The verdict maps that lead to them.
    pub(super) entries: Vec<(Map, Name)>,
}

impl Chains {
    pub(super) fn of(id: &NamespacedName, pod: &PodEnforcement, logs: Logs) -> Self {
        let mut of_pod = Self::default();
        for direction in Direction::ALL {
            of_pod.add_direction(direction, id, pod, logs);
        }
        if tiers::is_at_input(pod) {
            of_pod.add(Map::OwnNode, names::node_chain(id), tiers::node_chain(id, pod, logs));
        }
        of_pod
    }

    fn add_direction(&mut self, direction: Direction, id: &NamespacedName, pod: &PodEnforcement, logs: Logs) {
        let audit = pod.audit(direction);
        if pod.is_judged(direction) || audit.is_some() {
            let judging = pod_chain(direction, id, pod, logs);
            self.add(Map::Forward(direction), names::pod_chain(direction, id), judging);
        }
        if pod.tiers.iter().any(|key| key.direction == direction) {
            self.add(Map::Denied(direction), names::denied(direction, id), denied(direction, id, logs));
        }
        if let Some(audit) = audit {
            self.add(Map::WouldDrop(direction), names::would_drop(direction, id), would_drop(direction, id, logs));
            if pod.is_judged(direction) {
                let text = format!("{}{id}", audit_comment(direction));
                let audits = chain(&text, audit_rules(direction, id, pod, audit));
                self.add(Map::Audit(direction), names::audit(direction, id), audits);
            }
        }
    }

    fn add(&mut self, map: Map, name: Name, chain: Chain) {
        self.entries.push((map, name.clone()));
        self.chains.insert(name, chain);
    }
}

/// The chain that an address of the pod leads to, where packets are forwarded.
pub(super) fn entry(direction: Direction, id: &NamespacedName, pod: &PodEnforcement) -> Option<Name> {
    let is_entered = pod.is_judged(direction) || pod.audit(direction).is_some();
    is_entered.then(|| names::pod_chain(direction, id))
}

/// What counts of a pod that is here, or is judged.
pub(super) fn counters(id: &NamespacedName, pod: Option<&PodEnforcement>) -> BTreeMap<Name, NamedCounter> {
    let of_direction = |direction| {
        let under_tiers = pod.is_some_and(|pod| pod.tiers.iter().any(|key| key.direction == direction));
        let audited = pod.is_some_and(|pod| pod.audit(direction).is_some());
        let denied = under_tiers.then(|| (names::denied(direction, id), "that cluster policies deny"));
        let would_drop = audited.then(|| (names::would_drop(direction, id), "that audited policies would drop"));
        let all = [Some((names::dropped(direction, id), "that is dropped")), denied, would_drop];
        all.into_iter().flatten().map(move |(name, what)| {
            let comment = Some(Comment::new(&format!("{direction} of {id} {what}")));
            (name, NamedCounter { comment })
        })
    };
    Direction::ALL.into_iter().flat_map(of_direction).collect()
}

type Forms<'a, Key> = BTreeSet<(&'a Arc<Key>, Form)>;

/// The tables that are used in another than the plain form.
pub(super) fn forms(pod: &PodEnforcement) -> (Forms<'_, TableKey>, Forms<'_, TierKey>) {
    let mut of_policies = BTreeSet::new();
    let mut of_tiers = BTreeSet::new();
    for (direction, audit) in &pod.audit {
        of_policies.extend(pod.table(*direction).map(|key| (key, Form::Watched)));
        of_tiers.extend(pod.tiers.iter().filter(|key| key.direction == *direction).map(|key| (key, Form::Watched)));
        of_tiers.extend(audit.tiers.iter().map(|key| (key, Form::Shadow)));
    }
    (of_policies, of_tiers)
}

/// The Admin tier, then NetworkPolicy if it isolates the pod, otherwise the Baseline tier. That a pod reaches itself is for
/// NetworkPolicy to allow. What all allow is allowed, or goes on to the audit.
fn pod_chain(direction: Direction, id: &NamespacedName, pod: &PodEnforcement, logs: Logs) -> Chain {
    let audit = pod.audit(direction);
    let (form, passes) = match audit {
        Some(_) => (Form::Watched, Verdict::Goto(names::audit(direction, id))),
        None => (Form::Plain, allowed(direction)),
    };
    let Some(audit) = audit.filter(|_| !pod.is_judged(direction)) else {
        let rules: Vec<Statement> = match pod.table(direction) {
            Some(table) => {
                let itself = itself(direction, pod, &passes);
                let policies = jump(names::policies_chain(table, form));
                itself.into_iter().chain([policies]).chain(dropped(direction, id, logs)).collect()
            }
            None => {
                let baseline = pod.tier(direction, Tier::Baseline).map(|key| jump(names::tier_chain(key, form)));
                baseline.into_iter().chain([statement([], Action::Verdict(passes))]).collect()
            }
        };
        let ahead = tiers::ahead(direction, id, pod, form, logs);
        return chain(&format!("{}{id}", comment(direction)), ahead.chain(rules));
    };
    chain(&format!("{}{id}", audit_comment(direction)), audit_rules(direction, id, pod, audit))
}

/// What is allowed in the end, and told where audited policies would drop it.
fn audit_rules(direction: Direction, id: &NamespacedName, pod: &PodEnforcement, audit: &Audit) -> Vec<Statement> {
    let admin = audit.tier(Tier::Admin).map(|key| jump(names::tier_chain(key, Form::Shadow)));
    let rest: Vec<Statement> = match &audit.table {
        Some(table) => {
            let itself = itself(direction, pod, &allowed(direction));
            let policies = jump(names::policies_chain(table, Form::Plain));
            let would_drop = Action::Verdict(Verdict::Goto(names::would_drop(direction, id)));
            itself.into_iter().chain([policies, statement([], would_drop)]).collect()
        }
        None => {
            let baseline = audit.tier(Tier::Baseline).map(|key| jump(names::tier_chain(key, Form::Shadow)));
            baseline.into_iter().chain([statement([], Action::Verdict(allowed(direction)))]).collect()
        }
    };
    admin.into_iter().chain(rest).collect()
}

fn itself(direction: Direction, pod: &PodEnforcement, verdict: &Verdict) -> Vec<Statement> {
    let to_itself = |address| statement([Match::Address(peer(direction), address)], Action::Verdict(verdict.clone()));
    pod.addresses.iter().map(|address| to_itself(*address)).collect()
}

/// What no policy allows.
fn dropped(direction: Direction, id: &NamespacedName, logs: Logs) -> Vec<Statement> {
    let comment = Some(Comment::new(&format!("{direction} of {id} that no policy allows")));
    let prefix = Prefix::of(Told::Policy, direction, id);
    let counter = names::dropped(direction, id);
    let drop = Statement { comment, ..statement([], Action::Verdict(Verdict::Drop)) };
    match logs {
        Logs(None) => vec![logs.tell(drop, counter, &prefix)],
        Logs(Some(_)) => {
            let [told, strays] = of_no_connection(direction, id, logs);
            vec![told, strays, logs.tell(Statement::default(), counter, &prefix), drop]
        }
    }
}

/// Whoever is judged gets, and sends, nothing that belongs to no connection: rules ask for the ends of connections.
pub(super) fn of_no_connection(direction: Direction, id: &NamespacedName, logs: Logs) -> [Statement; 2] {
    let state = || [Match::CtState([CtState::Invalid, CtState::Untracked].into())];
    let prefix = Prefix::of(Told::NoConnection, direction, id);
    let told = logs.tell(statement(state(), Action::Continue), names::dropped(direction, id), &prefix);
    let comment = Some(Comment::new("belongs to no connection"));
    [told, Statement { comment, ..statement(state(), Action::Verdict(Verdict::Drop)) }]
}

fn denied(direction: Direction, id: &NamespacedName, logs: Logs) -> Chain {
    let text = format!("{direction} of {id} that cluster policies deny");
    let all = Logs::default().tell(
        Statement::default(),
        names::dropped(direction, id),
        &Prefix::of(Told::Tier, direction, id),
    );
    let denied = logs.tell(Statement::default(), names::denied(direction, id), &Prefix::of(Told::Tier, direction, id));
    chain(&text, [all, denied, statement([], Action::Verdict(Verdict::Drop))])
}

fn would_drop(direction: Direction, id: &NamespacedName, logs: Logs) -> Chain {
    let text = format!("{direction} of {id} that audited policies would drop");
    let prefix = Prefix::of(Told::Audit, direction, id);
    let told = logs.tell(Statement::default(), names::would_drop(direction, id), &prefix);
    chain(&text, [told, statement([], Action::Verdict(allowed(direction)))])
}

fn jump(chain: Name) -> Statement {
    statement([], Action::Verdict(Verdict::Jump(chain)))
}

/// The pod that the comment on a pod chain names, which some policy that is enforced judges.
pub(super) fn pod_of(direction: Direction, text: &Comment) -> Option<String> {
    text.as_str().strip_prefix(&comment(direction)).map(str::to_owned)
}

fn comment(direction: Direction) -> String {
    format!("{direction} of pod ")
}

fn audit_comment(direction: Direction) -> String {
    format!("audit of {direction} of pod ")
}

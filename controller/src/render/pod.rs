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
use palisade_nft::{Action, Chain, Comment, Counter, CtState, Match, Name, NamedCounter, Statement, Verdict};

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
        if pod.is_under_tiers(direction) {
            self.add(Map::Denied(direction), names::denied(direction, id), denied(direction, id, logs));
        }
        if let Some(audit) = audit {
            self.add(Map::WouldDrop(direction), names::would_drop(direction, id), would_drop(direction, id, logs));
            if pod.is_judged(direction) {
                let audits = audit_chain(direction, id, pod, audit);
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

/// What a counter of what audited policies would drop says after whose it is.
pub(super) const WOULD_DROP: &str = " that audited policies would drop";

/// What counts of a pod that is here, or is judged.
pub(super) fn counters(id: &NamespacedName, pod: Option<&PodEnforcement>) -> BTreeMap<Name, NamedCounter> {
    let of_direction = |direction| {
        let under_tiers = pod.is_some_and(|pod| pod.is_under_tiers(direction));
        let audited = pod.is_some_and(|pod| pod.audit(direction).is_some());
        let denied = under_tiers.then(|| (names::denied(direction, id), " that cluster policies deny"));
        let would_drop = audited.then(|| (names::would_drop(direction, id), WOULD_DROP));
        let all = [Some((names::dropped(direction, id), " that is dropped")), denied, would_drop];
        all.into_iter().flatten().map(move |(name, what)| {
            let comment = Some(Comment::new(&format!("{direction} of {id}{what}")));
            (name, NamedCounter { comment })
        })
    };
    Direction::ALL.into_iter().flat_map(of_direction).collect()
}

/// Tables, each in a form.
type InForms<'a, K> = BTreeSet<(&'a Arc<K>, Form)>;

/// The tables that are used in another than the plain form.
pub(super) fn forms(pod: &PodEnforcement) -> (InForms<'_, TableKey>, InForms<'_, TierKey>) {
    let mut of_policies = BTreeSet::new();
    let mut of_tiers = BTreeSet::new();
    for (direction, audit) in &pod.audit {
        of_policies.extend(pod.table(*direction).map(|key| (key, Form::Watched)));
        of_tiers.extend(pod.tiers.iter().filter(|key| key.direction == *direction).map(|key| (key, Form::Watched)));
        of_tiers.extend(audit.tiers.iter().map(|key| (key, Form::Shadow)));
    }
    (of_policies, of_tiers)
}

/// What an address of the pod leads to: what judges it, or where only its audit has a say, that.
fn pod_chain(direction: Direction, id: &NamespacedName, pod: &PodEnforcement, logs: Logs) -> Chain {
    match pod.audit(direction) {
        Some(audit) if !pod.is_judged(direction) => audit_chain(direction, id, pod, audit),
        Some(_) => judging(direction, id, pod, Form::Watched, &Verdict::Goto(names::audit(direction, id)), logs),
        None => judging(direction, id, pod, Form::Plain, &allowed(direction), logs),
    }
}

/// The Admin tier, then NetworkPolicy if it isolates the pod, otherwise the Baseline tier. That a pod reaches itself is for
/// NetworkPolicy to allow. `passes`: what becomes of what all allow.
fn judging(
    direction: Direction,
    id: &NamespacedName,
    pod: &PodEnforcement,
    form: Form,
    passes: &Verdict,
    logs: Logs,
) -> Chain {
    let rules: Vec<Statement> = match pod.table(direction) {
        Some(table) => {
            let policies = jump(names::policies_chain(table, form));
            let itself = itself(direction, pod, passes);
            itself.into_iter().chain([policies]).chain(dropped(direction, id, logs)).collect()
        }
        None => {
            let baseline = pod.tier(direction, Tier::Baseline).map(|key| jump(names::tier_chain(key, form)));
            baseline.into_iter().chain([statement([], Action::Verdict(passes.clone()))]).collect()
        }
    };
    chain(&format!("{}{id}", comment(direction)), tiers::ahead(direction, id, pod, form, logs).chain(rules))
}

fn audit_chain(direction: Direction, id: &NamespacedName, pod: &PodEnforcement, audit: &Audit) -> Chain {
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
    let comment = format!("{direction} of {id} that no policy allows");
    let drop = told_drop([], &comment, logs, Told::Policy, direction, id);
    // What belongs to no connection has another cause, which matters only where it is told.
    let strays = logs.is_heard().then(|| of_no_connection(direction, id, logs));
    strays.into_iter().flatten().chain(drop).collect()
}

/// Whoever is judged gets, and sends, nothing that belongs to no connection: rules ask for the ends of connections.
pub(super) fn of_no_connection(direction: Direction, id: &NamespacedName, logs: Logs) -> Vec<Statement> {
    let state = Match::CtState([CtState::Invalid, CtState::Untracked].into());
    told_drop([state], "belongs to no connection", logs, Told::NoConnection, direction, id)
}

/// Counts, tells and drops. Beyond the limit of what is told a rule ends, so that it takes another one to drop.
fn told_drop<const N: usize>(
    matches: [Match; N],
    comment: &str,
    logs: Logs,
    told: Told,
    direction: Direction,
    id: &NamespacedName,
) -> Vec<Statement> {
    let (counter, prefix) = (names::dropped(direction, id), Prefix::of(told, direction, id));
    let comment = Some(Comment::new(comment));
    let drop = Statement { comment, ..statement(matches.clone(), Action::Verdict(Verdict::Drop)) };
    if logs.is_heard() {
        vec![logs.tell(statement(matches, Action::Continue), counter, &prefix), drop]
    } else {
        vec![logs.tell(drop, counter, &prefix)]
    }
}

fn denied(direction: Direction, id: &NamespacedName, logs: Logs) -> Chain {
    let text = format!("{direction} of {id} that cluster policies deny");
    let all = Statement { counter: Some(Counter::Named(names::dropped(direction, id))), ..Statement::default() };
    let denied = logs.tell(Statement::default(), names::denied(direction, id), &Prefix::of(Told::Tier, direction, id));
    chain(&text, [all, denied, statement([], Action::Verdict(Verdict::Drop))])
}

fn would_drop(direction: Direction, id: &NamespacedName, logs: Logs) -> Chain {
    let text = format!("{direction} of {id}{WOULD_DROP}");
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

/// Whether a chain's comment says that no policy that is enforced judges its pod.
pub(super) fn is_audit(text: &Comment) -> bool {
    Direction::ALL.into_iter().any(|direction| text.as_str().starts_with(&audit_comment(direction)))
}

fn comment(direction: Direction) -> String {
    format!("{direction} of pod ")
}

fn audit_comment(direction: Direction) -> String {
    format!("audit of {direction} of pod ")
}

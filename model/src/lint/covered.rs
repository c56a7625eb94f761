//! Policies that say nothing which others do not say, too.

use std::collections::BTreeMap;

use super::known::Known;
use super::within;
use crate::reference::Cluster;
use crate::{Direction, NamespacedName, Peers, Policy, Ports, Rule};

/// How many names are told.
const NAMES: usize = 3;

/// Each with those that say it, so that all of these can go at once: of two that say the same the lesser name stays.
pub(super) fn covered<'a>(known: &Known<'a>) -> BTreeMap<&'a NamespacedName, Vec<&'a NamespacedName>> {
    let mut covered = BTreeMap::new();
    for policies in known.policies() {
        let mut kept: Vec<&Policy> = policies.to_vec();
        for policy in policies.iter().rev() {
            let is_wider = |other: &&&Policy| {
                let counts = other.id != policy.id && other.enforcement <= policy.enforcement;
                counts && within::selector(&policy.selector, &other.selector)
            };
            let wider: Vec<&Policy> = kept.iter().filter(is_wider).copied().collect();
            if !wider.is_empty() && Direction::ALL.into_iter().all(|end| says_all(known.cluster(), policy, &wider, end))
            {
                kept.retain(|other| other.id != policy.id);
                covered.insert(&policy.id, wider.into_iter().map(|other| &other.id).collect());
            }
        }
    }
    covered
}

pub(super) fn reason(by: &[&NamespacedName]) -> String {
    let names = by.iter().take(NAMES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = by.len().saturating_sub(NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("adds nothing: whom it selects {names}{more} isolate as well, and all that it admits they admit")
}

fn says_all(cluster: &Cluster, policy: &Policy, wider: &[&Policy], direction: Direction) -> bool {
    let Some(rules) = policy.rules(direction) else { return true };
    let mut isolating = wider.iter().filter_map(|other| other.rules(direction)).peekable();
    let isolates = isolating.peek().is_some();
    let others: Vec<&Rule> = isolating.flatten().collect();
    isolates && rules.iter().all(|rule| admit_all(cluster, rule, &others))
}

/// Whether all that a rule admits the others admit.
fn admit_all(cluster: &Cluster, rule: &Rule, others: &[&Rule]) -> bool {
    let ports = |admits: &dyn Fn(&Peers) -> bool| -> Vec<&Ports> {
        others.iter().filter(|other| admits(&other.peers)).map(|other| &other.ports).collect()
    };
    match &rule.peers {
        Peers::All => within::ports(&rule.ports, &ports(&|peers| *peers == Peers::All)),
        Peers::AnyOf(entries) => entries.iter().all(|entry| {
            let admits = |peers: &Peers| match peers {
                Peers::All => true,
                Peers::AnyOf(peers) => peers.iter().any(|other| within::peer(cluster, entry, other)),
            };
            within::ports(&rule.ports, &ports(&admits))
        }),
    }
}

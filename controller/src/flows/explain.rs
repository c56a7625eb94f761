//! What a decision says, in a record.

use palisade_model::{Allowed, ClusterRuleRef, Denied, Direction, NamespacedName, RuleRef, Why};

use super::record::{Nearest, Reason, Record, Rule};

/// Which policies judge.
pub(super) fn judges(why: &Why, record: &mut Record) {
    record.policies = why.isolating.iter().map(ToString::to_string).collect();
    record.peer.block = why.block.map(|block| block.to_string());
}

/// What denied it, and what came nearest.
pub(super) fn denied(by: &Denied, why: &Why, record: &mut Record) {
    record.nearest = why.nearest.as_ref().map(|miss| Nearest {
        policy: text_of(&miss.policy),
        field: miss.field(),
        text: miss.to_string(),
    });
    match by {
        Denied::NoRule => {
            record.text = match why.isolating.as_slice() {
                [policy] => format!("no {} rule of {policy} admits it", record.direction),
                policies => format!("no {} rule of {} policies admits it", record.direction, policies.len()),
            };
        }
        Denied::ClosedNamespace => {
            record.reason = Reason::Shares;
            record.text =
                format!("namespace {} is closed: its policies cost more than its share", record.pod.namespace);
        }
        Denied::ClusterRule(rule) => {
            record.text = format!("denied by {rule}");
            record.rule = Some(of_cluster(rule));
        }
    }
}

/// What allowed it.
pub(super) fn allowed(by: &Allowed, record: &mut Record) {
    match by {
        Allowed::NotIsolated => {
            record.text =
                format!("no policy isolates {}/{} on {}", record.pod.namespace, record.pod.name, record.direction);
        }
        Allowed::OwnNode => record.text = "a pod and its own node reach each other".to_owned(),
        Allowed::Itself => record.text = "a pod reaches itself".to_owned(),
        Allowed::Rule(RuleRef { policy, index }) => {
            admitted(record, rule(&policy.to_string(), record.direction, *index));
        }
        Allowed::ClusterRule(by) => admitted(record, of_cluster(by)),
    }
}

/// Why that is so: of what was allowed.
pub(super) fn reason(by: &Allowed) -> Reason {
    match by {
        Allowed::NotIsolated => Reason::Open,
        Allowed::OwnNode => Reason::OwnNode,
        Allowed::Itself => Reason::Itself,
        Allowed::Rule(_) => Reason::Policy,
        Allowed::ClusterRule(_) => Reason::Tier,
    }
}

fn admitted(record: &mut Record, rule: Rule) {
    record.text = format!("allowed by {} {}", rule.policy, rule.field);
    record.rule = Some(rule);
}

fn of_cluster(rule_ref: &ClusterRuleRef) -> Rule {
    rule(&rule_ref.policy, rule_ref.direction, rule_ref.index)
}

fn rule(policy: &str, direction: Direction, index: usize) -> Rule {
    Rule { policy: policy.to_owned(), field: format!("spec.{direction}[{index}]") }
}

/// Of a cluster policy the name alone.
fn text_of(policy: &NamespacedName) -> String {
    if policy.namespace.is_empty() { policy.name.to_string() } else { policy.to_string() }
}

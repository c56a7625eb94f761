//! Which rule decides, and which ones were asked that would have let the connection pass had they matched.

use super::facts::Facts;
use super::looks::Looks;
use super::rule::{Placed, RuleView, Source};
use super::{Allowed, Decision, Denied};
use crate::{ClusterPolicy, ClusterRuleRef, Direction, RuleRef, Tier, TierAction};

/// What decides; where that drops the connection, with the rules that might have let it pass.
type Decided<'a> = (Decision, Vec<Placed<'a>>);

impl<'a> Facts<'a> {
    pub(super) fn decide(&self, looks: &mut Looks) -> Decided<'a> {
        let is_own_node = self.peer.is_own_node && !self.peer.is_itself;
        if is_own_node && self.direction == Direction::Ingress {
            return allowed(Allowed::OwnNode);
        }
        let mut accepting = Vec::new();
        if let Some(decided) = self.ask(Tier::Admin, &mut accepting) {
            return decided;
        }
        if self.policies.is_empty() {
            return self.ask(Tier::Baseline, &mut accepting).unwrap_or_else(|| allowed(Allowed::NotIsolated));
        }
        if self.peer.is_itself {
            return allowed(Allowed::Itself);
        }
        if is_own_node {
            return allowed(Allowed::OwnNode);
        }
        if self.closed {
            return (Decision::Denied(Denied::ClosedNamespace), Vec::new());
        }
        self.ask_policies(looks)
    }

    fn ask_policies(&self, looks: &mut Looks) -> Decided<'a> {
        let first = self.rules().find(|rule| rule.view.matches(self, looks));
        match first.and_then(|rule| rule.of_policy()) {
            Some(rule) => allowed(Allowed::Rule(rule)),
            None => (Decision::Denied(Denied::NoRule), self.rules().collect()),
        }
    }

    /// Asks a tier of cluster policies; `None` where it passes the connection on. `accepting` gets the rules that would
    /// have accepted it. Who writes them is trusted, and no part of them can be left out.
    fn ask(&self, tier: Tier, accepting: &mut Vec<Placed<'a>>) -> Option<Decided<'a>> {
        let mut looks = Looks::new(usize::MAX);
        for policy in self.cluster_policies_of(tier) {
            for (index, rule) in policy.rules(self.direction).iter().enumerate() {
                let view = RuleView::from(rule);
                if view.matches(self, &mut looks) {
                    let at = ClusterRuleRef { policy: policy.name.clone(), direction: self.direction, index };
                    return match rule.action {
                        TierAction::Accept => Some(allowed(Allowed::ClusterRule(at))),
                        TierAction::Deny => {
                            Some((Decision::Denied(Denied::ClusterRule(at)), std::mem::take(accepting)))
                        }
                        TierAction::Pass => None,
                    };
                }
                if rule.action == TierAction::Accept {
                    accepting.push(Placed { source: Source::ClusterPolicy(&policy.name), index, view });
                }
            }
        }
        None
    }

    /// The cluster policies of a tier whose subject the pod is, in the order in which they are asked.
    pub(super) fn cluster_policies_of(&self, tier: Tier) -> Vec<&'a ClusterPolicy> {
        let is_asked = |policy: &&ClusterPolicy| policy.tier == tier && self.subject.is_in(&policy.subject);
        let mut policies: Vec<&ClusterPolicy> = self.cluster_policies.iter().copied().filter(is_asked).collect();
        policies.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
        policies
    }

    /// The rules of the policies that isolate the pod, in order.
    pub(super) fn rules(&self) -> impl Iterator<Item = Placed<'a>> {
        self.policies.iter().copied().flat_map(|policy| {
            let rules = policy.rules(self.direction).unwrap_or_default();
            let source = Source::Policy(&policy.id);
            rules.iter().enumerate().map(move |(index, rule)| Placed { source, index, view: RuleView::from(rule) })
        })
    }
}

impl Placed<'_> {
    fn of_policy(&self) -> Option<RuleRef> {
        match self.source {
            Source::Policy(policy) => Some(RuleRef { policy: policy.clone(), index: self.index }),
            Source::ClusterPolicy(_) => None,
        }
    }
}

fn allowed<'a>(by: Allowed) -> Decided<'a> {
    (Decision::Allowed(by), Vec::new())
}

//! What one end says.

use palisade_model::reference::{Cluster, DirectionVerdict, Flow, TierVerdict};
use palisade_model::{Attempt, ClusterRuleRef, Direction, Enforcement, TierAction};
use serde::Serialize;

use super::End;
use super::explanation::{LOOPBACK, OWN_NODE};
use crate::text::some_of;

/// How many policies are named.
const POLICIES: usize = 5;
/// How long the name of one is at most, in bytes.
const NAME: usize = 253;

/// What the policies on one end say.
#[derive(Debug, Serialize)]
pub(super) struct Judgement {
    isolated: bool,
    /// Whether its namespace is closed on its node, so that no rule was asked.
    closed: bool,
    allowed: bool,
    /// The node that judges there: the pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// The tiers of cluster policies that were asked, in that order, and that have policies for the pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<Tier>,
    policies: Vec<String>,
    rule: Option<Rule>,
    /// The rule that would have allowed it but for what it lacks, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<String>,
    /// What policies under audit would drop it for, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_drop: Option<String>,
}

/// What a tier of cluster policies says.
#[derive(Debug, Serialize)]
pub(super) struct Tier {
    tier: String,
    /// The cluster policies whose subject the pod is, in the order in which they are asked.
    policies: Vec<String>,
    /// The rule that matches first; without one the connection is passed on.
    decision: Option<Decision>,
}

#[derive(Debug, Serialize)]
struct Decision {
    /// `Accept`, `Deny`, or `Pass`, which passes the connection on.
    action: String,
    policy: String,
    /// The field of the policy, as `spec.egress[0]`.
    field: String,
    /// The rule's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rule {
    policy: String,
    /// The field of the policy, as `spec.ingress[0]`.
    field: String,
}

impl Judgement {
    pub(super) fn new(cluster: &Cluster, direction: Direction, flow: &Flow, verdict: DirectionVerdict) -> Self {
        let peer = if direction == Direction::Egress { flow.destination } else { flow.source };
        let why = |up_to| {
            let pod = verdict.subject.clone()?;
            cluster.why(&Attempt { direction, pod, peer, traffic: flow.traffic, up_to })
        };
        let nearest = why(Enforcement::Enforced).and_then(|why| why.nearest).map(|miss| miss.to_string());
        let would_drop = cluster.would_drop(flow, direction).then(|| why(Enforcement::Audited)).flatten();
        let would_drop = would_drop.map(|why| why.to_string());
        let own = if direction == Direction::Egress { flow.source } else { flow.destination };
        let node = cluster.owner(own).and_then(|pod| pod.node.as_deref()).filter(|node| !node.is_empty());
        let node = node.map(str::to_owned);
        let tiers = verdict.tiers.into_iter().filter(|tier| !tier.policies.is_empty());
        Self {
            isolated: verdict.isolated,
            node,
            closed: verdict.closed,
            allowed: verdict.allowed,
            tiers: tiers.map(|tier| Tier::new(cluster, tier)).collect(),
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            rule: verdict.rule.map(|rule| Rule {
                policy: rule.policy.to_string(),
                field: format!("spec.{direction}[{}]", rule.index),
            }),
            nearest,
            would_drop,
        }
    }

    /// For a person, in lines; of many policies the first ones, unless `all` are wanted.
    pub(super) fn lines(&self, direction: Direction, end: &End, pass: Option<&str>, all: bool) -> String {
        let from_node = direction == Direction::Ingress && pass == Some(OWN_NODE);
        let why = match from_node {
            true => "allowed: nothing comes between a pod and its own node".to_owned(),
            false => self.text(end, pass),
        };
        let direction = direction.to_string();
        let mut text = format!("  {direction:8}{why}\n");
        let mut line = |line: String| text += &format!("          {line}\n");
        self.passed(all).for_each(|passed| line(format!("after {passed}")));
        let most = if all { usize::MAX } else { POLICIES };
        self.policies.iter().take(most).for_each(|policy| line(format!("isolated by {policy}")));
        if self.policies.len() > most {
            line(format!("and by {} more: all with --all", self.policies.len() - most));
        }
        self.nearest.iter().for_each(|miss| line(format!("nearest: {miss}")));
        self.would_drop.iter().for_each(|why| line(format!("under audit it would be dropped: {why}")));
        self.node.iter().for_each(|node| line(format!("judged on node {node}")));
        text
    }

    /// Who decides, by what.
    fn text(&self, end: &End, pass: Option<&str>) -> String {
        let decided = self.tiers.iter().find_map(|tier| tier.final_text());
        match (decided, &end.pod, &self.rule, pass) {
            (Some(decided), ..) => decided,
            (None, None, ..) => format!("allowed: {} is no pod, so no policy applies to it", end.address),
            (None, Some(pod), ..) if !self.isolated => format!("allowed: no policy isolates {pod} in this direction"),
            (None, Some(_), _, Some(LOOPBACK)) => "allowed: a pod always reaches itself".to_owned(),
            (None, Some(_), _, Some(_)) => {
                "allowed: NetworkPolicy has no say between a pod and its own node".to_owned()
            }
            (None, Some(_), Some(rule), None) => format!("allowed by {} {}", rule.policy, rule.field),
            (None, Some(pod), None, None) if self.closed => {
                let namespace = pod.split('/').next().unwrap_or_default();
                format!(
                    "DENIED: namespace {namespace} is closed: over its share, so that no rule of its policies counts"
                )
            }
            (None, Some(_), None, None) => "DENIED: none of the policies' rules allows it".to_owned(),
        }
    }

    /// What passed the connection on before.
    fn passed(&self, all: bool) -> impl Iterator<Item = String> {
        let most = if all { usize::MAX } else { POLICIES };
        let passed = self.tiers.iter().filter(|tier| tier.final_text().is_none());
        passed.map(move |tier| match &tier.decision {
            Some(decision) => format!("{}, tier {}", decision.text(), tier.tier),
            None => {
                let policies = some_of(&tier.policies, most, NAME, ", ");
                format!("tier {}, where no rule of {policies} matches", tier.tier)
            }
        })
    }
}

impl Tier {
    fn new(cluster: &Cluster, verdict: TierVerdict) -> Self {
        let decision = |(rule, action): (ClusterRuleRef, TierAction)| {
            let policy = cluster.cluster_policies.get(&rule.policy);
            let rules = policy.map(|policy| policy.rules(rule.direction)).unwrap_or_default();
            Decision {
                action: action.to_string(),
                policy: rule.policy.to_string(),
                field: format!("spec.{}[{}]", rule.direction, rule.index),
                name: rules.get(rule.index).and_then(|rule| rule.name.as_deref()).map(str::to_owned),
            }
        };
        Self {
            tier: verdict.tier.to_string(),
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            decision: verdict.decision.map(decision),
        }
    }

    /// What it says, where that is final.
    fn final_text(&self) -> Option<String> {
        let decision = self.decision.as_ref()?;
        let verdict = match decision.action.as_str() {
            "Accept" => "allowed",
            "Deny" => "DENIED",
            _ => return None,
        };
        Some(format!("{verdict}: {}, tier {}", decision.text(), self.tier))
    }
}

impl Decision {
    fn text(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        format!("{} by {} {}{name}", self.action, self.policy, self.field)
    }
}

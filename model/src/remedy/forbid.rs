//! What would forbid a connection.

use super::allow::free;
use super::identity::{host, selector};
use super::narrow::{Unwanted, everything_but};
use super::{Edit, End, Obstacle, Remedy};
use crate::reference::{Cluster, Flow, Pass};
use crate::{Direction, Enforcement, NamespacedName, Peer, Peers, Pod, Policy, Ports, Rule, Tier, TierAction, Traffic};

/// How many rules are narrowed at most.
const RULES: usize = 64;

pub(super) fn forbid(cluster: &Cluster, flow: &Flow) -> Result<Remedy, Obstacle> {
    let verdict = cluster.verdict(flow);
    if !verdict.allowed {
        return Ok(Remedy::default());
    }
    if matches!(verdict.pass, Some(Pass::Loopback | Pass::OwnNode)) {
        return Err(Obstacle::AlwaysAllowed);
    }
    let ends = || [Direction::Ingress, Direction::Egress].into_iter().filter_map(|end| End::new(cluster, flow, end));
    if ends().next().is_none() {
        return Err(Obstacle::NoPod);
    }
    let ways = [End::narrow, End::deny, End::all_but];
    let remedies = ways.into_iter().flat_map(|way| ends().filter_map(move |end| way(&end)));
    let is_denied = |remedy: &Remedy| {
        let mut changed = cluster.clone();
        remedy.edits.iter().for_each(|edit| edit.apply(&mut changed));
        !changed.verdict(flow).allowed
    };
    remedies.into_iter().find(is_denied).ok_or(Obstacle::NotTold(flow.source))
}

impl End<'_> {
    /// All rules that admit it, without it.
    fn narrow(&self) -> Option<Remedy> {
        let mut changed = self.cluster.clone();
        let mut remedy = Remedy::default();
        let unwanted = Unwanted {
            cluster: self.cluster,
            address: self.peer(),
            pod: self.peer_pod(),
            traffic: self.flow.traffic,
            destination: self.cluster.owner(self.flow.destination),
        };
        for _ in 0..RULES {
            let verdict = changed.verdict(self.flow).of(self.direction).clone();
            if !verdict.allowed {
                return Some(remedy);
            }
            let at = verdict.rule.filter(|_| !decides(&verdict.tiers))?;
            let rule = changed.policies.get(&at.policy)?.rules(self.direction)?.get(at.index)?.clone();
            let (policy, direction) = (at.policy, self.direction);
            let mut by = unwanted.without(&rule)?.into_iter();
            let mut edits =
                vec![Edit::ReplaceRule { policy: policy.clone(), direction, rule: at.index, by: by.next() }];
            edits.extend(by.map(|rule| Edit::AddRule { policy: policy.clone(), direction, rule }));
            edits.iter().for_each(|edit| edit.apply(&mut changed));
            remedy.edits.extend(edits);
            if matches!((self.flow.traffic, &rule.ports), (Traffic::Port { .. }, Ports::All)) {
                remedy.notes.push(no_icmp(&policy));
            }
        }
        None
    }

    /// A cluster policy that denies it.
    fn deny(&self) -> Option<Remedy> {
        if self.direction == Direction::Ingress && self.peer_pod().is_none() {
            return None;
        }
        let verdict = self.cluster.verdict(self.flow);
        let admin = verdict.of(self.direction).tiers.iter().find(|tier| tier.tier == Tier::Admin);
        let than = admin.and_then(|tier| tier.decision.as_ref()).map(|(rule, _)| rule);
        let edit = self.first_in(Tier::Admin, than, TierAction::Deny).ok()?;
        Some(Remedy { edits: vec![edit], notes: Vec::new() })
    }

    /// A policy that isolates pods which nothing isolates, and lets everybody in, or out, but this one.
    fn all_but(&self) -> Option<Remedy> {
        let verdict = self.cluster.verdict(self.flow);
        let of = verdict.of(self.direction);
        let selector = selector(self.cluster, self.subject);
        let namespace = &self.subject.id.namespace;
        let is_selected = |pod: &&Pod| pod.id.namespace == *namespace && selector.matches(&pod.labels);
        let isolates = |pod: &Pod| {
            let mut policies = self.cluster.policies.values();
            policies.any(|policy| {
                let judges = policy.id.namespace == pod.id.namespace && policy.selector.matches(&pod.labels);
                judges && policy.rules(self.direction).is_some()
            })
        };
        let has_others = of.tiers.iter().any(|tier| tier.tier == Tier::Baseline && !tier.policies.is_empty());
        let is_narrowable = self.peer_pod().is_none() && !of.isolated && !has_others;
        if !is_narrowable || self.cluster.pods.values().filter(is_selected).any(isolates) {
            return None;
        }
        let others = Rule { peers: Peers::AnyOf(everything_but(self.peer()).collect()), ports: Ports::All };
        let same = Rule { peers: Peers::AnyOf(vec![Peer::Block(host(self.peer()).ok()?)]), ports: Ports::All };
        let unwanted = Unwanted {
            cluster: self.cluster,
            address: self.peer(),
            pod: None,
            traffic: self.flow.traffic,
            destination: self.cluster.owner(self.flow.destination),
        };
        let rules: Vec<Rule> = [others].into_iter().chain(unwanted.without(&same)?).collect();
        let taken = |name: &str| self.cluster.policies.contains_key(&NamespacedName::new(namespace.clone(), name));
        let id = NamespacedName::new(namespace.clone(), free(&self.name("deny"), taken));
        let of_direction = |direction| (self.direction == direction).then(|| rules.clone());
        let notes = match self.flow.traffic {
            Traffic::Port { .. } => vec![no_icmp(&id)],
            Traffic::Other(_) => Vec::new(),
        };
        let policy = Policy {
            id,
            enforcement: Enforcement::Enforced,
            selector,
            ingress: of_direction(Direction::Ingress),
            egress: of_direction(Direction::Egress),
        };
        Some(Remedy { edits: vec![Edit::NewPolicy(policy)], notes })
    }
}

fn decides(tiers: &[crate::reference::TierVerdict]) -> bool {
    tiers.iter().any(|tier| matches!(tier.decision, Some((_, TierAction::Accept | TierAction::Deny))))
}

fn no_icmp(policy: &NamespacedName) -> String {
    format!("{policy} lets ICMP from or to that end pass no more: rules with ports cannot name it")
}

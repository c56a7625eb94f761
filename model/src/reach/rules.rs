//! The rules of all policies, with what they ask of peers as [`Term`]s.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::PortSet;
use super::causes::RuleName;
use super::terms::{Term, TermId, Terms};
use crate::reference::Cluster;
use crate::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ClusterRuleRef, ContainerPort, Direction, Peer, Peers,
    Policy, PortMatch, PortRange, Ports, Protocol, Rule, RuleRef, Tier, TierAction,
};

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Admin,
    /// NetworkPolicy: if any isolates.
    Policy,
    /// If none isolates.
    Baseline,
}

impl From<Tier> for Stage {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Admin => Self::Admin,
            Tier::Baseline => Self::Baseline,
        }
    }
}

/// One rule.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) stage: Stage,
    pub(super) action: TierAction,
    /// Any of these; `None` for everybody.
    pub(super) peers: Option<Vec<TermId>>,
    ports: PortSet,
    /// The ports that it names, where the destination declares them.
    pub(super) named: Vec<(TermId, PortSet)>,
    pub(super) name: RuleName,
}

impl Asked {
    /// The ports that it is about; `declares`: whether the destination declares a port.
    pub(super) fn ports(&self, declares: impl Fn(TermId) -> bool) -> PortSet {
        let named = self.named.iter().filter(|(term, _)| declares(*term));
        named.fold(self.ports.clone(), |ports, (_, more)| ports.union(more))
    }
}

/// The rules that one policy has for one direction.
pub(super) type RuleIds = Range<usize>;

/// Everything that policies say.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) all: Vec<Asked>,
    /// By policy, then direction; `None` where the policy does not isolate in it.
    pub(super) of_policies: Vec<[Option<RuleIds>; 2]>,
    /// By cluster policy, then direction.
    pub(super) of_cluster_policies: Vec<[RuleIds; 2]>,
}

/// Ports that rules name, as pods declare them.
pub(super) type Declared = HashMap<(Protocol, Arc<str>), Vec<(TermId, PortSet)>>;

/// The ports that pods declare by names that rules use.
pub(super) fn declared(
    cluster: &Cluster,
    policies: &[&Policy],
    cluster_policies: &[&ClusterPolicy],
    terms: &mut Terms,
) -> Declared {
    let both = |direction| {
        let of_policies = policies.iter().filter_map(move |policy| policy.rules(direction)).flatten();
        let of_cluster = cluster_policies.iter().flat_map(move |policy| policy.rules(direction));
        of_policies.map(|rule| &rule.ports).chain(of_cluster.map(|rule| &rule.ports))
    };
    let names = Direction::ALL.into_iter().flat_map(both).filter_map(|ports| match ports {
        Ports::AnyOf(entries) => Some(entries),
        Ports::All => None,
    });
    let names = names.flatten().filter_map(|entry| match entry {
        PortMatch::Named { protocol, name } => Some((*protocol, name.clone())),
        PortMatch::Numbers { .. } => None,
    });
    let mut declared: Declared = names.map(|name| (name, Vec::new())).collect();
    if declared.is_empty() {
        return declared;
    }
    let ports: BTreeSet<&ContainerPort> = cluster.pods.values().flat_map(|pod| &pod.ports).collect();
    for port in ports {
        if let Some(numbers) = declared.get_mut(&(port.protocol, port.name.clone())) {
            let set = PortSet::range(port.protocol, PortRange::single(port.port));
            numbers.push((terms.intern(Term::Port(port.clone())), set));
        }
    }
    declared
}

impl Rules {
    /// The rules of a policy, by its number; cluster policies come after the others.
    pub(super) fn of(&self, number: usize, direction: Direction) -> RuleIds {
        match number.checked_sub(self.of_policies.len()) {
            Some(number) => self.of_cluster_policies[number][direction as usize].clone(),
            None => self.of_policies[number][direction as usize].clone().unwrap_or_default(),
        }
    }

    pub(super) fn policy(&mut self, policy: &Policy, closed: bool, declared: &Declared, terms: &mut Terms) {
        let of = Direction::ALL.map(|direction| {
            let start = self.all.len();
            let rules = policy.rules(direction)?.iter().enumerate().filter(|_| !closed);
            self.all.extend(rules.map(|(index, rule)| asked(policy, direction, index, rule, declared, terms)));
            Some(start..self.all.len())
        });
        self.of_policies.push(of);
    }

    pub(super) fn cluster_policy(&mut self, policy: &ClusterPolicy, declared: &Declared, terms: &mut Terms) {
        let of = Direction::ALL.map(|direction| {
            let start = self.all.len();
            let rules = policy.rules(direction).iter().enumerate();
            self.all.extend(rules.map(|(index, rule)| {
                let name = ClusterRuleRef { policy: policy.name.clone(), direction, index };
                cluster_asked(policy.tier, rule, RuleName::Cluster(name), declared, terms)
            }));
            start..self.all.len()
        });
        self.of_cluster_policies.push(of);
    }
}

fn asked(
    policy: &Policy,
    direction: Direction,
    index: usize,
    rule: &Rule,
    declared: &Declared,
    terms: &mut Terms,
) -> Asked {
    let term = |peer: &Peer| match peer {
        Peer::Pods(group) => Term::Pods(group.clone()),
        Peer::Block(block) => Term::Network(block.clone()),
    };
    let peers = match &rule.peers {
        Peers::All => None,
        Peers::AnyOf(peers) => Some(peers.iter().map(|peer| terms.intern(term(peer))).collect()),
    };
    let (ports, named) = ports(&rule.ports, declared);
    let name = RuleName::Policy(direction, RuleRef { policy: policy.id.clone(), index });
    Asked { stage: Stage::Policy, action: TierAction::Accept, peers, ports, named, name }
}

fn cluster_asked(tier: Tier, rule: &ClusterRule, name: RuleName, declared: &Declared, terms: &mut Terms) -> Asked {
    let term = |peer: &ClusterPeer| match peer {
        ClusterPeer::Pods(group) => Term::Pods(group.clone()),
        ClusterPeer::Network(block) => Term::Network(block.clone()),
        ClusterPeer::Nodes(selector) => Term::Nodes(selector.clone()),
    };
    let peers = match &rule.peers {
        ClusterPeers::Others => None,
        ClusterPeers::AnyOf(peers) => Some(peers.iter().map(|peer| terms.intern(term(peer))).collect()),
    };
    let (ports, named) = ports(&rule.ports, declared);
    Asked { stage: tier.into(), action: rule.action, peers, ports, named, name }
}

fn ports(ports: &Ports, declared: &Declared) -> (PortSet, Vec<(TermId, PortSet)>) {
    let Ports::AnyOf(entries) = ports else { return (PortSet::all(), Vec::new()) };
    let numbers = entries.iter().map(PortSet::of).fold(PortSet::default(), |all, one| all.union(&one));
    let named = entries.iter().filter_map(|entry| match entry {
        PortMatch::Named { protocol, name } => declared.get(&(*protocol, name.clone())),
        PortMatch::Numbers { .. } => None,
    });
    (numbers, named.flatten().cloned().collect())
}

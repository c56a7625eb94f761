//! Policies into decision tables.

mod grants;
mod segments;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use self::grants::grants;
use self::segments::{Bundle, segments};
pub use self::tiers::compile_tier;
pub(crate) use self::tiers::tier_grants;
use crate::spans::{self, Spans, merge, subtract};
use crate::{
    Clause, Direction, EndpointGroup, IpBlock, Peer, PeerMatch, Peers, PodGroup, Policy, PortMatch, PortResolution,
    Ports, Protocol, Rule, SetKey, Table, Verdict,
};

/// The table of `policies` for one direction. `named_ports` says what the port names of ingress rules mean on the pod.
///
/// Equal inputs give equal tables. The segments of a table look up at most two sets each, unless ranges overlap so much
/// that a peer would be copied into many unions: then such peers are in sets of their own, shared by many segments, and
/// a segment of n looks up at most `log2(n) + 1` more pairs.
pub fn compile<'a>(
    direction: Direction,
    policies: impl IntoIterator<Item = &'a Policy>,
    named_ports: &[PortResolution],
) -> Table {
    let rules = policies.into_iter().flat_map(|policy| policy.rules(direction).unwrap_or_default());
    let mut grants = Grants::default();
    for rule in rules {
        grants.add(rule, direction, named_ports);
    }
    grants.into_table()
}

/// Who is allowed where: `None` stands for everyone.
#[derive(Default)]
struct Grants<'a> {
    /// By rules without ports.
    always: BTreeSet<Option<&'a Peer>>,
    /// By egress rules with named ports.
    endpoints: BTreeSet<(Option<&'a Peer>, &'a Arc<str>, Protocol)>,
    /// By rules with port numbers.
    at_ports: BTreeMap<Protocol, BTreeMap<Option<&'a Peer>, BTreeSet<usize>>>,
    /// What `at_ports` refers to: the ports of one rule and protocol.
    ports: Vec<Spans>,
}

impl<'a> Grants<'a> {
    fn add(&mut self, rule: &'a Rule, direction: Direction, named_ports: &[PortResolution]) {
        let peers: Vec<Option<&Peer>> = match &rule.peers {
            Peers::All => vec![None],
            Peers::AnyOf(peers) => peers.iter().map(Some).collect(),
        };
        let Ports::AnyOf(entries) = &rule.ports else {
            self.always.extend(peers);
            return;
        };
        let mut numbers = BTreeMap::<Protocol, Spans>::new();
        for entry in entries {
            match entry {
                PortMatch::Numbers { protocol, ports } => numbers.entry(*protocol).or_default().push((*ports).into()),
                PortMatch::Named { protocol, name } if direction == Direction::Ingress => {
                    let here = named_ports.iter().filter(|r| r.name == *name && r.protocol == *protocol);
                    let spans = here.flat_map(|resolution| &resolution.ports).map(|port| spans::single(*port));
                    numbers.entry(*protocol).or_default().extend(spans);
                }
                PortMatch::Named { protocol, name } => {
                    self.endpoints.extend(peers.iter().map(|peer| (*peer, name, *protocol)));
                }
            }
        }
        for (protocol, spans) in numbers {
            let at_ports = self.at_ports.entry(protocol).or_default();
            for peer in &peers {
                at_ports.entry(*peer).or_default().insert(self.ports.len());
            }
            self.ports.push(merge(spans));
        }
    }

    fn into_table(self) -> Table {
        if self.always.contains(&None) {
            return Table { segments: BTreeMap::new(), always: vec![accept(PeerMatch::All)] };
        }
        let segments = self.at_ports.iter().map(|(protocol, peers)| {
            let spans_of =
                |of: &BTreeSet<usize>| merge(of.iter().flat_map(|at| self.ports[*at].iter().copied()).collect());
            let open = peers.get(&None).map(spans_of).unwrap_or_default();
            (*protocol, segments(&open, &self.bundles(peers, &open)))
        });
        let segments = segments.filter(|(_, segments)| !segments.is_empty()).collect();
        let mut always = union(self.always.iter().copied().flatten());
        always.extend(self.endpoints_clause());
        Table { segments, always }
    }

    /// Peers that are allowed at the same ports, everyone's ports and those that are always allowed aside.
    fn bundles(&self, peers: &BTreeMap<Option<&'a Peer>, BTreeSet<usize>>, open: &Spans) -> Vec<Bundle<'a>> {
        let mut by_rules = BTreeMap::<&BTreeSet<usize>, Vec<&Peer>>::new();
        for (peer, rules) in peers {
            if let Some(peer) = peer.filter(|peer| !self.always.contains(&Some(peer))) {
                by_rules.entry(rules).or_default().push(peer);
            }
        }
        let mut by_spans = BTreeMap::<Spans, Vec<&Peer>>::new();
        for (rules, peers) in by_rules {
            let all = merge(rules.iter().flat_map(|at| self.ports[*at].iter().copied()).collect());
            by_spans.entry(subtract(&all, open)).or_default().extend(peers);
        }
        by_spans.into_iter().map(|(spans, peers)| Bundle { spans, peers }).collect()
    }

    fn endpoints_clause(&self) -> Option<Clause> {
        let news = self.endpoints.iter().filter(|(peer, ..)| !self.always.contains(peer));
        let groups: BTreeSet<EndpointGroup> = news
            .map(|(peer, name, protocol)| EndpointGroup {
                peers: peer.cloned(),
                name: (*name).clone(),
                protocol: *protocol,
            })
            .collect();
        (!groups.is_empty()).then(|| accept_set(SetKey::Endpoints(groups.into_iter().collect())))
    }
}

/// The clauses that accept these peers: at most one for pods and one for blocks.
fn union<'a>(peers: impl IntoIterator<Item = &'a Peer>) -> Vec<Clause> {
    let (mut groups, mut blocks) = (BTreeSet::<&PodGroup>::new(), BTreeSet::<&IpBlock>::new());
    for peer in peers {
        match peer {
            Peer::Pods(group) => groups.insert(group),
            Peer::Block(block) => blocks.insert(block),
        };
    }
    let pods = (!groups.is_empty()).then(|| SetKey::Pods(groups.into_iter().cloned().collect()));
    let blocks = (!blocks.is_empty()).then(|| SetKey::Blocks(blocks.into_iter().cloned().collect()));
    pods.into_iter().chain(blocks).map(accept_set).collect()
}

fn accept_set(key: SetKey) -> Clause {
    accept(PeerMatch::Set(Arc::new(key)))
}

fn accept(peers: PeerMatch) -> Clause {
    Clause { peers, verdict: Verdict::Accept }
}

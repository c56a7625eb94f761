//! Cluster policies into the ordered table of a tier.
//!
//! In each segment the rules that apply there are known, in their order. Neighbours of one action are united: one set a
//! kind of peers, in which those of rules without ports are kept apart, so that they are not copied into every segment.
//! Peers about which an earlier rule has decided everything are left out of later ones.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::spans::{self, Span, Spans, merge};
use crate::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ClusterRuleRef, Direction, EndpointGroup, IpBlock, Peer,
    PodGroup, PortMatch, PortResolution, Ports, Protocol, Selector, SetKey, TierAction, TierClause, TierMatch,
    TierSegment, TierTable,
};

/// The table of `policies`, all of one tier, for one direction. `named_ports` says what the port names of ingress rules mean
/// on the pod. The order of `policies` does not matter: their own does.
///
/// Equal inputs give equal tables.
pub fn compile_tier<'a>(
    direction: Direction,
    policies: impl IntoIterator<Item = &'a ClusterPolicy>,
    named_ports: &[PortResolution],
) -> TierTable {
    let mut policies: Vec<&ClusterPolicy> = policies.into_iter().collect();
    policies.sort_by_key(|policy| policy.precedence());
    let rules = policies.into_iter().flat_map(|policy| {
        let rules = policy.rules(direction).iter().enumerate();
        rules.map(move |(index, rule)| OrderedRule::new(policy, direction, index, rule, named_ports))
    });
    let rules: Vec<OrderedRule<'_>> = rules.enumerate().map(|(at, rule)| OrderedRule { at, ..rule }).collect();
    let everywhere = rules.iter().filter(|rule| rule.is_everywhere()).map(|rule| rule.at).collect();
    let mut lists = Lists { rules: &rules, everywhere, made: HashMap::new() };
    let otherwise = lists.list(&BTreeSet::new(), None);
    let mut segments = BTreeMap::new();
    for protocol in Protocol::ALL {
        let of_protocol = lists.segments(protocol, &otherwise);
        if !of_protocol.is_empty() {
            segments.insert(protocol, of_protocol);
        }
    }
    TierTable { segments, otherwise }
}

/// A rule in its place in the order.
struct OrderedRule<'a> {
    /// Its place among all.
    at: usize,
    place: ClusterRuleRef,
    action: TierAction,
    /// `None` for everybody but the pod itself.
    peers: Option<&'a [ClusterPeer]>,
    /// Whether it holds for all traffic.
    always: bool,
    numbers: BTreeMap<Protocol, Spans>,
    /// For egress the port names.
    names: Vec<(Protocol, &'a Arc<str>)>,
}

impl<'a> OrderedRule<'a> {
    fn new(
        policy: &'a ClusterPolicy,
        direction: Direction,
        index: usize,
        rule: &'a ClusterRule,
        named_ports: &[PortResolution],
    ) -> Self {
        let peers = match &rule.peers {
            ClusterPeers::Others => None,
            ClusterPeers::AnyOf(peers) => Some(&peers[..]),
        };
        let entries = match &rule.ports {
            Ports::All => &[][..],
            Ports::AnyOf(entries) => entries,
        };
        let mut numbers = BTreeMap::<Protocol, Spans>::new();
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                PortMatch::Numbers { protocol, ports } => numbers.entry(*protocol).or_default().push((*ports).into()),
                PortMatch::Named { protocol, name } if direction == Direction::Ingress => {
                    let here = named_ports.iter().filter(|r| r.name == *name && r.protocol == *protocol);
                    let spans: Spans =
                        here.flat_map(|resolution| &resolution.ports).map(|port| spans::single(*port)).collect();
                    if !spans.is_empty() {
                        numbers.entry(*protocol).or_default().extend(spans);
                    }
                }
                PortMatch::Named { protocol, name } => names.push((*protocol, name)),
            }
        }
        Self {
            at: 0,
            place: ClusterRuleRef { policy: policy.name.clone(), direction, index },
            action: rule.action,
            peers,
            always: rule.ports == Ports::All,
            numbers: numbers.into_iter().map(|(protocol, spans)| (protocol, merge(spans))).collect(),
            names,
        }
    }

    /// Whether it can match where none of its port numbers is.
    fn is_everywhere(&self) -> bool {
        self.always || !self.names.is_empty()
    }
}

/// The lists of clauses of a table.
struct Lists<'a> {
    rules: &'a [OrderedRule<'a>],
    /// Those that can match where no port number of theirs is: ascending.
    everywhere: Vec<usize>,
    made: HashMap<Arc<[TierClause]>, Arc<[TierClause]>>,
}

impl Lists<'_> {
    /// The segments of one protocol, without those in which the same holds as elsewhere.
    fn segments(&mut self, protocol: Protocol, otherwise: &Arc<[TierClause]>) -> Vec<TierSegment> {
        let mut bounds = BTreeMap::<u32, Vec<usize>>::new();
        for rule in self.rules {
            for span in rule.numbers.get(&protocol).into_iter().flatten() {
                bounds.entry(span.first).or_default().push(rule.at);
                bounds.entry(span.end).or_default().push(rule.at);
            }
        }
        let mut known = HashMap::<BTreeSet<usize>, Arc<[TierClause]>>::new();
        let mut applying = BTreeSet::new();
        let mut segments = Vec::<(Span, Arc<[TierClause]>)>::new();
        for ((first, changing), end) in bounds.iter().zip(bounds.keys().skip(1)) {
            // The spans of a rule are merged: at each of its bounds it begins or ends.
            for at in changing {
                if !applying.remove(at) {
                    applying.insert(*at);
                }
            }
            if applying.is_empty() {
                continue;
            }
            let clauses = match known.get(&applying) {
                Some(clauses) => clauses.clone(),
                None => {
                    let clauses = self.list(&applying, Some(protocol));
                    known.insert(applying.clone(), clauses.clone());
                    clauses
                }
            };
            match segments.last_mut() {
                Some((span, before)) if span.end == *first && Arc::ptr_eq(before, &clauses) => span.end = *end,
                _ => segments.push((Span { first: *first, end: *end }, clauses)),
            }
        }
        let differs = |(_, clauses): &(Span, Arc<[TierClause]>)| !Arc::ptr_eq(clauses, otherwise);
        let segment = |(span, clauses): (Span, _)| TierSegment { ports: span.into(), clauses };
        segments.into_iter().filter(differs).map(segment).collect()
    }

    /// What holds where, of the rules with port numbers, these apply; elsewhere in traffic of any protocol.
    fn list(&mut self, applying: &BTreeSet<usize>, protocol: Option<Protocol>) -> Arc<[TierClause]> {
        let mut places: Vec<usize> = applying.iter().chain(&self.everywhere).copied().collect();
        places.sort_unstable();
        places.dedup();
        let mut list = List::default();
        for at in places {
            list.add(&self.rules[at], applying.contains(&at), protocol);
        }
        let clauses = list.finish();
        self.made.entry(clauses).or_insert_with_key(Arc::clone).clone()
    }
}

/// A list of clauses that is being made.
#[derive(Default)]
struct List<'a> {
    clauses: Vec<TierClause>,
    /// The peers about which everything is decided.
    decided: HashSet<&'a ClusterPeer>,
    run: Option<Run<'a>>,
}

/// Neighbours in the list that say the same.
struct Run<'a> {
    action: TierAction,
    always: Union<'a>,
    at_ports: Union<'a>,
    endpoints: BTreeMap<EndpointGroup, Place<'a>>,
    others: Option<Place<'a>>,
}

/// A rule by its place among all, and by its name.
type Place<'a> = (usize, &'a ClusterRuleRef);

/// Peers, by kind, each with the first rule that names it.
#[derive(Default)]
struct Union<'a> {
    pods: BTreeMap<&'a PodGroup, Place<'a>>,
    networks: BTreeMap<&'a IpBlock, Place<'a>>,
    nodes: BTreeMap<&'a Selector, Place<'a>>,
}

impl<'a> List<'a> {
    fn add(&mut self, rule: &'a OrderedRule<'a>, by_number: bool, protocol: Option<Protocol>) {
        if self.run.as_ref().is_some_and(|run| run.action != rule.action) {
            self.close();
        }
        let place = (rule.at, &rule.place);
        let Some(peers) = rule.peers else {
            let run = self.run.get_or_insert_with(|| Run::new(rule.action));
            run.others.get_or_insert(place);
            return;
        };
        for peer in peers {
            if self.decided.contains(peer) {
                continue;
            }
            let run = self.run.get_or_insert_with(|| Run::new(rule.action));
            if rule.always || by_number {
                let union = if rule.always { &mut run.always } else { &mut run.at_ports };
                union.add(peer, place);
                self.decided.insert(peer);
            } else if let ClusterPeer::Pods(group) = peer {
                let names = rule.names.iter().filter(|(of, _)| protocol.is_none_or(|protocol| protocol == *of));
                for (protocol, name) in names {
                    let group = EndpointGroup {
                        peers: Some(Peer::Pods(group.clone())),
                        name: (*name).clone(),
                        protocol: *protocol,
                    };
                    run.endpoints.entry(group).or_insert(place);
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(run) = self.run.take() {
            self.clauses.extend(run.clauses());
        }
    }

    /// What is passed on at the end need not be said.
    fn finish(mut self) -> Arc<[TierClause]> {
        self.close();
        let said = self.clauses.iter().rposition(|clause| clause.action != TierAction::Pass).map_or(0, |last| last + 1);
        self.clauses.truncate(said);
        self.clauses.into()
    }
}

impl<'a> Run<'a> {
    fn new(action: TierAction) -> Self {
        Self { action, always: Union::default(), at_ports: Union::default(), endpoints: BTreeMap::new(), others: None }
    }

    fn clauses(self) -> Vec<TierClause> {
        let action = self.action;
        let others =
            self.others.map(|(_, rule)| TierClause { peers: TierMatch::Others, action, rule: rule.clone(), more: 0 });
        let endpoints = clause(action, self.endpoints, SetKey::Endpoints);
        let unions = [self.always, self.at_ports].into_iter().flat_map(|union| union.clauses(action));
        others.into_iter().chain(unions).chain(endpoints).collect()
    }
}

impl<'a> Union<'a> {
    fn add(&mut self, peer: &'a ClusterPeer, rule: Place<'a>) {
        match peer {
            ClusterPeer::Pods(group) => drop(self.pods.entry(group).or_insert(rule)),
            ClusterPeer::Network(block) => drop(self.networks.entry(block).or_insert(rule)),
            ClusterPeer::Nodes(selector) => drop(self.nodes.entry(selector).or_insert(rule)),
        }
    }

    fn clauses(self, action: TierAction) -> impl Iterator<Item = TierClause> {
        let pods = clause(action, self.pods, |groups| SetKey::Pods(groups.into_iter().cloned().collect()));
        let networks = clause(action, self.networks, |blocks| SetKey::Blocks(blocks.into_iter().cloned().collect()));
        let nodes = clause(action, self.nodes, |selectors| SetKey::Nodes(selectors.into_iter().cloned().collect()));
        pods.into_iter().chain(networks).chain(nodes)
    }
}

/// The clause of the union of definitions, each with the first rule that has it; none where there is none.
fn clause<D: Ord>(
    action: TierAction,
    definitions: BTreeMap<D, Place<'_>>,
    set: impl FnOnce(Vec<D>) -> SetKey,
) -> Option<TierClause> {
    let rules: BTreeSet<Place<'_>> = definitions.values().copied().collect();
    let (_, rule) = rules.first()?;
    let rule = (*rule).clone();
    let more = rules.len() - 1;
    let peers = TierMatch::Set(Arc::new(set(definitions.into_keys().collect())));
    Some(TierClause { peers, action, rule, more })
}

/// What compiling these policies takes time for: peers in all lists of clauses, and one for each policy.
pub(crate) fn tier_grants<'a>(
    direction: Direction,
    policies: impl IntoIterator<Item = &'a ClusterPolicy>,
    named_ports: &[PortResolution],
) -> u64 {
    let policies: Vec<&ClusterPolicy> = policies.into_iter().collect();
    let rules = policies.iter().flat_map(|policy| {
        let rules = policy.rules(direction).iter();
        rules.map(|rule| OrderedRule::new(policy, direction, 0, rule, named_ports))
    });
    let (mut everywhere, mut changes) = (0, BTreeMap::<(Protocol, u32), (u64, u64)>::new());
    for rule in rules {
        let weight = rule.peers.map_or(1, |peers| peers.len().max(1) as u64);
        everywhere += if rule.is_everywhere() { weight } else { 0 };
        for (protocol, span) in rule.numbers.iter().flat_map(|(protocol, spans)| spans.iter().map(|s| (*protocol, s))) {
            changes.entry((protocol, span.first)).or_default().0 += weight;
            changes.entry((protocol, span.end)).or_default().1 += weight;
        }
    }
    let mut grants = policies.len() as u64 + everywhere;
    let mut applying = 0;
    for (begins, ends) in changes.values() {
        applying = applying + begins - ends;
        grants = grants.saturating_add(if applying > 0 { applying.saturating_add(everywhere) } else { 0 });
    }
    grants
}

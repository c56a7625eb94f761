//! What a picture of a map shows: areas, nodes in them, and lines between them.
//!
//! Where there are many workloads each namespace is one node, and ways between two namespaces are one line.

use std::collections::{BTreeMap, BTreeSet};

use super::data::{End, Map, Outside, Way, Workload};
use super::usage::{Use, Used};
use crate::text::some_of;

/// Above so many workloads namespaces are folded, as on the page.
const FOLDED_ABOVE: usize = 60;
/// How many ports a line names.
const FEW: usize = 3;
/// How long the names of policies are told, in bytes.
const NAME: usize = 130;

/// What is drawn.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// By name, addresses outside last.
    pub(super) areas: Vec<Area>,
    pub(super) nodes: Vec<Node>,
    pub(super) lines: Vec<Line>,
    /// Whether namespaces are nodes.
    pub(super) is_folded: bool,
}

/// A frame around nodes.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) title: String,
    /// By number.
    pub(super) nodes: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// All that there is to say of it.
    pub(super) told: String,
}

/// Whether policies judge a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// In both directions.
    Judged,
    /// In one.
    Half,
    /// In none.
    Open,
    /// It is outside.
    Outside,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    pub(super) state: State,
    /// All that there is to say of it.
    pub(super) told: String,
}

/// What passes along a line. The last of several ways' is the line's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Nothing, although both let anybody.
    Denied,
    /// It is allowed, and nothing was seen to use it.
    Unused,
    /// It is allowed.
    Allowed,
    /// It was seen, where the map has no way: it is allowed as anybody is.
    Anybody,
    /// It was seen, and policies do not allow it now.
    Refused,
}

impl Picture {
    pub(super) fn new(map: &Map) -> Self {
        let mut picture = Self { is_folded: map.workloads.len() > FOLDED_ABOVE, ..Self::default() };
        let mut numbers = BTreeMap::new();
        picture.add_workloads(map, &mut numbers);
        picture.add_outside(map, &mut numbers);
        picture.add_lines(map, &numbers);
        picture
    }

    fn add_workloads(&mut self, map: &Map, numbers: &mut BTreeMap<usize, usize>) {
        let mut namespaces = BTreeMap::<&str, Vec<&Workload>>::new();
        map.workloads.iter().for_each(|one| namespaces.entry(&one.namespace).or_default().push(one));
        let mut folded = Vec::new();
        for (namespace, workloads) in namespaces {
            let first = self.nodes.len();
            if self.is_folded {
                numbers.extend(workloads.iter().map(|one| (one.id, first)));
                self.nodes.push(Node::of_namespace(namespace, &workloads));
                folded.push(first);
            } else {
                numbers.extend(workloads.iter().zip(first..).map(|(one, number)| (one.id, number)));
                self.nodes.extend(workloads.into_iter().map(Node::of_workload));
                self.areas.push(Area { title: namespace.to_owned(), nodes: (first..self.nodes.len()).collect() });
            }
        }
        if self.is_folded {
            self.areas.push(Area { title: "namespaces, and how many workloads they have".to_owned(), nodes: folded });
        }
    }

    fn add_outside(&mut self, map: &Map, numbers: &mut BTreeMap<usize, usize>) {
        let (met, first) = (map.met(), self.nodes.len());
        for outside in map.outside.iter().filter(|outside| met.contains(&outside.id)) {
            numbers.insert(outside.id, self.nodes.len());
            self.nodes.push(Node::of_outside(outside));
        }
        if self.nodes.len() > first {
            self.areas.push(Area { title: "outside".to_owned(), nodes: (first..self.nodes.len()).collect() });
        }
    }

    /// Ways between the same two nodes are one line.
    fn add_lines(&mut self, map: &Map, numbers: &BTreeMap<usize, usize>) {
        let mut lines = BTreeMap::<(usize, usize), Ways>::new();
        let ways = map.edges.iter().map(|way| (way.from, way.to, Ways::of_way(way)));
        let usage = map.usage.iter();
        let others = usage.clone().flat_map(|usage| &usage.others).map(|one| (one, State::Anybody));
        let used = others.chain(usage.flat_map(|usage| &usage.refused).map(|one| (one, State::Refused)));
        for (from, to, ways) in ways.chain(used.map(|(one, state)| (one.from, one.to, Ways::of_use(one, state)))) {
            let ends = numbers.get(&from).zip(numbers.get(&to));
            // Within a folded namespace there is nothing to be seen of it.
            let Some((from, to)) = ends.filter(|(from, to)| !self.is_folded || from != to) else { continue };
            lines.entry((*from, *to)).or_default().join(ways);
        }
        let nodes = &self.nodes;
        self.lines = lines.into_iter().map(|((from, to), ways)| ways.line(from, to, nodes)).collect();
    }
}

impl Node {
    fn of_workload(one: &Workload) -> Self {
        let pods = if one.pods == 1 { "1 pod".to_owned() } else { format!("{} pods", one.pods) };
        let (ingress, egress) = (judged(&one.ingress), judged(&one.egress));
        let told = format!("{}/{}, {pods}; ingress: {ingress}; egress: {egress}", one.namespace, one.name);
        Self { name: one.name.clone(), kind: Kind::of(&[one]), told }
    }

    fn of_namespace(namespace: &str, workloads: &[&Workload]) -> Self {
        let open = workloads.iter().filter(|one| one.ingress.open || one.egress.open).count();
        let told =
            format!("namespace {namespace}: {} workloads, {open} of them open in some direction", workloads.len());
        Self { name: format!("{namespace} ({})", workloads.len()), kind: Kind::of(workloads), told }
    }

    fn of_outside(outside: &Outside) -> Self {
        Self { name: outside.name.clone(), kind: Kind::Outside, told: format!("outside: {}", outside.name) }
    }
}

impl Kind {
    /// Of several that of the most open one.
    fn of(workloads: &[&Workload]) -> Self {
        let of = |one: &&Workload| match (one.ingress.open, one.egress.open) {
            (true, true) => Self::Open,
            (false, false) => Self::Judged,
            (true, false) | (false, true) => Self::Half,
        };
        workloads.iter().map(of).max().unwrap_or(Self::Judged)
    }
}

fn judged(end: &End) -> String {
    match end.open {
        true => "open".to_owned(),
        false => format!("judged by {}", some_of(&end.policies, FEW, NAME, ", ")),
    }
}

/// Ways that are one line.
#[derive(Debug, Default)]
struct Ways {
    state: Option<State>,
    ports: BTreeSet<String>,
    refused: BTreeSet<String>,
    connections: u64,
}

impl Ways {
    fn of_way(way: &Way) -> Self {
        let state = match &way.used {
            _ if way.ports.is_empty() => State::Denied,
            Some(Used { connections: 0, .. }) => State::Unused,
            Some(_) | None => State::Allowed,
        };
        let connections = way.used.as_ref().map_or(0, |used| used.connections);
        Self { state: Some(state), ports: way.ports.iter().cloned().collect(), connections, ..Self::default() }
    }

    fn of_use(one: &Use, state: State) -> Self {
        let port = BTreeSet::from([one.port.clone()]);
        let (ports, refused) = if state == State::Refused { (BTreeSet::new(), port) } else { (port, BTreeSet::new()) };
        Self { state: Some(state), ports, refused, connections: one.connections }
    }

    fn join(&mut self, other: Self) {
        self.state = self.state.max(other.state);
        self.ports.extend(other.ports);
        self.refused.extend(other.refused);
        self.connections += other.connections;
    }

    fn line(self, from: usize, to: usize, nodes: &[Node]) -> Line {
        let Self { state, ports, refused, connections } = self;
        let state = state.unwrap_or(State::Denied);
        let all = |ports: &BTreeSet<String>| some_of(&ports.iter().collect::<Vec<_>>(), FEW, NAME, ", ");
        let label = match state {
            State::Denied => "denied".to_owned(),
            State::Refused => format!("{}: not allowed now", all(&refused)),
            State::Unused | State::Allowed | State::Anybody => all(&ports),
        };
        let says = match state {
            State::Unused => ", not used".to_owned(),
            _ if connections > 0 => format!(", ×{connections} connections"),
            _ => String::new(),
        };
        let told = format!("{} to {}: {label}{says}", nodes[from].name, nodes[to].name);
        Line { from, to, label, state, told }
    }
}

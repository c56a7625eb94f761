//! From what the workloads of a namespace are granted to its policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::grants::{Atom, Grants, Peers};
use super::groups::{Space, Spaces};
use super::rules::{Shape, shapes};
use super::{Recommended, Scope, Wish};
use crate::reach::PortSet;
use crate::{
    Direction, Enforcement, IpBlock, NAME_LABEL, NamespaceScope, NamespacedName, Peer, PodGroup, Policy, PortMatch,
    Ports, Requirement, Rule, Selector,
};

/// How long the name of a policy is at most.
const LONGEST_NAME: usize = 63;

/// In both directions.
type Both = [Peers; 2];

/// The policies of one namespace: first the one for all of its pods, then the others by their workloads.
pub(super) fn of(
    namespace: &Arc<str>,
    spaces: &Spaces,
    grants: &Grants,
    wishes: &[Wish],
    scope: &Scope,
) -> Vec<Recommended> {
    let Some(space) = spaces.get(namespace) else { return Vec::new() };
    let granted: Vec<Both> = (0..space.groups.len())
        .map(|group| Direction::ALL.map(|direction| grants.peers(namespace, group, direction)))
        .collect();
    // Without a label there is nothing to tell its pods from those to come.
    let is_everybody = space.groups.len() == 1 && space.selector(&[0]) == Some(Selector::default());
    let (common, rest) = if is_everybody { (granted[0].clone(), Vec::new()) } else { shared(&granted) };
    let writer = Writer { namespace, space, spaces, grants, wishes };
    let asked = Direction::ALL.map(|direction| scope.directions.contains(&direction));
    let all: Vec<usize> = (0..space.groups.len()).collect();
    let is_silent = common.iter().all(BTreeMap::is_empty);
    let name = if is_silent { "default-deny" } else { "default" };
    let mut names = BTreeSet::from([name.to_owned()]);
    let mut policies = vec![writer.policy(name, &all, Selector::default(), &common, asked)];
    for (groups, granted) in alike(rest) {
        for (groups, selector) in united(space, groups) {
            let name = writer.name(&groups, &mut names);
            let has_rules = [0, 1].map(|direction: usize| !granted[direction].is_empty());
            let workloads = groups.iter().flat_map(|group| &space.groups[*group].workloads).cloned().collect();
            let policy = writer.policy(&name, &groups, selector, &granted, has_rules);
            policies.push(Recommended { workloads, ..policy });
        }
    }
    policies
}

/// What is granted to all, and what is left of each: as it makes the fewest policies, then the fewest rules. What a single
/// workload is granted is its own.
fn shared(granted: &[Both]) -> (Both, Vec<Both>) {
    let all = |keep: fn(&PortSet, &PortSet) -> PortSet| {
        let common = |direction: usize| {
            let mut peers = granted.iter().map(|both| &both[direction]);
            let first = peers.next().filter(|_| granted.len() > 1).cloned().unwrap_or_default();
            peers.fold(first, |common, peers| {
                let kept = common.into_iter().filter_map(|(atom, ports)| {
                    let ports = keep(&ports, peers.get(&atom)?);
                    (!ports.is_empty()).then_some((atom, ports))
                });
                kept.collect()
            })
        };
        [common(0), common(1)]
    };
    let equal = |one: &PortSet, other: &PortSet| if one == other { one.clone() } else { PortSet::default() };
    let ways = [Both::default(), all(equal), all(PortSet::intersection)];
    let ways = ways.map(|common| {
        let rest: Vec<Both> = granted.iter().map(|both| without(both, &common)).collect();
        (common, rest)
    });
    ways.into_iter().min_by_key(|(common, rest)| cost(common, rest)).unwrap_or_default()
}

fn without(both: &Both, common: &Both) -> Both {
    [0, 1].map(|direction: usize| {
        let left = both[direction].iter().map(|(atom, ports)| match common[direction].get(atom) {
            Some(shared) => (atom.clone(), ports.without(shared)),
            None => (atom.clone(), ports.clone()),
        });
        left.filter(|(_, ports)| !ports.is_empty()).collect()
    })
}

/// How many policies, and how many rules.
fn cost(common: &Both, rest: &[Both]) -> (usize, usize) {
    let policies: BTreeSet<usize> = alike(rest.to_vec()).into_iter().map(|(groups, _)| groups[0]).collect();
    let rules = |both: &Both| both.iter().map(|peers| shapes(peers).len()).sum::<usize>();
    (policies.len(), rules(common) + policies.iter().map(|group| rules(&rest[*group])).sum::<usize>())
}

/// The groups that are granted the same, by the first of them; those that are granted nothing aside.
fn alike(rest: Vec<Both>) -> Vec<(Vec<usize>, Both)> {
    let mut known = HashMap::<Both, usize>::new();
    let mut alike: Vec<(Vec<usize>, Both)> = Vec::new();
    for (group, granted) in rest.into_iter().enumerate() {
        if granted.iter().all(BTreeMap::is_empty) {
            continue;
        }
        match known.get(&granted) {
            Some(at) => alike[*at].0.push(group),
            None => {
                known.insert(granted.clone(), alike.len());
                alike.push((vec![group], granted));
            }
        }
    }
    alike
}

/// These groups, by as few selectors as select them and no others: most often one.
fn united(space: &Space, groups: Vec<usize>) -> Vec<(Vec<usize>, Selector)> {
    if let Some(selector) = space.selector(&groups) {
        return vec![(groups, selector)];
    }
    let one = |group: usize| (vec![group], space.selector(&[group]).unwrap_or_default());
    let mut parts: Vec<(Vec<usize>, Selector)> = groups.into_iter().map(one).collect();
    loop {
        let before = parts.len();
        let mut joined: Vec<(Vec<usize>, Selector)> = Vec::new();
        for part in parts {
            let with = |other: &(Vec<usize>, Selector)| space.selector(&[&other.0[..], &part.0].concat());
            match joined.iter().enumerate().find_map(|(at, other)| Some((at, with(other)?))) {
                Some((at, selector)) => {
                    joined[at].0.extend(part.0);
                    joined[at].1 = selector;
                }
                None => joined.push(part),
            }
        }
        if joined.len() == before {
            return joined;
        }
        parts = joined;
    }
}

/// Writes the policies of a namespace.
struct Writer<'a> {
    namespace: &'a Arc<str>,
    space: &'a Space,
    spaces: &'a Spaces,
    grants: &'a Grants,
    wishes: &'a [Wish],
}

impl Writer<'_> {
    /// Isolates those that the selector selects, which are these groups, in these directions.
    fn policy(
        &self,
        name: &str,
        groups: &[usize],
        selector: Selector,
        granted: &Both,
        isolates: [bool; 2],
    ) -> Recommended {
        let mut reasons: [Vec<Vec<usize>>; 2] = Default::default();
        let [egress, ingress] = Direction::ALL.map(|direction| {
            let shapes = shapes(&granted[direction as usize]);
            reasons[direction as usize] = shapes.iter().map(|shape| self.reasons(groups, direction, shape)).collect();
            isolates[direction as usize].then(|| shapes.iter().map(|shape| self.rule(shape)).collect::<Vec<Rule>>())
        });
        let id = NamespacedName::new(self.namespace.clone(), name);
        let policy = Policy { id, enforcement: Enforcement::Enforced, selector, ingress, egress };
        Recommended { policy, workloads: Vec::new(), reasons }
    }

    fn reasons(&self, groups: &[usize], direction: Direction, shape: &Shape) -> Vec<usize> {
        let is_about = |number: &usize| {
            let Wish { protocol, ports, .. } = self.wishes[*number];
            !PortSet::range(protocol, ports).intersection(&shape.ports).is_empty()
        };
        let reasons = self.grants.reasons(self.namespace, groups, direction, &shape.atoms).filter(is_about);
        reasons.collect::<BTreeSet<usize>>().into_iter().collect()
    }

    fn rule(&self, shape: &Shape) -> Rule {
        let numbers = |(protocol, ports)| PortMatch::Numbers { protocol, ports };
        Rule {
            peers: crate::Peers::AnyOf(self.peers(&shape.atoms)),
            ports: Ports::AnyOf(shape.ports.ranges().map(numbers).collect()),
        }
    }

    /// First those of the policy's own namespace. Those of one namespace are one peer where a selector selects just them.
    fn peers(&self, atoms: &[Atom]) -> Vec<Peer> {
        let (mut pods, mut blocks) = (BTreeMap::<(bool, &Arc<str>), Vec<usize>>::new(), Vec::new());
        for atom in atoms {
            match atom {
                Atom::Pods(namespace, group) => {
                    pods.entry((namespace != self.namespace, namespace)).or_default().push(*group);
                }
                Atom::Network(net) => blocks.extend(IpBlock::new(*net, []).map(Peer::Block)),
            }
        }
        let of_pods = pods.into_iter().flat_map(|((_, namespace), groups)| {
            let selectors = match self.spaces.get(namespace) {
                Some(space) => united(space, groups),
                None => Vec::new(),
            };
            selectors.into_iter().map(|(_, pods)| Peer::Pods(PodGroup { namespaces: self.scope(namespace), pods }))
        });
        of_pods.chain(blocks).collect()
    }

    fn scope(&self, namespace: &Arc<str>) -> NamespaceScope {
        if namespace == self.namespace {
            return NamespaceScope::Named(namespace.clone());
        }
        let named = Requirement::new(NAME_LABEL, "In", [namespace.clone()]);
        NamespaceScope::Matching(named.into_iter().collect())
    }

    /// A name that no other of these policies has: that of the first workload.
    fn name(&self, groups: &[usize], taken: &mut BTreeSet<String>) -> String {
        let mut names = groups.iter().flat_map(|group| &self.space.groups[*group].workloads);
        let first = names.next().map(|name| valid(name)).unwrap_or_default();
        let name = match names.count() {
            0 => first,
            others => format!("{first}-and-{others}-more"),
        };
        let unique = (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}-{number}") });
        let name = unique.into_iter().find(|name| !taken.contains(name)).unwrap_or(name);
        taken.insert(name.clone());
        name
    }
}

/// As the name of an object: most names of workloads are, unless a label says what they are.
fn valid(name: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(character).take(LONGEST_NAME).collect();
    let trimmed = name.trim_matches('-');
    if trimmed.is_empty() { "workload".to_owned() } else { trimmed.to_owned() }
}

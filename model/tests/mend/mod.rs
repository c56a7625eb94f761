//! Does to a rule what is said to be lacking, and nothing else.

use std::collections::BTreeSet;
use std::net::IpAddr;

use palisade_model::reference::{Cluster, Flow};
use palisade_model::{
    ClusterPeer, ClusterPeers, Direction, Failing, IpBlock, Lack, Miss, NamespaceScope, NamespacedName, Peer, Peers,
    PodGroup, PortMatch, PortRange, Ports, Requirement, Selector, TierAction, Traffic,
};

/// The rule that a miss names; of a cluster policy in no namespace.
pub(crate) fn named(miss: &Miss) -> (NamespacedName, usize) {
    (miss.policy.clone(), miss.rule)
}

/// The rule that lets the flow pass.
pub(crate) fn matched(cluster: &Cluster, direction: Direction, flow: &Flow) -> Option<(NamespacedName, usize)> {
    let verdict = cluster.verdict(flow);
    let verdict = match direction {
        Direction::Egress => verdict.egress,
        Direction::Ingress => verdict.ingress,
    };
    let decided = verdict.tiers.into_iter().filter_map(|tier| tier.decision);
    match decided.into_iter().find(|(_, action)| *action != TierAction::Pass) {
        Some((rule, action)) => {
            (action == TierAction::Accept).then(|| (NamespacedName::new("", rule.policy), rule.index))
        }
        None => verdict.rule.filter(|_| verdict.allowed).map(|rule| (rule.policy, rule.index)),
    }
}

/// The flow passes, by that rule.
pub(crate) fn check(mended: &Cluster, direction: Direction, flow: &Flow, miss: &Miss) {
    let matched = matched(mended, direction, flow);
    assert_eq!(matched, Some(named(miss)), "{miss}\n{miss:?}\n{flow:?}");
}

/// The numbers are those that the pod declares.
fn check_declared(cluster: &Cluster, flow: &Flow, lack: &Lack) {
    let Lack::NamedPort { protocol, name, declared, wanted } = lack else { return };
    let Traffic::Port { protocol: of, port } = wanted else { panic!("names are of ports") };
    assert!(of == protocol && !declared.iter().flatten().any(|number| number == port));
    let Some(pod) = cluster.owner(flow.destination) else { return };
    let numbers = pod.ports.iter().filter(|port| port.name == *name && port.protocol == *protocol);
    let numbers: BTreeSet<u16> = numbers.map(|port| port.port).collect();
    assert_eq!(declared.as_deref(), Some(&*numbers.into_iter().collect::<Vec<u16>>()));
}

/// The cluster with everything mended that a rule lacks.
pub(crate) fn all(cluster: &Cluster, flow: &Flow, miss: &Miss) -> Cluster {
    let mut cluster = cluster.clone();
    for lack in &miss.lacks {
        mend(&mut cluster, flow, miss, lack);
    }
    cluster
}

/// A rule of either kind.
struct Rule<'a> {
    peers: RulePeers<'a>,
    ports: &'a mut Ports,
}

enum RulePeers<'a> {
    Policy(&'a mut Peers),
    ClusterPolicy(&'a mut ClusterPeers),
}

enum Entry<'a> {
    Pods(&'a mut PodGroup),
    Block(&'a mut IpBlock),
    Nodes(&'a mut Selector),
}

fn rule<'a>(cluster: &'a mut Cluster, miss: &Miss) -> Rule<'a> {
    if miss.policy.namespace.is_empty() {
        let policy = cluster.cluster_policies.get_mut(&miss.policy.name).unwrap();
        let rules = match miss.direction {
            Direction::Egress => &mut policy.egress,
            Direction::Ingress => &mut policy.ingress,
        };
        let rule = &mut rules[miss.rule];
        return Rule { peers: RulePeers::ClusterPolicy(&mut rule.peers), ports: &mut rule.ports };
    }
    let policy = cluster.policies.get_mut(&miss.policy).unwrap();
    let rules = match miss.direction {
        Direction::Egress => &mut policy.egress,
        Direction::Ingress => &mut policy.ingress,
    };
    let rule = &mut rules.as_mut().unwrap()[miss.rule];
    Rule { peers: RulePeers::Policy(&mut rule.peers), ports: &mut rule.ports }
}

impl<'a> Rule<'a> {
    fn entry(self, at: usize) -> Entry<'a> {
        match self.peers {
            RulePeers::Policy(Peers::AnyOf(peers)) => match &mut peers[at] {
                Peer::Pods(group) => Entry::Pods(group),
                Peer::Block(block) => Entry::Block(block),
            },
            RulePeers::ClusterPolicy(ClusterPeers::AnyOf(peers)) => match &mut peers[at] {
                ClusterPeer::Pods(group) => Entry::Pods(group),
                ClusterPeer::Network(block) => Entry::Block(block),
                ClusterPeer::Nodes(selector) => Entry::Nodes(selector),
            },
            RulePeers::Policy(Peers::All) | RulePeers::ClusterPolicy(ClusterPeers::Others) => panic!("no list"),
        }
    }

    fn set_entry(self, at: usize, address: IpAddr) {
        let block = IpBlock::new(address.into(), []).unwrap();
        match self.peers {
            RulePeers::Policy(Peers::AnyOf(peers)) => put(peers, at, Peer::Block(block)),
            RulePeers::ClusterPolicy(ClusterPeers::AnyOf(peers)) => put(peers, at, ClusterPeer::Network(block)),
            RulePeers::Policy(Peers::All) | RulePeers::ClusterPolicy(ClusterPeers::Others) => panic!("no list"),
        }
    }
}

/// Replaces one, or is the first.
fn put<T>(all: &mut Vec<T>, at: usize, one: T) {
    all.splice(at..all.len().min(at + 1), [one]);
}

fn mend(cluster: &mut Cluster, flow: &Flow, miss: &Miss, lack: &Lack) {
    let at = miss.peer.unwrap_or(0);
    check_declared(cluster, flow, lack);
    let rule = rule(cluster, miss);
    match lack {
        Lack::Port { wanted } | Lack::NamedPort { wanted, .. } => match (wanted, rule.ports) {
            (Traffic::Port { protocol, port }, Ports::AnyOf(entries)) => {
                entries.push(PortMatch::Numbers { protocol: *protocol, ports: PortRange::single(*port) });
            }
            (_, ports) => *ports = Ports::All,
        },
        Lack::NoPeers => rule.set_entry(0, peer(miss.direction, flow)),
        Lack::NoPod { address, .. } | Lack::OutsideBlock { address, .. } | Lack::NoNode { address, .. } => {
            rule.set_entry(at, *address);
        }
        lack => mend_entry(rule.entry(at), lack),
    }
}

fn mend_entry(entry: Entry<'_>, lack: &Lack) {
    match (lack, entry) {
        (Lack::PodLabels(failing), Entry::Pods(group)) => group.pods = without(&group.pods, failing),
        (Lack::Namespace { asked, has }, Entry::Pods(group)) => {
            assert_eq!(group.namespaces, NamespaceScope::Named(asked.clone()));
            group.namespaces = NamespaceScope::Named(has.clone());
        }
        (Lack::NamespaceLabels { failing, .. }, Entry::Pods(group)) => {
            let NamespaceScope::Matching(selector) = &group.namespaces else { panic!("a name") };
            group.namespaces = NamespaceScope::Matching(without(selector, failing));
        }
        (Lack::UnknownNamespace { namespace, asked }, Entry::Pods(group)) => {
            assert_eq!(group.namespaces, NamespaceScope::Matching(asked.clone()));
            group.namespaces = NamespaceScope::Named(namespace.clone());
        }
        (Lack::Except { block, except, address }, Entry::Block(old)) => {
            assert!(old.cidr() == *block && except.iter().all(|net| net.contains(address)));
            let kept = old.except().iter().copied().filter(|net| !except.contains(net));
            *old = IpBlock::new(*block, kept).unwrap();
        }
        (Lack::NodeLabels(failing), Entry::Nodes(selector)) => *selector = without(selector, failing),
        (lack, _) => panic!("of another entry: {lack:?}"),
    }
}

fn without(selector: &Selector, failing: &[Failing]) -> Selector {
    let fails = |requirement: &Requirement| failing.iter().any(|one| one.requirement == *requirement);
    let kept = selector.requirements().iter().filter(|requirement| !fails(requirement));
    assert_eq!(kept.clone().count() + failing.len(), selector.requirements().len(), "all that fail are requirements");
    kept.cloned().collect()
}

fn peer(direction: Direction, flow: &Flow) -> IpAddr {
    match direction {
        Direction::Egress => flow.destination,
        Direction::Ingress => flow.source,
    }
}

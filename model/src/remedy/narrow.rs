//! A rule without one peer at one port.

use std::net::IpAddr;

use super::identity::{host, selector};
use crate::cidr::everything;
use crate::reference::Cluster;
use crate::{
    IpBlock, NAME_LABEL, NamespaceScope, Operator, Peer, Peers, Pod, PodGroup, PortMatch, PortRange, Ports, Protocol,
    Requirement, Rule, Selector, Traffic,
};

/// What a rule is to admit no more.
pub(super) struct Unwanted<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) address: IpAddr,
    /// Whose the address is.
    pub(super) pod: Option<&'a Pod>,
    pub(super) traffic: Traffic,
    /// The pod that the connection is opened to.
    pub(super) destination: Option<&'a Pod>,
}

impl Unwanted<'_> {
    /// What stands in place of the rule; `None` where no rule says it.
    pub(super) fn without(&self, rule: &Rule) -> Option<Vec<Rule>> {
        let (mut others, mut this) = (Vec::new(), Vec::new());
        match &rule.peers {
            Peers::All if self.pod.is_none() => {
                others.extend(everything_but(self.address));
                this.push(Peer::Block(host(self.address).ok()?));
            }
            Peers::All => return None,
            Peers::AnyOf(peers) => {
                for peer in peers {
                    self.divide(peer, &mut others, &mut this)?;
                }
            }
        }
        let at_others = (!others.is_empty()).then(|| Rule { peers: Peers::AnyOf(others), ports: rule.ports.clone() });
        let ports = self.ports_without(&rule.ports);
        let at_this = (!ports.is_empty() && !this.is_empty())
            .then_some(Rule { peers: Peers::AnyOf(this), ports: Ports::AnyOf(ports) });
        Some(at_others.into_iter().chain(at_this).collect())
    }

    /// Puts what the entry admits beside such peers with the `others`, and what it admits of these with `this`.
    fn divide(&self, entry: &Peer, others: &mut Vec<Peer>, this: &mut Vec<Peer>) -> Option<()> {
        match (entry, self.pod) {
            (Peer::Block(block), _) if holds(block, self.address) => {
                let except = block.except().iter().copied().chain([self.address.into()]);
                others.extend(IpBlock::new(block.cidr(), except).ok().map(Peer::Block));
                this.push(Peer::Block(host(self.address).ok()?));
            }
            (Peer::Pods(group), Some(pod)) if self.is_in(group, pod) => self.divide_pods(group, pod, others, this)?,
            _ => others.push(entry.clone()),
        }
        Some(())
    }

    fn divide_pods(&self, group: &PodGroup, pod: &Pod, others: &mut Vec<Peer>, this: &mut Vec<Peer>) -> Option<()> {
        let labels = selector(self.cluster, pod);
        let name = &pod.id.namespace;
        let here = match &group.namespaces {
            NamespaceScope::Named(_) => group.namespaces.clone(),
            NamespaceScope::Matching(namespaces) => {
                if self.cluster.namespaces.get(name)?.labels.get(NAME_LABEL) != Some(name) {
                    return None;
                }
                let elsewhere = and(namespaces, &Requirement::new(NAME_LABEL, "NotIn", [name.clone()]).ok()?);
                let elsewhere = PodGroup { namespaces: NamespaceScope::Matching(elsewhere), pods: group.pods.clone() };
                others.extend(is_possible(&elsewhere).then_some(Peer::Pods(elsewhere)));
                NamespaceScope::Matching(and(namespaces, &Requirement::new(NAME_LABEL, "In", [name.clone()]).ok()?))
            }
        };
        for label in labels.requirements() {
            let Operator::In(values) = label.operator() else { return None };
            let not = Requirement::new(label.key().clone(), "NotIn", values.iter().cloned()).ok()?;
            let one = PodGroup { namespaces: here.clone(), pods: and(&group.pods, &not) };
            others.extend(is_possible(&one).then_some(Peer::Pods(one)));
        }
        let pods = labels.requirements().iter().fold(group.pods.clone(), |all, label| and(&all, label));
        this.push(Peer::Pods(PodGroup { namespaces: here, pods }));
        Some(())
    }

    fn is_in(&self, group: &PodGroup, pod: &Pod) -> bool {
        let is_covered = match &group.namespaces {
            NamespaceScope::Named(name) => pod.id.namespace == *name,
            NamespaceScope::Matching(selector) => {
                let known = self.cluster.namespaces.get(&pod.id.namespace);
                known.is_some_and(|namespace| selector.matches(&namespace.labels))
            }
        };
        is_covered && group.pods.matches(&pod.labels)
    }

    /// The other ports. What has no ports cannot be named beside ports.
    fn ports_without(&self, ports: &Ports) -> Vec<PortMatch> {
        match ports {
            Ports::All => Protocol::ALL.into_iter().flat_map(|protocol| self.rest_of(protocol, EVERY)).collect(),
            Ports::AnyOf(entries) => entries.iter().flat_map(|entry| self.port_without(entry)).collect(),
        }
    }

    fn port_without(&self, entry: &PortMatch) -> Vec<PortMatch> {
        match entry {
            PortMatch::Numbers { protocol, ports } => self.rest_of(*protocol, *ports),
            PortMatch::Named { protocol, name } => {
                let numbers = self.destination.map(|pod| pod.numbers_of(name, *protocol)).unwrap_or_default();
                let means = |port: u16| self.traffic == Traffic::Port { protocol: *protocol, port };
                if numbers.into_iter().any(means) { Vec::new() } else { vec![entry.clone()] }
            }
        }
    }

    fn rest_of(&self, protocol: Protocol, ports: PortRange) -> Vec<PortMatch> {
        let numbers = |ports| PortMatch::Numbers { protocol, ports };
        match self.traffic {
            Traffic::Port { protocol: of, port } if of == protocol && ports.contains(port) => {
                let before = port.checked_sub(1).and_then(|last| PortRange::new(ports.first().max(1), last).ok());
                let after = port.checked_add(1).and_then(|first| PortRange::new(first, ports.last()).ok());
                before.into_iter().chain(after).map(numbers).collect()
            }
            _ => vec![numbers(ports)],
        }
    }
}

const EVERY: PortRange = PortRange::ALL;

/// All addresses of both families but one.
pub(super) fn everything_but(address: IpAddr) -> impl Iterator<Item = Peer> {
    let blocks = everything().into_iter().filter_map(move |net| {
        let except = net.contains(&address).then_some(address.into());
        IpBlock::new(net, except).ok()
    });
    blocks.map(Peer::Block)
}

fn holds(block: &IpBlock, address: IpAddr) -> bool {
    block.cidr().contains(&address) && !block.except().iter().any(|except| except.contains(&address))
}

fn and(selector: &Selector, requirement: &Requirement) -> Selector {
    selector.requirements().iter().chain([requirement]).cloned().collect()
}

/// Whether some pod may be of it: nobody is of a value, and of another.
fn is_possible(group: &PodGroup) -> bool {
    let selectors = match &group.namespaces {
        NamespaceScope::Named(_) => [Some(&group.pods), None],
        NamespaceScope::Matching(namespaces) => [Some(&group.pods), Some(namespaces)],
    };
    !selectors.into_iter().flatten().any(|selector| {
        let all = selector.requirements();
        let is_without = |one: &Requirement| match one.operator() {
            Operator::In(values) => all.iter().any(|other| match other.operator() {
                Operator::NotIn(not) => other.key() == one.key() && values.iter().all(|value| not.contains(value)),
                _ => false,
            }),
            _ => false,
        };
        all.iter().any(is_without)
    })
}

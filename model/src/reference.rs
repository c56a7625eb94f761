//! The verdict on one flow, naively: every policy is read anew for every question.
//!
//! Written beside the text of <https://kubernetes.io/docs/concepts/services-networking/network-policies/>, the comments of
//! `networking.k8s.io/v1`, and those of `policy.networking.k8s.io/v1alpha2`. It is what the compiled tables are held against.
//!
//! Invariant: it shares no code with the index or the compiler, only the vocabulary and its `matches`.

mod why;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    Change, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, ClusterRuleRef, ContainerPort, Direction,
    Enforcement, IpBlock, Namespace, NamespaceScope, NamespacedName, Node, Peer, Peers, Phase, Pod, PodGroup, Policy,
    PortMatch, Ports, Rule, Sandbox, Tier, TierAction,
};
pub use crate::{RuleRef, Traffic};

/// All objects of a cluster, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The known namespaces, by name.
    pub namespaces: BTreeMap<Arc<str>, Namespace>,
    /// The pods, by namespace and name.
    pub pods: BTreeMap<NamespacedName, Pod>,
    /// The policies, by namespace and name.
    pub policies: BTreeMap<NamespacedName, Policy>,
    /// The cluster policies, by name.
    pub cluster_policies: BTreeMap<Arc<str>, ClusterPolicy>,
    /// The nodes, by name.
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// The namespaces that are [closed](crate::Closed) on the node that is asked about: their policies still isolate, and
    /// allow nothing. No change says so.
    pub closed: BTreeSet<Arc<str>>,
    /// The namespaces whose [audits are left out](crate::Index::audits_left_out) on that node: their audited policies
    /// would isolate, and are taken to allow everything. No change says so.
    pub audits_left_out: BTreeSet<Arc<str>>,
    /// The pods that a node goes on to judge after they are deleted; `None` where no node does.
    pub lingering: Option<Lingering>,
    /// The sandboxes of the node that is asked about, by their ids.
    pub sandboxes: BTreeMap<Arc<str>, Sandbox>,
    /// The addresses that sandboxes of pods gave back which there still are.
    pub given_back: BTreeMap<NamespacedName, BTreeSet<IpAddr>>,
    /// The node of the sandboxes.
    pub node: Arc<str>,
}

/// Deleted pods of a node, by address: judged as before until the address is another pod's, and nobody's peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lingering {
    /// The node.
    pub node: Arc<str>,
    /// Each pod has this one address.
    pub pods: BTreeMap<IpAddr, Pod>,
}

/// A new connection: who opens it to whom, with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The address that opens it.
    pub source: IpAddr,
    /// The address it is opened to, after a Service was resolved to a pod.
    pub destination: IpAddr,
    /// What it carries.
    pub traffic: Traffic,
}

/// The answer: `allowed` is true exactly where both directions allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the connection may be opened.
    pub allowed: bool,
    /// Why NetworkPolicy allows it without a rule, where that is so.
    pub pass: Option<Pass>,
    /// What the source's policies say.
    pub egress: DirectionVerdict,
    /// What the destination's policies say.
    pub ingress: DirectionVerdict,
}

impl Verdict {
    /// What the policies on one end say.
    pub fn of(&self, direction: Direction) -> &DirectionVerdict {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }
}

/// Why a flow passes whatever NetworkPolicies say. Cluster policies judge such a flow, but for that from a pod's own node to
/// the pod, and what could not be understood denies no pod to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// From a pod to itself.
    Loopback,
    /// Between a pod and the node it runs on.
    OwnNode,
}

/// What the policies on one end of the flow say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectionVerdict {
    /// The pod whose policies judge; `None` where the address is no pod's, so that nothing is judged.
    pub subject: Option<NamespacedName>,
    /// Whether any policy isolates the subject in this direction.
    pub isolated: bool,
    /// Whether the subject's namespace is closed, so that no rule of `policies` was asked.
    pub closed: bool,
    /// Whether this direction lets the flow pass.
    pub allowed: bool,
    /// What the tiers of cluster policies say that were asked, in that order.
    pub tiers: Vec<TierVerdict>,
    /// The policies that isolate the subject, ascending.
    pub policies: Vec<NamespacedName>,
    /// The first rule that allows the flow, in the order of `policies`.
    pub rule: Option<RuleRef>,
}

/// What a tier of cluster policies says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierVerdict {
    /// The tier.
    pub tier: Tier,
    /// The cluster policies whose subject the pod is, in the order in which they were asked.
    pub policies: Vec<Arc<str>>,
    /// The first rule that matches, and what it says; `None` where none does, which passes the flow on.
    pub decision: Option<(ClusterRuleRef, TierAction)>,
}

impl TierVerdict {
    /// Whether the direction allows the flow by that; `None` where the flow is passed on.
    fn allows(&self) -> Option<bool> {
        match self.decision.as_ref()?.1 {
            TierAction::Accept => Some(true),
            TierAction::Deny => Some(false),
            TierAction::Pass => None,
        }
    }
}

impl Cluster {
    /// Takes one change over.
    pub fn apply(&mut self, change: Change) {
        let over = match &change {
            Change::PodGone(id) => self.pods.get(id).cloned(),
            Change::Pod(pod) => self.pods.get(&pod.id).filter(|old| old.age.created != pod.age.created).cloned(),
            _ => None,
        };
        let left: Vec<(IpAddr, Pod)> = over.iter().flat_map(|pod| self.left_by(pod)).collect();
        self.replace(change);
        if let Some(Lingering { pods, .. }) = &mut self.lingering {
            pods.extend(left);
            let owned: Vec<IpAddr> = pods.keys().copied().collect();
            let owned = owned.into_iter().filter(|address| self.owner(*address).is_some()).collect();
            self.release(&owned);
        }
    }

    /// These addresses belong to no deleted pod any more.
    pub fn release(&mut self, addresses: &BTreeSet<IpAddr>) {
        if let Some(Lingering { pods, .. }) = &mut self.lingering {
            pods.retain(|address, _| !addresses.contains(address));
        }
    }

    /// A pod of the node has these addresses from now on.
    pub fn set_sandbox(&mut self, mut sandbox: Sandbox) {
        if self.sandboxes.get(&sandbox.id).is_some_and(|before| !before.is_of(&sandbox.pod)) {
            self.drop_sandbox(&sandbox.id.clone());
        }
        for other in self.sandboxes.values_mut() {
            other.addresses.retain(|address| !sandbox.addresses.contains(address));
        }
        self.release(&sandbox.addresses.iter().copied().collect());
        if let Some(pod) = self.pods.get(&sandbox.pod.id).filter(|pod| self.is_here(pod) && sandbox.is_of(pod)) {
            sandbox.see(pod);
        }
        self.sandboxes.insert(sandbox.id.clone(), sandbox);
    }

    /// The addresses of this sandbox are nobody's from now on.
    pub fn drop_sandbox(&mut self, id: &str) {
        let Some(sandbox) = self.sandboxes.remove(id) else { return };
        if self.pods.get(&sandbox.pod.id).is_some_and(|pod| self.is_here(pod) && sandbox.is_of(pod)) {
            self.given_back.entry(sandbox.pod.id).or_default().extend(sandbox.addresses);
        }
    }

    fn is_here(&self, pod: &Pod) -> bool {
        pod.node.as_ref() == Some(&self.node)
    }

    /// The pod of a sandbox, while there is one.
    fn pod_of(&self, sandbox: &Sandbox) -> Option<&Pod> {
        let pod = self.pods.get(&sandbox.pod.id)?;
        (self.is_here(pod) && !pod.host_network && sandbox.is_of(pod)).then_some(pod)
    }

    fn sandbox_at(&self, address: IpAddr) -> Option<&Sandbox> {
        self.sandboxes.values().find(|sandbox| sandbox.addresses.contains(&address))
    }

    /// What the API says that a pod has, as far as that counts.
    fn shown(&self, pod: &Pod) -> BTreeSet<IpAddr> {
        let is_its = |sandbox: &Sandbox| self.pod_of(sandbox).is_some_and(|of| of.id == pod.id);
        if self.sandboxes.values().any(is_its) {
            return BTreeSet::new();
        }
        let given_back = self.given_back.get(&pod.id);
        let is_kept = |address: &IpAddr| given_back.is_none_or(|given_back| !given_back.contains(address));
        pod.addresses().iter().copied().filter(is_kept).collect()
    }

    /// What lingers of a pod that goes.
    fn left_by(&self, pod: &Pod) -> Vec<(IpAddr, Pod)> {
        let keeps = |lingering: &Lingering| pod.node.as_ref() == Some(&lingering.node);
        if !self.lingering.as_ref().is_some_and(keeps) {
            return Vec::new();
        }
        let shown = self.shown(pod);
        let owned = shown.into_iter().filter(|address| self.owner(*address).is_some_and(|o| o.id == pod.id));
        owned.map(|address| (address, Pod { ips: vec![address], ..pod.clone() })).collect()
    }

    fn replace(&mut self, change: Change) {
        match change {
            Change::Namespace(namespace) => drop(self.namespaces.insert(namespace.name.clone(), namespace)),
            Change::NamespaceGone(name) => drop(self.namespaces.remove(&name)),
            Change::Pod(pod) => self.set_pod(pod),
            Change::PodGone(id) => {
                self.pods.remove(&id);
                self.given_back.remove(&id);
            }
            Change::Policy(policy) => drop(self.policies.insert(policy.id.clone(), policy)),
            Change::PolicyGone(id) => drop(self.policies.remove(&id)),
            Change::ClusterPolicy(policy) => drop(self.cluster_policies.insert(policy.name.clone(), policy)),
            Change::ClusterPolicyGone(name) => drop(self.cluster_policies.remove(&name)),
            Change::Node(node) => drop(self.nodes.insert(node.name.clone(), node)),
            Change::NodeGone(name) => drop(self.nodes.remove(&name)),
        }
    }

    /// A pod that shows the addresses that it had before was given them when it came to show them.
    fn set_pod(&mut self, mut pod: Pod) {
        let claims = |pod: &Pod| pod.addresses().iter().copied().collect::<BTreeSet<IpAddr>>();
        if let Some(before) = self.pods.get(&pod.id)
            && before.age.created == pod.age.created
            && claims(before) == claims(&pod)
        {
            pod.age = before.age;
        }
        let is_same = |before: &Pod| before.uid == pod.uid && before.age.created == pod.age.created;
        if !self.is_here(&pod) || !self.pods.get(&pod.id).is_some_and(is_same) {
            self.given_back.remove(&pod.id);
        }
        if self.is_here(&pod) {
            self.sandboxes.values_mut().filter(|sandbox| sandbox.is_of(&pod)).for_each(|sandbox| sandbox.see(&pod));
        }
        self.pods.insert(pod.id.clone(), pod);
    }

    /// Whether `flow` may be opened, and who says so: as if there were no audited policies.
    pub fn verdict(&self, flow: &Flow) -> Verdict {
        self.verdict_of(flow, Enforcement::Enforced)
    }

    /// The same, if all audited policies were enforced.
    pub fn audited_verdict(&self, flow: &Flow) -> Verdict {
        self.verdict_of(flow, Enforcement::Audited)
    }

    /// Whether one end of `flow` lets it pass, and would not if all audited policies were enforced.
    pub fn would_drop(&self, flow: &Flow, direction: Direction) -> bool {
        let allows = |verdict: Verdict| verdict.of(direction).allowed;
        allows(self.verdict(flow)) && !allows(self.audited_verdict(flow))
    }

    /// By the policies up to audited ones, or without these.
    fn verdict_of(&self, flow: &Flow, up_to: Enforcement) -> Verdict {
        let Flow { source, destination, traffic } = *flow;
        let ends = Ends { source: self.end(source), destination: self.end(destination), traffic, up_to };
        let pass = ends.pass();
        let egress = self.judge(Direction::Egress, &ends, pass);
        let ingress = self.judge(Direction::Ingress, &ends, pass);
        Verdict { allowed: egress.allowed && ingress.allowed, pass, egress, ingress }
    }

    /// The pod that has `address`: whose sandbox has it, unless the pod is gone or has ended; of several that claim it the one that is not terminating, then the one that was given it last
    /// ([`Age`](crate::Age)), then the last by name. `None` for addresses that no pod has, or only pods that share their
    /// node's network.
    pub fn owner(&self, address: IpAddr) -> Option<&Pod> {
        if let Some(sandbox) = self.sandbox_at(address) {
            return self.pod_of(sandbox).filter(|pod| pod.phase == Phase::Active);
        }
        self.claimants(address).max_by_key(|pod| (Reverse(pod.terminating), pod.age, &pod.id))
    }

    /// All pods that claim `address`, by name: more than one that is not terminating is a conflict.
    pub fn claimants(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(move |pod| pod.addresses().contains(&address) && self.shown(pod).contains(&address))
    }

    fn end(&self, address: IpAddr) -> End<'_> {
        let pod = self.owner(address);
        let sandbox = self.sandbox_at(address);
        let lingering = self.lingering.as_ref().and_then(|lingering| lingering.pods.get(&address));
        let judged = sandbox.map(|sandbox| self.pod_of(sandbox).unwrap_or(&sandbox.pod)).or(lingering);
        let lone = sandbox.filter(|sandbox| self.pod_of(sandbox).is_none());
        End { address, pod, subject: pod.or(judged), sandbox, lone }
    }

    fn judge(&self, direction: Direction, ends: &Ends<'_>, pass: Option<Pass>) -> DirectionVerdict {
        let (own, peer) = match direction {
            Direction::Egress => (ends.source, ends.destination),
            Direction::Ingress => (ends.destination, ends.source),
        };
        let Some(subject) = own.subject else {
            return DirectionVerdict { allowed: true, ..DirectionVerdict::default() };
        };
        let isolating: Vec<(&Policy, &[Rule])> = self
            .policies
            .values()
            .filter(|policy| policy.enforcement <= ends.up_to)
            .filter(|policy| policy.id.namespace == subject.id.namespace && policy.selector.matches(&subject.labels))
            .filter_map(|policy| Some((policy, policy.rules(direction)?)))
            .collect();
        let closed = self.closed.contains(&subject.id.namespace);
        let left_out = self.audits_left_out.contains(&subject.id.namespace)
            && isolating.iter().any(|(policy, _)| policy.is_audited());
        let rule = isolating.iter().filter(|_| pass.is_none() && !closed).find_map(|(policy, rules)| {
            let index = rules.iter().position(|rule| self.rule_allows(rule, direction, peer, ends))?;
            Some(RuleRef { policy: policy.id.clone(), index })
        });
        let mut tiers = Vec::new();
        let allowed = if direction == Direction::Ingress && pass == Some(Pass::OwnNode) {
            true
        } else {
            let mut ask = |tier| {
                let verdict = self.tier_verdict(tier, direction, subject, peer, ends, pass);
                let allows = verdict.allows();
                tiers.push(verdict);
                allows
            };
            ask(Tier::Admin).unwrap_or_else(|| {
                if isolating.is_empty() {
                    ask(Tier::Baseline).unwrap_or(true)
                } else {
                    pass.is_some() || left_out || rule.is_some()
                }
            })
        };
        DirectionVerdict {
            subject: own.id(),
            isolated: !isolating.is_empty(),
            closed: closed && !isolating.is_empty(),
            allowed,
            tiers,
            policies: isolating.iter().map(|(policy, _)| policy.id.clone()).collect(),
            rule,
        }
    }

    /// The first rule of the tier that matches: of policies in the order of their priority, then of their names.
    fn tier_verdict(
        &self,
        tier: Tier,
        direction: Direction,
        subject: &Pod,
        peer: End<'_>,
        ends: &Ends<'_>,
        pass: Option<Pass>,
    ) -> TierVerdict {
        let is_subject = |policy: &&ClusterPolicy| policy.tier == tier && self.group_holds(&policy.subject, subject);
        let policies = self.cluster_policies.values().filter(|policy| policy.enforcement <= ends.up_to);
        let mut policies: Vec<&ClusterPolicy> = policies.filter(is_subject).collect();
        policies.sort_by_key(|policy| (policy.priority, policy.name.clone()));
        let rules = policies.iter().flat_map(|policy| {
            policy.rules(direction).iter().enumerate().map(|(index, rule)| (&policy.name, index, rule))
        });
        let first = rules.into_iter().find(|(_, _, rule)| self.cluster_rule_matches(rule, direction, peer, ends, pass));
        TierVerdict {
            tier,
            policies: policies.iter().map(|policy| policy.name.clone()).collect(),
            decision: first.map(|(policy, index, rule)| {
                (ClusterRuleRef { policy: policy.clone(), direction, index }, rule.action)
            }),
        }
    }

    fn cluster_rule_matches(
        &self,
        rule: &ClusterRule,
        direction: Direction,
        peer: End<'_>,
        ends: &Ends<'_>,
        pass: Option<Pass>,
    ) -> bool {
        let peers = match &rule.peers {
            ClusterPeers::Others => pass != Some(Pass::Loopback),
            ClusterPeers::AnyOf(peers) => peers.iter().any(|one| match one {
                ClusterPeer::Pods(group) => peer.pod.is_some_and(|pod| self.group_holds(group, pod)),
                ClusterPeer::Network(block) => block_holds(block, peer.address),
                ClusterPeer::Nodes(selector) => {
                    let has = |node: &Node| node.addresses.contains(&peer.address) && selector.matches(&node.labels);
                    self.nodes.values().any(has)
                }
            }),
        };
        peers && ports_match(&rule.ports, direction, ends)
    }

    fn rule_allows(&self, rule: &Rule, direction: Direction, peer: End<'_>, ends: &Ends<'_>) -> bool {
        let peers = match &rule.peers {
            Peers::All => true,
            Peers::AnyOf(peers) => peers.iter().any(|allowed| self.peer_matches(allowed, peer)),
        };
        peers && ports_match(&rule.ports, direction, ends)
    }

    fn peer_matches(&self, allowed: &Peer, peer: End<'_>) -> bool {
        match allowed {
            Peer::Block(block) => block_holds(block, peer.address),
            Peer::Pods(group) => peer.pod.is_some_and(|pod| self.group_holds(group, pod)),
        }
    }

    fn group_holds(&self, group: &PodGroup, pod: &Pod) -> bool {
        let namespace = match &group.namespaces {
            NamespaceScope::Named(name) => pod.id.namespace == *name,
            NamespaceScope::Matching(selector) => {
                self.namespaces.get(&pod.id.namespace).is_some_and(|namespace| selector.matches(&namespace.labels))
            }
        };
        namespace && group.pods.matches(&pod.labels)
    }
}

/// A flow with its addresses resolved to pods, and who is asked about it.
struct Ends<'a> {
    source: End<'a>,
    destination: End<'a>,
    traffic: Traffic,
    /// Policies up to audited ones, or without these.
    up_to: Enforcement,
}

#[derive(Clone, Copy)]
struct End<'a> {
    address: IpAddr,
    /// Whose address it is.
    pod: Option<&'a Pod>,
    /// Whose policies judge there: the same, or a deleted pod.
    subject: Option<&'a Pod>,
    /// The sandbox that has it.
    sandbox: Option<&'a Sandbox>,
    /// The same, where its pod is gone.
    lone: Option<&'a Sandbox>,
}

impl End<'_> {
    /// Whose policies judge there, by a name that nobody else has.
    fn id(&self) -> Option<NamespacedName> {
        let subject = self.subject?;
        Some(match (self.pod, self.sandbox, self.lone) {
            (_, _, Some(sandbox)) => Pod::sandbox_id(&subject.id, &sandbox.id),
            (Some(pod), _, _) => pod.id.clone(),
            (None, Some(_), _) => subject.id.clone(),
            (None, None, _) => Pod::lingering_id(&subject.id, self.address),
        })
    }
}

impl Ends<'_> {
    fn pass(&self) -> Option<Pass> {
        let on_node = |end: End<'_>, node: End<'_>| end.subject.is_some_and(|pod| pod.host_ips.contains(&node.address));
        if self.source.subject.is_some() && self.source.id() == self.destination.id() {
            Some(Pass::Loopback)
        } else if on_node(self.source, self.destination) || on_node(self.destination, self.source) {
            Some(Pass::OwnNode)
        } else {
            None
        }
    }
}

fn ports_match(ports: &Ports, direction: Direction, ends: &Ends<'_>) -> bool {
    let destination = match direction {
        Direction::Egress => ends.destination.pod,
        Direction::Ingress => ends.destination.subject,
    };
    let declared = destination.map_or(&[][..], |pod| &pod.ports);
    match ports {
        Ports::All => true,
        Ports::AnyOf(ports) => ports.iter().any(|port| port_matches(port, ends.traffic, declared)),
    }
}

fn block_holds(block: &IpBlock, address: IpAddr) -> bool {
    block.cidr().contains(&address) && !block.except().iter().any(|except| except.contains(&address))
}

/// A port's name means what the destination pod's containers declare, in either direction: for ingress that pod is the
/// selected one. A name may be declared more than once.
fn port_matches(allowed: &PortMatch, traffic: Traffic, declared: &[ContainerPort]) -> bool {
    let Traffic::Port { protocol, port } = traffic else { return false };
    match allowed {
        PortMatch::Numbers { protocol: of, ports } => *of == protocol && ports.contains(port),
        PortMatch::Named { protocol: of, name } => {
            *of == protocol && declared.iter().any(|d| d.name == *name && d.protocol == protocol && d.port == port)
        }
    }
}

#[cfg(test)]
mod tests;

//! What would allow a connection.

use super::identity::{anywhere, cluster_peer, peer, ports, selected, selector};
use super::{Edit, End, Obstacle, Remedy};
use crate::reference::{Cluster, DirectionVerdict, Flow};
use crate::{
    Attempt, ClusterPolicy, ClusterRule, ClusterRuleRef, Direction, Enforcement, Lack, Miss, NamespacedName, Peer,
    Peers, Policy, PortMatch, Ports, Rule, Selector, Tier, TierAction, Traffic,
};

pub(super) fn allow(cluster: &Cluster, flow: &Flow) -> Result<Remedy, Obstacle> {
    let verdict = cluster.verdict(flow);
    let mut remedy = Remedy::default();
    for direction in Direction::ALL {
        let of = verdict.of(direction);
        let Some(subject) = of.subject.as_ref().filter(|_| !of.allowed) else { continue };
        let end = End::new(cluster, flow, direction).ok_or_else(|| Obstacle::Gone(subject.clone()))?;
        remedy.edits.push(end.edit(of)?);
        remedy.notes.extend(end.notes());
    }
    let mut changed = cluster.clone();
    remedy.edits.iter().for_each(|edit| edit.apply(&mut changed));
    if changed.verdict(flow).allowed { Ok(remedy) } else { Err(Obstacle::NotTold(flow.source)) }
}

impl End<'_> {
    fn edit(&self, verdict: &DirectionVerdict) -> Result<Edit, Obstacle> {
        let denied = verdict.tiers.iter().find_map(|tier| match &tier.decision {
            Some((rule, TierAction::Deny)) => Some((rule, tier.tier)),
            _ => None,
        });
        match denied {
            Some((rule, tier)) => self.before(rule, tier),
            None if verdict.closed => Err(Obstacle::Closed(self.subject.id.namespace.clone())),
            None => self.beside(verdict),
        }
    }

    /// What the change does that nobody asked for.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Traffic::Other(_) = self.flow.traffic {
            notes.push(format!("no rule can name {} alone: every port is opened as well", self.flow.traffic));
        }
        for pod in [Some(self.subject), self.peer_pod()].into_iter().flatten() {
            if selector(self.cluster, pod).requirements().is_empty() {
                notes.push(format!(
                    "pod {} has no label that lasts: all pods of {} are meant",
                    pod.id, pod.id.namespace
                ));
            }
        }
        notes
    }

    /// An edit of a policy that judges the pod, or a policy for such pods alone. Whom it selects is isolated already.
    fn beside(&self, verdict: &DirectionVerdict) -> Result<Edit, Obstacle> {
        let namespace = &self.subject.id.namespace;
        let peer = peer(self.cluster, namespace, self.peer())?;
        let rule = Rule { peers: Peers::AnyOf(vec![peer.clone()]), ports: ports(self.flow.traffic) };
        let miss = self.nearest();
        let nearest = miss.as_ref().map(|miss| &miss.policy);
        let isolating = || verdict.policies.iter().filter_map(|id| self.cluster.policies.get(id));
        let Some(least) = isolating().min_by_key(|policy| policy.selector.requirements().len()) else {
            return Err(Obstacle::Gone(self.subject.id.clone()));
        };
        let own = selector(self.cluster, self.subject);
        let alone: Selector = own.requirements().iter().chain(least.selector.requirements()).cloned().collect();
        let most = selected(self.cluster, namespace, &alone);
        let fits = |policy: &&Policy| selected(self.cluster, namespace, &policy.selector) <= most;
        let fitting = || isolating().filter(fits);
        let chosen = fitting().find(|policy| Some(&policy.id) == nearest).or_else(|| fitting().next());
        let Some(policy) = chosen else { return Ok(self.new_policy(alone, &rule)) };
        let in_place = miss.filter(|miss| miss.policy == policy.id).and_then(|miss| self.in_place(policy, &miss, peer));
        let (id, direction) = (policy.id.clone(), self.direction);
        Ok(in_place.unwrap_or(Edit::AddRule { policy: id, direction, rule }))
    }

    fn nearest(&self) -> Option<Miss> {
        let attempt = Attempt {
            direction: self.direction,
            pod: self.subject.id.clone(),
            peer: self.peer(),
            traffic: self.flow.traffic,
            up_to: Enforcement::Enforced,
        };
        self.cluster.why(&attempt)?.nearest
    }

    /// What the nearest rule lacks, where to give it that admits nothing else.
    fn in_place(&self, policy: &Policy, miss: &Miss, peer: Peer) -> Option<Edit> {
        let Traffic::Port { protocol, port } = self.flow.traffic else { return None };
        let wanted = PortMatch::Numbers { protocol, ports: crate::PortRange::single(port) };
        let rule = policy.rules(self.direction)?.get(miss.rule)?;
        let is_of_port = |lack: &Lack| matches!(lack, Lack::Port { .. } | Lack::NamedPort { .. });
        let (id, direction, at) = (policy.id.clone(), self.direction, miss.rule);
        match (&rule.peers, &rule.ports) {
            (Peers::AnyOf(peers), Ports::AnyOf(_)) if miss.lacks.iter().all(is_of_port) => {
                (*peers == [peer]).then_some(Edit::AddPort { policy: id, direction, rule: at, port: wanted })
            }
            (Peers::AnyOf(peers), Ports::AnyOf(ports)) if !miss.lacks.iter().any(is_of_port) => (*ports == [wanted]
                && !peers.is_empty())
            .then_some(Edit::AddPeer { policy: id, direction, rule: at, peer }),
            _ => None,
        }
    }

    fn new_policy(&self, selector: Selector, rule: &Rule) -> Edit {
        let name = self.name("allow");
        let taken = |name: &str| {
            let id = NamespacedName::new(self.subject.id.namespace.clone(), name);
            self.cluster.policies.contains_key(&id)
        };
        let id = NamespacedName::new(self.subject.id.namespace.clone(), free(&name, taken));
        let rules = |direction| (self.direction == direction).then(|| vec![rule.clone()]);
        Edit::NewPolicy(Policy {
            id,
            enforcement: Enforcement::Enforced,
            selector,
            ingress: rules(Direction::Ingress),
            egress: rules(Direction::Egress),
        })
    }

    /// A rule of a cluster policy that is asked before the one that denies.
    fn before(&self, denying: &ClusterRuleRef, tier: Tier) -> Result<Edit, Obstacle> {
        if self.direction == Direction::Ingress && self.peer_pod().is_none() {
            return Err(Obstacle::Tier(denying.clone(), tier));
        }
        self.first_in(tier, Some(denying), TierAction::Accept)
    }

    /// A rule of a cluster policy for just such ends that is asked before `than`; without that, somewhere in the tier.
    pub(super) fn first_in(
        &self,
        tier: Tier,
        than: Option<&ClusterRuleRef>,
        action: TierAction,
    ) -> Result<Edit, Obstacle> {
        let rule = ClusterRule {
            name: None,
            action,
            peers: cluster_peer(self.cluster, self.peer())?,
            ports: ports(self.flow.traffic),
        };
        let other = than.and_then(|than| self.cluster.cluster_policies.get(&than.policy));
        let priority = match other {
            None => Some(LAST),
            Some(other) => other.priority.checked_sub(1),
        };
        if let (Some(than), None) = (than, priority) {
            let (policy, direction) = (than.policy.clone(), self.direction);
            return Ok(Edit::InsertClusterRule { policy, direction, at: than.index, rule });
        }
        let verb = if action == TierAction::Accept { "allow" } else { "deny" };
        let name = free(&self.name(verb), |name| self.cluster.cluster_policies.contains_key(name));
        let rules = |direction| if self.direction == direction { vec![rule.clone()] } else { Vec::new() };
        Ok(Edit::NewClusterPolicy(ClusterPolicy {
            name: name.into(),
            enforcement: Enforcement::Enforced,
            tier,
            priority: priority.unwrap_or(LAST),
            subject: anywhere(self.cluster, self.subject)?,
            ingress: rules(Direction::Ingress),
            egress: rules(Direction::Egress),
        }))
    }
}

/// The priority that is asked last.
const LAST: u16 = 1000;

/// The name, or with a number the first of it that nobody has.
pub(super) fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2_u32..).map(|n| format!("{name}-{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

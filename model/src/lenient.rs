//! What policies allow at most, whichever pods there are: that can be enforced while it is not known which pods other nodes
//! have.
//!
//! Invariants:
//! - What a cluster's policies allow, their lenient forms allow, too, in the same cluster without any of the pods of other
//!   nodes, unless two pods have the same address.
//! - Rules about which nothing depends on pods elsewhere stay as they are.

use crate::cidr::everything;
use crate::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, Peer, Peers, Policy, PortMatch, Ports, Rule,
    TierAction,
};

impl Policy {
    /// What it allows at most, whichever pods there are; `None` where it says so itself.
    pub fn lenient(&self) -> Option<Self> {
        let lenient = |direction: Direction| {
            let rules = self.rules(direction)?.iter();
            Some(rules.map(|rule| rule.lenient(direction)).collect())
        };
        let lenient = Self { ingress: lenient(Direction::Ingress), egress: lenient(Direction::Egress), ..self.clone() };
        (lenient != *self).then_some(lenient)
    }
}

impl Rule {
    fn lenient(&self, direction: Direction) -> Self {
        let names_pods =
            matches!(&self.peers, Peers::AnyOf(peers) if peers.iter().any(|peer| matches!(peer, Peer::Pods(_))));
        let peers = if names_pods { Peers::All } else { self.peers.clone() };
        Self { peers, ports: lenient_ports(&self.ports, direction) }
    }
}

impl ClusterPolicy {
    /// The same of a cluster policy. What it denies to those whom nobody knows yet it does not deny yet; and whom it passes on
    /// it accepts: whether a later rule denies it is not known either.
    pub fn lenient(&self) -> Option<Self> {
        let lenient =
            |direction: Direction| self.rules(direction).iter().filter_map(move |rule| rule.lenient(direction));
        let (ingress, egress) = (lenient(Direction::Ingress).collect(), lenient(Direction::Egress).collect());
        let lenient = Self { ingress, egress, ..self.clone() };
        (lenient != *self).then_some(lenient)
    }
}

impl ClusterRule {
    fn lenient(&self, direction: Direction) -> Option<Self> {
        let names_pods = match &self.peers {
            ClusterPeers::Others => false,
            ClusterPeers::AnyOf(peers) => peers.iter().any(|peer| matches!(peer, ClusterPeer::Pods(_))),
        };
        let ports = lenient_ports(&self.ports, direction);
        if !names_pods && ports == self.ports {
            return Some(self.clone());
        }
        if self.action == TierAction::Deny {
            return None;
        }
        let peers = if names_pods { everybody() } else { self.peers.clone() };
        Some(Self { name: self.name.clone(), action: TierAction::Accept, peers, ports })
    }
}

/// A port's name means a number of the pod that is connected to, which is not known of those to whom one goes.
fn lenient_ports(ports: &Ports, direction: Direction) -> Ports {
    let is_name = |entry: &PortMatch| matches!(entry, PortMatch::Named { .. });
    match ports {
        Ports::AnyOf(entries) if direction == Direction::Egress && entries.iter().any(is_name) => Ports::All,
        ports => ports.clone(),
    }
}

fn everybody() -> ClusterPeers {
    ClusterPeers::AnyOf(everything().map(|all| ClusterPeer::Network(all.into())).into())
}

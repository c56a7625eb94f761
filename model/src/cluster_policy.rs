//! ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) and Node as values.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::{Direction, Enforcement, IpBlock, Labels, PodGroup, Ports, Selector};

/// When a ClusterNetworkPolicy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Before NetworkPolicy.
    Admin,
    /// Where no NetworkPolicy isolates the pod.
    Baseline,
}

impl Tier {
    /// Both, in the order in which they are asked.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Baseline];
}

/// As Kubernetes writes it: `Admin`, `Baseline`.
impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "Admin",
            Self::Baseline => "Baseline",
        })
    }
}

/// What a rule of a [`ClusterPolicy`] says of the connections that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TierAction {
    /// The direction allows them, finally.
    Accept,
    /// They are dropped.
    Deny,
    /// The rest of the tier is not asked.
    Pass,
}

/// As Kubernetes writes it: `Accept`, `Deny`, `Pass`.
impl fmt::Display for TierAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "Accept",
            Self::Deny => "Deny",
            Self::Pass => "Pass",
        })
    }
}

/// A ClusterNetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterPolicy {
    /// Its name.
    pub name: Arc<str>,
    /// What it does.
    pub enforcement: Enforcement,
    /// When it is asked.
    pub tier: Tier,
    /// The lower, the earlier it is asked within its tier; of equal ones the lesser name, by its bytes.
    pub priority: u16,
    /// The pods whose connections it judges. It isolates none.
    pub subject: PodGroup,
    /// The rules for connections opened to them: the first that matches decides.
    pub ingress: Vec<ClusterRule>,
    /// The rules for connections that they open.
    pub egress: Vec<ClusterRule>,
}

impl ClusterPolicy {
    /// Whether it only watches.
    pub fn is_audited(&self) -> bool {
        self.enforcement == Enforcement::Audited
    }

    /// The rules for one direction.
    pub fn rules(&self, direction: Direction) -> &[ClusterRule] {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }

    /// The lesser is asked first, within a tier.
    pub fn precedence(&self) -> (u16, &Arc<str>) {
        (self.priority, &self.name)
    }
}

/// A rule: it decides about what matches both its peers and its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterRule {
    /// `name`, for people.
    pub name: Option<Arc<str>>,
    /// What it says.
    pub action: TierAction,
    /// Who connects (`from`), or is connected to (`to`).
    pub peers: ClusterPeers,
    /// To which ports (`protocols`).
    pub ports: Ports,
}

impl ClusterRule {
    /// What stands in the place of a rule that cannot be understood: nothing for one that accepts; for others, and for an
    /// action that is not known, it denies everything.
    pub fn closed(name: Option<Arc<str>>, action: Option<TierAction>) -> Self {
        match action {
            Some(action @ TierAction::Accept) => {
                Self { name, action, peers: ClusterPeers::AnyOf(Vec::new()), ports: Ports::All }
            }
            Some(TierAction::Deny | TierAction::Pass) | None => {
                Self { name, action: TierAction::Deny, peers: ClusterPeers::Others, ports: Ports::All }
            }
        }
    }
}

/// The `from` or `to` of a [`ClusterRule`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClusterPeers {
    /// Everybody but the pod itself: only in rules that could not be understood.
    Others,
    /// Any of these. Empty where a rule that accepts could not be understood: then nobody.
    AnyOf(Vec<ClusterPeer>),
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterPeer {
    /// `namespaces` or `pods`.
    Pods(PodGroup),
    /// One of `networks`: whoever has the address.
    Network(IpBlock),
    /// `nodes`: the addresses of the nodes with these labels.
    Nodes(Selector),
}

/// A Node, as far as policy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses (`status.addresses`, those that are addresses), whatever their type.
    pub addresses: Vec<IpAddr>,
}

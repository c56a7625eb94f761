use std::fmt;
use std::sync::Arc;

use crate::{IpBlock, NamespacedName, PortMatch, Selector};

/// The direction of a connection, seen from the pod that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Connections that the pod opens.
    Egress,
    /// Connections that are opened to the pod.
    Ingress,
}

impl Direction {
    /// Both, in the order in which a packet meets them.
    pub const ALL: [Self; 2] = [Self::Egress, Self::Ingress];
}

/// `egress` or `ingress`.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}

/// What a policy does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Enforcement {
    /// What it says holds.
    #[default]
    Enforced,
    /// It forbids nothing and allows nothing, as if it were not there. What would be dropped if all of these were
    /// enforced is recorded ([`Audit`](crate::Audit)).
    Audited,
}

/// A NetworkPolicy with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Its namespace and name.
    pub id: NamespacedName,
    /// What it does.
    pub enforcement: Enforcement,
    /// The pods of its namespace that it selects.
    pub selector: Selector,
    /// What it allows in; `None` where its policyTypes lack Ingress, so that it says nothing about that direction.
    pub ingress: Option<Vec<Rule>>,
    /// What it allows out; `None` where its policyTypes lack Egress.
    pub egress: Option<Vec<Rule>>,
}

impl Policy {
    /// Whether it only watches.
    pub fn is_audited(&self) -> bool {
        self.enforcement == Enforcement::Audited
    }

    /// The rules for one direction; `None` where the policy does not isolate in it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Egress => self.egress.as_deref(),
            Direction::Ingress => self.ingress.as_deref(),
        }
    }
}

/// One rule: it allows what matches both its peers and its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Who may connect (`from`), or be connected to (`to`).
    pub peers: Peers,
    /// To which ports.
    pub ports: Ports,
}

/// The `from` or `to` of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peers {
    /// Missing or empty: everyone.
    All,
    /// Any of these. May be empty where every peer had to be left out because it could not be understood: then nobody.
    AnyOf(Vec<Peer>),
}

/// The `ports` of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ports {
    /// Missing or empty: every port of every protocol, and protocols without ports.
    All,
    /// Any of these. May be empty where every entry had to be left out: then none.
    AnyOf(Vec<PortMatch>),
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// `podSelector`, `namespaceSelector` or both.
    Pods(PodGroup),
    /// `ipBlock`.
    Block(IpBlock),
}

/// Pods, by namespace and labels. Independent of the policy that names it, so that equal groups are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodGroup {
    /// In which namespaces.
    pub namespaces: NamespaceScope,
    /// With which labels; `{}` where only a namespaceSelector is given.
    pub pods: Selector,
}

/// The namespaces of a [`PodGroup`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamespaceScope {
    /// The policy's own namespace, by name (no namespaceSelector). It need not be known as an object.
    Named(Arc<str>),
    /// The known namespaces that match. A namespace that the index has not been told of matches no selector, not even
    /// `{}`: what is not known never widens.
    Matching(Selector),
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// The policy.
    pub policy: NamespacedName,
    /// The position of the rule in `spec.ingress` or `spec.egress`, from 0.
    pub index: usize,
}

/// `pods app=web in shop` or `pods {} in namespaces team=a`.
impl fmt::Display for PodGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pods {} in ", self.pods)?;
        match &self.namespaces {
            NamespaceScope::Named(name) => write!(f, "{name}"),
            NamespaceScope::Matching(selector) => write!(f, "namespaces {selector}"),
        }
    }
}

//! The smallest change to policies that lets a connection pass, or keeps it from passing.
//!
//! To allow, each end that denies gets one edit, made from the rule that came nearest ([`Cluster::why`]): a port or a peer
//! for that rule where that admits nothing else, otherwise a rule of its own beside it; a new policy where that one selects
//! other pods as well. What a cluster policy denies takes a rule before it, which is its administrator's to write.
//!
//! To forbid, the rules that admit the connection are narrowed, at the destination if that can be, else at the source; where
//! no rule admits it, or everybody, a cluster policy denies it.
//!
//! Invariants (`tests/remedy.rs`):
//! - It is proven: the verdict with the edits is the wanted one, by the reference.
//! - What allows loses nothing, what forbids opens nothing, and what becomes otherwise is between the same kinds of ends.

mod allow;
mod edit;
mod forbid;
mod identity;
mod narrow;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use self::edit::Edit;
use crate::reference::{Cluster, Flow};
use crate::{ClusterRuleRef, Direction, NamespacedName, Pod, Tier};

/// A change that is proven to do what was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy {
    /// What to edit, in this order: positions are those after the edits before. Empty where all is as wanted.
    pub edits: Vec<Edit>,
    /// What it does beyond what was asked for, in sentences.
    pub notes: Vec<String>,
}

/// Why there is no such change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The namespace is over its share on its node: no rule of it counts.
    Closed(Arc<str>),
    /// There is no Namespace object with the label that would name it, so that no rule can.
    UnknownNamespace(Arc<str>),
    /// A rule of a cluster policy denies, and none can be written before it that names the peer.
    Tier(ClusterRuleRef, Tier),
    /// Whatever policies say, a pod reaches itself, and it and its node each other.
    AlwaysAllowed,
    /// No end is a pod, so that no policy judges.
    NoPod,
    /// No policy can tell the peer from others that pass.
    NotTold(IpAddr),
    /// The pod is not there any more.
    Gone(NamespacedName),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(namespace) => {
                write!(
                    f,
                    "namespace {namespace} is over its share, so that no rule of its policies counts: see --shares"
                )
            }
            Self::UnknownNamespace(namespace) => {
                write!(f, "no rule can name namespace {namespace}: there is no object for it")
            }
            Self::Tier(rule, tier) => write!(
                f,
                "{} spec.{}[{}] (tier {tier}) denies it, and no rule of a ClusterNetworkPolicy can name this peer: ask its \
                 administrator",
                rule.policy, rule.direction, rule.index
            ),
            Self::AlwaysAllowed => f.write_str("a pod always reaches itself, and it and its node each other"),
            Self::NoPod => f.write_str("neither end is a pod, so that no policy judges it"),
            Self::NotTold(address) => {
                write!(f, "no policy can tell {address} from others that pass: give the ends labels of their own")
            }
            Self::Gone(pod) => write!(f, "pod {pod} is not there any more"),
        }
    }
}

/// What would allow `flow`.
///
/// # Errors
/// Why nothing would.
pub fn allow(cluster: &Cluster, flow: &Flow) -> Result<Remedy, Obstacle> {
    allow::allow(cluster, flow)
}

/// What would forbid `flow`.
///
/// # Errors
/// Why nothing would.
pub fn forbid(cluster: &Cluster, flow: &Flow) -> Result<Remedy, Obstacle> {
    forbid::forbid(cluster, flow)
}

/// One end of a flow, as its policies see it.
#[derive(Clone, Copy)]
struct End<'a> {
    cluster: &'a Cluster,
    flow: &'a Flow,
    direction: Direction,
    subject: &'a Pod,
}

impl<'a> End<'a> {
    /// `None` where that end is no pod.
    fn new(cluster: &'a Cluster, flow: &'a Flow, direction: Direction) -> Option<Self> {
        let own = if direction == Direction::Egress { flow.source } else { flow.destination };
        Some(Self { cluster, flow, direction, subject: cluster.owner(own)? })
    }

    fn peer(&self) -> IpAddr {
        match self.direction {
            Direction::Egress => self.flow.destination,
            Direction::Ingress => self.flow.source,
        }
    }

    fn peer_pod(&self) -> Option<&'a Pod> {
        self.cluster.owner(self.peer())
    }

    /// How the change is to be called: `allow-ingress-web-to-db-tcp-5432`.
    fn name(&self, verb: &str) -> String {
        let end = |address: IpAddr| match self.cluster.owner(address) {
            Some(pod) => crate::workload(&pod.id.name, &pod.labels).to_owned(),
            None => address.to_string(),
        };
        let text = {
            let (source, destination) = (end(self.flow.source), end(self.flow.destination));
            format!("{verb}-{}-{source}-to-{destination}-{}", self.direction, self.flow.traffic)
        };
        let is_kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
        let text: String = text.chars().map(is_kept).collect();
        let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
        parts.join("-").chars().take(200).collect()
    }
}

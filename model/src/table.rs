//! What the index puts out: decision tables, the sets they look up, and the pods they judge.

mod pod;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use self::pod::{Audit, PodEnforcement};
pub use self::tiers::{ClusterRuleRef, TierClause, TierKey, TierMatch, TierSegment, TierTable};
use crate::{Direction, IpBlock, NamespacedName, Peer, PodGroup, PortRange, Protocol, Selector};

/// What a clause says of the packets that match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The packet may pass.
    Accept,
    /// The packet is dropped.
    Drop,
}

/// Names a decision table by what defines it: pods that share a key share the table.
///
/// The key does not change when one of its policies is edited, unless the edit changes which port names must be
/// resolved. All policies of a table are of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableKey {
    /// The direction it judges.
    pub direction: Direction,
    /// The policies that isolate the pod in that direction: never empty, ascending.
    pub policies: Vec<NamespacedName>,
    /// For ingress, what the port names in those policies mean on the pod itself: ascending, names that the pod does not
    /// declare left out. Empty for egress.
    pub named_ports: Vec<PortResolution>,
}

impl TableKey {
    /// The namespace of its policies.
    pub fn namespace(&self) -> &Arc<str> {
        &self.policies.first().expect("a table has policies").namespace
    }
}

/// What a port name means on one pod: a name may be declared for several numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortResolution {
    /// The name.
    pub name: Arc<str>,
    /// The protocol it is declared for.
    pub protocol: Protocol,
    /// The numbers: never empty, ascending.
    pub ports: Vec<u16>,
}

/// The function (peer, protocol, port) -> verdict of all policies of one pod in one direction.
///
/// A packet of a protocol with ports is judged by the clauses of the segment that holds its destination port, if any,
/// then by `always`; a packet of another protocol by `always` alone. The first clause that matches decides; a packet
/// that none matches is dropped. A pure function of the policies: it holds no addresses of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Per protocol the segments of its port space: disjoint, ascending, without those that allow nothing.
    pub segments: BTreeMap<Protocol, Vec<Segment>>,
    /// The rules without ports, and named ports (whose sets hold protocol and port themselves).
    pub always: Vec<Clause>,
}

impl Table {
    /// The lists of lookups of its segments, in no order; those that segments share once.
    pub fn lists(&self) -> Vec<&[Clause]> {
        let mut lists: Vec<&[Clause]> = self.segments.values().flatten().map(|segment| &*segment.clauses).collect();
        lists.sort_unstable_by_key(|clauses| clauses.as_ptr());
        lists.dedup_by_key(|clauses| clauses.as_ptr());
        lists
    }
}

/// A range of ports in which the same rules apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// The ports.
    pub ports: PortRange,
    /// What applies there, in order: never empty. Equal segments have equal clauses.
    pub clauses: Arc<[Clause]>,
}

/// Peers and what is said of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clause {
    /// Whom it matches.
    pub peers: PeerMatch,
    /// What it says.
    pub verdict: Verdict,
}

/// Whom a [`Clause`] matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerMatch {
    /// Everyone.
    All,
    /// The members of a set.
    Set(Arc<SetKey>),
}

/// Names a set by the definitions whose union it is, never by its members: churn renames nothing.
///
/// Each list is ascending, holds each definition once, and is never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetKey {
    /// The addresses of all pods of these groups.
    Pods(Vec<PodGroup>),
    /// The addresses of these blocks. Its members never change: they follow from the definition.
    Blocks(Vec<IpBlock>),
    /// Address, protocol and port of all pods of these groups that declare the named port.
    Endpoints(Vec<EndpointGroup>),
    /// The addresses of all nodes with labels that match one of these.
    Nodes(Vec<Selector>),
}

impl SetKey {
    /// How many definitions it is the union of.
    pub(crate) fn definitions(&self) -> u64 {
        let count = match self {
            Self::Pods(groups) => groups.len(),
            Self::Blocks(blocks) => blocks.len(),
            Self::Endpoints(groups) => groups.len(),
            Self::Nodes(selectors) => selectors.len(),
        };
        count as u64
    }
}

/// A named port on the pods of a group: what an egress rule with that port name allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointGroup {
    /// Which pods; `None` for all pods.
    pub peers: Option<Peer>,
    /// The port's name.
    pub name: Arc<str>,
    /// The port's protocol.
    pub protocol: Protocol,
}

/// A member of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// Of [`SetKey::Pods`] and [`SetKey::Nodes`].
    Address(IpAddr),
    /// Of [`SetKey::Endpoints`].
    Endpoint(IpAddr, Protocol, u16),
}

/// A pod of this node that owns addresses, isolated or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPod {
    /// The addresses that it owns: ascending, never none.
    pub addresses: Vec<IpAddr>,
    /// When it was created, in seconds since 1970: tells it from an earlier pod by its name. 0 where unknown.
    pub created: i64,
}

/// What changed in the index's output since it was last asked. An object that came and went in between is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Pods of this node that own other addresses than before, or were created anew; `None`: no longer any.
    pub locals: BTreeMap<NamespacedName, Option<LocalPod>>,
    /// Addresses, of pods of any node, that were an earlier pod's: they have another owner now, or none. Of a deleted
    /// pod that [lingers](crate::Index::keep_lingering) they are those that were released.
    pub disowned: BTreeSet<IpAddr>,
    /// Addresses, of pods of any node, that were nobody's and have an owner now; some more than once.
    pub owned: Vec<IpAddr>,
    /// Local pods that are judged or audited differently; `None`: neither any longer.
    pub pods: BTreeMap<NamespacedName, Option<PodEnforcement>>,
    /// Tables that are new or were edited; `None`: no longer used by any pod.
    pub tables: BTreeMap<Arc<TableKey>, Option<Arc<Table>>>,
    /// The same of the tables of cluster policies.
    pub tiers: BTreeMap<Arc<TierKey>, Option<Arc<TierTable>>>,
    /// Sets that are new, gone, or have other members.
    pub sets: BTreeMap<Arc<SetKey>, SetDelta>,
    /// The namespaces whose tables were looked at for that.
    pub compiled: BTreeSet<Arc<str>>,
}

/// What became of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetDelta {
    /// It is new, with these members: ascending, empty for [`SetKey::Blocks`].
    New(Vec<Member>),
    /// Its membership changed: both ascending and disjoint, not both empty.
    Changed {
        /// Came in.
        added: Vec<Member>,
        /// Went out.
        removed: Vec<Member>,
    },
    /// No table uses it any more.
    Gone,
}

impl Delta {
    /// Whether nothing changed. Whose an address was before, and what was looked at, is no part of what there is.
    pub fn is_empty(&self) -> bool {
        let Self { locals, disowned: _, owned: _, pods, tables, tiers, sets, compiled: _ } = self;
        locals.is_empty() && pods.is_empty() && tables.is_empty() && tiers.is_empty() && sets.is_empty()
    }
}

/// `http/TCP of pods app=web in shop`, `dns/UDP of pods in 10.0.0.0/8` or `http/TCP of all pods`.
impl fmt::Display for EndpointGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} of ", self.name, self.protocol)?;
        match &self.peers {
            None => f.write_str("all pods"),
            Some(Peer::Pods(group)) => write!(f, "{group}"),
            Some(Peer::Block(block)) => write!(f, "pods in {block}"),
        }
    }
}

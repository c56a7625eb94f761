use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{LinkName, Verdict};

/// The elements of a set or verdict map, by its type. Keys are ascending; ranges are disjoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// `type ipv4_addr`, a hash set.
    Ipv4(BTreeSet<Ipv4Addr>),
    /// `type ipv6_addr`, a hash set.
    Ipv6(BTreeSet<Ipv6Addr>),
    /// `type ipv4_addr; flags interval`, an rbtree.
    Ipv4Ranges(BTreeSet<Range<Ipv4Addr>>),
    /// `type ipv6_addr; flags interval`, an rbtree.
    Ipv6Ranges(BTreeSet<Range<Ipv6Addr>>),
    /// `type ipv4_addr . inet_proto . inet_service`, a hash set.
    Ipv4Endpoints(BTreeSet<Endpoint<Ipv4Addr>>),
    /// `type ipv6_addr . inet_proto . inet_service`, a hash set.
    Ipv6Endpoints(BTreeSet<Endpoint<Ipv6Addr>>),
    /// `type ipv4_addr : verdict`, a hash map.
    Ipv4Verdicts(BTreeMap<Ipv4Addr, Verdict>),
    /// `type ipv6_addr : verdict`, a hash map.
    Ipv6Verdicts(BTreeMap<Ipv6Addr, Verdict>),
    /// `type inet_service : verdict`, a hash map.
    PortVerdicts(BTreeMap<u16, Verdict>),
    /// `type inet_service : verdict; flags interval`, an rbtree.
    PortRangeVerdicts(BTreeMap<Range<u16>, Verdict>),
    /// `type ipv4_addr . ipv4_addr`, a hash set.
    Ipv4Pairs(BTreeSet<Pair<Ipv4Addr>>),
    /// `type ipv6_addr . ipv6_addr`, a hash set.
    Ipv6Pairs(BTreeSet<Pair<Ipv6Addr>>),
    /// `type ifname`, a hash set.
    Links(BTreeSet<LinkName>),
    /// `type ifname : verdict`, a hash map.
    LinkVerdicts(BTreeMap<LinkName, Verdict>),
}

/// The type of a set or verdict map: [`Elements`] without the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as the variants of Elements")]
pub enum ElementsKind {
    Ipv4,
    Ipv6,
    Ipv4Ranges,
    Ipv6Ranges,
    Ipv4Endpoints,
    Ipv6Endpoints,
    Ipv4Verdicts,
    Ipv6Verdicts,
    PortVerdicts,
    PortRangeVerdicts,
    Ipv4Pairs,
    Ipv6Pairs,
    Links,
    LinkVerdicts,
}

impl ElementsKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Ipv4,
        Self::Ipv6,
        Self::Ipv4Ranges,
        Self::Ipv6Ranges,
        Self::Ipv4Endpoints,
        Self::Ipv6Endpoints,
        Self::Ipv4Verdicts,
        Self::Ipv6Verdicts,
        Self::PortVerdicts,
        Self::PortRangeVerdicts,
        Self::Ipv4Pairs,
        Self::Ipv6Pairs,
        Self::Links,
        Self::LinkVerdicts,
    ];
}

/// `first..=last` of an interval set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range<T> {
    /// The lowest key.
    pub first: T,
    /// The highest key, not below `first`.
    pub last: T,
}

/// Address, layer 4 protocol number and destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint<A> {
    /// The address.
    pub address: A,
    /// The IP protocol number (6, 17 or 132).
    pub protocol: u8,
    /// The port.
    pub port: u16,
}

/// Two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair<A>(pub A, pub A);

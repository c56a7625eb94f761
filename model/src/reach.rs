//! Who may reach whom, by workloads: all answers of [`verdict`](crate::reference::Cluster::verdict), in proportion to
//! what
//! rules name.
//!
//! A [`Place`] is a workload, or the addresses that are nobody's pod's and that rules do not tell apart. What a place
//! lets
//! [anybody](Reach::anybody) do is said once; [edges](Reach::edges) say where two places differ from that because a
//! rule
//! names one of them. Between two places without an edge passes what both let anybody do.
//!
//! Invariants:
//! - The answer is the reference verdict's for all pods, addresses and ports, and shares no code with it: between a
//!   pod and
//!   itself, and between a pod and its node, aside (`tests/reach.rs`).
//! - It is about objects alone: sandboxes and deleted pods are nobody here, and audited policies are not there.
//!   Namespaces
//!   that the cluster says are closed are.
//! - There is no pair of places that is looked at without a rule that names one of them.

mod build;
mod causes;
mod changes;
mod crowd;
mod edges;
mod effect;
mod judge;
mod networks;
mod ports;
mod rules;
mod terms;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

pub use self::causes::{Cause, RuleName};
pub use self::changes::{Changes, OthersChange, PortChange, WayChange};
pub use self::crowd::{Counted, Crowd};
pub use self::edges::{Edge, Edges, Ways};
pub use self::effect::NoEffect;
use self::judge::{Memory, Profile, ProfileId};
use self::networks::Networks;
pub use self::ports::PortSet;
use self::rules::Rules;
use self::terms::{TermId, Terms};
use crate::{Direction, IpBlock, NamespacedName, Traffic};

/// Who may reach whom in a cluster.
#[derive(Debug)]
pub struct Reach {
    places: Vec<Place>,
    parties: Vec<Party>,
    /// By the pods' addresses.
    addresses: HashMap<IpAddr, PartyId>,
    /// By what rules say of the addresses.
    outside: HashMap<(bool, Vec<TermId>), PartyId>,
    networks: Networks,
    rules: Rules,
    terms: Terms,
    profiles: Vec<Profile>,
    /// By term: the profiles for ingress that ask it.
    asked_by: Vec<Vec<ProfileId>>,
    policies: Vec<PolicyFacts>,
}

/// The number of a [`Place`], from 0, in ascending order: those outside come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlaceId(u32);

/// One end of ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who that is.
    pub name: PlaceName,
    /// How many pods with addresses it has; 0 outside.
    pub pods: usize,
    parties: Range<usize>,
}

/// Who a [`Place`] is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlaceName {
    /// A workload: its namespace, and its name as its pods [tell](crate::workload) it.
    Workload(NamespacedName),
    /// Addresses that are no pod's.
    Outside {
        /// Their family.
        ipv6: bool,
        /// The blocks: everything that no rule names, or what is alike for all rules.
        blocks: Vec<IpBlock>,
        /// Whether a rule names them.
        named: bool,
    },
}

/// `shop/web`, `192.0.2.0/24 except 192.0.2.7/32`, `other IPv4 addresses`: bounded, whatever rules name.
impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(name) => write!(f, "{name}"),
            Self::Outside { ipv6, named: false, .. } => {
                write!(f, "other {} addresses", if *ipv6 { "IPv6" } else { "IPv4" })
            }
            Self::Outside { blocks, .. } => {
                let more = |count: usize| if count > 0 { format!(" and {count} more") } else { String::new() };
                let block = |block: &IpBlock| match block.except() {
                    [] | [_] | [_, _] => block.to_string(),
                    [one, rest @ ..] => format!("{} except {one}{}", block.cidr(), more(rest.len())),
                };
                let some: Vec<String> = blocks.iter().take(2).map(block).collect();
                write!(f, "{}{}", some.join(", "), more(blocks.len().saturating_sub(2)))
            }
        }
    }
}

/// Who is meant where no rule names anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Population {
    /// Addresses of that family.
    pub ipv6: bool,
    /// No pods.
    pub outside: bool,
}

impl Population {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self { ipv6: false, outside: false },
        Self { ipv6: false, outside: true },
        Self { ipv6: true, outside: false },
        Self { ipv6: true, outside: true },
    ];

    fn number(self) -> usize {
        usize::from(self.ipv6) * 2 + usize::from(self.outside)
    }

    fn holds(self, address: IpAddr) -> bool {
        address.is_ipv6() == self.ipv6
    }
}

/// A policy, and how many pods it judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFacts {
    /// Its name; of a cluster policy without a namespace.
    pub id: NamespacedName,
    /// How many pods with addresses it selects.
    pub pods: usize,
}

/// The number of a [`Party`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct PartyId(u32);

/// Pods of a place that no rule tells apart, at their addresses of one family; or addresses outside.
#[derive(Debug)]
struct Party {
    place: PlaceId,
    population: Population,
    /// How many pods these are.
    pods: usize,
    /// By direction; `None` where nothing judges them.
    profiles: [Option<ProfileId>; 2],
    /// The terms whose answer is unusual.
    unusual: Vec<TermId>,
    /// The policies that select them, of both kinds, by their numbers among the facts: ascending.
    selecting: Rc<[usize]>,
}

impl Reach {
    /// All places, by their numbers.
    pub fn places(&self) -> impl Iterator<Item = (PlaceId, &Place)> {
        self.places.iter().enumerate().map(|(number, place)| (PlaceId::new(number), place))
    }

    /// A place.
    pub fn place(&self, id: PlaceId) -> &Place {
        &self.places[id.0 as usize]
    }

    /// The place of a workload.
    pub fn find(&self, workload: &NamespacedName) -> Option<PlaceId> {
        let is = |place: &Place| match &place.name {
            PlaceName::Workload(name) => name.cmp(workload),
            PlaceName::Outside { .. } => std::cmp::Ordering::Greater,
        };
        self.places.binary_search_by(is).ok().map(PlaceId::new)
    }

    /// Whether it has addresses of that family.
    pub fn has_family(&self, place: PlaceId, ipv6: bool) -> bool {
        self.parties_of(place).any(|(_, party)| party.population.ipv6 == ipv6)
    }

    /// Whether nothing judges its connections in that direction.
    pub fn is_open(&self, place: PlaceId, direction: Direction) -> bool {
        self.parties_of(place).all(|(_, party)| party.profiles[direction as usize].is_none())
    }

    /// Whether a NetworkPolicy isolates any of its pods in that direction.
    pub fn is_isolated(&self, place: PlaceId, direction: Direction) -> bool {
        self.profiles_of(place, direction).any(|profile| profile.isolated)
    }

    /// The policies that judge its connections in that direction, of both kinds: ascending, each once.
    pub fn judged_by(&self, place: PlaceId, direction: Direction) -> Vec<&NamespacedName> {
        let mut policies: Vec<usize> =
            self.profiles_of(place, direction).flat_map(|profile| profile.policies.iter().copied()).collect();
        policies.sort_unstable();
        policies.dedup();
        policies.into_iter().map(|policy| &self.policies[policy].id).collect()
    }

    /// What some pod of the place may send to, or receive from, whom no rule names. Nothing for a place of
    /// another family.
    pub fn anybody(&self, place: PlaceId, direction: Direction, who: Population) -> PortSet {
        let parties = self.parties_of(place).filter(|(_, party)| party.population.ipv6 == who.ipv6);
        parties.fold(PortSet::default(), |ports, (_, party)| match party.profiles[direction as usize] {
            None => PortSet::all(),
            Some(profile) => ports.union(&self.profiles[profile.number()].usual[who.number()]),
        })
    }

    /// The policies that are enforced and how many pods they select: those with a namespace by name, then cluster
    /// policies.
    pub fn policies(&self) -> &[PolicyFacts] {
        &self.policies
    }

    /// Whether such a connection may be opened: what [`verdict`](crate::reference::Cluster::verdict) says, unless it
    /// is one
    /// between a pod and itself or its node.
    pub fn allows(&self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> bool {
        let (from, to) = (self.party_at(source), self.party_at(destination));
        self.between(from, to, &mut Memory::default()).contains(traffic)
    }

    /// The place of an address: that of the pod that has it, or of addresses outside.
    pub fn place_at(&self, address: IpAddr) -> PlaceId {
        self.party(self.party_at(address)).place
    }

    fn party_at(&self, address: IpAddr) -> PartyId {
        let outside = || self.outside[&(address.is_ipv6(), self.networks.of(address))];
        self.addresses.get(&address).copied().unwrap_or_else(outside)
    }

    fn party(&self, id: PartyId) -> &Party {
        &self.parties[id.0 as usize]
    }

    fn parties_of(&self, place: PlaceId) -> impl Iterator<Item = (PartyId, &Party)> {
        self.place(place).parties.clone().map(|number| (PartyId::new(number), &self.parties[number]))
    }

    fn profiles_of(&self, place: PlaceId, direction: Direction) -> impl Iterator<Item = &Profile> {
        let ids = self.parties_of(place).filter_map(move |(_, party)| party.profiles[direction as usize]);
        ids.map(|id| &self.profiles[id.number()])
    }
}

impl PlaceId {
    /// The number.
    pub fn number(self) -> usize {
        self.0 as usize
    }

    fn new(number: usize) -> Self {
        Self(u32::try_from(number).expect("fewer places than memory has room for"))
    }
}

impl PartyId {
    fn new(number: usize) -> Self {
        Self(u32::try_from(number).expect("fewer parties than memory has room for"))
    }
}

//! The pod range of this node: an address of it that is no known pod's neither sends nor receives.
//!
//! That is for where the CNI plugin cannot be: a pod then waits until the API shows its address, instead of being open till
//! then. What is dropped is asked for last: what was judged before, and what an isolated pod sends or receives, never gets
//! there.
//!
//! Invariants:
//! - All that the range is looked up for is to drop; a known pod's address ([`names::local_pods`]) never is.
//! - Neighbour discovery has passed before, and what the node itself sends and receives does not come by. Whoever is no pod
//!   of this node may answer who asks for an address (DHCP).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use palisade_model::Direction;
use palisade_nft::{
    Action, AddressField, Chain, CtState, Edit, Elements, Family, Key, Match, Name, Range, Ruleset, Set, SetEdit,
    Statement, Verdict,
};

use super::logs::Logs;
use super::names;
use super::objects::{accept, base_chain, packet_subject, statement, subject};
use super::origin::{chain, counted_drop, set, unseen};

const DHCP_CLIENT: u16 = 68;

/// The addresses that a node has for its pods; none where they are not guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRange {
    ipv4: BTreeSet<Range<Ipv4Addr>>,
    ipv6: BTreeSet<Range<Ipv6Addr>>,
}

impl PodRange {
    /// These networks, but for their broadcast addresses.
    pub fn of(networks: &[IpNet]) -> Self {
        let is_inner = |net: &IpNet| {
            networks.iter().any(|other| other != net && other.trunc() != net.trunc() && other.contains(net))
        };
        let mut range = Self::default();
        for net in networks.iter().filter(|net| !is_inner(net)) {
            match net {
                IpNet::V4(net) => {
                    let broadcast = u32::from(net.prefix_len() < 31);
                    let last = Ipv4Addr::from_bits(net.broadcast().to_bits() - broadcast);
                    range.ipv4.insert(Range { first: net.network(), last });
                }
                IpNet::V6(net) => {
                    range.ipv6.insert(Range { first: net.network(), last: net.broadcast() });
                }
            }
        }
        range
    }

    /// The one that a ruleset guards.
    pub fn guarded_by(ruleset: &Ruleset) -> Self {
        let elements = |family| ruleset.sets.get(&names::pod_range(family)).map(|set| set.elements.clone());
        let ipv4 = match elements(Family::Ipv4) {
            Some(Elements::Ipv4Ranges(ranges)) => ranges,
            _ => BTreeSet::new(),
        };
        let ipv6 = match elements(Family::Ipv6) {
            Some(Elements::Ipv6Ranges(ranges)) => ranges,
            _ => BTreeSet::new(),
        };
        Self { ipv4, ipv6 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.iter().any(|range| (range.first..=range.last).contains(&address)),
            IpAddr::V6(address) => self.ipv6.iter().any(|range| (range.first..=range.last).contains(&address)),
        }
    }

    fn elements(&self, family: Family) -> Elements {
        match family {
            Family::Ipv4 => Elements::Ipv4Ranges(self.ipv4.clone()),
            Family::Ipv6 => Elements::Ipv6Ranges(self.ipv6.clone()),
        }
    }

    /// What differs in a ruleset that is to guard this range instead of `before`.
    pub(super) fn edit(&self, before: &Self, logs: Logs, edit: &mut Edit) {
        if self == before {
            return;
        }
        for family in Family::ALL {
            let put = || SetEdit::Put(self.set(family));
            edit.sets.insert(names::pod_range(family), if self.is_empty() { SetEdit::Remove } else { put() });
        }
        if self.is_empty() == before.is_empty() {
            return;
        }
        let is_guarded = !self.is_empty();
        for direction in Direction::ALL {
            edit.chains.insert(names::unknown_pods(direction), is_guarded.then(|| unknown_pods(direction)));
            edit.chains.insert(names::base_chain(direction), Some(base_chain(direction, is_guarded)));
        }
        edit.chains.insert(names::unseen(), Some(unseen(is_guarded, logs)));
    }

    fn set(&self, family: Family) -> Set {
        set(self.elements(family), "the pod range of this node")
    }
}

/// As `10.1.0.0-10.1.0.254, fd01::-fd01::ffff:ffff:ffff:ffff`.
impl fmt::Display for PodRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ipv4 = self.ipv4.iter().map(|range| format!("{}-{}", range.first, range.last));
        let ipv6 = self.ipv6.iter().map(|range| format!("{}-{}", range.first, range.last));
        f.write_str(&ipv4.chain(ipv6).collect::<Vec<_>>().join(", "))
    }
}

/// Sends what nothing in `direction` is decided of to [`names::unknown_pods`].
pub(super) fn asks(direction: Direction) -> Statement {
    statement([], Action::Verdict(Verdict::Jump(names::unknown_pods(direction))))
}

/// By the ends of the connection, so that both its directions are dropped; by the packet's own addresses where it is of none.
fn unknown_pods(direction: Direction) -> Chain {
    let answers = [
        Match::UdpDport(DHCP_CLIENT),
        Match::NotIn(Key::Address(Family::Ipv4, AddressField::Saddr), names::local_pods(Family::Ipv4)),
    ];
    let first = match direction {
        Direction::Egress => None,
        Direction::Ingress => Some(accept(answers)),
    };
    let of_none = Match::CtState([CtState::Invalid, CtState::Untracked].into());
    let fields = [(subject(direction), None), (packet_subject(direction), Some(of_none))];
    let drops = fields.into_iter().flat_map(|(field, state)| {
        Family::ALL.map(|family| {
            let key = || Key::Address(family, field);
            let unknown = [Match::In(key(), names::pod_range(family)), Match::NotIn(key(), names::local_pods(family))];
            let matches = state.clone().into_iter().chain(unknown);
            counted_drop(matches, "an address of the pod range that is no known pod's")
        })
    });
    chain(&format!("{direction} of addresses that are no known pod's"), first.into_iter().chain(drops))
}

/// Whether a chain counts what is dropped so.
pub(super) fn is_of_unknown_pods(chain: &Name) -> bool {
    Direction::ALL.into_iter().any(|direction| *chain == names::unknown_pods(direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(networks: &[&str]) -> PodRange {
        PodRange::of(&networks.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn it_is_disjoint_and_without_broadcast_addresses() {
        let text = |networks: &[&str]| range(networks).to_string();
        assert_eq!(text(&["10.1.0.7/24", "fd01::/64"]), "10.1.0.0-10.1.0.254, fd01::-fd01::ffff:ffff:ffff:ffff");
        assert_eq!(
            text(&["10.1.0.0/24", "10.1.0.128/25", "10.1.0.5/24", "10.1.1.0/24"]),
            "10.1.0.0-10.1.0.254, 10.1.1.0-10.1.1.254"
        );
        assert_eq!(text(&["10.1.0.0/31", "10.1.0.4/32"]), "10.1.0.0-10.1.0.1, 10.1.0.4-10.1.0.4");
        let (all, none) = (range(&["10.1.0.0/24"]), range(&[]));
        assert!(all.contains("10.1.0.9".parse().unwrap()) && !all.contains("10.1.0.255".parse().unwrap()));
        assert!(none.is_empty() && !none.contains("10.1.0.9".parse().unwrap()));
    }

    /// Whatever range comes after whatever other, it is as if it had been the first; and without one nothing is left of it.
    #[test]
    fn ranges_replace_each_other() {
        let ranges = [range(&["10.1.0.0/24"]), range(&["fd01::/64", "10.2.0.0/16"]), range(&[])];
        let ruleset = |steps: &[&PodRange]| {
            let mut ruleset = super::super::skeleton(
                Name::new(super::super::TABLE).unwrap(),
                super::super::Origins::Guarded,
                Logs::default(),
            );
            let mut before = PodRange::default();
            for step in steps {
                let mut edit = Edit::default();
                step.edit(&before, Logs::default(), &mut edit);
                ruleset.apply(edit).unwrap();
                before = (*step).clone();
            }
            ruleset
        };
        for first in &ranges {
            for then in &ranges {
                let there = ruleset(&[first, then]);
                assert_eq!(there, ruleset(&[then]));
                assert_eq!(PodRange::guarded_by(&there), *then);
            }
        }
    }
}

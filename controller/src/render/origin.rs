//! Who a packet can be from: what a connection is that nobody saw begin, where its errors may come from, and whose address
//! had another owner.
//!
//! Invariants:
//! - An ICMP error passes only from who can have met the packet that it is about: never from a local pod that is no end
//!   of that packet's connection.
//! - A connection whose beginning nobody saw could be of either direction: it passes no pod that is isolated in any,
//!   however often policies change. That is written in its mark ([`Epoch::UNSEEN`]), which is never cleared.

use std::collections::BTreeSet;
use std::net::IpAddr;

use palisade_model::Direction;
use palisade_nft::{
    Action, AddressField, Chain, Comment, Counter, CtState, Elements, End, Family, Key, Match, Name, Pair, Rule, Set,
    SetEdit, Statement, Verdict,
};

use super::logs::{Logs, Prefix, Told};
use super::objects::{ICMPV6, accept, ipv4, ipv6, packet_subject, statement};
use super::{Epoch, names, pod_range};

const ICMP: u8 = 1;

/// The chains of every node, but for those that epochs change.
pub(super) fn chains(logs: Logs) -> [(Name, Chain); 4] {
    let by_strangers = Family::ALL.into_iter().map(|family| {
        let no_end = |end| Match::NotIn(Key::SourceAndEnd(family, end), names::own_ends(family));
        let local = Match::In(Key::Address(family, AddressField::Saddr), names::local_pods(family));
        let matches = [local, no_end(End::Original), no_end(End::Reply)];
        counted_drop(matches, "ICMP errors of pods that have no part in the connection")
    });
    let of_judged = statement([], Action::Verdict(Verdict::Jump(names::errors_of_judged())));
    let begins = [statement([], Action::SetCtMark(Epoch::UNSEEN)), goto([], names::unseen())];
    let renewed = [counted_drop([], "what had begun with an earlier owner of the address is being forgotten")];
    [
        (names::errors(), chain("ICMP errors", by_strangers.chain([of_judged]))),
        (names::unseen(), unseen(false, logs)),
        (names::begins_unseen(), chain("the first that is seen of a connection that began before", begins)),
        (names::renewed(), chain("addresses that had another owner a moment ago", renewed)),
    ]
}

/// The chain of connections whose beginning nobody saw.
pub(super) fn unseen(guards_pod_range: bool, logs: Logs) -> Chain {
    let isolated = Family::ALL.into_iter().flat_map(|family| {
        Direction::ALL.into_iter().flat_map(move |direction| {
            let isolated = || [Match::In(Key::Address(family, packet_subject(direction)), names::isolated(family))];
            let prefix = Prefix { told: Told::NoConnection, direction, pod: None };
            let told = logs.only_tell(statement(isolated(), Action::Continue), &prefix);
            told.into_iter().chain([counted_drop(isolated(), "nobody saw begin what it belongs to")])
        })
    });
    let unknown = Direction::ALL.into_iter().filter(|_| guards_pod_range).map(pod_range::asks);
    chain("connections that nobody saw begin", isolated.chain(unknown).chain([accept([])]))
}

/// The sets of every node, empty.
pub(super) fn sets() -> Vec<(Name, Set)> {
    let addresses = |name, family, comment| (name, set(addresses(family, &BTreeSet::new()), comment));
    let sets = |family| {
        [
            addresses(names::local_pods(family), family, "pods of this node"),
            addresses(names::isolated(family), family, "local pods that are isolated in some direction"),
            (names::own_ends(family), set(pairs(family, &BTreeSet::new()), "pods of this node as ends of their own")),
        ]
    };
    Family::ALL.into_iter().flat_map(sets).collect()
}

/// The chain of errors of connections that were judged: in this epoch, or in the last one until the next begins, which takes a
/// second or so; before the first one all pass. Others are judged as their connections are, but for ports: where a policy
/// names ports, they do not pass.
pub(super) fn errors_of_judged(epoch: Option<Epoch>) -> Chain {
    let passes = match epoch {
        Some(epoch) => accept([Match::CtMark(epoch.mark())]),
        None => Statement { comment: Some(Comment::new("before the first epoch")), ..accept([]) },
    };
    chain("ICMP errors of connections that were judged", [passes])
}

/// ICMP of no connection (errors and answers that nobody asked for) goes nowhere from a local pod: whether an error has
/// to do with a connection of another node is known to the node of its sender alone.
pub(super) fn stray_errors(family: Family) -> Statement {
    let protocol = match family {
        Family::Ipv4 => ICMP,
        Family::Ipv6 => ICMPV6,
    };
    let local = Match::In(Key::Address(family, AddressField::Saddr), names::local_pods(family));
    let state = Match::CtState([CtState::Invalid].into());
    counted_drop([state, Match::L4Proto(protocol), local], "ICMP of local pods that belongs to nothing")
}

/// What came into a set, and went out of it.
#[derive(Debug)]
pub(super) struct Moves<T> {
    pub(super) added: BTreeSet<T>,
    pub(super) removed: BTreeSet<T>,
}

impl<T> Default for Moves<T> {
    fn default() -> Self {
        Self { added: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<T: Ord> Moves<T> {
    /// What was there, and what is there now.
    pub(super) fn note(&mut self, before: impl IntoIterator<Item = T>, after: impl IntoIterator<Item = T>) {
        self.removed.extend(before);
        self.added.extend(after);
    }

    /// The edits of the sets of a name in both families.
    pub(super) fn edits(
        &self,
        name: fn(Family) -> Name,
        elements: fn(Family, &BTreeSet<T>) -> Elements,
    ) -> impl Iterator<Item = (Name, SetEdit)> {
        Family::ALL.into_iter().filter_map(move |family| {
            let (add, remove) = (elements(family, &self.added), elements(family, &self.removed));
            let is_nothing = add.is_empty() && remove.is_empty();
            (!is_nothing).then(|| (name(family), SetEdit::Elements { add, remove }))
        })
    }
}

/// Those of the family, as elements.
pub(super) fn addresses(family: Family, addresses: &BTreeSet<IpAddr>) -> Elements {
    let addresses = addresses.iter().map(|address| (*address, ()));
    match family {
        Family::Ipv4 => Elements::Ipv4(ipv4(addresses).map(|(address, ())| address).collect()),
        Family::Ipv6 => Elements::Ipv6(ipv6(addresses).map(|(address, ())| address).collect()),
    }
}

/// Those of which both are of the family.
pub(super) fn pairs(family: Family, pairs: &BTreeSet<(IpAddr, IpAddr)>) -> Elements {
    match family {
        Family::Ipv4 => Elements::Ipv4Pairs(
            pairs
                .iter()
                .filter_map(|pair| if let (IpAddr::V4(a), IpAddr::V4(b)) = pair { Some(Pair(*a, *b)) } else { None })
                .collect(),
        ),
        Family::Ipv6 => Elements::Ipv6Pairs(
            pairs
                .iter()
                .filter_map(|pair| if let (IpAddr::V6(a), IpAddr::V6(b)) = pair { Some(Pair(*a, *b)) } else { None })
                .collect(),
        ),
    }
}

pub(super) fn set(elements: Elements, comment: &str) -> Set {
    Set { elements, comment: Some(Comment::new(comment)) }
}

pub(super) fn chain(comment: &str, rules: impl IntoIterator<Item = Statement>) -> Chain {
    let rules = rules.into_iter().map(Rule::Own).collect();
    Chain { base: None, rules, comment: Some(Comment::new(comment)) }
}

pub(super) fn goto(matches: impl IntoIterator<Item = Match>, chain: Name) -> Statement {
    statement(matches, Action::Verdict(Verdict::Goto(chain)))
}

pub(super) fn counted_drop(matches: impl IntoIterator<Item = Match>, comment: &str) -> Statement {
    let comment = Some(Comment::new(comment));
    Statement { counter: Some(Counter::Own), comment, ..statement(matches, Action::Verdict(Verdict::Drop)) }
}

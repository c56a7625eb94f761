//! The nftables objects: what each chain, map and set holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use palisade_model::{
    Clause, Direction, Member, PeerMatch, PortRange, Protocol, SetKey, Table, TableKey, Verdict as PolicyVerdict,
};
use palisade_nft::{
    Action, AddressField, BaseChain, Chain, Comment, CtState, Elements, Endpoint, Family, Hook, Key, Match, Name,
    Range, Rule, Ruleset, Set, Statement, Verdict,
};

use super::names::{self, Form, Memo};
use super::{Epoch, Logs, guard, origin, pod_range, ranges, tiers};

const TABLE_COMMENT: &str = "NetworkPolicy of this node's pods, kept by palisade";

pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;
/// A packet with it was not forwarded by a router.
pub(super) const HIGHEST_HOP_LIMIT: u8 = 255;

/// Egress is judged first. Both lie between DNAT (-100) and SNAT (100), before other filters (0).
pub(super) fn priority(direction: Direction) -> i32 {
    match direction {
        Direction::Egress => -20,
        Direction::Ingress => -10,
    }
}

pub(super) fn skeleton(table: Name, logs: Logs) -> Ruleset {
    let mut ruleset = Ruleset { comment: Some(Comment::new(TABLE_COMMENT)), ..Ruleset::empty(table) };
    let layout = Chain { comment: Some(Comment::new("the version of this table's layout")), ..Chain::default() };
    ruleset.chains.insert(names::layout(), layout);
    ruleset.chains.insert(names::known(), known(None));
    ruleset.chains.insert(names::judged(), judged(None));
    ruleset.chains.insert(names::pass(), tiers::pass());
    ruleset.chains.insert(names::errors_of_judged(), origin::errors_of_judged(None));
    ruleset.chains.insert(names::tunnels(), guard::tunnels([]));
    ruleset.chains.extend(origin::chains(logs));
    ruleset.sets.extend(origin::sets());
    ruleset.sets.extend(tiers::sets());
    for direction in Direction::ALL {
        ruleset.chains.insert(names::base_chain(direction), base_chain(direction, false));
        for family in Family::ALL {
            let comment = Some(Comment::new(&format!("local pods isolated for {direction}")));
            let map = Set { elements: dispatch(family, &[]), comment };
            ruleset.sets.insert(names::dispatch_map(direction, family), map);
        }
    }
    ruleset
}

/// Who is judged are the ends of connections, whichever way a packet goes. Packets of none (invalid, or untracked) are
/// judged by their own addresses, and as those of nobody: an isolated pod's pass nowhere. Neither do those of connections
/// whose beginning nobody saw: who began them is not known. What is left goes nowhere where it is of a
/// [pod range](pod_range) that is guarded and no known pod's.
pub(super) fn base_chain(direction: Direction, guards_pod_range: bool) -> Chain {
    let goto = |matches: Vec<Match>, chain| statement(matches, Action::Verdict(Verdict::Goto(chain)));
    let jump = |matches: Vec<Match>, chain| statement(matches, Action::Verdict(Verdict::Jump(chain)));
    let errors =
        |protocol| jump(vec![Match::CtState([CtState::Related].into()), Match::L4Proto(protocol)], names::errors());
    let begins = |condition| goto(vec![condition, Match::CtState([CtState::New].into())], names::begins_unseen());
    let dispatch = |family, field| Action::Vmap(Key::Address(family, field), names::dispatch_map(direction, family));
    let of_connections = |family| statement([], dispatch(family, subject(direction)));
    let of_others = |family| {
        let state = Match::CtState([CtState::Invalid, CtState::Untracked].into());
        statement([state], dispatch(family, packet_subject(direction)))
    };
    let first = [
        statement([], Action::Verdict(Verdict::Jump(names::known()))),
        errors(ICMP),
        errors(ICMPV6),
        // Neighbour discovery, which a bridge forwards: router and neighbour solicitation and advertisement, redirect.
        accept([Match::Icmpv6Types { first: 133, last: 137 }, Match::HopLimit(HIGHEST_HOP_LIMIT)]),
    ];
    let unseen = match direction {
        Direction::Egress => {
            let invalid = Match::CtState([CtState::Invalid].into());
            vec![begins(Match::NotSyn), begins(Match::NotInit), goto(vec![Match::NotSyn, invalid], names::unseen())]
        }
        Direction::Ingress => vec![],
    };
    let others = match direction {
        Direction::Egress => vec![origin::stray_errors(Family::Ipv4), origin::stray_errors(Family::Ipv6)],
        Direction::Ingress => vec![],
    };
    let tunnels = match direction {
        Direction::Egress => Some(jump(vec![], names::tunnels())),
        Direction::Ingress => None,
    };
    let then = [
        goto(vec![Match::CtMark(Epoch::UNSEEN)], names::unseen()),
        of_connections(Family::Ipv4),
        of_connections(Family::Ipv6),
    ];
    let last = [of_others(Family::Ipv4), of_others(Family::Ipv6)];
    let unknown = guards_pod_range.then(|| pod_range::asks(direction));
    let allowed = match direction {
        Direction::Egress => None,
        Direction::Ingress => Some(statement([], Action::Verdict(allowed(direction)))),
    };
    let rules = first.into_iter().chain(unseen).chain(tunnels).chain(then).chain(others).chain(last);
    let rules = rules.chain(unknown).chain(allowed);
    Chain {
        base: Some(BaseChain { hook: Hook::Forward, priority: priority(direction) }),
        rules: rules.map(Rule::Own).collect(),
        comment: Some(Comment::new(&format!("{direction} of local pods"))),
    }
}

/// What was judged in this epoch passes. What a conntrack helper expects has its master's mark from its first packet on,
/// which is to be judged.
pub(super) fn known(epoch: Option<Epoch>) -> Chain {
    let passes = |epoch: Epoch| accept([Match::CtStateIsNot(CtState::Related), Match::CtMark(epoch.mark())]);
    Chain {
        base: None,
        rules: epoch.map(passes).into_iter().map(Rule::Own).collect(),
        comment: Some(Comment::new("connections that were judged since anything was forbidden")),
    }
}

/// Where connections get to that all policies allow: egress is judged before ingress.
pub(super) fn judged(epoch: Option<Epoch>) -> Chain {
    let mark = epoch.map(|epoch| statement([], Action::SetCtMark(epoch.mark())));
    Chain {
        base: None,
        rules: mark.into_iter().chain([accept([])]).map(Rule::Own).collect(),
        comment: Some(Comment::new("connections that egress and ingress allow")),
    }
}

/// What becomes of what one direction allows.
pub(super) fn allowed(direction: Direction) -> Verdict {
    match direction {
        Direction::Egress => Verdict::Accept,
        Direction::Ingress => Verdict::Goto(names::judged()),
    }
}

/// What becomes of what one direction allows, by a table in some form.
pub(super) fn accepted(direction: Direction, form: Form) -> Verdict {
    match form {
        Form::Plain | Form::Shadow => allowed(direction),
        Form::Watched => Verdict::Goto(names::audit_chain(direction)),
    }
}

/// What becomes of what cluster policies deny in one direction, in a table in some form.
pub(super) fn denied(direction: Direction, form: Form) -> Verdict {
    match form {
        Form::Plain | Form::Watched => Verdict::Goto(names::denied_chain(direction)),
        Form::Shadow => Verdict::Goto(names::would_drop_chain(direction)),
    }
}

pub(super) fn policies_chain<'a>(key: &TableKey, form: Form, table: &'a Table, memo: &mut Memo<'a>) -> Chain {
    let ports = table.segments.keys().map(|protocol| {
        statement([], Action::Vmap(Key::Port(protocol.number()), names::port_map(key, form, table, *protocol)))
    });
    let always = table.always.iter().flat_map(|clause| lookups(key.direction, form, clause, memo));
    Chain { base: None, rules: ports.chain(always).map(Rule::Own).collect(), comment: Some(policies_comment(key)) }
}

pub(super) fn port_maps<'a>(key: &TableKey, form: Form, table: &'a Table, memo: &mut Memo<'a>) -> Vec<(Name, Set)> {
    let map = |protocol: &Protocol| {
        let elements = port_elements(key.direction, form, table, *protocol, memo);
        (names::port_map(key, form, table, *protocol), Set { elements, comment: Some(policies_comment(key)) })
    };
    table.segments.keys().map(map).collect()
}

fn port_elements<'a>(
    direction: Direction,
    form: Form,
    table: &'a Table,
    protocol: Protocol,
    memo: &mut Memo<'a>,
) -> Elements {
    let segments = table.segments.get(&protocol).into_iter().flatten();
    let entries = segments.map(|segment| (segment.ports, segment_verdict(direction, form, &segment.clauses, memo)));
    port_verdicts(entries.collect())
}

/// The elements of a port map: ranges only where one port would not do, because they are looked up in a tree.
pub(super) fn port_verdicts(entries: Vec<(PortRange, Verdict)>) -> Elements {
    if names::has_ranges(entries.iter().map(|(ports, _)| *ports)) {
        let range = |ports: PortRange| Range { first: ports.first(), last: ports.last() };
        Elements::PortRangeVerdicts(entries.into_iter().map(|(ports, verdict)| (range(ports), verdict)).collect())
    } else {
        Elements::PortVerdicts(entries.into_iter().map(|(ports, verdict)| (ports.first(), verdict)).collect())
    }
}

fn segment_verdict<'a>(direction: Direction, form: Form, clauses: &'a [Clause], memo: &mut Memo<'a>) -> Verdict {
    match memo.peers_chain(direction, form, clauses) {
        Some(chain) => Verdict::Jump(chain),
        None => clauses.first().map_or(Verdict::Drop, |clause| verdict(direction, form, clause.verdict)),
    }
}

pub(super) fn peers_chain<'a>(direction: Direction, form: Form, clauses: &'a [Clause], memo: &mut Memo<'a>) -> Chain {
    let sets = clauses.iter().filter_map(|clause| match &clause.peers {
        PeerMatch::Set(set) => Some(set),
        PeerMatch::All => None,
    });
    Chain {
        base: None,
        rules: clauses.iter().flat_map(|clause| lookups(direction, form, clause, memo)).map(Rule::Own).collect(),
        comment: Some(definitions_comment(sets.flat_map(|set| names::definitions(set)))),
    }
}

/// One rule for each family that the clause's set has, and for each protocol of its endpoints.
fn lookups<'a>(direction: Direction, form: Form, clause: &'a Clause, memo: &mut Memo<'a>) -> Vec<Statement> {
    let action = Action::Verdict(verdict(direction, form, clause.verdict));
    let PeerMatch::Set(set) = &clause.peers else { return vec![statement([], action)] };
    let lookup = |(name, family): &(Name, Family)| {
        let name = name.clone();
        keys(direction, set, *family).into_iter().map(move |key| Match::In(key, name.clone()))
    };
    memo.sets(set).iter().flat_map(lookup).map(|condition| statement([condition], action.clone())).collect()
}

/// What of a connection is looked up in the set of one family: each of these in turn.
pub(super) fn keys(direction: Direction, set: &SetKey, family: Family) -> Vec<Key> {
    match set {
        SetKey::Pods(_) | SetKey::Blocks(_) | SetKey::Nodes(_) => vec![Key::Address(family, peer(direction))],
        SetKey::Endpoints(groups) => {
            let protocols: BTreeSet<Protocol> = groups.iter().map(|group| group.protocol).collect();
            protocols.into_iter().map(|protocol| Key::Endpoint(family, protocol.number())).collect()
        }
    }
}

/// The sets of `key` in the families that it has, with those `members` (CIDR blocks follow from the key itself).
pub(super) fn sets(key: &SetKey, members: &[Member]) -> BTreeMap<Name, Set> {
    let set = |family| Set {
        elements: self::members(key, family, members),
        comment: Some(definitions_comment(names::definitions(key))),
    };
    names::sets(key).into_iter().map(|(name, family)| (name, set(family))).collect()
}

/// The `members` of one family as elements of a set of `key`.
pub(super) fn members(key: &SetKey, family: Family, members: &[Member]) -> Elements {
    let members = members.iter().map(|member| (address(member), member));
    match (key, family) {
        (SetKey::Pods(_) | SetKey::Nodes(_), Family::Ipv4) => {
            Elements::Ipv4(ipv4(members).map(|(address, _)| address).collect())
        }
        (SetKey::Pods(_) | SetKey::Nodes(_), Family::Ipv6) => {
            Elements::Ipv6(ipv6(members).map(|(address, _)| address).collect())
        }
        (SetKey::Blocks(blocks), Family::Ipv4) => Elements::Ipv4Ranges(ranges::ipv4(blocks).collect()),
        (SetKey::Blocks(blocks), Family::Ipv6) => Elements::Ipv6Ranges(ranges::ipv6(blocks).collect()),
        (SetKey::Endpoints(_), Family::Ipv4) => Elements::Ipv4Endpoints(ipv4(members).filter_map(endpoint).collect()),
        (SetKey::Endpoints(_), Family::Ipv6) => Elements::Ipv6Endpoints(ipv6(members).filter_map(endpoint).collect()),
    }
}

fn address(member: &Member) -> IpAddr {
    match member {
        Member::Address(address) | Member::Endpoint(address, ..) => *address,
    }
}

fn endpoint<A>((address, member): (A, &Member)) -> Option<Endpoint<A>> {
    match member {
        Member::Endpoint(_, protocol, port) => Some(Endpoint { address, protocol: protocol.number(), port: *port }),
        Member::Address(_) => None,
    }
}

/// The elements of a dispatch map: each address goes to its pod's chain.
pub(super) fn dispatch(family: Family, pods: &[(IpAddr, Name)]) -> Elements {
    let pods = pods.iter().map(|(address, chain)| (*address, Verdict::Goto(chain.clone())));
    match family {
        Family::Ipv4 => Elements::Ipv4Verdicts(ipv4(pods).collect()),
        Family::Ipv6 => Elements::Ipv6Verdicts(ipv6(pods).collect()),
    }
}

pub(super) fn ipv4<T>(items: impl Iterator<Item = (IpAddr, T)>) -> impl Iterator<Item = (Ipv4Addr, T)> {
    items.filter_map(|(address, item)| match address {
        IpAddr::V4(address) => Some((address, item)),
        IpAddr::V6(_) => None,
    })
}

pub(super) fn ipv6<T>(items: impl Iterator<Item = (IpAddr, T)>) -> impl Iterator<Item = (Ipv6Addr, T)> {
    items.filter_map(|(address, item)| match address {
        IpAddr::V6(address) => Some((address, item)),
        IpAddr::V4(_) => None,
    })
}

/// The end of a connection that is the local pod.
pub(super) fn subject(direction: Direction) -> AddressField {
    match direction {
        Direction::Egress => AddressField::OriginalSaddr,
        Direction::Ingress => AddressField::ReplySaddr,
    }
}

/// The end of a connection that is the pod's peer.
pub(super) fn peer(direction: Direction) -> AddressField {
    match direction {
        Direction::Egress => AddressField::ReplySaddr,
        Direction::Ingress => AddressField::OriginalSaddr,
    }
}

/// The field of a packet that holds the local pod.
pub(super) fn packet_subject(direction: Direction) -> AddressField {
    match direction {
        Direction::Egress => AddressField::Saddr,
        Direction::Ingress => AddressField::Daddr,
    }
}

fn verdict(direction: Direction, form: Form, verdict: PolicyVerdict) -> Verdict {
    match verdict {
        PolicyVerdict::Accept => accepted(direction, form),
        PolicyVerdict::Drop => Verdict::Drop,
    }
}

pub(super) fn accept(matches: impl IntoIterator<Item = Match>) -> Statement {
    statement(matches, Action::Verdict(Verdict::Accept))
}

pub(super) fn statement(matches: impl IntoIterator<Item = Match>, action: Action) -> Statement {
    Statement { matches: matches.into_iter().collect(), action, ..Statement::default() }
}

fn policies_comment(key: &TableKey) -> Comment {
    let namespace = key.policies.first().map(|policy| &*policy.namespace).unwrap_or_default();
    let names: Vec<&str> = key.policies.iter().map(|policy| &*policy.name).collect();
    Comment::new(&format!("{} policies in {namespace}: {}", key.direction, names.join(", ")))
}

/// Stops where a comment is full anyway: a union may have thousands of definitions.
fn definitions_comment(definitions: impl Iterator<Item = String>) -> Comment {
    let mut text = String::new();
    for definition in definitions {
        if text.len() > Comment::MAX {
            break;
        }
        text += if text.is_empty() { "" } else { "; " };
        text += &definition;
    }
    Comment::new(&text)
}

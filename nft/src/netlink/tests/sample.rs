use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use super::namespace::TABLE;
use crate::tests::build::{counters, limit, log, name, told, v4};
use crate::{
    Action, AddressField, BaseChain, Chain, Comment, Counter, CtState, Elements, End, Endpoint, Family, Group, Hook,
    Key, LinkField, LinkName, Mark, Match, Name, NamedCounter, Pair, Range, Rule, Ruleset, Set, Statement, Table,
    TableFamily, Verdict,
};

/// A ruleset with something of everything that there is.
pub(in crate::netlink) fn everything() -> Ruleset {
    let accept = || Action::Verdict(Verdict::Accept);
    let rule = |matches: Vec<Match>, action| statement(matches, false, action, None);
    let ip = |field| Key::Address(Family::Ipv4, field);
    let ip6 = |field| Key::Address(Family::Ipv6, field);
    let (saddr, daddr) = (AddressField::Saddr, AddressField::Daddr);
    let (client, server) = (AddressField::OriginalSaddr, AddressField::ReplySaddr);
    let state = |states: &[CtState]| Match::CtState(states.iter().copied().collect());
    let judged = Mark { mask: 0xff00_0000, value: 0x4100_0000 };
    let forward = vec![
        rule(vec![Match::CtStateIsNot(CtState::Related), Match::CtMark(judged)], accept()),
        statement(vec![Match::CtMark(Mark { mask: 5, value: 0 })], true, Action::Verdict(Verdict::Drop), Some("odd")),
        rule(vec![state(&[CtState::Related]), Match::L4Proto(1)], accept()),
        rule(vec![state(&[CtState::Established, CtState::Related]), Match::L4Proto(58)], accept()),
        rule(vec![Match::Icmpv6Types { first: 133, last: 137 }], accept()),
        rule(vec![], Action::Vmap(ip(client), name("pods-4"))),
        rule(vec![], Action::Vmap(ip6(client), name("pods-6"))),
        rule(vec![state(&[CtState::Invalid, CtState::Untracked])], Action::Vmap(ip(saddr), name("pods-4"))),
        rule(vec![state(&[CtState::Invalid, CtState::Untracked])], Action::Vmap(ip6(daddr), name("pods-6"))),
        rule(vec![], Action::SetCtMark(judged)),
        statement(vec![Match::L4Proto(17)], true, Action::SetCtMark(Mark { mask: 1, value: 0 }), Some("mark")),
    ];
    let pod = vec![
        rule(vec![Match::Address(daddr, "10.1.1.1".parse().unwrap())], accept()),
        rule(vec![Match::Address(saddr, "fd00::1".parse().unwrap())], accept()),
        rule(vec![Match::Address(client, "fd00::1".parse().unwrap())], accept()),
        rule(vec![Match::Address(server, "10.1.1.1".parse().unwrap())], accept()),
        rule(vec![], Action::Vmap(Key::Port(6), name("ports"))),
        rule(vec![], Action::Vmap(Key::Port(17), name("port-ranges"))),
        rule(vec![Match::L4Proto(132), Match::In(ip(daddr), name("peers-4"))], accept()),
        rule(
            vec![Match::Address(saddr, "10.1.1.1".parse().unwrap()), Match::In(ip(daddr), name("cidrs-4"))],
            Action::Vmap(Key::Port(132), name("ports")),
        ),
        statement(
            vec![Match::In(ip6(saddr), name("peers-6")), Match::Icmpv6Types { first: 1, last: 4 }],
            true,
            Action::Vmap(ip6(daddr), name("pods-6")),
            None,
        ),
        Statement { comment: comment("shop/web egress"), ..told("dropped") },
        Statement { matches: vec![Match::L4Proto(6)], log: Some(log(&"x".repeat(127), 0, 0)), ..Statement::default() },
        Statement { matches: vec![Match::UdpDport(53)], limit: Some(limit(1, 5)), ..Statement::default() },
        Statement { matches: vec![Match::HopLimit(9)], ..Statement::default() },
        Statement { log: Some(log("*", u16::MAX, u32::MAX)), ..rule(vec![], Action::SetCtMark(judged)) },
        Statement {
            counter: Some(Counter::Named(name("passed"))),
            limit: Some(limit(u32::MAX, u32::MAX)),
            ..rule(vec![], Action::Vmap(ip6(daddr), name("pods-6")))
        },
        statement(vec![], true, Action::Verdict(Verdict::Drop), Some("shop/web egress")),
    ];
    let segment = vec![
        rule(vec![Match::In(ip(daddr), name("peers-4"))], accept()),
        rule(vec![Match::In(ip6(saddr), name("peers-6"))], accept()),
        rule(vec![Match::In(ip(saddr), name("cidrs-4"))], accept()),
        rule(vec![Match::In(ip6(daddr), name("cidrs-6"))], accept()),
        rule(vec![Match::In(ip(server), name("peers-4"))], accept()),
        rule(vec![Match::In(ip6(server), name("cidrs-6"))], accept()),
        rule(vec![Match::In(Key::Endpoint(Family::Ipv4, 6), name("named-4"))], accept()),
        rule(
            vec![Match::In(Key::Endpoint(Family::Ipv6, 132), name("named-6"))],
            Action::Verdict(Verdict::Goto(name("end"))),
        ),
    ];
    let forward = Chain {
        base: Some(BaseChain { hook: Hook::Forward, priority: -20 }),
        rules: own(forward),
        comment: comment("egress"),
    };
    let late = Chain { base: Some(BaseChain { hook: Hook::Forward, priority: 10 }), ..Chain::default() };
    let guard =
        Chain { base: Some(BaseChain { hook: Hook::Prerouting, priority: -300 }), rules: own(guard()), comment: None };
    let pod = Chain { base: None, rules: own(pod), comment: comment("pod shop/web") };
    let segment = Chain { base: None, rules: own(segment), comment: None };
    let chains = [
        ("end", Chain::default()),
        ("forward", forward),
        ("guard", guard),
        ("late", late),
        ("pod", pod),
        ("segment", segment),
    ];
    let mut counters = counters(&["dropped", "passed", "unused"]);
    counters.insert(name("dropped"), NamedCounter { comment: comment("pod shop/web") });
    Ruleset {
        comment: comment("layout 1"),
        chains: chains.into_iter().map(|(key, chain)| (name(key), chain)).collect(),
        sets: sets(),
        counters,
        ..Ruleset::empty(name(TABLE))
    }
}

/// What looks at where packets come from, and how connections begin.
fn guard() -> Vec<Statement> {
    let drop = |matches| statement(matches, true, Action::Verdict(Verdict::Drop), None);
    let (iifname, oifname) = (Key::Link(LinkField::Iifname), Key::Link(LinkField::Oifname));
    let ends = |family, end| Key::SourceAndEnd(family, end);
    vec![
        statement(vec![], false, Action::Vmap(iifname, name("links")), None),
        drop(vec![Match::FibMissing]),
        drop(vec![Match::NotIn(iifname, name("some-links"))]),
        drop(vec![Match::In(oifname, name("some-links")), Match::UdpDport(8472)]),
        drop(vec![Match::UdpDport(67), Match::NotIn(oifname, name("some-links"))]),
        drop(vec![Match::HopLimit(255)]),
        drop(vec![Match::Icmpv6Types { first: 135, last: 135 }, Match::HopLimit(255)]),
        drop(vec![Match::CtState([CtState::New].into()), Match::NotSyn]),
        drop(vec![Match::CtState([CtState::New].into()), Match::NotInit]),
        drop(vec![Match::In(ends(Family::Ipv4, End::Original), name("pairs-4"))]),
        drop(vec![Match::NotIn(ends(Family::Ipv4, End::Reply), name("pairs-4"))]),
        drop(vec![Match::In(ends(Family::Ipv6, End::Original), name("pairs-6"))]),
        drop(vec![Match::In(ends(Family::Ipv6, End::Reply), name("pairs-6"))]),
    ]
}

/// What a table of family bridge may hold besides.
pub(in crate::netlink) fn frames() -> Ruleset {
    let drop = |matches| statement(matches, true, Action::Verdict(Verdict::Drop), Some("forged"));
    let address = |address: &str| Match::Address(AddressField::Saddr, address.parse().unwrap());
    let rules = vec![
        statement(vec![], false, Action::Vmap(Key::Link(LinkField::Iifname), name("links")), None),
        drop(vec![Match::EtherTypeIsNot(0x0800), Match::EtherTypeIsNot(0x86dd), Match::EtherTypeIsNot(0x0806)]),
        drop(vec![Match::ToGroup(Group::Broadcast), address("10.0.0.1")]),
        drop(vec![Match::ToGroup(Group::Multicast)]),
        drop(vec![Match::EtherSaddrIsNot([2, 0, 0, 0xab, 0, 1])]),
        drop(vec![address("10.0.0.1")]),
        drop(vec![address("fd00::1")]),
        drop(vec![address("0.0.0.0"), Match::UdpDport(67)]),
        drop(vec![Match::ArpSaddr(v4("10.0.0.1"))]),
        drop(vec![Match::NeighborAdvert("fd00::1".parse().unwrap())]),
        drop(vec![Match::Icmpv6Types { first: 136, last: 136 }]),
        drop(vec![Match::Icmpv6Types { first: 133, last: 137 }, Match::HopLimit(255)]),
        drop(vec![Match::In(Key::Address(Family::Ipv4, AddressField::Daddr), name("peers-4"))]),
        drop(vec![Match::In(Key::Address(Family::Ipv6, AddressField::Saddr), name("cidrs-6"))]),
        drop(vec![Match::NotIn(Key::Link(LinkField::Oifname), name("some-links")), Match::UdpDport(67)]),
    ];
    let guard = BaseChain { hook: Hook::Prerouting, priority: -300 };
    let forward = BaseChain { hook: Hook::Forward, priority: -200 };
    let chain = |base, rules| Chain { base: Some(base), rules: own(rules), comment: None };
    let chains = [
        ("pod", Chain::default()),
        ("segment", Chain::default()),
        ("guard", chain(guard, rules)),
        ("over", chain(forward, vec![])),
    ];
    let table = Table { family: TableFamily::Bridge, name: name(TABLE) };
    let mut sets = sets();
    sets.retain(|name, _| ["links", "some-links", "peers-4", "cidrs-6"].contains(&name.as_str()));
    let chains = chains.into_iter().map(|(key, chain)| (name(key), chain)).collect();
    Ruleset { chains, sets, ..Ruleset::empty(table) }
}

fn sets() -> BTreeMap<Name, Set> {
    let goto = || Verdict::Goto(name("pod"));
    let jump = || Verdict::Jump(name("segment"));
    let sets = [
        ("peers-4", Elements::Ipv4([v4("10.1.1.1"), v4("10.1.1.2")].into())),
        ("peers-6", Elements::Ipv6([v6("fd00::1"), v6("::")].into())),
        (
            "cidrs-4",
            Elements::Ipv4Ranges(ranges(
                &[
                    ("0.0.0.0", "0.255.255.255"),
                    ("10.0.0.0", "10.0.0.9"),
                    ("10.0.0.10", "10.0.0.10"),
                    ("255.0.0.0", "255.255.255.255"),
                ],
                v4,
            )),
        ),
        (
            "cidrs-6",
            Elements::Ipv6Ranges(ranges(
                &[("fd00::", "fd00::ff"), ("ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")],
                v6,
            )),
        ),
        ("named-4", Elements::Ipv4Endpoints([Endpoint { address: v4("10.1.1.1"), protocol: 6, port: 80 }].into())),
        ("named-6", Elements::Ipv6Endpoints([Endpoint { address: v6("fd00::1"), protocol: 17, port: 53 }].into())),
        ("pods-4", Elements::Ipv4Verdicts([(v4("10.1.1.1"), goto()), (v4("10.1.1.2"), jump())].into())),
        ("pods-6", Elements::Ipv6Verdicts([(v6("fd00::1"), jump())].into())),
        ("pairs-4", Elements::Ipv4Pairs([Pair(v4("10.1.1.1"), v4("10.1.1.1"))].into())),
        ("pairs-6", Elements::Ipv6Pairs([Pair(v6("fd00::1"), v6("fd00::2"))].into())),
        (
            "some-links",
            Elements::Links(["veth1", "eth0.1@x-15chars"].map(|name| link(&name[..name.len().min(15)])).into()),
        ),
        ("links", Elements::LinkVerdicts([(link("veth1"), goto()), (link("e"), Verdict::Drop)].into())),
        ("ports", Elements::PortVerdicts([(80, Verdict::Accept), (0, Verdict::Drop), (65535, jump())].into())),
        (
            "port-ranges",
            Elements::PortRangeVerdicts(
                [
                    (Range { first: 0, last: 79 }, jump()),
                    (Range { first: 80, last: 80 }, Verdict::Accept),
                    (Range { first: 8000, last: 65535 }, Verdict::Drop),
                ]
                .into(),
            ),
        ),
    ];
    let set = |(key, elements)| (name(key), Set { elements, comment: comment(&format!("the {key}")) });
    sets.into_iter().map(set).collect()
}

fn ranges<T: Ord>(ranges: &[(&str, &str)], parse: impl Fn(&str) -> T) -> BTreeSet<Range<T>> {
    ranges.iter().map(|(first, last)| Range { first: parse(first), last: parse(last) }).collect()
}

pub(in crate::netlink) fn v6(address: &str) -> Ipv6Addr {
    address.parse().unwrap()
}

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

pub(in crate::netlink) fn comment(text: &str) -> Option<Comment> {
    Some(Comment::new(text))
}

pub(in crate::netlink) fn own(statements: Vec<Statement>) -> Vec<Rule> {
    statements.into_iter().map(Rule::Own).collect()
}

pub(in crate::netlink) fn statement(
    matches: Vec<Match>,
    counted: bool,
    action: Action,
    text: Option<&str>,
) -> Statement {
    let counter = counted.then_some(Counter::Own);
    Statement { matches, counter, action, comment: text.and_then(comment), ..Statement::default() }
}

/// A ruleset of one set, `peers`.
pub(in crate::netlink) fn peers(elements: Elements) -> Ruleset {
    let set = Set { elements, comment: None };
    Ruleset { sets: [(name("peers"), set)].into(), ..Ruleset::empty(name(TABLE)) }
}

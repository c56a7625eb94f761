use std::net::IpAddr;

use super::*;
use crate::tests::build::*;
use crate::{Elements, Endpoint, Family, Key, Range};

const POD: &str = "10.1.1.1";

fn tcp(source: &str, destination: &str, port: u16) -> Packet {
    let transport = Transport::Ports { protocol: 6, destination: port };
    Packet::new(source.parse().unwrap(), destination.parse().unwrap(), transport, PacketState::New)
}

/// The verdict, the steps as `chain 0 verdict`, and the lookups.
fn way(ruleset: &Ruleset, packet: &Packet) -> (Outcome, String, usize) {
    let Walk { verdict, trace, lookups, .. } = walk(ruleset, packet).unwrap();
    let steps: Vec<_> = trace.iter().map(|step| format!("{} {} {}", step.chain, step.rule, step.verdict)).collect();
    (verdict, steps.join(", "), lookups)
}

fn outcome(ruleset: &Ruleset, packet: &Packet) -> Outcome {
    walk(ruleset, packet).unwrap().verdict
}

/// A base chain with `statement`, then drop.
fn only(statement: Statement, sets: &[(&str, Elements)]) -> Ruleset {
    table(&[("base", base(0, [statement, rule([], Verdict::Drop)]))], sets)
}

#[test]
fn a_packet_takes_the_way_of_its_pod() {
    let ruleset = one_pod();
    let to = |destination, port| way(&ruleset, &tcp(POD, destination, port));
    let dispatch = "egress 1 goto pod-shop-web";
    assert_eq!(to("9.9.9.9", 80), (Outcome::Accept, format!("{dispatch}, pod-shop-web 1 accept"), 2));
    assert_eq!(to("10.2.2.2", 81), (Outcome::Accept, format!("{dispatch}, pod-shop-web 2 accept"), 3));
    let segment = format!("{dispatch}, pod-shop-web 1 jump segment");
    assert_eq!(to("10.1.1.2", 100), (Outcome::Accept, format!("{segment}, segment 0 accept"), 3));
    assert_eq!(to("11.0.0.10", 90), (Outcome::Drop, format!("{segment}, pod-shop-web 3 drop"), 4));
    assert_eq!(to(POD, 1), (Outcome::Accept, format!("{dispatch}, pod-shop-web 0 accept"), 1));
    assert_eq!(way(&ruleset, &tcp("10.1.1.9", POD, 1)), (Outcome::Accept, String::new(), 1));
}

#[test]
fn every_base_chain_must_accept_in_the_order_of_priorities() {
    let accept = || [rule([], Verdict::Accept)];
    let drop = || [rule([], Verdict::Drop)];
    let both = |a, b| way(&table(&[("a", a), ("b", b)], &[]), &tcp(POD, POD, 1));
    assert_eq!(both(base(1, accept()), base(0, accept())), (Outcome::Accept, "b 0 accept, a 0 accept".into(), 0));
    assert_eq!(both(base(1, accept()), base(0, drop())), (Outcome::Drop, "b 0 drop".into(), 0));
    assert_eq!(both(base(0, accept()), base(1, drop())), (Outcome::Drop, "a 0 accept, b 0 drop".into(), 0));
    assert_eq!(both(base(0, []), base(1, [])), (Outcome::Accept, String::new(), 0));
}

#[test]
fn a_jump_comes_back_and_a_goto_does_not() {
    let with = |verdict| {
        let base = base(0, [rule([], jump("middle")), rule([], Verdict::Drop)]);
        let middle = chain([rule([], verdict), rule([], Verdict::Accept)]);
        table(&[("base", base), ("middle", middle), ("end", chain([]))], &[])
    };
    let packet = tcp(POD, POD, 1);
    assert_eq!(outcome(&with(jump("end")), &packet), Outcome::Accept, "middle goes on");
    assert_eq!(outcome(&with(goto("end")), &packet), Outcome::Drop, "middle ends, base goes on");
}

#[test]
fn matches_look_at_the_packet() {
    let packet = tcp("10.0.0.1", "10.0.0.2", 80);
    let icmp6 = |kind| Packet { transport: Transport::Icmpv6(kind), ..tcp("fd00::1", "fd00::2", 0) };
    let state = |state| Packet { state, ..packet };
    let types = Match::Icmpv6Types { first: 133, last: 137 };
    let address = |field, address: &str| Match::Address(field, address.parse().unwrap());
    let outside = Match::CtState([CtState::Invalid, CtState::Untracked].into());
    let mark = Mark { mask: 6, value: 4 };
    for (condition, packet, expected) in [
        (Match::CtState([CtState::Established].into()), state(PacketState::Established), true),
        (Match::CtState([CtState::Established].into()), state(PacketState::Related), false),
        (outside.clone(), state(PacketState::Invalid), true),
        (outside.clone(), state(PacketState::Untracked), true),
        (outside, packet, false),
        (Match::CtStateIsNot(CtState::Related), state(PacketState::Related), false),
        (Match::CtStateIsNot(CtState::Related), packet, true),
        (Match::CtMark(mark), packet, false),
        (Match::CtMark(mark), Packet { mark: 7, ..packet }, false),
        (Match::CtMark(mark), Packet { mark: 12, ..packet }, true),
        (Match::CtMark(Mark { mask: 1, value: 0 }), packet, true),
        (Match::CtMark(Mark { mask: 1, value: 0 }), state(PacketState::Untracked), false),
        (Match::L4Proto(6), packet, true),
        (Match::L4Proto(17), packet, false),
        (Match::L4Proto(58), icmp6(1), true),
        (Match::L4Proto(1), Packet { transport: Transport::Other(1), ..packet }, true),
        (types.clone(), icmp6(133), true),
        (types.clone(), icmp6(137), true),
        (types.clone(), icmp6(138), false),
        (types.clone(), packet, false),
        (types, Packet { transport: Transport::Icmpv6(135), ..packet }, false),
        (address(AddressField::Saddr, "10.0.0.1"), packet, true),
        (address(AddressField::Saddr, "10.0.0.2"), packet, false),
        (address(AddressField::Daddr, "10.0.0.2"), packet, true),
        (address(AddressField::Daddr, "::ffff:10.0.0.2"), packet, false),
        (address(AddressField::OriginalSaddr, "10.0.0.1"), packet, true),
        (address(AddressField::OriginalSaddr, "10.0.0.2"), packet, false),
        (address(AddressField::ReplySaddr, "10.0.0.2"), packet, true),
        (address(AddressField::ReplySaddr, "10.0.0.2"), state(PacketState::Invalid), false),
        (address(AddressField::Daddr, "10.0.0.2"), state(PacketState::Invalid), true),
    ] {
        let accepts = outcome(&only(rule([condition.clone()], Verdict::Accept), &[]), &packet) == Outcome::Accept;
        assert_eq!(accepts, expected, "{condition} {packet:?}");
    }
}

#[test]
fn lookups_find_what_a_set_holds() {
    let endpoint = Endpoint { address: v4("10.0.0.2"), protocol: 6, port: 80 };
    let six = |a: &str| a.parse::<std::net::Ipv6Addr>().unwrap();
    let six_range = Range { first: six("fd00::2"), last: six("fd00::ffff") };
    let key6 = |field| Key::Address(Family::Ipv6, field);
    let all = ranges(&[("0.0.0.0", "9.255.255.255"), ("10.0.0.2", "255.255.255.255")]);
    let endpoints = Elements::Ipv4Endpoints([endpoint].into());
    let packet = tcp("10.0.0.1", "10.0.0.2", 80);
    let packet6 = tcp("fd00::1", "fd00::2", 80);
    let udp = Packet { transport: Transport::Ports { protocol: 17, destination: 80 }, ..packet };
    let icmp = Packet { transport: Transport::Other(1), ..packet };
    let untracked = Packet { state: PacketState::Untracked, ..packet };
    for (key, elements, packet, expected, lookups) in [
        (SADDR, addresses(&["10.0.0.1"]), packet, true, 1),
        (DADDR, addresses(&["10.0.0.1"]), packet, false, 1),
        (SADDR, addresses(&["10.0.0.1"]), packet6, false, 0),
        (SADDR, all.clone(), packet, false, 1),
        (DADDR, all.clone(), packet, true, 1),
        (DADDR, all.clone(), tcp("10.0.0.1", "255.255.255.255", 1), true, 1),
        (DADDR, all, tcp("10.0.0.1", "0.0.0.0", 1), true, 1),
        (key6(AddressField::Saddr), Elements::Ipv6([six("fd00::1")].into()), packet6, true, 1),
        (key6(AddressField::Saddr), Elements::Ipv6([six("fd00::1")].into()), packet, false, 0),
        (key6(AddressField::Daddr), Elements::Ipv6Ranges([six_range].into()), packet6, true, 1),
        (key6(AddressField::Saddr), Elements::Ipv6Ranges([six_range].into()), packet6, false, 1),
        (Key::Endpoint(Family::Ipv4, 6), endpoints.clone(), packet, true, 1),
        (Key::Endpoint(Family::Ipv4, 6), endpoints.clone(), untracked, false, 0),
        (Key::Endpoint(Family::Ipv4, 6), endpoints.clone(), udp, false, 0),
        (Key::Endpoint(Family::Ipv4, 17), endpoints.clone(), udp, false, 1),
        (Key::Endpoint(Family::Ipv4, 6), endpoints.clone(), icmp, false, 0),
        (Key::Endpoint(Family::Ipv4, 6), endpoints, packet6, false, 0),
        (Key::Address(Family::Ipv4, AddressField::ReplySaddr), addresses(&["10.0.0.2"]), packet, true, 1),
        (Key::Address(Family::Ipv4, AddressField::ReplySaddr), addresses(&["10.0.0.2"]), untracked, false, 0),
        (DADDR, addresses(&["10.0.0.2"]), untracked, true, 1),
    ] {
        let ruleset = only(rule([within(key, "set")], Verdict::Accept), &[("set", elements)]);
        let outcome = if expected { Outcome::Accept } else { Outcome::Drop };
        let (verdict, _, looked_up) = way(&ruleset, &packet);
        assert_eq!((verdict, looked_up), (outcome, lookups), "{key} {packet:?}");
    }
}

#[test]
fn a_verdict_map_holds_verdicts_for_its_protocol() {
    let range = Range { first: 80, last: 90 };
    let maps = [
        Elements::PortVerdicts([(80, Verdict::Accept)].into()),
        Elements::PortRangeVerdicts([(range, Verdict::Accept)].into()),
    ];
    for map in maps {
        let ruleset = only(vmap(Key::Port(6), "map"), &[("map", map)]);
        assert_eq!(way(&ruleset, &tcp(POD, POD, 80)), (Outcome::Accept, "base 0 accept".into(), 1));
        assert_eq!(way(&ruleset, &tcp(POD, POD, 79)), (Outcome::Drop, "base 1 drop".into(), 1));
        assert_eq!(outcome(&ruleset, &tcp(POD, POD, 91)), Outcome::Drop);
        let udp = Packet { transport: Transport::Ports { protocol: 17, destination: 80 }, ..tcp(POD, POD, 0) };
        assert_eq!(way(&ruleset, &udp), (Outcome::Drop, "base 1 drop".into(), 0));
        let icmp = Packet { transport: Transport::Other(1), ..udp };
        assert_eq!(outcome(&ruleset, &icmp), Outcome::Drop);
    }
}

/// What a rule marks the rules after it see, in later base chains, too.
#[test]
fn connections_are_marked_bit_by_bit() {
    let mark = Mark { mask: 0xf0, value: 0x50 };
    let set = Statement { action: Action::SetCtMark(mark), ..rule([], Verdict::Drop) };
    let passes = rule([Match::CtMark(mark)], Verdict::Accept);
    let ruleset = table(&[("a", base(0, [set])), ("b", base(1, [passes, rule([], Verdict::Drop)]))], &[]);
    let marked = walk(&ruleset, &Packet { mark: 0xabcd, ..tcp(POD, POD, 1) }).unwrap();
    assert_eq!((marked.verdict, marked.mark), (Outcome::Accept, 0xab5d));
    let untracked = walk(&ruleset, &Packet { state: PacketState::Untracked, ..tcp(POD, POD, 1) }).unwrap();
    assert_eq!((untracked.verdict, untracked.mark), (Outcome::Drop, 0), "there is no connection to mark");
}

#[test]
fn what_the_kernel_would_not_take_is_no_way() {
    let packet = tcp(POD, POD, 80);
    let error = |ruleset: &Ruleset| walk(ruleset, &packet).unwrap_err();
    let pods = [("pods", addresses(&[POD]))];
    assert_eq!(error(&only(rule([], jump("x")), &[])), WalkError::NoSuchChain(name("x")));
    assert_eq!(error(&only(vmap(SADDR, "x"), &[])), WalkError::NoSuchSet(name("x")));
    assert_eq!(error(&only(vmap(SADDR, "pods"), &pods)), WalkError::WrongType(name("pods")));
    let port = rule([within(Key::Port(6), "pods")], Verdict::Accept);
    assert_eq!(error(&only(port, &pods)), WalkError::WrongType(name("pods")));
    let circle = table(&[("base", base(0, [rule([], goto("c"))])), ("c", chain([rule([], goto("c"))]))], &[]);
    assert_eq!(error(&circle), WalkError::TooDeep(name("c")));
    let mut tampered = only(rule([], Verdict::Accept), &[]);
    tampered.chains.get_mut(&name("base")).unwrap().rules.insert(0, Rule::Foreign);
    assert_eq!(error(&tampered), WalkError::Foreign { chain: name("base"), rule: 0 });
}

#[test]
fn addresses_of_both_families_are_told_apart() {
    let any: IpAddr = "::ffff:10.1.1.1".parse().unwrap();
    let packet = Packet { source: any, destination: any, ..tcp(POD, POD, 80) };
    let ruleset = only(rule([within(SADDR, "pods")], Verdict::Accept), &[("pods", addresses(&[POD]))]);
    assert_eq!(outcome(&ruleset, &packet), Outcome::Drop);
}

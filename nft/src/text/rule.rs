use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use super::quoted;
use crate::{
    Action, AddressField, Counter, CtState, End, Family, Group, Key, Limit, LinkField, Log, Mark, Match, Statement,
    Verdict,
};

/// As nft writes a rule: `ip saddr @pods counter accept comment "..."`.
impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { matches, counter, limit, log, action, comment } = self;
        let matches = matches.iter().map(Match::to_string);
        let counter = counter.as_ref().map(Counter::to_string);
        let limit = limit.as_ref().map(Limit::to_string);
        let log = log.as_ref().map(Log::to_string);
        let action = (*action != Action::Continue).then(|| action.to_string());
        let words = matches.chain(counter).chain(limit).chain(log).chain(action).chain(comment.as_ref().map(quoted));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

/// `counter`, or `counter name "x"`.
impl Display for Counter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("counter"),
            Self::Named(name) => write!(f, "counter name \"{name}\""),
        }
    }
}

/// `limit rate 10/second burst 9 packets`; without the burst where that is the default.
impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { rate, burst } = self;
        write!(f, "limit rate {rate}/second")?;
        if *burst == Self::DEFAULT_BURST { Ok(()) } else { write!(f, " burst {burst} packets") }
    }
}

/// `log prefix "p" group 6 snaplen 192`.
impl Display for Log {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { prefix, group, snaplen } = self;
        write!(f, "log prefix \"{prefix}\" group {group}")?;
        snaplen.iter().try_for_each(|snaplen| write!(f, " snaplen {snaplen}"))
    }
}

/// As nft writes it: `ct state established`, `ip saddr @pods`.
impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::CtState(states) => {
                let states: Vec<String> = states.iter().map(CtState::to_string).collect();
                write!(f, "ct state {}", states.join(","))
            }
            Self::CtStateIsNot(state) => write!(f, "ct state != {state}"),
            Self::CtMark(Mark { mask, value }) => write!(f, "ct mark & {mask:#010x} == {value:#010x}"),
            Self::L4Proto(number) => write!(f, "meta l4proto {}", protocol(*number)),
            Self::Icmpv6Types { first, last } if first == last => write!(f, "icmpv6 type {first}"),
            Self::Icmpv6Types { first, last } => write!(f, "icmpv6 type {first}-{last}"),
            Self::NeighborAdvert(target) => write!(f, "icmpv6 type 136 @th,64,128 {:#x}", target.to_bits()),
            Self::Address(field, address) => {
                let family = if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
                write!(f, "{} {address}", Key::Address(family, *field))
            }
            Self::In(key, set) => write!(f, "{key} @{set}"),
            Self::NotIn(key, set) => write!(f, "{key} != @{set}"),
            Self::FibMissing => f.write_str("fib saddr . iif oif missing"),
            Self::HopLimit(limit) => write!(f, "ip6 hoplimit {limit}"),
            Self::UdpDport(port) => write!(f, "udp dport {port}"),
            Self::NotSyn => f.write_str("tcp flags != syn / fin,syn,rst,ack"),
            Self::NotInit => f.write_str("meta l4proto sctp @th,96,8 != 0x1"),
            Self::ToGroup(Group::Broadcast) => f.write_str("meta pkttype broadcast"),
            Self::ToGroup(Group::Multicast) => f.write_str("meta pkttype multicast"),
            Self::EtherTypeIsNot(number) => write!(f, "ether type != {}", ether_type(*number)),
            Self::EtherSaddrIsNot([a, b, c, d, e, g]) => {
                write!(f, "ether saddr != {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
            Self::ArpSaddr(address) => write!(f, "arp saddr ip {address}"),
        }
    }
}

/// `accept`, or `ip saddr vmap @pods`; nothing where the rule goes on.
impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => Ok(()),
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::Vmap(key, map) => write!(f, "{key} vmap @{map}"),
            Self::SetCtMark(Mark { mask, value }) => {
                write!(f, "ct mark set ct mark & {:#010x} | {value:#010x}", !mask | value)
            }
        }
    }
}

/// `accept`, `drop`, `jump chain`, `goto chain`.
impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

/// `ip saddr`, `meta l4proto tcp ct reply proto-src`, the same with an address ahead.
impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(family, AddressField::Saddr) => write!(f, "{family} saddr"),
            Self::Address(family, AddressField::Daddr) => write!(f, "{family} daddr"),
            Self::Address(family, AddressField::OriginalSaddr) => write!(f, "ct original {family} saddr"),
            Self::Address(family, AddressField::ReplySaddr) => write!(f, "ct reply {family} saddr"),
            Self::Port(number) => write!(f, "meta l4proto {} ct reply proto-src", protocol(*number)),
            Self::Endpoint(family, number) => {
                let protocol = protocol(*number);
                write!(f, "meta l4proto {protocol} ct reply {family} saddr . meta l4proto . ct reply proto-src")
            }
            Self::Link(LinkField::Iifname) => f.write_str("iifname"),
            Self::Link(LinkField::Oifname) => f.write_str("oifname"),
            Self::SourceAndEnd(family, End::Original) => write!(f, "{family} saddr . ct original {family} saddr"),
            Self::SourceAndEnd(family, End::Reply) => write!(f, "{family} saddr . ct reply {family} saddr"),
        }
    }
}

/// `ip` or `ip6`.
impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
        })
    }
}

/// As nft writes it.
impl Display for CtState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Untracked => "untracked",
        })
    }
}

/// The name of an IP protocol in `/etc/protocols`, where one of those that policies meet; otherwise its number.
pub(super) fn protocol(number: u8) -> Cow<'static, str> {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "ipv6-icmp".into(),
        132 => "sctp".into(),
        other => other.to_string().into(),
    }
}

fn ether_type(number: u16) -> Cow<'static, str> {
    match number {
        0x0800 => "ip".into(),
        0x0806 => "arp".into(),
        0x86dd => "ip6".into(),
        other => format!("{other:#06x}").into(),
    }
}

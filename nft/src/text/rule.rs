use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

use super::quoted;
use crate::{Action, AddressField, CtState, Family, Key, Match, Statement, Verdict};

/// As nft writes a rule: `ip saddr @pods counter accept comment "..."`.
impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { matches, counter, action, comment } = self;
        for condition in matches {
            write!(f, "{condition} ")?;
        }
        if *counter {
            f.write_str("counter ")?;
        }
        write!(f, "{action}")?;
        comment.iter().try_for_each(|comment| write!(f, " {}", quoted(comment)))
    }
}

/// As nft writes it: `ct state established`, `ip saddr @pods`.
impl Display for Match {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::CtState(CtState::Established) => f.write_str("ct state established"),
            Self::CtState(CtState::Related) => f.write_str("ct state related"),
            Self::CtMark(bits) => write!(f, "ct mark & {bits:#010x} != 0x00000000"),
            Self::L4Proto(number) => write!(f, "meta l4proto {}", protocol(*number)),
            Self::Icmpv6Types { first, last } => write!(f, "icmpv6 type {first}-{last}"),
            Self::Address(field, IpAddr::V4(address)) => write!(f, "ip {field} {address}"),
            Self::Address(field, IpAddr::V6(address)) => write!(f, "ip6 {field} {address}"),
            Self::In(key, set) => write!(f, "{key} @{set}"),
        }
    }
}

/// `accept`, or `ip saddr vmap @pods`.
impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::Vmap(key, map) => write!(f, "{key} vmap @{map}"),
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

/// `ip saddr`, `tcp dport`, `ip daddr . meta l4proto . th dport`.
impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(family, field) => write!(f, "{family} {field}"),
            Self::Port(number @ (6 | 17 | 132)) => write!(f, "{} dport", protocol(*number)),
            Self::Port(number) => write!(f, "meta l4proto {number} th dport"),
            Self::Endpoint(family) => write!(f, "{family} daddr . meta l4proto . th dport"),
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

/// `saddr` or `daddr`.
impl Display for AddressField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Saddr => "saddr",
            Self::Daddr => "daddr",
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

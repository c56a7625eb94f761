use std::net::IpAddr;

use super::{
    ARP_SADDR, DPORT, ETHER_SADDR, ETHER_TYPE, FIB, HOP_LIMIT, ICMPV6_TYPE, Known, ND_TARGET, SCTP_CHUNK, TCP_FLAGS,
    family_of, key_loads, packet_type, state_bit,
};
use crate::netlink::constants::{NFT_CMP_NEQ, NFT_CT_MARK, NFT_CT_STATE, NFT_META_L4PROTO, NFT_META_PKTTYPE};
use crate::netlink::expression::{Expression, Lookup};
use crate::{
    Action, AddressField, Counter, CtState, End, Family, Group, Key, LinkField, Mark, Match, Statement, TableFamily,
};

const FIELDS: [AddressField; 4] =
    [AddressField::Saddr, AddressField::Daddr, AddressField::OriginalSaddr, AddressField::ReplySaddr];

/// The statement that is made of just these `expressions` in a table of family `table`, if there is one.
pub(super) fn statement(expressions: &[Expression], table: TableFamily) -> Option<Statement> {
    let reader = Reader { table, known: Known::default(), statement: Statement::default() };
    reader.statement(expressions).filter(|statement| super::expressions(statement, table) == expressions)
}

/// Finds the one statement that could be made of some expressions. That it is made of them, and of nothing else, is for
/// the caller to check.
struct Reader {
    table: TableFamily,
    known: Known,
    /// What is known of it so far.
    statement: Statement,
}

impl Reader {
    fn statement(mut self, mut rest: &[Expression]) -> Option<Statement> {
        if rest.is_empty() {
            return None;
        }
        loop {
            rest = match rest {
                [] => return Some(self.finish(Action::Continue)),
                [Expression::Verdict(verdict)] => return Some(self.finish(Action::Verdict(verdict.clone()))),
                [Expression::Counter(_), rest @ ..] => {
                    self.statement.counter = Some(Counter::Own);
                    rest
                }
                [Expression::CounterReference(name), rest @ ..] => {
                    self.statement.counter = Some(Counter::Named(name.clone()));
                    rest
                }
                [Expression::Limit(limit), rest @ ..] => {
                    self.statement.limit = Some(*limit);
                    rest
                }
                [Expression::Log(log), rest @ ..] => {
                    self.statement.log = Some(log.clone());
                    rest
                }
                [Expression::Ct { .. }, Expression::Bitwise { mask, xor }, Expression::CtSet { .. }] => {
                    return Some(self.finish(Action::SetCtMark(Mark { mask: !mask, value: *xor })));
                }
                [
                    Expression::Ct { key, .. },
                    Expression::Bitwise { mask, .. },
                    Expression::Compare { data, .. },
                    rest @ ..,
                ] => {
                    self.statement.matches.push(of_conntrack(*key, *mask, data)?);
                    rest
                }
                [
                    Expression::Ct { key: NFT_CT_STATE, .. },
                    Expression::Compare { operator: NFT_CMP_NEQ, data },
                    rest @ ..,
                ] => {
                    let not = number(data)?;
                    self.statement.matches.push(Match::CtStateIsNot(states().find(|state| state_bit(*state) == not)?));
                    rest
                }
                [Expression::Meta { key, .. }, Expression::Compare { data, .. }, rest @ ..] => {
                    self.meta(*key, data, rest)?;
                    rest
                }
                // What an ICMPv6 type implies in family bridge.
                [ETHER_TYPE, Expression::Compare { .. }, rest @ ..]
                    if matches!(rest, [Expression::Meta { .. }, _, ICMPV6_TYPE, ..]) =>
                {
                    self.known.family = Some(Family::Ipv6);
                    rest
                }
                [ETHER_TYPE, Expression::Compare { .. }, ARP_SADDR, Expression::Compare { data, .. }, rest @ ..] => {
                    self.statement.matches.push(Match::ArpSaddr(<[u8; 4]>::try_from(&**data).ok()?.into()));
                    rest
                }
                [ICMPV6_TYPE, Expression::Compare { .. }, ND_TARGET, Expression::Compare { data, .. }, rest @ ..] => {
                    self.statement.matches.push(Match::NeighborAdvert(<[u8; 16]>::try_from(&**data).ok()?.into()));
                    rest
                }
                [
                    ICMPV6_TYPE,
                    Expression::Compare { data: from, .. },
                    Expression::Compare { data: to, .. },
                    rest @ ..,
                ] => {
                    self.statement.matches.push(Match::Icmpv6Types { first: *from.first()?, last: *to.first()? });
                    rest
                }
                [TCP_FLAGS, Expression::Mask(_), Expression::Compare { .. }, rest @ ..] => {
                    self.statement.matches.push(Match::NotSyn);
                    rest
                }
                [FIB, Expression::Compare { .. }, rest @ ..] => {
                    self.statement.matches.push(Match::FibMissing);
                    rest
                }
                [load @ Expression::Payload { .. }, Expression::Compare { data, .. }, rest @ ..]
                    if let Some(found) = field(load, data) =>
                {
                    self.statement.matches.push(found);
                    rest
                }
                _ => match self.key(rest)? {
                    (key, [Expression::Lookup { set, result: Lookup::Verdict }]) => {
                        return Some(self.finish(Action::Vmap(key, set.clone())));
                    }
                    (key, [condition, rest @ ..]) => {
                        self.statement.matches.push(keyed(key, condition)?);
                        rest
                    }
                    _ => return None,
                },
            };
        }
    }

    fn finish(self, action: Action) -> Statement {
        Statement { action, ..self.statement }
    }

    /// `meta KEY VALUE`: asked for by the rule, or implied by what follows.
    fn meta(&mut self, key: u32, value: &[u8], rest: &[Expression]) -> Option<()> {
        match key {
            NFT_META_L4PROTO => {
                let value = *value.first()?;
                self.known.protocol = Some(value);
                let implied = matches!(rest.first(), Some(&(ICMPV6_TYPE | DPORT | TCP_FLAGS | SCTP_CHUNK)))
                    || self.key(rest).is_some_and(|(key, _)| matches!(key, Key::Port(_) | Key::Endpoint(..)));
                if !implied {
                    self.statement.matches.push(Match::L4Proto(value));
                }
            }
            NFT_META_PKTTYPE => {
                let groups = [Group::Broadcast, Group::Multicast];
                let group = groups.into_iter().find(|group| value == [packet_type(*group)])?;
                self.statement.matches.push(Match::ToGroup(group));
            }
            _ => {
                let asked = |family: &Family| family_of(self.table, *family) == (key, value.to_vec());
                self.known.family = Some(Family::ALL.into_iter().find(asked)?);
            }
        }
        Some(())
    }

    /// The key that is loaded first, and what follows.
    fn key<'a>(&self, expressions: &'a [Expression]) -> Option<(Key, &'a [Expression])> {
        let families = || Family::ALL.into_iter();
        let endpoints = self.known.protocol.into_iter().flat_map(|protocol| {
            families().map(move |family| Key::Endpoint(family, protocol)).chain([Key::Port(protocol)])
        });
        let ends = families().flat_map(|family| [End::Original, End::Reply].map(|end| Key::SourceAndEnd(family, end)));
        let addresses = families().flat_map(|family| FIELDS.map(|field| Key::Address(family, field)));
        let links = [LinkField::Iifname, LinkField::Oifname].map(Key::Link);
        let mut keys = endpoints.chain(ends).chain(addresses).chain(links);
        keys.find_map(|key| Some((key, expressions.strip_prefix(&*key_loads(key))?)))
    }
}

fn keyed(key: Key, condition: &Expression) -> Option<Match> {
    match (key, condition) {
        (_, Expression::Lookup { set, result: Lookup::Found }) => Some(Match::In(key, set.clone())),
        (_, Expression::Lookup { set, result: Lookup::Missing }) => Some(Match::NotIn(key, set.clone())),
        (Key::Address(family, field), Expression::Compare { data, .. }) => {
            let address = match family {
                Family::Ipv4 => IpAddr::from(<[u8; 4]>::try_from(&**data).ok()?),
                Family::Ipv6 => IpAddr::from(<[u8; 16]>::try_from(&**data).ok()?),
            };
            Some(Match::Address(field, address))
        }
        _ => None,
    }
}

/// The match of one field of a packet, if there is one that asks for it alone.
fn field(load: &Expression, data: &[u8]) -> Option<Match> {
    let number = |data: &[u8]| Some(u16::from_be_bytes(data.try_into().ok()?));
    match *load {
        ICMPV6_TYPE => Some(Match::Icmpv6Types { first: *data.first()?, last: *data.first()? }),
        HOP_LIMIT => Some(Match::HopLimit(*data.first()?)),
        DPORT => Some(Match::UdpDport(number(data)?)),
        SCTP_CHUNK => Some(Match::NotInit),
        ETHER_TYPE => Some(Match::EtherTypeIsNot(number(data)?)),
        ETHER_SADDR => Some(Match::EtherSaddrIsNot(data.try_into().ok()?)),
        _ => None,
    }
}

fn of_conntrack(key: u32, mask: u32, data: &[u8]) -> Option<Match> {
    match key {
        NFT_CT_STATE => Some(Match::CtState(states().filter(|state| mask & state_bit(*state) != 0).collect())),
        NFT_CT_MARK => Some(Match::CtMark(Mark { mask, value: number(data)? })),
        _ => None,
    }
}

fn states() -> impl Iterator<Item = CtState> {
    [CtState::Invalid, CtState::New, CtState::Established, CtState::Related, CtState::Untracked].into_iter()
}

/// In the machine's order, as conntrack's numbers are.
fn number(data: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(data.try_into().ok()?))
}

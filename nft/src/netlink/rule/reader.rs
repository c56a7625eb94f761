use std::net::IpAddr;

use super::{ICMPV6_TYPE, Known, family_number, key_loads, state_bit};
use crate::netlink::constants::{NFT_CMP_NEQ, NFT_CT_MARK, NFT_CT_STATE, NFT_META_L4PROTO, NFT_META_NFPROTO};
use crate::netlink::expression::Expression;
use crate::{Action, AddressField, CtState, Family, Key, Mark, Match, Statement};

const FIELDS: [AddressField; 4] =
    [AddressField::Saddr, AddressField::Daddr, AddressField::OriginalSaddr, AddressField::ReplySaddr];

/// The statement that is made of just these `expressions`, if there is one.
pub(super) fn statement(expressions: &[Expression]) -> Option<Statement> {
    Reader::default().statement(expressions).filter(|statement| super::expressions(statement) == expressions)
}

/// Finds the one statement that could be made of some expressions. That it is made of them, and of nothing else, is for
/// the caller to check.
#[derive(Default)]
struct Reader {
    known: Known,
    matches: Vec<Match>,
    counter: bool,
}

impl Reader {
    fn statement(mut self, mut rest: &[Expression]) -> Option<Statement> {
        loop {
            rest = match rest {
                [Expression::Verdict(verdict)] => return Some(self.finish(Action::Verdict(verdict.clone()))),
                [Expression::Counter(_), rest @ ..] => {
                    self.counter = true;
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
                    self.matches.push(of_conntrack(*key, *mask, data)?);
                    rest
                }
                [
                    Expression::Ct { key: NFT_CT_STATE, .. },
                    Expression::Compare { operator: NFT_CMP_NEQ, data },
                    rest @ ..,
                ] => {
                    let not = number(data)?;
                    self.matches.push(Match::CtStateIsNot(states().find(|state| state_bit(*state) == not)?));
                    rest
                }
                [Expression::Meta { key, .. }, Expression::Compare { data, .. }, rest @ ..] => {
                    self.meta(*key, *data.first()?, rest)?;
                    rest
                }
                [
                    ICMPV6_TYPE,
                    Expression::Compare { data: from, .. },
                    Expression::Compare { data: to, .. },
                    rest @ ..,
                ] => {
                    self.matches.push(Match::Icmpv6Types { first: *from.first()?, last: *to.first()? });
                    rest
                }
                _ => match self.key(rest)? {
                    (key, [Expression::Lookup { set, verdict: true }]) => {
                        return Some(self.finish(Action::Vmap(key, set.clone())));
                    }
                    (key, [condition, rest @ ..]) => {
                        self.matches.push(keyed(key, condition)?);
                        rest
                    }
                    _ => return None,
                },
            };
        }
    }

    fn finish(self, action: Action) -> Statement {
        Statement { matches: self.matches, counter: self.counter, action, comment: None }
    }

    /// `meta KEY VALUE`: asked for by the rule, or implied by what follows.
    fn meta(&mut self, key: u32, value: u8, rest: &[Expression]) -> Option<()> {
        match key {
            NFT_META_NFPROTO => self.known.family = Some(family(value)?),
            NFT_META_L4PROTO => {
                self.known.protocol = Some(value);
                let implied = rest.first() == Some(&ICMPV6_TYPE)
                    || self.key(rest).is_some_and(|(key, _)| matches!(key, Key::Port(_) | Key::Endpoint(..)));
                if !implied {
                    self.matches.push(Match::L4Proto(value));
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The key that is loaded first, and what follows.
    fn key<'a>(&self, expressions: &'a [Expression]) -> Option<(Key, &'a [Expression])> {
        let families = || [Family::Ipv4, Family::Ipv6].into_iter();
        let endpoints = self.known.protocol.into_iter().flat_map(|protocol| {
            families().map(move |family| Key::Endpoint(family, protocol)).chain([Key::Port(protocol)])
        });
        let addresses = families().flat_map(|family| FIELDS.map(|field| Key::Address(family, field)));
        let mut keys = endpoints.chain(addresses);
        keys.find_map(|key| Some((key, expressions.strip_prefix(&*key_loads(key))?)))
    }
}

fn keyed(key: Key, condition: &Expression) -> Option<Match> {
    match (key, condition) {
        (_, Expression::Lookup { set, verdict: false }) => Some(Match::In(key, set.clone())),
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

fn of_conntrack(key: u32, mask: u32, data: &[u8]) -> Option<Match> {
    match key {
        NFT_CT_STATE => Some(Match::CtState(states().filter(|state| mask & state_bit(*state) != 0).collect())),
        NFT_CT_MARK => Some(Match::CtMark(Mark { mask, value: number(data)? })),
        _ => None,
    }
}

fn states() -> impl Iterator<Item = CtState> {
    [CtState::Invalid, CtState::Established, CtState::Related, CtState::Untracked].into_iter()
}

/// In the machine's order, as conntrack's numbers are.
fn number(data: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(data.try_into().ok()?))
}

fn family(number: u8) -> Option<Family> {
    [Family::Ipv4, Family::Ipv6].into_iter().find(|family| family_number(*family) == number)
}

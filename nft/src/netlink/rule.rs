//! Rules of ours as the kernel's expressions: those that `nft` makes of their text.
//!
//! As `nft` does, what a match implies (the family of an address, the protocol of a port) is asked for once, right
//! before the first match that needs it. So a protocol that a rule asks for right before a match that implies it leaves
//! no trace: `meta l4proto tcp tcp dport @ports` is `tcp dport @ports`.

mod reader;

use std::net::IpAddr;

use self::reader::statement;
use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::expression::{Counter, Expression};
use super::userdata;
use crate::{Action, AddressField, CtState, Family, Key, Match, Rule, Statement};

/// Writes the attributes that make up `rule`: expressions and comment.
pub(super) fn write(message: &mut Writer, rule: &Statement) {
    message.nested(NFTA_RULE_EXPRESSIONS, |list| {
        for expression in expressions(rule) {
            expression.write(list);
        }
    });
    if let Some(comment) = &rule.comment {
        let mut data = Vec::new();
        userdata::push_comment(&mut data, userdata::COMMENT, comment);
        message.bytes(NFTA_RULE_USERDATA, &data);
    }
}

/// Reads the rule of a message, and what it has counted, if it counts.
pub(super) fn read(message: Attributes<'_>) -> Result<(Rule, Option<Counter>), Malformed> {
    let comment = message.find(NFTA_RULE_USERDATA)?.and_then(|data| userdata::comment(data.value, userdata::COMMENT));
    let list = message.find(NFTA_RULE_EXPRESSIONS)?.map_or(Attributes(&[]), |list| list.nested());
    let mut expressions = list.map(|element| Expression::read(element?)).collect::<Result<Option<Vec<_>>, _>>()?;
    let counter = expressions.iter_mut().flatten().find_map(reset_counter);
    let compatible = message.find(NFTA_RULE_COMPAT)?.is_none();
    let statement = expressions.filter(|_| compatible).and_then(|all| statement(&all));
    Ok((statement.map_or(Rule::Foreign, |statement| Rule::Own(Statement { comment, ..statement })), counter))
}

fn reset_counter(expression: &mut Expression) -> Option<Counter> {
    match expression {
        Expression::Counter(counter) => Some(std::mem::take(counter)),
        _ => None,
    }
}

/// What `rule` is made of.
pub(super) fn expressions(rule: &Statement) -> Vec<Expression> {
    let mut writer = Compiler::default();
    for one in &rule.matches {
        writer.condition(one);
    }
    if rule.counter {
        writer.expressions.push(Expression::Counter(Counter::default()));
    }
    writer.action(&rule.action);
    writer.expressions
}

/// What the conditions so far say of a packet.
#[derive(Default)]
struct Known {
    family: Option<Family>,
    protocol: Option<u8>,
}

#[derive(Default)]
struct Compiler {
    known: Known,
    expressions: Vec<Expression>,
}

impl Compiler {
    fn condition(&mut self, condition: &Match) {
        match condition {
            Match::CtState(state) => self.any_bit(NFT_CT_STATE, state_bit(*state)),
            Match::CtMark(bits) => self.any_bit(NFT_CT_MARK, *bits),
            Match::L4Proto(protocol) => self.protocol(*protocol),
            Match::Icmpv6Types { first, last } => {
                self.need_family(Family::Ipv6);
                self.need_protocol(IPPROTO_ICMPV6);
                self.expressions.push(ICMPV6_TYPE);
                self.compare(NFT_CMP_GTE, &[*first]);
                self.compare(NFT_CMP_LTE, &[*last]);
            }
            Match::Address(field, address) => {
                let (family, octets) = match address {
                    IpAddr::V4(address) => (Family::Ipv4, address.octets().to_vec()),
                    IpAddr::V6(address) => (Family::Ipv6, address.octets().to_vec()),
                };
                self.load(Key::Address(family, *field));
                self.compare(NFT_CMP_EQ, &octets);
            }
            Match::In(key, set) => {
                self.load(*key);
                self.expressions.push(Expression::Lookup { set: set.clone(), verdict: false });
            }
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Verdict(verdict) => self.expressions.push(Expression::Verdict(verdict.clone())),
            Action::Vmap(key, map) => {
                self.load(*key);
                self.expressions.push(Expression::Lookup { set: map.clone(), verdict: true });
            }
        }
    }

    /// What conntrack says under `key` has one of these bits.
    fn any_bit(&mut self, key: u32, bits: u32) {
        self.expressions.push(Expression::Ct { key });
        self.expressions.push(Expression::Mask(bits));
        self.compare(NFT_CMP_NEQ, &[0; 4]);
    }

    fn load(&mut self, key: Key) {
        match key {
            Key::Address(family, _) | Key::Endpoint(family) => self.need_family(family),
            Key::Port(protocol) => self.need_protocol(protocol),
        }
        self.expressions.extend(key_loads(key));
    }

    fn need_family(&mut self, family: Family) {
        if self.known.family != Some(family) {
            self.expressions.push(Expression::Meta { key: NFT_META_NFPROTO, register: NFT_REG_1 });
            self.compare(NFT_CMP_EQ, &[family_number(family)]);
            self.known.family = Some(family);
        }
    }

    fn need_protocol(&mut self, protocol: u8) {
        if self.known.protocol != Some(protocol) {
            self.protocol(protocol);
        }
    }

    fn protocol(&mut self, protocol: u8) {
        self.expressions.push(Expression::Meta { key: NFT_META_L4PROTO, register: NFT_REG_1 });
        self.compare(NFT_CMP_EQ, &[protocol]);
        self.known.protocol = Some(protocol);
    }

    fn compare(&mut self, operator: u32, data: &[u8]) {
        self.expressions.push(Expression::Compare { operator, data: data.to_vec() });
    }
}

const ICMPV6_TYPE: Expression =
    Expression::Payload { base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: 0, length: 1, register: NFT_REG_1 };

/// What loads `key` into register 1 and, where it has parts, the registers after.
fn key_loads(key: Key) -> Vec<Expression> {
    let port = |register| Expression::Payload { base: NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, length: 2, register };
    match key {
        Key::Address(family, field) => vec![address(family, field)],
        Key::Port(_) => vec![port(NFT_REG_1)],
        Key::Endpoint(family) => {
            let (second, third) = match family {
                Family::Ipv4 => (NFT_REG32_01, NFT_REG32_02),
                Family::Ipv6 => (NFT_REG_2, NFT_REG32_05),
            };
            let protocol = Expression::Meta { key: NFT_META_L4PROTO, register: second };
            vec![address(family, AddressField::Daddr), protocol, port(third)]
        }
    }
}

fn address(family: Family, field: AddressField) -> Expression {
    let (offset, length) = match (family, field) {
        (Family::Ipv4, AddressField::Saddr) => (12, 4),
        (Family::Ipv4, AddressField::Daddr) => (16, 4),
        (Family::Ipv6, AddressField::Saddr) => (8, 16),
        (Family::Ipv6, AddressField::Daddr) => (24, 16),
    };
    Expression::Payload { base: NFT_PAYLOAD_NETWORK_HEADER, offset, length, register: NFT_REG_1 }
}

fn state_bit(state: CtState) -> u32 {
    match state {
        CtState::Established => NF_CT_STATE_ESTABLISHED,
        CtState::Related => NF_CT_STATE_RELATED,
    }
}

fn family_number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => NFPROTO_IPV4,
        Family::Ipv6 => NFPROTO_IPV6,
    }
}

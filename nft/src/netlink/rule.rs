//! Rules of ours as the kernel's expressions: those that `nft` makes of their text.
//!
//! As `nft` does, what a match implies (the family of an address, the protocol of ICMPv6 types) is asked for once, right
//! before the first match that needs it. So a protocol that a rule asks for right before a match that implies it leaves
//! no trace: `meta l4proto ipv6-icmp icmpv6 type 133-137` is `icmpv6 type 133-137`.

mod reader;

use std::net::IpAddr;

use self::reader::statement;
use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::expression::{Counter, Expression};
use super::userdata;
use crate::{Action, AddressField, CtState, Family, Key, Mark, Match, Rule, Statement};

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
            Match::CtState(states) => {
                self.conntrack(NFT_CT_STATE);
                let bits = states.iter().fold(0, |bits, state| bits | state_bit(*state));
                self.expressions.push(Expression::Bitwise { mask: bits, xor: 0 });
                self.compare(NFT_CMP_NEQ, &[0; 4]);
            }
            Match::CtStateIsNot(state) => {
                self.conntrack(NFT_CT_STATE);
                self.compare(NFT_CMP_NEQ, &state_bit(*state).to_ne_bytes());
            }
            Match::CtMark(Mark { mask, value }) => {
                self.conntrack(NFT_CT_MARK);
                self.expressions.push(Expression::Bitwise { mask: *mask, xor: 0 });
                self.compare(NFT_CMP_EQ, &value.to_ne_bytes());
            }
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
            Action::SetCtMark(Mark { mask, value }) => {
                self.conntrack(NFT_CT_MARK);
                self.expressions.push(Expression::Bitwise { mask: !mask, xor: *value });
                self.expressions.push(Expression::CtSet { key: NFT_CT_MARK });
            }
        }
    }

    fn conntrack(&mut self, key: u32) {
        self.expressions.push(Expression::Ct { key, direction: None, register: NFT_REG_1 });
    }

    fn load(&mut self, key: Key) {
        match key {
            Key::Address(family, AddressField::Saddr | AddressField::Daddr) => self.need_family(family),
            Key::Address(_, AddressField::OriginalSaddr | AddressField::ReplySaddr) => {}
            Key::Port(protocol) | Key::Endpoint(_, protocol) => self.protocol(protocol),
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
    let port = |register| Expression::Ct { key: NFT_CT_PROTO_SRC, direction: Some(IP_CT_DIR_REPLY), register };
    match key {
        Key::Address(family, field) => vec![address(family, field)],
        Key::Port(_) => vec![port(NFT_REG_1)],
        Key::Endpoint(family, _) => {
            let (second, third) = match family {
                Family::Ipv4 => (NFT_REG32_01, NFT_REG32_02),
                Family::Ipv6 => (NFT_REG_2, NFT_REG32_05),
            };
            let protocol = Expression::Meta { key: NFT_META_L4PROTO, register: second };
            vec![address(family, AddressField::ReplySaddr), protocol, port(third)]
        }
    }
}

fn address(family: Family, field: AddressField) -> Expression {
    let header =
        |offset, length| Expression::Payload { base: NFT_PAYLOAD_NETWORK_HEADER, offset, length, register: NFT_REG_1 };
    let connection = |direction| {
        let key = match family {
            Family::Ipv4 => NFT_CT_SRC_IP,
            Family::Ipv6 => NFT_CT_SRC_IP6,
        };
        Expression::Ct { key, direction: Some(direction), register: NFT_REG_1 }
    };
    match (family, field) {
        (Family::Ipv4, AddressField::Saddr) => header(12, 4),
        (Family::Ipv4, AddressField::Daddr) => header(16, 4),
        (Family::Ipv6, AddressField::Saddr) => header(8, 16),
        (Family::Ipv6, AddressField::Daddr) => header(24, 16),
        (_, AddressField::OriginalSaddr) => connection(IP_CT_DIR_ORIGINAL),
        (_, AddressField::ReplySaddr) => connection(IP_CT_DIR_REPLY),
    }
}

fn state_bit(state: CtState) -> u32 {
    match state {
        CtState::Invalid => NF_CT_STATE_INVALID,
        CtState::Established => NF_CT_STATE_ESTABLISHED,
        CtState::Related => NF_CT_STATE_RELATED,
        CtState::Untracked => NF_CT_STATE_UNTRACKED,
    }
}

fn family_number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => NFPROTO_IPV4,
        Family::Ipv6 => NFPROTO_IPV6,
    }
}

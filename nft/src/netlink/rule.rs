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
use super::expression::{Expression, Lookup};
use super::userdata;
use crate::{
    Action, AddressField, Counter, CounterValue, CtState, End, Family, Group, Key, LinkField, Mark, Match, Name, Rule,
    Statement, TableFamily,
};

/// Writes the attributes that make up `rule`, in a table of family `table`: expressions and comment.
pub(super) fn write(message: &mut Writer, rule: &Statement, table: TableFamily) {
    message.nested(NFTA_RULE_EXPRESSIONS, |list| {
        for expression in expressions(rule, table) {
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
pub(super) fn read(message: Attributes<'_>, table: TableFamily) -> Result<(Rule, Option<CounterValue>), Malformed> {
    let comment = message.find(NFTA_RULE_USERDATA)?.and_then(|data| userdata::comment(data.value, userdata::COMMENT));
    let list = message.find(NFTA_RULE_EXPRESSIONS)?.map_or(Attributes(&[]), |list| list.nested());
    let read = list.map(|element| Expression::read(element?)).collect::<Result<Option<Vec<_>>, _>>()?;
    let mut expressions = read.map(|read| as_we_write(read.concat()));
    let counter = expressions.iter_mut().flatten().find_map(reset_counter);
    let compatible = message.find(NFTA_RULE_COMPAT)?.is_none();
    let statement = expressions.filter(|_| compatible).and_then(|all| statement(&all, table));
    Ok((statement.map_or(Rule::Foreign, |statement| Rule::Own(Statement { comment, ..statement })), counter))
}

/// Whether `fib` finds something is asked in one byte by nft 1.1.7, and in four by nft 1.1.3 and by us. It is the same where the lowest
/// byte comes first, as on all machines that Palisade is built for.
fn as_we_write(mut expressions: Vec<Expression>) -> Vec<Expression> {
    for at in 1..expressions.len() {
        if let ([.., Expression::Fib { .. }], [Expression::Compare { data, .. }, ..]) = expressions.split_at_mut(at)
            && data == &[0]
        {
            *data = vec![0; 4];
        }
    }
    expressions
}

fn reset_counter(expression: &mut Expression) -> Option<CounterValue> {
    match expression {
        Expression::Counter(counter) => Some(std::mem::take(counter)),
        _ => None,
    }
}

/// What `rule` is made of in a table of family `table`.
pub(super) fn expressions(rule: &Statement, table: TableFamily) -> Vec<Expression> {
    let mut writer = Compiler { table, known: Known::default(), expressions: Vec::new() };
    for one in &rule.matches {
        writer.condition(one);
    }
    writer.expressions.extend(rule.counter.as_ref().map(counter));
    writer.expressions.extend(rule.limit.map(Expression::Limit));
    writer.expressions.extend(rule.log.clone().map(Expression::Log));
    writer.action(&rule.action);
    writer.expressions
}

fn counter(counter: &Counter) -> Expression {
    match counter {
        Counter::Own => Expression::Counter(CounterValue::default()),
        Counter::Named(name) => Expression::CounterReference(name.clone()),
    }
}

/// What the conditions so far say of a packet.
#[derive(Default)]
struct Known {
    family: Option<Family>,
    protocol: Option<u8>,
}

struct Compiler {
    table: TableFamily,
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
                self.icmpv6_type();
                if first == last {
                    self.compare(NFT_CMP_EQ, &[*first]);
                } else {
                    self.compare(NFT_CMP_GTE, &[*first]);
                    self.compare(NFT_CMP_LTE, &[*last]);
                }
            }
            Match::NeighborAdvert(target) => {
                self.icmpv6_type();
                self.compare(NFT_CMP_EQ, &[ND_NEIGHBOR_ADVERT]);
                self.field(ND_TARGET, NFT_CMP_EQ, &target.octets());
            }
            Match::Address(field, address) => {
                let (family, octets) = match address {
                    IpAddr::V4(address) => (Family::Ipv4, address.octets().to_vec()),
                    IpAddr::V6(address) => (Family::Ipv6, address.octets().to_vec()),
                };
                self.load(Key::Address(family, *field));
                self.compare(NFT_CMP_EQ, &octets);
            }
            Match::In(key, set) => self.lookup(*key, set, Lookup::Found),
            Match::NotIn(key, set) => self.lookup(*key, set, Lookup::Missing),
            Match::FibMissing => {
                self.expressions.push(FIB);
                self.compare(NFT_CMP_EQ, &[0; 4]);
            }
            Match::HopLimit(limit) => {
                self.need_family(Family::Ipv6);
                self.field(HOP_LIMIT, NFT_CMP_EQ, &[*limit]);
            }
            Match::UdpDport(port) => {
                self.need_protocol(IPPROTO_UDP);
                self.field(DPORT, NFT_CMP_EQ, &port.to_be_bytes());
            }
            Match::NotSyn => {
                self.need_protocol(IPPROTO_TCP);
                self.expressions.extend([TCP_FLAGS, Expression::Mask(FIN_SYN_RST_ACK)]);
                self.compare(NFT_CMP_NEQ, &[SYN]);
            }
            Match::NotInit => {
                self.protocol(IPPROTO_SCTP);
                self.field(SCTP_CHUNK, NFT_CMP_NEQ, &[SCTP_INIT]);
            }
            Match::ToGroup(group) => {
                let load = Expression::Meta { key: NFT_META_PKTTYPE, register: NFT_REG_1 };
                self.field(load, NFT_CMP_EQ, &[packet_type(*group)]);
            }
            Match::EtherTypeIsNot(number) => self.field(ETHER_TYPE, NFT_CMP_NEQ, &number.to_be_bytes()),
            Match::EtherSaddrIsNot(octets) => self.field(ETHER_SADDR, NFT_CMP_NEQ, octets),
            Match::ArpSaddr(address) => {
                self.field(ETHER_TYPE, NFT_CMP_EQ, &ETH_P_ARP.to_be_bytes());
                self.field(ARP_SADDR, NFT_CMP_EQ, &address.octets());
            }
        }
    }

    fn field(&mut self, load: Expression, operator: u32, data: &[u8]) {
        self.expressions.push(load);
        self.compare(operator, data);
    }

    fn icmpv6_type(&mut self) {
        if self.known.family != Some(Family::Ipv6) {
            match self.table {
                TableFamily::Inet => self.need_family(Family::Ipv6),
                TableFamily::Bridge => self.field(ETHER_TYPE, NFT_CMP_EQ, &ETH_P_IPV6.to_be_bytes()),
            }
            self.known.family = Some(Family::Ipv6);
        }
        self.need_protocol(IPPROTO_ICMPV6);
        self.expressions.push(ICMPV6_TYPE);
    }

    fn lookup(&mut self, key: Key, set: &Name, result: Lookup) {
        self.load(key);
        self.expressions.push(Expression::Lookup { set: set.clone(), result });
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Continue => {}
            Action::Verdict(verdict) => self.expressions.push(Expression::Verdict(verdict.clone())),
            Action::Vmap(key, map) => self.lookup(*key, map, Lookup::Verdict),
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
            Key::Link(_) => {}
            Key::SourceAndEnd(family, _) => self.need_family(family),
        }
        self.expressions.extend(key_loads(key));
    }

    fn need_family(&mut self, family: Family) {
        if self.known.family != Some(family) {
            let (key, number) = family_of(self.table, family);
            self.expressions.push(Expression::Meta { key, register: NFT_REG_1 });
            self.compare(NFT_CMP_EQ, &number);
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

const ICMPV6_TYPE: Expression = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
const ND_TARGET: Expression = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16);
const DPORT: Expression = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
const TCP_FLAGS: Expression = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
const SCTP_CHUNK: Expression = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 12, 1);
const HOP_LIMIT: Expression = payload(NFT_PAYLOAD_NETWORK_HEADER, 7, 1);
const ARP_SADDR: Expression = payload(NFT_PAYLOAD_NETWORK_HEADER, 14, 4);
const ETHER_SADDR: Expression = payload(NFT_PAYLOAD_LL_HEADER, 6, 6);
const ETHER_TYPE: Expression = payload(NFT_PAYLOAD_LL_HEADER, 12, 2);
const FIB: Expression = Expression::Fib { flags: NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT };

const FIN_SYN_RST_ACK: u8 = 0x17;
const SYN: u8 = 0x02;
const SCTP_INIT: u8 = 1;

const fn payload(base: u32, offset: u32, length: u32) -> Expression {
    Expression::Payload { base, offset, length, register: NFT_REG_1 }
}

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
        Key::Link(LinkField::Iifname) => vec![Expression::Meta { key: NFT_META_IIFNAME, register: NFT_REG_1 }],
        Key::Link(LinkField::Oifname) => vec![Expression::Meta { key: NFT_META_OIFNAME, register: NFT_REG_1 }],
        Key::SourceAndEnd(family, end) => {
            let (key, register) = match family {
                Family::Ipv4 => (NFT_CT_SRC_IP, NFT_REG32_01),
                Family::Ipv6 => (NFT_CT_SRC_IP6, NFT_REG_2),
            };
            let direction = match end {
                End::Original => IP_CT_DIR_ORIGINAL,
                End::Reply => IP_CT_DIR_REPLY,
            };
            vec![address(family, AddressField::Saddr), Expression::Ct { key, direction: Some(direction), register }]
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

fn packet_type(group: Group) -> u8 {
    match group {
        Group::Broadcast => PACKET_BROADCAST,
        Group::Multicast => PACKET_MULTICAST,
    }
}

fn state_bit(state: CtState) -> u32 {
    match state {
        CtState::Invalid => NF_CT_STATE_INVALID,
        CtState::New => NF_CT_STATE_NEW,
        CtState::Established => NF_CT_STATE_ESTABLISHED,
        CtState::Related => NF_CT_STATE_RELATED,
        CtState::Untracked => NF_CT_STATE_UNTRACKED,
    }
}

/// How a packet's family is asked for: what of `meta`, and the answer.
fn family_of(table: TableFamily, family: Family) -> (u32, Vec<u8>) {
    match (table, family) {
        (TableFamily::Inet, Family::Ipv4) => (NFT_META_NFPROTO, vec![NFPROTO_IPV4]),
        (TableFamily::Inet, Family::Ipv6) => (NFT_META_NFPROTO, vec![NFPROTO_IPV6]),
        (TableFamily::Bridge, Family::Ipv4) => (NFT_META_PROTOCOL, ETH_P_IP.to_be_bytes().into()),
        (TableFamily::Bridge, Family::Ipv6) => (NFT_META_PROTOCOL, ETH_P_IPV6.to_be_bytes().into()),
    }
}

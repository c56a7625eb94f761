//! An entry of conntrack's, as the kernel tells it.

use std::net::IpAddr;

use crate::netlink::attributes::{Attributes, Malformed, Writer};
use crate::netlink::constants::*;
use crate::netlink::message::{Message, Received};
use crate::{Connection, Transport};

/// The connection that a message tells of; `None` where it tells of none, or of one that is not of IP.
pub(super) fn read(message: Received<'_>) -> Result<Option<Connection>, Malformed> {
    if message.conntrack_kind() != Some(IPCTNL_MSG_CT_NEW) {
        return Ok(None);
    }
    let (family, attributes) = message.content()?;
    let mut found = Found::default();
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            CTA_TUPLE_ORIG => found.original = Some(attribute.value),
            CTA_TUPLE_REPLY => found.reply = Some(attribute.value),
            CTA_MARK => found.mark = attribute.be32()?,
            CTA_ZONE => found.zone = attribute.be16()?,
            _ => {}
        }
    }
    found.connection(family)
}

/// The message that gives those of a mark's bits that are in `bits` the values that they have in `value`.
pub(super) fn update(key: &[u8], bits: u32, value: u32) -> Message {
    let Key { family, zone, tuple } = Key::decode(key);
    let mut attributes = Writer::default();
    attributes.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple);
    if zone != 0 {
        attributes.be16(CTA_ZONE, zone);
    }
    attributes.be32(CTA_MARK, value);
    attributes.be32(CTA_MARK_MASK, bits);
    Message::conntrack(IPCTNL_MSG_CT_NEW, 0, family, attributes).expect("the kernel's tuples are short")
}

/// What the kernel finds an entry by: the tuple of its first packet, as it was told.
struct Key<'a> {
    family: u8,
    zone: u16,
    tuple: &'a [u8],
}

impl<'a> Key<'a> {
    fn encode(&self) -> Box<[u8]> {
        let [high, low] = self.zone.to_be_bytes();
        [&[self.family, high, low], self.tuple].concat().into()
    }

    /// A key that is not of this backend's making is one that the kernel finds nothing by.
    fn decode(key: &'a [u8]) -> Self {
        match key {
            [family, high, low, tuple @ ..] => Self { family: *family, zone: u16::from_be_bytes([*high, *low]), tuple },
            _ => Self { family: NFPROTO_UNSPEC, zone: 0, tuple: &[] },
        }
    }
}

#[derive(Default)]
struct Found<'a> {
    original: Option<&'a [u8]>,
    reply: Option<&'a [u8]>,
    mark: u32,
    zone: u16,
}

impl Found<'_> {
    /// Replies come from where DNAT led, and from the port that it led to.
    fn connection(self, family: u8) -> Result<Option<Connection>, Malformed> {
        let (Some(original), Some(reply)) = (self.original, self.reply) else {
            return Err(Malformed("a connection without its two tuples"));
        };
        let key = Key { family, zone: self.zone, tuple: original }.encode();
        let (original, reply) = (Tuple::read(original)?, Tuple::read(reply)?);
        let (Some(source), Some(destination)) = (original.source, reply.source) else { return Ok(None) };
        let transport = match (original.protocol, reply.source_port, original.icmpv6_type) {
            (protocol, Some(destination), _) => Transport::Ports { protocol, destination },
            (_, _, Some(kind)) => Transport::Icmpv6(kind),
            (protocol, None, None) => Transport::Other(protocol),
        };
        Ok(Some(Connection { source, destination, transport, mark: self.mark, key }))
    }
}

/// One direction of a connection, as far as it is looked at.
#[derive(Default)]
struct Tuple {
    source: Option<IpAddr>,
    protocol: u8,
    source_port: Option<u16>,
    icmpv6_type: Option<u8>,
}

impl Tuple {
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("an address, a protocol or an ICMP type of the wrong length");
        let mut tuple = Self::default();
        for part in Attributes(bytes) {
            let part = part?;
            for field in part.nested().filter(|_| matches!(part.kind, CTA_TUPLE_IP | CTA_TUPLE_PROTO)) {
                let field = field?;
                let byte = || <[u8; 1]>::try_from(field.value).map(|[byte]| byte).map_err(|_| WRONG);
                match (part.kind, field.kind) {
                    (CTA_TUPLE_IP, CTA_IP_V4_SRC) => {
                        tuple.source = Some(<[u8; 4]>::try_from(field.value).map_err(|_| WRONG)?.into());
                    }
                    (CTA_TUPLE_IP, CTA_IP_V6_SRC) => {
                        tuple.source = Some(<[u8; 16]>::try_from(field.value).map_err(|_| WRONG)?.into());
                    }
                    (CTA_TUPLE_PROTO, CTA_PROTO_NUM) => tuple.protocol = byte()?,
                    (CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT) => tuple.source_port = Some(field.be16()?),
                    (CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_TYPE) => tuple.icmpv6_type = Some(byte()?),
                    _ => {}
                }
            }
        }
        Ok(tuple)
    }
}

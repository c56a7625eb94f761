//! An entry of conntrack's, as the kernel tells it.

use crate::netlink::attributes::{Malformed, Writer};
use crate::netlink::constants::*;
use crate::netlink::message::{Message, Received};
use crate::{Connection, Mark};

/// The connection that a message tells of; `None` where it tells of none.
pub(super) fn read(message: Received<'_>) -> Result<Option<Connection>, Malformed> {
    if message.conntrack_kind() != Some(IPCTNL_MSG_CT_NEW) {
        return Ok(None);
    }
    let (family, attributes) = message.content()?;
    let (mut tuple, mut mark, mut zone) = (None, 0, 0);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            CTA_TUPLE_ORIG => tuple = Some(attribute.value),
            CTA_MARK => mark = attribute.be32()?,
            CTA_ZONE => zone = attribute.be16()?,
            _ => {}
        }
    }
    let tuple = tuple.ok_or(Malformed("a connection without its first packet's addresses"))?;
    Ok(Some(Connection { mark, key: Key { family, zone, tuple }.encode() }))
}

/// The message that marks the connection.
pub(super) fn update(key: &[u8], mark: Mark) -> Message {
    let Key { family, zone, tuple } = Key::decode(key);
    let mut attributes = Writer::default();
    attributes.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple);
    if zone != 0 {
        attributes.be16(CTA_ZONE, zone);
    }
    attributes.be32(CTA_MARK, mark.value);
    attributes.be32(CTA_MARK_MASK, mark.mask);
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

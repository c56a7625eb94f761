//! An entry of conntrack's, as the kernel tells it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::netlink::attributes::{Attribute, Attributes, Malformed, Writer};
use crate::netlink::constants::*;
use crate::netlink::message::{Message, Received};
use crate::{Connection, Mark};

/// What is told of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Its mark.
    pub(super) mark: u32,
    key: Key<'a>,
    reply: Option<&'a [u8]>,
    /// By which the kernel tells it from a later one with the same tuple.
    id: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// The connection that a message tells of; `None` where it tells of none.
    pub(super) fn read(message: Received<'a>) -> Result<Option<Self>, Malformed> {
        if message.conntrack_kind() != Some(IPCTNL_MSG_CT_NEW) {
            return Ok(None);
        }
        let (family, attributes) = message.content()?;
        let (mut tuple, mut reply, mut id, mut mark, mut zone) = (None, None, None, 0, 0);
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                CTA_TUPLE_ORIG => tuple = Some(attribute.value),
                CTA_TUPLE_REPLY => reply = Some(attribute.value),
                CTA_ID => id = Some(attribute.value),
                CTA_MARK => mark = attribute.be32()?,
                CTA_ZONE => zone = attribute.be16()?,
                _ => {}
            }
        }
        let tuple = tuple.ok_or(Malformed("a connection without its first packet's addresses"))?;
        Ok(Some(Self { mark, key: Key { family, zone, tuple }, reply, id }))
    }

    /// The same, to be kept.
    pub(super) fn connection(&self) -> Connection {
        Connection { mark: self.mark, key: self.key.encode() }
    }

    /// Whether one of these addresses is the source or the destination of its packets, in either direction.
    pub(super) fn concerns(&self, addresses: &BTreeSet<IpAddr>) -> Result<bool, Malformed> {
        for end in self.ends()? {
            if addresses.contains(&end?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The sources and destinations of its packets, in both directions.
    pub(super) fn ends(&self) -> Result<impl Iterator<Item = Result<IpAddr, Malformed>> + use<'a>, Malformed> {
        let reply = self.reply.ok_or(Malformed("a connection without its replies' addresses"))?;
        Ok(ends(self.key.tuple)?.chain(ends(reply)?))
    }

    /// The message that marks it.
    pub(super) fn update(&self, mark: Mark) -> Message {
        self.key.update(mark)
    }

    /// The message that deletes it, and no later one.
    pub(super) fn deletion(&self) -> Result<Message, Malformed> {
        let id = self.id.ok_or(Malformed("a connection without an id"))?;
        Ok(self.key.message(IPCTNL_MSG_CT_DELETE, |attributes| attributes.bytes(CTA_ID, id)))
    }
}

fn ends(tuple: &[u8]) -> Result<impl Iterator<Item = Result<IpAddr, Malformed>> + use<'_>, Malformed> {
    let ends = Attributes(tuple).find(CTA_TUPLE_IP)?.ok_or(Malformed("a tuple without addresses"))?;
    Ok(ends.nested().filter_map(|end| end.and_then(address).transpose()))
}

pub(super) fn address(attribute: Attribute<'_>) -> Result<Option<IpAddr>, Malformed> {
    const ODD: Malformed = Malformed("an address of an odd length");
    Ok(match attribute.kind {
        CTA_IP_V4_SRC | CTA_IP_V4_DST => Some(<[u8; 4]>::try_from(attribute.value).map_err(|_| ODD)?.into()),
        CTA_IP_V6_SRC | CTA_IP_V6_DST => Some(<[u8; 16]>::try_from(attribute.value).map_err(|_| ODD)?.into()),
        _ => None,
    })
}

/// The message that marks the connection.
pub(super) fn update(key: &[u8], mark: Mark) -> Message {
    Key::decode(key).update(mark)
}

/// What the kernel finds an entry by: the tuple of its first packet, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    fn update(&self, mark: Mark) -> Message {
        self.message(IPCTNL_MSG_CT_NEW, |attributes| {
            attributes.be32(CTA_MARK, mark.value);
            attributes.be32(CTA_MARK_MASK, mark.mask);
        })
    }

    /// The message about it that says `what`.
    fn message(&self, kind: u8, what: impl FnOnce(&mut Writer)) -> Message {
        let mut attributes = Writer::default();
        attributes.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, self.tuple);
        if self.zone != 0 {
            attributes.be16(CTA_ZONE, self.zone);
        }
        what(&mut attributes);
        Message::conntrack(kind, 0, self.family, attributes).expect("the kernel's tuples are short")
    }
}

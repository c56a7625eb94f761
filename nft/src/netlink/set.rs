//! Sets and verdict maps, in the words of the kernel.

use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::userdata;
use crate::{Comment, ElementsKind, Name};

/// `nft`'s numbers for what a key is: they decide how it lists the set. The parts of a concatenation have six bits each.
const TYPE_IPADDR: u32 = 7;
const TYPE_IP6ADDR: u32 = 8;
const TYPE_INET_PROTOCOL: u32 = 12;
const TYPE_INET_SERVICE: u32 = 13;
const TYPE_IFNAME: u32 = 41;

/// `nft`'s `BYTEORDER_HOST_ENDIAN`, `BYTEORDER_BIG_ENDIAN`, and what it says of a concatenation.
const HOST_ENDIAN: [u8; 4] = 1_u32.to_ne_bytes();
const BIG_ENDIAN: [u8; 4] = 2_u32.to_ne_bytes();
const NO_BYTEORDER: [u8; 4] = 0_u32.to_ne_bytes();

/// `NFTNL_UDATA_SET_...`
const KEYBYTEORDER: u8 = 0;
const DATABYTEORDER: u8 = 1;
const KEY_TYPEOF: u8 = 3;
const DATA_INTERVAL: u8 = 6;
/// What `nft` writes as the `typeof` of a concatenation that was declared with `type`.
const CONCATENATION: [u8; 8] = [0, 4, 13, 0, 0, 0, 1, 0];

/// Writes the attributes that make up a set of type `kind`. `id` tells it from others that the batch makes.
pub(super) fn write(message: &mut Writer, kind: ElementsKind, comment: Option<&Comment>, id: u32) {
    let layout = layout(kind);
    message.be32(NFTA_SET_FLAGS, layout.flags());
    message.be32(NFTA_SET_KEY_TYPE, layout.key_type);
    message.be32(NFTA_SET_KEY_LEN, layout.key_length);
    if layout.verdicts {
        message.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
        message.be32(NFTA_SET_DATA_LEN, 0);
    }
    message.be32(NFTA_SET_ID, id);
    message.bytes(NFTA_SET_USERDATA, &layout.userdata(comment));
}

/// A set that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One that we could have made.
    Own { name: Name, kind: ElementsKind, comment: Option<Comment> },
    /// Another.
    Foreign { name: String },
    /// One without a name of its own, which lives and dies with the rule that uses it.
    OfRule,
}

/// Reads the set of a message.
pub(super) fn read(message: Attributes<'_>) -> Result<Found, Malformed> {
    let mut seen = Seen::default();
    for attribute in message {
        let attribute = attribute?;
        match attribute.kind {
            NFTA_SET_NAME => seen.name = attribute.text().into_owned(),
            NFTA_SET_FLAGS => seen.flags = attribute.be32()?,
            NFTA_SET_KEY_TYPE => seen.key_type = attribute.be32()?,
            NFTA_SET_KEY_LEN => seen.key_length = attribute.be32()?,
            NFTA_SET_DATA_TYPE => seen.data_type = Some(attribute.be32()?),
            NFTA_SET_USERDATA => seen.comment = userdata::comment(attribute.value, userdata::SET_COMMENT),
            NFTA_SET_DESC => seen.limited |= attribute.nested().find(NFTA_SET_DESC_SIZE)?.is_some(),
            NFTA_SET_POLICY | NFTA_SET_TIMEOUT | NFTA_SET_GC_INTERVAL | NFTA_SET_OBJ_TYPE | NFTA_SET_EXPR
            | NFTA_SET_EXPRESSIONS => seen.limited = true,
            _ => {}
        }
    }
    Ok(seen.found())
}

#[derive(Default)]
struct Seen {
    name: String,
    flags: u32,
    key_type: u32,
    key_length: u32,
    data_type: Option<u32>,
    comment: Option<Comment>,
    /// A largest size, a timeout, or another property that our sets do not have.
    limited: bool,
}

impl Seen {
    fn found(self) -> Found {
        if self.flags & NFT_SET_ANONYMOUS != 0 {
            return Found::OfRule;
        }
        let kind = ElementsKind::ALL.into_iter().find(|kind| self.is(&layout(*kind)));
        match (Name::new(&*self.name), kind) {
            (Ok(name), Some(kind)) => Found::Own { name, kind, comment: self.comment },
            _ => Found::Foreign { name: self.name },
        }
    }

    fn is(&self, layout: &Layout) -> bool {
        let data_type = layout.verdicts.then_some(NFT_DATA_VERDICT);
        (self.flags, self.key_type, self.key_length, self.data_type, self.limited)
            == (layout.flags(), layout.key_type, layout.key_length, data_type, false)
    }
}

struct Layout {
    key_type: u32,
    key_length: u32,
    intervals: bool,
    verdicts: bool,
}

fn layout(kind: ElementsKind) -> Layout {
    let (key_type, key_length) = match kind {
        ElementsKind::Ipv4 | ElementsKind::Ipv4Ranges | ElementsKind::Ipv4Verdicts => (TYPE_IPADDR, 4),
        ElementsKind::Ipv6 | ElementsKind::Ipv6Ranges | ElementsKind::Ipv6Verdicts => (TYPE_IP6ADDR, 16),
        ElementsKind::Ipv4Endpoints => (endpoint_type(TYPE_IPADDR), 4 + 4 + 4),
        ElementsKind::Ipv6Endpoints => (endpoint_type(TYPE_IP6ADDR), 16 + 4 + 4),
        ElementsKind::PortVerdicts | ElementsKind::PortRangeVerdicts => (TYPE_INET_SERVICE, 2),
        ElementsKind::Ipv4Pairs => (TYPE_IPADDR << 6 | TYPE_IPADDR, 4 + 4),
        ElementsKind::Ipv6Pairs => (TYPE_IP6ADDR << 6 | TYPE_IP6ADDR, 16 + 16),
        ElementsKind::Links | ElementsKind::LinkVerdicts => (TYPE_IFNAME, 16),
    };
    let ranges = [ElementsKind::Ipv4Ranges, ElementsKind::Ipv6Ranges, ElementsKind::PortRangeVerdicts];
    let verdicts = match kind {
        ElementsKind::Ipv4
        | ElementsKind::Ipv6
        | ElementsKind::Ipv4Ranges
        | ElementsKind::Ipv6Ranges
        | ElementsKind::Ipv4Endpoints
        | ElementsKind::Ipv6Endpoints
        | ElementsKind::Ipv4Pairs
        | ElementsKind::Ipv6Pairs
        | ElementsKind::Links => false,
        ElementsKind::Ipv4Verdicts
        | ElementsKind::Ipv6Verdicts
        | ElementsKind::PortVerdicts
        | ElementsKind::PortRangeVerdicts
        | ElementsKind::LinkVerdicts => true,
    };
    Layout { key_type, key_length, intervals: ranges.contains(&kind), verdicts }
}

fn endpoint_type(address: u32) -> u32 {
    address << 12 | TYPE_INET_PROTOCOL << 6 | TYPE_INET_SERVICE
}

impl Layout {
    fn flags(&self) -> u32 {
        let intervals = if self.intervals { NFT_SET_INTERVAL } else { 0 };
        let map = if self.verdicts { NFT_SET_MAP } else { 0 };
        intervals | map
    }

    fn userdata(&self, comment: Option<&Comment>) -> Vec<u8> {
        let concatenated = self.key_type >= 1 << 6;
        let mut data = Vec::new();
        let order = match self.key_type {
            TYPE_IFNAME => &HOST_ENDIAN,
            _ if concatenated => &NO_BYTEORDER,
            _ => &BIG_ENDIAN,
        };
        userdata::push(&mut data, KEYBYTEORDER, order);
        if self.verdicts {
            userdata::push(&mut data, DATABYTEORDER, &NO_BYTEORDER);
            userdata::push(&mut data, DATA_INTERVAL, &[0; 4]);
        }
        if concatenated {
            userdata::push(&mut data, KEY_TYPEOF, &CONCATENATION);
        }
        if let Some(comment) = comment {
            userdata::push_comment(&mut data, userdata::SET_COMMENT, comment);
        }
        data
    }
}

use std::net::IpAddr;

use super::entry::address;
use crate::netlink::attributes::{Attribute, Attributes, Malformed};
use crate::netlink::constants::*;

/// What conntrack tells the packets of one direction of a connection by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The IP protocol number.
    pub protocol: u8,
    /// The source and the destination port, where the protocol has ports.
    pub ports: Option<(u16, u16)>,
}

impl Tuple {
    /// Reads the attributes of a `CTA_TUPLE_...`.
    pub(in crate::netlink) fn read(tuple: Attributes<'_>) -> Result<Self, Malformed> {
        const NO_ADDRESSES: Malformed = Malformed("a tuple without addresses");
        let ends = tuple.find(CTA_TUPLE_IP)?.ok_or(NO_ADDRESSES)?;
        let (mut source, mut destination) = (None, None);
        for end in ends.nested() {
            let end = end?;
            match end.kind {
                CTA_IP_V4_SRC | CTA_IP_V6_SRC => source = address(end)?,
                CTA_IP_V4_DST | CTA_IP_V6_DST => destination = address(end)?,
                _ => {}
            }
        }
        let (source, destination) = source.zip(destination).ok_or(NO_ADDRESSES)?;
        let above = tuple.find(CTA_TUPLE_PROTO)?.ok_or(Malformed("a tuple without a protocol"))?.nested();
        let protocol = above.find(CTA_PROTO_NUM)?.and_then(|number| number.value.first().copied());
        let protocol = protocol.ok_or(Malformed("a tuple without a protocol's number"))?;
        let port = |kind| above.find(kind)?.as_ref().map(Attribute::be16).transpose();
        let ports = port(CTA_PROTO_SRC_PORT)?.zip(port(CTA_PROTO_DST_PORT)?);
        Ok(Self { source, destination, protocol, ports })
    }
}

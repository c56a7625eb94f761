use std::net::IpAddr;

use super::packet::Packet;
use crate::Family;
use crate::netlink::attributes::{Attribute, Attributes, Malformed};
use crate::netlink::conntrack::Tuple;
use crate::netlink::constants::*;

/// A packet that a rule told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The prefix of the rule's log.
    pub prefix: String,
    /// The source address.
    pub source: IpAddr,
    /// The destination address, of the source's family.
    pub destination: IpAddr,
    /// The IP protocol number: of IPv6 that of what follows the extensions, or of the last one that was told.
    pub protocol: u8,
    /// The source and the destination port, of TCP, UDP and SCTP; of fragments, only the first has them.
    pub ports: Option<(u16, u16)>,
    /// The type and the code, of ICMP and ICMPv6.
    pub icmp: Option<(u8, u8)>,
    /// The flags, of TCP, as `0x02` for a SYN.
    pub tcp_flags: Option<u8>,
    /// The length of the packet in bytes, as its IP header says.
    pub length: u32,
    /// The number of the interface that it came by: of what crosses a bridge, the port.
    pub input: Option<u32>,
    /// The number of the interface that it was to go by: of what crosses a bridge, the port.
    pub output: Option<u32>,
    /// The addresses of its connection's first packet, where the kernel tells connections.
    pub original: Option<Tuple>,
    /// The addresses of the replies in its connection, where the kernel tells connections.
    pub reply: Option<Tuple>,
}

impl LogRecord {
    /// The family of its addresses.
    pub fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// What the kernel tells of a packet.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<'a> {
    /// Its number, one more than of the one before.
    pub(super) sequence: Option<u32>,
    prefix: String,
    payload: &'a [u8],
    input: Option<u32>,
    output: Option<u32>,
    input_port: Option<u32>,
    output_port: Option<u32>,
    connection: Option<Attribute<'a>>,
}

impl<'a> Told<'a> {
    /// Reads the attributes of a message.
    pub(super) fn read(message: Attributes<'a>) -> Result<Self, Malformed> {
        let mut told = Self::default();
        for attribute in message {
            let attribute = attribute?;
            match attribute.kind {
                NFULA_SEQ => told.sequence = Some(attribute.be32()?),
                NFULA_PREFIX => told.prefix = attribute.text().into_owned(),
                NFULA_PAYLOAD => told.payload = attribute.value,
                NFULA_IFINDEX_INDEV => told.input = Some(attribute.be32()?),
                NFULA_IFINDEX_OUTDEV => told.output = Some(attribute.be32()?),
                NFULA_IFINDEX_PHYSINDEV => told.input_port = Some(attribute.be32()?),
                NFULA_IFINDEX_PHYSOUTDEV => told.output_port = Some(attribute.be32()?),
                NFULA_CT => told.connection = Some(attribute),
                _ => {}
            }
        }
        Ok(told)
    }

    pub(super) fn record(self) -> Result<LogRecord, Malformed> {
        let Packet { source, destination, protocol, ports, icmp, tcp_flags, length } = Packet::read(self.payload)?;
        Ok(LogRecord {
            original: self.tuple(CTA_TUPLE_ORIG)?,
            reply: self.tuple(CTA_TUPLE_REPLY)?,
            prefix: self.prefix,
            source,
            destination,
            protocol,
            ports,
            icmp,
            tcp_flags,
            length,
            input: self.input_port.or(self.input),
            output: self.output_port.or(self.output),
        })
    }

    fn tuple(&self, kind: u16) -> Result<Option<Tuple>, Malformed> {
        let Some(connection) = self.connection else { return Ok(None) };
        connection.nested().find(kind)?.map(|tuple| Tuple::read(tuple.nested())).transpose()
    }
}

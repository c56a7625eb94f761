//! What packets carry, with checksums that are right.

use std::net::{IpAddr, SocketAddr};

use super::packet::checksum;
use super::{Packet, protocol};
use crate::probe::sctp::crc32c;

/// The TCP option of a signature (RFC 2385), which a socket without a key for its peer ignores together with its packet.
pub const SIGNED: &[u8] = &[19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];

/// Flags of TCP.
pub mod flags {
    /// No more data.
    pub const FIN: u8 = 1;
    /// The beginning.
    pub const SYN: u8 = 2;
    /// The end.
    pub const RST: u8 = 4;
    /// Data to be handed on.
    pub const PSH: u8 = 8;
    /// An acknowledgement.
    pub const ACK: u8 = 16;
}

/// The header of a TCP segment, but for the ports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<'a> {
    /// The number of its first byte.
    pub sequence: u32,
    /// The number of the byte that is expected next.
    pub acknowledged: u32,
    /// [`flags`].
    pub flags: u8,
    /// A multiple of 4 bytes.
    pub options: &'a [u8],
}

/// A datagram.
pub fn udp(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Packet {
    let length = u16::try_from(8 + data.len()).expect("a datagram has at most 65,535 bytes");
    let mut bytes = ports(from, to);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 2]);
    bytes.extend(data);
    let sum = match with_addresses(from.ip(), to.ip(), protocol::UDP, &bytes) {
        0 => u16::MAX,
        sum => sum,
    };
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    Packet::new(from.ip(), to.ip(), protocol::UDP, bytes)
}

/// A TCP segment.
pub fn tcp(from: SocketAddr, to: SocketAddr, segment: Segment<'_>, data: &[u8]) -> Packet {
    let words = u8::try_from(5 + segment.options.len() / 4).expect("at most 40 bytes of options");
    let mut bytes = ports(from, to);
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend(segment.acknowledged.to_be_bytes());
    bytes.extend([words << 4, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(segment.options);
    bytes.extend(data);
    let sum = with_addresses(from.ip(), to.ip(), protocol::TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    Packet::new(from.ip(), to.ip(), protocol::TCP, bytes)
}

/// A message of ICMP or ICMPv6, with `rest` after the checksum.
pub fn icmp(from: IpAddr, to: IpAddr, kind: u8, code: u8, rest: &[u8]) -> Packet {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest);
    let (protocol, sum) = match from {
        IpAddr::V4(_) => (protocol::ICMP, checksum(&[&bytes])),
        IpAddr::V6(_) => (protocol::ICMPV6, with_addresses(from, to, protocol::ICMPV6, &bytes)),
    };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    Packet::new(from, to, protocol, bytes)
}

/// An echo request.
pub fn echo(from: IpAddr, to: IpAddr, identifier: u16, data: &[u8]) -> Packet {
    let rest = [&identifier.to_be_bytes()[..], &[0, 1], data].concat();
    icmp(from, to, if from.is_ipv4() { 8 } else { 128 }, 0, &rest)
}

/// An error that says of a packet that nobody listens at its port, and quotes it.
pub fn port_unreachable(from: IpAddr, to: IpAddr, quoted: &Packet) -> Packet {
    let (kind, code) = if from.is_ipv4() { (3, 3) } else { (1, 4) };
    icmp(from, to, kind, code, &[&[0; 4][..], &quoted.bytes()].concat())
}

/// One that says that it is too big for links of `mtu` bytes.
pub fn too_big(from: IpAddr, to: IpAddr, mtu: u16, quoted: &Packet) -> Packet {
    let (kind, code) = if from.is_ipv4() { (3, 4) } else { (2, 0) };
    let [high, low] = mtu.to_be_bytes();
    icmp(from, to, kind, code, &[&[0, 0, high, low][..], &quoted.bytes()].concat())
}

/// An SCTP packet of one chunk, of no association yet: its verification tag is 0.
pub fn sctp(from: SocketAddr, to: SocketAddr, chunk: u8, data: &[u8]) -> Packet {
    let length = u16::try_from(4 + data.len()).expect("a chunk has at most 65,535 bytes");
    let mut bytes = ports(from, to);
    bytes.extend([0; 8]);
    bytes.extend([chunk, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
    let checksum = crc32c(&bytes).to_le_bytes();
    bytes[8..12].copy_from_slice(&checksum);
    Packet::new(from.ip(), to.ip(), protocol::SCTP, bytes)
}

/// A packet within another, from tunnel end to tunnel end.
pub fn ip_in_ip(from: IpAddr, to: IpAddr, inner: &Packet) -> Packet {
    let protocol = if inner.source.is_ipv4() { protocol::IPIP } else { protocol::IPV6 };
    Packet::new(from, to, protocol, inner.bytes())
}

/// The same in Generic Routing Encapsulation (RFC 2784).
pub fn gre(from: IpAddr, to: IpAddr, inner: &Packet) -> Packet {
    let kind: u16 = if inner.source.is_ipv4() { 0x0800 } else { 0x86dd };
    let bytes = [&[0, 0][..], &kind.to_be_bytes(), &inner.bytes()].concat();
    Packet::new(from, to, protocol::GRE, bytes)
}

/// A frame in a VXLAN of this number (RFC 7348).
pub fn vxlan(from: SocketAddr, to: SocketAddr, number: u32, frame: &[u8]) -> Packet {
    let header = [&[8, 0, 0, 0][..], &(number << 8).to_be_bytes()].concat();
    udp(from, to, &[&header, frame].concat())
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port(), to.port()].map(u16::to_be_bytes).concat()
}

/// The checksum that covers the addresses, too (RFC 9293, section 3.1; RFC 8200, section 8.1).
fn with_addresses(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let length = u32::try_from(bytes.len()).expect("a packet has at most 65,535 bytes").to_be_bytes();
    checksum(&[&octets(from), &octets(to), &length, &[0, 0, 0, protocol], bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_cover_the_addresses() {
        for addresses in [["10.1.0.1", "10.1.0.2"], ["fd01::1", "fd01::2"]] {
            let [from, to] = addresses.map(|address| SocketAddr::new(address.parse().unwrap(), 7));
            for packet in
                [udp(from, to, b"odd"), tcp(from, to, Segment { options: SIGNED, ..Segment::default() }, b"odd")]
            {
                assert_eq!(with_addresses(from.ip(), to.ip(), packet.protocol, &packet.payload), 0);
            }
        }
    }
}

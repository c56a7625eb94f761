//! The headers of a packet, of which there may be only the beginning. Whatever the bytes are, reading them ends with a
//! value or an error.

use std::net::IpAddr;

use crate::netlink::attributes::Malformed;
use crate::netlink::constants::*;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) ports: Option<(u16, u16)>,
    pub(super) icmp: Option<(u8, u8)>,
    pub(super) tcp_flags: Option<u8>,
    pub(super) length: u32,
}

const SHORT: Malformed = Malformed("a packet that ends within its first header");
const IPV6_HEADER: u32 = 40;

impl Packet {
    /// Reads a packet from its IP header on.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => ipv4(bytes),
            Some(6) => ipv6(bytes),
            _ => Err(Malformed("a packet that is not IP")),
        }
    }

    /// With what `above`, what follows the IP headers, says.
    fn with(mut self, above: &[u8]) -> Self {
        match self.protocol {
            IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP => self.ports = be16(above, 0).zip(be16(above, 2)),
            IPPROTO_ICMP | IPPROTO_ICMPV6 => self.icmp = above.first().copied().zip(above.get(1).copied()),
            _ => {}
        }
        if self.protocol == IPPROTO_TCP {
            self.tcp_flags = above.get(13).copied();
        }
        self
    }

    fn new(source: impl Into<IpAddr>, destination: impl Into<IpAddr>, protocol: u8, length: u32) -> Self {
        let (source, destination) = (source.into(), destination.into());
        Self { source, destination, protocol, ports: None, icmp: None, tcp_flags: None, length }
    }
}

fn ipv4(bytes: &[u8]) -> Result<Packet, Malformed> {
    const OFFSET: u16 = 0x1fff;
    let header = bytes.first_chunk::<20>().ok_or(SHORT)?;
    let header_length = usize::from(header[0] & 0xf) * 4;
    if header_length < header.len() {
        return Err(Malformed("an IPv4 header shorter than it can be"));
    }
    let [.., a, b, c, d, e, f, g, h] = *header;
    let length = be16(bytes, 2).ok_or(SHORT)?;
    let packet = Packet::new([a, b, c, d], [e, f, g, h], header[9], length.into());
    let is_first = be16(bytes, 6).ok_or(SHORT)? & OFFSET == 0;
    let above = bytes.get(header_length..).unwrap_or_default();
    Ok(if is_first { packet.with(above) } else { packet })
}

fn ipv6(bytes: &[u8]) -> Result<Packet, Malformed> {
    let (header, mut rest) = bytes.split_at_checked(IPV6_HEADER as usize).ok_or(SHORT)?;
    let address = |at: usize| header[at..].first_chunk::<16>().copied().ok_or(SHORT);
    let length = IPV6_HEADER + u32::from(be16(header, 4).ok_or(SHORT)?);
    let mut packet = Packet::new(address(8)?, address(24)?, header[6], length);
    loop {
        // Eight bytes is the least that an extension has, and all that is asked of it.
        let Some(extension) = rest.first_chunk::<8>().filter(|_| is_extension(packet.protocol)) else {
            return Ok(if is_extension(packet.protocol) { packet } else { packet.with(rest) });
        };
        let length = match packet.protocol {
            IPPROTO_FRAGMENT => extension.len(),
            IPPROTO_AH => (usize::from(extension[1]) + 2) * 4,
            _ => (usize::from(extension[1]) + 1) * 8,
        };
        let continues = packet.protocol == IPPROTO_FRAGMENT && be16(extension, 2).ok_or(SHORT)? >> 3 != 0;
        packet.protocol = extension[0];
        match rest.get(length.max(extension.len())..) {
            Some(next) if !continues => rest = next,
            _ => return Ok(packet),
        }
    }
}

/// Whether something follows that has to be passed over to find what the packet carries.
fn is_extension(protocol: u8) -> bool {
    matches!(protocol, IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_FRAGMENT | IPPROTO_AH | IPPROTO_DSTOPTS)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::packets::{fragment, ipv4, ipv6, mutated, tcp, valid};
    use super::*;

    fn ports(bytes: &[u8]) -> (u8, Option<(u16, u16)>) {
        let packet = Packet::read(bytes).unwrap();
        (packet.protocol, packet.ports)
    }

    #[test]
    fn headers_are_read() {
        let packet = Packet {
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            protocol: 6,
            ports: Some((1, 2)),
            icmp: None,
            tcp_flags: Some(0x12),
            length: 40,
        };
        assert_eq!(Packet::read(&ipv4(6, 0, 0, &tcp(1, 2, 0x12))), Ok(packet));
        let packet = Packet { source: "fd00::1".parse().unwrap(), destination: "fd00::2".parse().unwrap(), ..packet };
        assert_eq!(Packet::read(&ipv6(6, &tcp(1, 2, 0x12))), Ok(Packet { length: 60, ..packet }));
        assert_eq!(Packet::read(&ipv4(1, 0, 0, &[8, 3, 0, 0])).unwrap().icmp, Some((8, 3)));
        assert_eq!(Packet::read(&ipv6(58, &[128, 0, 0, 0])).unwrap().icmp, Some((128, 0)));
        let other = Packet::read(&ipv4(47, 0, 0, &tcp(1, 2, 2))).unwrap();
        assert_eq!((other.protocol, other.ports, other.icmp, other.tcp_flags), (47, None, None, None));
    }

    #[test]
    fn options_are_passed_over() {
        assert_eq!(ports(&ipv4(17, 40, 0, &[0, 1, 0, 2])), (17, Some((1, 2))));
        assert_eq!(ports(&ipv4(17, 4, 0, &[0, 1, 0, 2])), (17, Some((1, 2))));
        let hop_by_hop = [&[43, 0, 0, 0, 0, 0, 0, 0][..], &[51, 1, 0, 0, 0, 0, 0, 0], &[9; 8]].concat();
        let authenticated = [&hop_by_hop, &[60, 1, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9][..]].concat();
        let with_options = [&authenticated, &[132, 0, 0, 0, 0, 0, 0, 0][..], &[0, 1, 0, 2]].concat();
        assert_eq!(ports(&ipv6(0, &with_options)), (132, Some((1, 2))));
        assert_eq!(ports(&ipv6(0, &hop_by_hop)), (51, None));
        assert_eq!(ports(&ipv6(59, &[0, 1, 0, 2])), (59, None));
    }

    #[test]
    fn only_first_fragments_have_ports() {
        const MORE: u16 = 0x2000;
        assert_eq!(ports(&ipv4(17, 0, MORE, &[0, 1, 0, 2])), (17, Some((1, 2))));
        assert_eq!(ports(&ipv4(17, 0, 1, &[0, 1, 0, 2])), (17, None));
        assert_eq!(ports(&ipv6(44, &fragment(17, 0, &[0, 1, 0, 2]))), (17, Some((1, 2))));
        assert_eq!(ports(&ipv6(44, &fragment(17, 8, &[0, 1, 0, 2]))), (17, None));
    }

    #[test]
    fn what_is_cut_is_read_as_far_as_it_goes() {
        let whole = ipv4(6, 8, 0, &tcp(1, 2, 2));
        for length in 0..20 {
            assert!(Packet::read(&whole[..length]).is_err());
        }
        for (length, ports, flags) in [(20, None, None), (31, None, None), (32, Some((1, 2)), None)] {
            let packet = Packet::read(&whole[..length]).unwrap();
            assert_eq!((packet.ports, packet.tcp_flags, packet.length), (ports, flags, 48), "{length}");
        }
        let whole = ipv6(44, &fragment(17, 0, &[0, 1, 0, 2]));
        assert!(Packet::read(&whole[..39]).is_err());
        assert_eq!(ports(&whole[..47]), (44, None));
        assert_eq!(ports(&whole[..51]), (17, None));
    }

    #[test]
    fn what_is_not_ip_is_told() {
        for bad in [&[][..], &[0; 60], &[0x55; 60], &[0x44; 60]] {
            assert!(Packet::read(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

        #[test]
        fn random_bytes_are_no_harm(version in 0..9_u8, mut bytes in vec(any::<u8>(), 0..200)) {
            let _ = Packet::read(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = version << 4 | *first & 0xf;
            }
            let _ = Packet::read(&bytes);
        }

        #[test]
        fn mutated_packets_are_no_harm(bytes in mutated(valid())) {
            if let Ok(packet) = Packet::read(&bytes) {
                prop_assert_eq!(packet.source.is_ipv4(), packet.destination.is_ipv4());
            }
        }

        #[test]
        fn unharmed_packets_are_read(bytes in valid()) {
            prop_assert_eq!(Packet::read(&bytes).map(|packet| packet.length as usize), Ok(bytes.len()));
        }
    }
}

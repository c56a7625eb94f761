use std::net::IpAddr;

/// Most hosts' first hop limit.
const HOP_LIMIT: u8 = 64;

/// An IP packet, whoever may say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it says that it comes from.
    pub source: IpAddr,
    /// Where it goes: of the same family.
    pub destination: IpAddr,
    /// The TTL of IPv4.
    pub hop_limit: u8,
    /// The protocol of the payload; in IPv6 perhaps an extension header.
    pub protocol: u8,
    /// IPv4: which fragments belong together.
    pub identification: u16,
    /// IPv4: three flags (may not be fragmented: 0x4000, more follow: 0x2000), and the offset in units of 8 bytes.
    pub fragment: u16,
    /// IPv4: the options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Packet {
    /// A plain one.
    pub fn new(source: IpAddr, destination: IpAddr, protocol: u8, payload: Vec<u8>) -> Self {
        let (identification, fragment, options) = (0, 0, Vec::new());
        Self { source, destination, hop_limit: HOP_LIMIT, protocol, identification, fragment, options, payload }
    }

    /// The same with another hop limit.
    pub fn hop_limit(self, hop_limit: u8) -> Self {
        Self { hop_limit, ..self }
    }

    /// As it goes over the wire.
    ///
    /// # Panics
    /// If the addresses are not of one family, or it is longer than a packet can be.
    pub fn bytes(&self) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.v4(source.octets(), destination.octets()),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self.v6(&source.octets(), &destination.octets()),
            (source, destination) => panic!("{source} and {destination} are not of one family"),
        }
    }

    fn v4(&self, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let words = u8::try_from(header / 4).expect("at most 40 bytes of options");
        let mut bytes = vec![0x40 | words, 0];
        bytes.extend(length(header + self.payload.len()));
        bytes.extend(self.identification.to_be_bytes());
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([self.hop_limit, self.protocol, 0, 0]);
        bytes.extend(source);
        bytes.extend(destination);
        bytes.extend(&self.options);
        let sum = checksum(&[&bytes]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    fn v6(&self, source: &[u8; 16], destination: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(length(self.payload.len()));
        bytes.extend([self.protocol, self.hop_limit]);
        bytes.extend(source);
        bytes.extend(destination);
        bytes.extend(&self.payload);
        bytes
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a packet has at most 65,535 bytes").to_be_bytes()
}

/// The Internet checksum of some parts, each but the last of even length (RFC 1071).
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let sum: u32 = parts.iter().flat_map(|part| part.chunks(2)).map(word).sum();
    let fold = |sum: u32| (sum >> 16) + (sum & 0xffff);
    !u16::try_from(fold(fold(sum))).expect("a folded sum has 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checked_header_adds_up_to_nothing() {
        let ends = ["10.1.0.1", "10.1.0.2"].map(|address| address.parse().unwrap());
        let mut packet = Packet::new(ends[0], ends[1], 17, vec![1, 2, 3]);
        packet.options = vec![1, 1, 1, 0];
        let bytes = packet.bytes();
        assert_eq!((bytes[0], bytes.len()), (0x46, 27));
        assert_eq!(checksum(&[&bytes[..24]]), 0);
    }

    #[test]
    fn ipv6_counts_the_payload_alone() {
        let ends = ["fd01::1", "fd01::2"].map(|address| address.parse().unwrap());
        let bytes = Packet::new(ends[0], ends[1], 58, vec![0; 9]).hop_limit(255).bytes();
        assert_eq!(bytes[4..8], [0, 9, 58, 255]);
        assert_eq!(bytes.len(), 49);
    }
}

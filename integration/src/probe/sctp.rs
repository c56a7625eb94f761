//! The two SCTP packets of a probe (RFC 9260, sections 3.1 to 3.3.3).

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const COMMON_HEADER: usize = 12;
const INIT_CHUNK: u16 = 20;
const STATE_COOKIE: [u8; 8] = [0, 7, 0, 8, b'p', b'r', b'o', b'b'];

/// An INIT or INIT ACK packet, as far as probing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) is_ack: bool,
    pub(super) source: u16,
    pub(super) destination: u16,
    /// The tag of the chunk's sender, which packets to it must carry.
    pub(super) tag: u32,
}

impl Packet {
    /// The start of an association.
    pub(super) fn init(source: u16, destination: u16) -> Self {
        let tag = 0x7000_0000 | u32::from(source);
        Self { is_ack: false, source, destination, tag }
    }

    /// The answer to an INIT.
    pub(super) fn acknowledge(self) -> Self {
        Self { is_ack: true, source: self.destination, destination: self.source, tag: self.tag }
    }

    /// The packet, without an IP header. Both sides use one tag: an INIT carries none in its common header, an INIT ACK
    /// the one of the INIT.
    pub(super) fn encode(self) -> Vec<u8> {
        let (kind, verification, cookie): (_, _, &[u8]) =
            if self.is_ack { (INIT_ACK, self.tag, &STATE_COOKIE) } else { (INIT, 0, &[]) };
        let length = INIT_CHUNK + if self.is_ack { 8 } else { 0 };
        let mut packet = Vec::new();
        packet.extend(self.source.to_be_bytes());
        packet.extend(self.destination.to_be_bytes());
        packet.extend(verification.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend([kind, 0]);
        packet.extend(length.to_be_bytes());
        packet.extend(self.tag.to_be_bytes());
        packet.extend(65_536_u32.to_be_bytes());
        packet.extend([0, 1, 0, 1]);
        packet.extend(self.tag.to_be_bytes());
        packet.extend(cookie);
        let checksum = crc32c(&packet).to_le_bytes();
        packet[8..COMMON_HEADER].copy_from_slice(&checksum);
        packet
    }

    /// The first chunk of a packet without its IP header, if it is one of the two.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let (header, chunk) = packet.split_at_checked(COMMON_HEADER)?;
        let is_ack = match *chunk.first()? {
            INIT => false,
            INIT_ACK => true,
            _ => return None,
        };
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let tag = u32::from_be_bytes(chunk.get(4..8)?.try_into().ok()?);
        Some(Self { is_ack, source: half(0), destination: half(2), tag })
    }
}

/// The checksum of SCTP packets (RFC 9260, appendix A).
/// The checksum of SCTP (RFC 9260, appendix A).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn packets_survive_encoding() {
        let init = Packet::init(20_000, 80);
        assert_eq!(Packet::decode(&init.encode()), Some(init));
        let ack = init.acknowledge();
        assert_eq!((ack.source, ack.destination), (80, 20_000));
        assert_eq!(Packet::decode(&ack.encode()), Some(ack));
    }

    #[test]
    fn other_packets_are_none() {
        let mut abort = Packet::init(1, 2).encode();
        abort[COMMON_HEADER] = 6;
        assert_eq!(Packet::decode(&abort), None);
        assert_eq!(Packet::decode(&abort[..COMMON_HEADER]), None);
        assert_eq!(Packet::decode(&Packet::init(1, 2).encode()[..COMMON_HEADER + 5]), None);
    }
}

//! The packets of an SCTP association (RFC 9260, section 3), as far as conntrack follows them.

/// The types of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Chunk {
    Data = 0,
    Init = 1,
    InitAck = 2,
    CookieEcho = 10,
    CookieAck = 11,
}

/// The tag that packets to the client carry, and the one for those to the server.
pub(super) const CLIENT_TAG: u32 = 0x1111_1111;
pub(super) const SERVER_TAG: u32 = 0x2222_2222;

/// A packet with one chunk, without an IP header.
pub(super) fn packet(ports: [u16; 2], tag: u32, chunk: Chunk) -> Vec<u8> {
    let body: Vec<u8> = match chunk {
        Chunk::Data => [&1_u32.to_be_bytes()[..], &[0; 8], b"data"].concat(),
        Chunk::Init => init(CLIENT_TAG),
        Chunk::InitAck => [init(SERVER_TAG), vec![0, 7, 0, 8, 1, 2, 3, 4]].concat(),
        Chunk::CookieEcho => vec![1, 2, 3, 4],
        Chunk::CookieAck => Vec::new(),
    };
    let length = u16::try_from(4 + body.len()).unwrap();
    let whole = 3;
    let mut packet = Vec::new();
    packet.extend(ports.map(u16::to_be_bytes).concat());
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend([chunk as u8, if chunk == Chunk::Data { whole } else { 0 }]);
    packet.extend(length.to_be_bytes());
    packet.extend(body);
    let checksum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

/// The ports and the type of the first chunk.
pub(super) fn read(packet: &[u8]) -> Option<([u16; 2], u8)> {
    let port = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    Some(([port(0)?, port(2)?], *packet.get(12)?))
}

fn init(tag: u32) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &65_536_u32.to_be_bytes(), &[0, 1, 0, 1], &tag.to_be_bytes()].concat()
}

/// The checksum of SCTP packets (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

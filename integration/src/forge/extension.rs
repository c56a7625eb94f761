use std::net::IpAddr;

use super::Packet;

const FRAGMENT: u8 = 44;
const MORE: u16 = 0x2000;

/// The extension headers of IPv6 that may stand before anything: hop-by-hop options, routing, destination options.
pub const EXTENSIONS: [u8; 3] = [0, 43, 60];

/// An IPv6 packet with one more extension header at the front, of 8 bytes and without effect.
pub fn extended(packet: Packet, extension: u8) -> Packet {
    // One option of padding, or a routing header of an unused kind with no segments left.
    let rest: [u8; 6] = if extension == 43 { [253, 0, 0, 0, 0, 0] } else { [1, 4, 0, 0, 0, 0] };
    let payload = [&[packet.protocol, 0][..], &rest, &packet.payload].concat();
    Packet { protocol: extension, payload, ..packet }
}

/// The packet in pieces: from which byte of its payload to before which. They may overlap; each begins at a multiple of 8,
/// and (but the last) ends at one.
///
/// # Panics
/// If a piece is not within the packet.
pub fn fragments(packet: &Packet, identification: u16, pieces: &[[usize; 2]]) -> Vec<Packet> {
    let cut = |[start, end]: &[usize; 2]| {
        let offset = u16::try_from(start / 8).expect("a packet has at most 65,535 bytes");
        let (more, data) = (*end < packet.payload.len(), &packet.payload[*start..*end]);
        match packet.source {
            IpAddr::V4(_) => {
                let fragment = offset | if more { MORE } else { 0 };
                Packet { identification, fragment, payload: data.to_vec(), ..packet.clone() }
            }
            IpAddr::V6(_) => {
                let mut payload = vec![packet.protocol, 0];
                payload.extend((offset << 3 | u16::from(more)).to_be_bytes());
                payload.extend(u32::from(identification).to_be_bytes());
                payload.extend(data);
                Packet { protocol: FRAGMENT, payload, ..packet.clone() }
            }
        }
    };
    pieces.iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ends: [&str; 2]) -> Packet {
        let [from, to] = ends.map(|address| address.parse().unwrap());
        Packet::new(from, to, 17, (0..24).collect())
    }

    #[test]
    fn pieces_say_where_they_belong() {
        let pieces = fragments(&packet(["10.1.0.1", "10.1.0.2"]), 7, &[[0, 16], [8, 24]]);
        assert_eq!(pieces.iter().map(|piece| piece.fragment).collect::<Vec<_>>(), [0x2000, 1]);
        let pieces = fragments(&packet(["fd01::1", "fd01::2"]), 7, &[[0, 16], [8, 24]]);
        assert_eq!(pieces[0].payload[..8], [17, 0, 0, 1, 0, 0, 0, 7]);
        assert_eq!(pieces[1].payload[..10], [17, 0, 0, 8, 0, 0, 0, 7, 8, 9]);
    }

    #[test]
    fn extensions_are_chained() {
        let packet = extended(extended(packet(["fd01::1", "fd01::2"]), 60), 43);
        assert_eq!(packet.protocol, 43);
        assert_eq!((packet.payload[0], packet.payload[8], packet.payload[16]), (60, 17, 0));
    }
}

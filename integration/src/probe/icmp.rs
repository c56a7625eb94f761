//! Echo requests and replies (RFC 792, RFC 4443 section 4).

use super::Family;

/// An echo request with an identifier of our own. The kernel fills in the checksum of ICMPv6.
pub(super) fn request(family: Family, identifier: u16) -> [u8; 8] {
    let kind = match family {
        Family::Ipv4 => 8,
        Family::Ipv6 => 128,
    };
    let [high, low] = identifier.to_be_bytes();
    let [first, second] = match family {
        Family::Ipv4 => (!fold((u32::from(kind) << 8) + u32::from(identifier))).to_be_bytes(),
        Family::Ipv6 => [0, 0],
    };
    [kind, 0, first, second, high, low, 0, 0]
}

/// The identifier, if `message` (without its IP header) is an echo reply.
pub(super) fn reply(family: Family, message: &[u8]) -> Option<u16> {
    let kind = match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 129,
    };
    match message {
        [first, 0, _, _, high, low, ..] if *first == kind => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Ones' complement addition of the two halves (RFC 1071).
fn fold(sum: u32) -> u16 {
    let folded = (sum >> 16) + (sum & 0xffff);
    u16::try_from(folded).expect("two terms carry at most once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_adds_up_to_all_ones() {
        for identifier in [0, 1, 0x7fff, 0xf7ff, 0xffff] {
            let message = request(Family::Ipv4, identifier);
            let sum = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            assert_eq!(fold(sum), 0xffff, "{identifier}");
        }
    }

    #[test]
    fn only_replies_are_read() {
        let mut message = request(Family::Ipv4, 7);
        assert_eq!(reply(Family::Ipv4, &message), None);
        message[0] = 0;
        assert_eq!(reply(Family::Ipv4, &message), Some(7));
        assert_eq!(reply(Family::Ipv6, &message), None);
        assert_eq!(reply(Family::Ipv4, &message[..4]), None);
    }
}

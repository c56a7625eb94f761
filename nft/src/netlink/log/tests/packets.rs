//! Packets as bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

pub(in crate::netlink) fn ipv4(protocol: u8, options: u8, fragment: u16, above: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + usize::from(options) + above.len()).unwrap().to_be_bytes();
    let [flags, offset] = fragment.to_be_bytes();
    let first = [0x45 + options / 4, 0, length[0], length[1], 0, 0, flags, offset, 64, protocol, 0, 0];
    [&first[..], &[10, 0, 0, 1, 10, 0, 0, 2], &vec![1; options.into()], above].concat()
}

pub(in crate::netlink) fn ipv6(next: u8, above: &[u8]) -> Vec<u8> {
    let length = u16::try_from(above.len()).unwrap().to_be_bytes();
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x60, 0, 0, 0, length[0], length[1], next, 64][..], &address(1), &address(2), above].concat()
}

/// A fragment header, `offset` bytes from the first, and what follows.
pub(in crate::netlink) fn fragment(next: u8, offset: u16, above: &[u8]) -> Vec<u8> {
    let [high, low] = offset.to_be_bytes();
    [&[next, 0, high, low | 1, 0, 0, 0, 9][..], above].concat()
}

pub(in crate::netlink) fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
    vec![a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]
}

/// Packets that are whole.
pub(in crate::netlink) fn valid() -> impl Strategy<Value = Vec<u8>> {
    let extensions = vec((0..5_usize, 0..3_u8, any::<u8>()), 0..4);
    let above = prop_oneof![vec(any::<u8>(), 0..60), any::<(u16, u16, u8)>().prop_map(|(a, b, c)| tcp(a, b, c))];
    let protocol = prop_oneof![Just(1), Just(6), Just(17), Just(58), Just(132), any::<u8>()];
    (any::<bool>(), 0..11_u8, any::<u16>(), protocol, above, extensions).prop_map(
        |(is_ipv4, options, fragment, protocol, above, extensions)| {
            if is_ipv4 {
                ipv4(protocol, options * 4, fragment, &above)
            } else {
                extended(protocol, &above, &extensions)
            }
        },
    )
}

fn extended(protocol: u8, above: &[u8], extensions: &[(usize, u8, u8)]) -> Vec<u8> {
    let (mut next, mut bytes) = (protocol, above.to_vec());
    for (kind, length, filling) in extensions {
        let kind = [0, 43, 44, 51, 60][*kind];
        let size = match kind {
            44 => 8,
            51 => (usize::from(*length) + 2) * 4,
            _ => (usize::from(*length) + 1) * 8,
        };
        let mut extension = vec![*filling; size];
        (extension[0], extension[1]) = (next, *length);
        bytes.splice(0..0, extension);
        next = kind;
    }
    ipv6(next, &bytes)
}

/// With some bytes changed, and cut somewhere.
pub(in crate::netlink) fn mutated(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (bytes, vec((any::<Index>(), any::<u8>()), 0..12), any::<Index>()).prop_map(|(mut bytes, changes, end)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        bytes
    })
}

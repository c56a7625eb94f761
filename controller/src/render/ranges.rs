//! CIDR blocks as disjoint ranges: an exception is taken from its own block only, then the blocks are united.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use palisade_model::IpBlock;
use palisade_nft::Range;

/// The IPv4 addresses of `blocks`: ascending, disjoint, neighbours merged.
pub(super) fn ipv4(blocks: &[IpBlock]) -> impl Iterator<Item = Range<Ipv4Addr>> {
    let address = |bits: u128| Ipv4Addr::from_bits(u32::try_from(bits).expect("an IPv4 block ends below 2^32"));
    union(blocks, true).into_iter().map(move |(first, last)| Range { first: address(first), last: address(last) })
}

/// The IPv6 addresses of `blocks`: ascending, disjoint, neighbours merged.
pub(super) fn ipv6(blocks: &[IpBlock]) -> impl Iterator<Item = Range<Ipv6Addr>> {
    let address = Ipv6Addr::from_bits;
    union(blocks, false).into_iter().map(move |(first, last)| Range { first: address(first), last: address(last) })
}

type Bounds = (u128, u128);

fn union(blocks: &[IpBlock], ipv4: bool) -> Vec<Bounds> {
    let of_family = blocks.iter().filter(|block| block.cidr().addr().is_ipv4() == ipv4);
    let mut pieces: Vec<Bounds> = of_family.flat_map(pieces).collect();
    pieces.sort_unstable();
    let mut union: Vec<Bounds> = Vec::new();
    for (first, last) in pieces {
        match union.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => union.push((first, last)),
        }
    }
    union
}

/// What a block's exceptions leave of it.
fn pieces(block: &IpBlock) -> Vec<Bounds> {
    let (first, last) = bounds(block.cidr());
    let mut pieces = Vec::new();
    // The lowest address not yet decided; None beyond the highest of all addresses.
    let mut next = Some(first);
    for (hole_first, hole_last) in block.except().iter().map(|net| bounds(*net)) {
        let Some(start) = next else { break };
        if hole_first > start {
            pieces.push((start, hole_first - 1));
        }
        next = hole_last.checked_add(1).map(|after| after.max(start));
    }
    pieces.extend(next.filter(|start| *start <= last).map(|start| (start, last)));
    pieces
}

fn bounds(net: IpNet) -> Bounds {
    let bits = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    (bits(net.network()), bits(net.broadcast()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str, except: &[&str]) -> IpBlock {
        IpBlock::new(cidr.parse().unwrap(), except.iter().map(|net| net.parse().unwrap())).unwrap()
    }

    fn text(blocks: &[IpBlock]) -> Vec<String> {
        let four = ipv4(blocks).map(|range| format!("{}-{}", range.first, range.last));
        four.chain(ipv6(blocks).map(|range| format!("{}-{}", range.first, range.last))).collect()
    }

    #[test]
    fn an_exception_is_taken_from_its_own_block_only() {
        let blocks = [block("10.0.0.0/24", &["10.0.0.128/25"]), block("10.0.0.192/26", &[])];
        assert_eq!(text(&blocks), ["10.0.0.0-10.0.0.127", "10.0.0.192-10.0.0.255"]);
    }

    #[test]
    fn neighbours_merge_and_nested_exceptions_count_once() {
        let blocks = [
            block("10.0.0.0/25", &[]),
            block("10.0.0.128/25", &[]),
            block("10.1.0.0/16", &["10.1.0.0/17", "10.1.1.0/24"]),
        ];
        assert_eq!(text(&blocks), ["10.0.0.0-10.0.0.255", "10.1.128.0-10.1.255.255"]);
    }

    #[test]
    fn the_ends_of_the_address_space_hold() {
        assert_eq!(text(&[block("0.0.0.0/0", &[])]), ["0.0.0.0-255.255.255.255"]);
        assert_eq!(text(&[block("0.0.0.0/0", &["128.0.0.0/1"])]), ["0.0.0.0-127.255.255.255"]);
        assert_eq!(text(&[block("::/0", &["8000::/1"])]), ["::-7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
        assert_eq!(text(&[block("::/0", &["::/1", "8000::/1"])]), Vec::<String>::new());
        assert_eq!(text(&[block("::/0", &["::/1"])]), ["8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
    }
}

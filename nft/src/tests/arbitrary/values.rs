//! Values that small numbers stand for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::COUNTERS;
use crate::{
    AddressField, Comment, ElementsKind, End, Endpoint, Family, Hook, Key, LinkField, LinkName, Mark, Name, Range,
};

pub(super) fn key(kind: ElementsKind, field: AddressField, number: u8) -> Key {
    match kind {
        ElementsKind::Ipv4 | ElementsKind::Ipv4Ranges | ElementsKind::Ipv4Verdicts => Key::Address(Family::Ipv4, field),
        ElementsKind::Ipv6 | ElementsKind::Ipv6Ranges | ElementsKind::Ipv6Verdicts => Key::Address(Family::Ipv6, field),
        ElementsKind::Ipv4Endpoints => Key::Endpoint(Family::Ipv4, with_ports(number)),
        ElementsKind::Ipv6Endpoints => Key::Endpoint(Family::Ipv6, with_ports(number)),
        ElementsKind::PortVerdicts | ElementsKind::PortRangeVerdicts => Key::Port(with_ports(number)),
        ElementsKind::Ipv4Pairs => Key::SourceAndEnd(Family::Ipv4, end(number)),
        ElementsKind::Ipv6Pairs => Key::SourceAndEnd(Family::Ipv6, end(number)),
        ElementsKind::Links | ElementsKind::LinkVerdicts => {
            Key::Link([LinkField::Iifname, LinkField::Oifname][usize::from(number) % 2])
        }
    }
}

pub(super) fn hook(number: usize) -> Hook {
    [Hook::Forward, Hook::Prerouting][number % 2]
}

pub(super) fn end(number: u8) -> End {
    [End::Original, End::Reply][usize::from(number) % 2]
}

pub(super) fn link(number: u8) -> LinkName {
    LinkName::new(format!("veth{number}@x")).unwrap()
}

pub(super) fn with_ports(number: u8) -> u8 {
    [6, 17, 132][usize::from(number) % 3]
}

/// nft lists a mask of the highest bits alone as a prefix.
pub(super) fn mark(number: u8) -> Mark {
    let value = u32::from(number) << 8 | 1;
    Mark { mask: value | 0xff_0001, value }
}

pub(super) fn address(number: u8, family: u8) -> IpAddr {
    if family.is_multiple_of(4) { ipv4(number).into() } else { ipv6(number).into() }
}

pub(super) fn ipv4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}

pub(super) fn ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into())
}

pub(super) fn endpoint<A>(address: A, number: u8) -> Endpoint<A> {
    Endpoint { address, protocol: with_ports(number), port: 80 + u16::from(number) }
}

pub(super) fn remark(number: u8) -> Comment {
    Comment::new(&format!("remark {number}, with {{}} and 'é' \\\\"))
}

pub(super) fn comment_of(counter: &Name) -> Option<Comment> {
    (counter.as_str() != COUNTERS[0]).then(|| Comment::new(&format!("what {counter} counts")))
}

/// Disjoint ranges of sixteenths of the key space, some adjacent: from each point to the next.
pub(super) fn blocks<T, C: FromIterator<Range<T>>>(points: &BTreeMap<u8, u8>, bound: impl Fn(u8, bool) -> T) -> C {
    let firsts: Vec<u8> = points.keys().copied().collect();
    let lasts = firsts.iter().skip(1).map(|next| next - 1).chain([15]);
    let ranges = firsts.iter().zip(lasts).filter(|(first, _)| !points[first].is_multiple_of(3));
    ranges.map(|(first, last)| Range { first: bound(*first, false), last: bound(last, true) }).collect()
}

use std::fmt::{self, Display, Formatter};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::rule::protocol;
use crate::{Endpoint, Pair, Range};

/// `10.0.0.0/8` where a prefix says it, otherwise `10.0.0.1-10.0.0.9`; `10.0.0.1` for one address.
impl Display for Range<Ipv4Addr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_addresses(f, self, self.first.to_bits().into(), self.last.to_bits().into(), Ipv4Addr::BITS)
    }
}

/// `fd00::/64` where a prefix says it, otherwise `fd00::1-fd00::9`; `fd00::1` for one address.
impl Display for Range<Ipv6Addr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_addresses(f, self, self.first.to_bits(), self.last.to_bits(), Ipv6Addr::BITS)
    }
}

/// `80-90`; `80` for one port.
impl Display for Range<u16> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_range(f, self)
    }
}

/// `10.0.0.1 . tcp . 80`.
impl<A: Display> Display for Endpoint<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { address, protocol: number, port } = self;
        write!(f, "{address} . {} . {port}", protocol(*number))
    }
}

/// `10.0.0.1 . 10.0.0.2`.
impl<A: Display> Display for Pair<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(first, second) = self;
        write!(f, "{first} . {second}")
    }
}

fn write_addresses<A: Display + PartialEq>(
    f: &mut Formatter<'_>,
    range: &Range<A>,
    first: u128,
    last: u128,
    bits: u32,
) -> fmt::Result {
    let host = first ^ last;
    let is_prefix = host & host.wrapping_add(1) == 0 && first & host == 0;
    if is_prefix && host != 0 {
        write!(f, "{}/{}", range.first, bits - host.count_ones())
    } else {
        write_range(f, range)
    }
}

fn write_range<T: Display + PartialEq>(f: &mut Formatter<'_>, Range { first, last }: &Range<T>) -> fmt::Result {
    if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(first: &str, last: &str) -> String {
        Range::<Ipv4Addr> { first: first.parse().unwrap(), last: last.parse().unwrap() }.to_string()
    }

    fn v6(first: &str, last: &str) -> String {
        Range::<Ipv6Addr> { first: first.parse().unwrap(), last: last.parse().unwrap() }.to_string()
    }

    #[test]
    fn a_range_that_a_prefix_says_is_written_as_one() {
        assert_eq!(v4("10.0.0.0", "10.255.255.255"), "10.0.0.0/8");
        assert_eq!(v4("0.0.0.0", "255.255.255.255"), "0.0.0.0/0");
        assert_eq!(v4("10.0.0.2", "10.0.0.3"), "10.0.0.2/31");
        assert_eq!(v6("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "::/0");
        assert_eq!(v6("fd00::", "fd00::ffff:ffff:ffff:ffff"), "fd00::/64");
    }

    #[test]
    fn other_ranges_are_written_as_such() {
        assert_eq!(v4("10.0.0.1", "10.0.0.2"), "10.0.0.1-10.0.0.2");
        assert_eq!(v4("10.0.0.0", "10.0.0.2"), "10.0.0.0-10.0.0.2");
        assert_eq!(v4("10.0.0.4", "10.0.0.11"), "10.0.0.4-10.0.0.11");
        assert_eq!(v4("10.0.0.1", "10.0.0.1"), "10.0.0.1");
        assert_eq!(v6("::1", "::1"), "::1");
        assert_eq!(Range { first: 80_u16, last: 81 }.to_string(), "80-81");
        assert_eq!(Range { first: 80_u16, last: 80 }.to_string(), "80");
    }
}

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Endpoint, LinkName, Pair};

/// What sets are keyed by, as the bytes that the kernel compares.
pub(super) trait Key: Ord + Sized {
    fn write(self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A key with neighbours.
pub(super) trait Point: Key + Copy {
    const HIGHEST: Self;
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

impl Key for Ipv4Addr {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.octets());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        <[u8; 4]>::try_from(bytes).ok().map(Self::from)
    }
}

impl Key for Ipv6Addr {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.octets());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        <[u8; 16]>::try_from(bytes).ok().map(Self::from)
    }
}

impl Key for u16 {
    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        <[u8; 2]>::try_from(bytes).ok().map(Self::from_be_bytes)
    }
}

/// Each part is padded to four bytes.
impl<A: Key> Key for Endpoint<A> {
    fn write(self, bytes: &mut Vec<u8>) {
        self.address.write(bytes);
        bytes.extend_from_slice(&[self.protocol, 0, 0, 0]);
        self.port.write(bytes);
        bytes.extend_from_slice(&[0, 0]);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (address, [protocol, 0, 0, 0, port @ .., 0, 0]) = bytes.split_last_chunk::<8>()? else { return None };
        Some(Self { address: A::read(address)?, protocol: *protocol, port: u16::read(port)? })
    }
}

impl<A: Key> Key for Pair<A> {
    fn write(self, bytes: &mut Vec<u8>) {
        let Self(first, second) = self;
        first.write(bytes);
        second.write(bytes);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        Some(Self(A::read(first)?, A::read(second)?))
    }
}

/// Padded with zeros.
impl Key for LinkName {
    fn write(self, bytes: &mut Vec<u8>) {
        let mut padded = [0; Self::MAX + 1];
        padded[..self.as_str().len()].copy_from_slice(self.as_str().as_bytes());
        bytes.extend_from_slice(&padded);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
        Self::new(name).ok().filter(|_| bytes.len() == Self::MAX + 1)
    }
}

impl Point for Ipv4Addr {
    const HIGHEST: Self = Self::BROADCAST;
    fn next(self) -> Option<Self> {
        self.to_bits().checked_add(1).map(Self::from_bits)
    }
    fn previous(self) -> Option<Self> {
        self.to_bits().checked_sub(1).map(Self::from_bits)
    }
}

impl Point for Ipv6Addr {
    const HIGHEST: Self = Self::from_bits(u128::MAX);
    fn next(self) -> Option<Self> {
        self.to_bits().checked_add(1).map(Self::from_bits)
    }
    fn previous(self) -> Option<Self> {
        self.to_bits().checked_sub(1).map(Self::from_bits)
    }
}

impl Point for u16 {
    const HIGHEST: Self = Self::MAX;
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

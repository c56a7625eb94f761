use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Packet, Transport, WalkError, Walker};
use crate::{AddressField, Elements, End, Endpoint, Family, Key, Name, Pair, Range, Verdict};

impl<'a> Walker<'a> {
    /// Whether the set holds the key; `None` where the packet has no such key.
    pub(super) fn lookup_membership(&mut self, key: Key, set: &Name) -> Result<Option<bool>, WalkError> {
        let elements = self.elements(key, set, false)?;
        let Some(value) = value(key, self.packet) else { return Ok(None) };
        self.lookups += 1;
        Ok(Some(holds(elements, value)))
    }

    pub(super) fn lookup_verdict(&mut self, key: Key, map: &Name) -> Result<Option<&'a Verdict>, WalkError> {
        let elements = self.elements(key, map, true)?;
        let Some(value) = value(key, self.packet) else { return Ok(None) };
        self.lookups += 1;
        Ok(verdict(elements, value))
    }

    fn elements(&self, key: Key, name: &Name, is_map: bool) -> Result<&'a Elements, WalkError> {
        let set = self.ruleset.sets.get(name).ok_or_else(|| WalkError::NoSuchSet(name.clone()))?;
        let kind = set.elements.kind();
        if key.fits(kind) && kind.is_map() == is_map {
            Ok(&set.elements)
        } else {
            Err(WalkError::WrongType(name.clone()))
        }
    }
}

/// What of a packet is looked up.
#[derive(Clone, Copy)]
enum Value {
    Address(IpAddr),
    Port(u16),
    Endpoint(IpAddr, u8, u16),
    Pair(IpAddr, IpAddr),
    /// An interface that no set holds: those of a walk have no names.
    Link,
}

/// The key's value in the packet; `None` where the packet is not of the family or protocol that the key implies, or of no
/// connection, so that nothing is looked up.
fn value(key: Key, packet: &Packet) -> Option<Value> {
    let address =
        |family: Family, field| packet.address(field).filter(|address| address.is_ipv4() == (family == Family::Ipv4));
    let port = |wanted| match packet.transport {
        Transport::Ports { protocol, destination } if wanted == protocol => Some(destination),
        _ => None,
    };
    match key {
        Key::Address(family, field) => address(family, field).map(Value::Address),
        Key::Link(_) => Some(Value::Link),
        Key::SourceAndEnd(family, end) => {
            let end = match end {
                End::Original => AddressField::OriginalSaddr,
                End::Reply => AddressField::ReplySaddr,
            };
            Some(Value::Pair(address(family, AddressField::Saddr)?, address(family, end)?))
        }
        Key::Port(protocol) => packet.is_tracked().then_some(Value::Port(port(protocol)?)),
        Key::Endpoint(family, protocol) => {
            Some(Value::Endpoint(address(family, AddressField::ReplySaddr)?, protocol, port(protocol)?))
        }
    }
}

fn holds(elements: &Elements, value: Value) -> bool {
    use IpAddr::{V4, V6};
    match (elements, value) {
        (Elements::Ipv4(set), Value::Address(V4(address))) => set.contains(&address),
        (Elements::Ipv6(set), Value::Address(V6(address))) => set.contains(&address),
        (Elements::Ipv4Ranges(set), Value::Address(V4(address))) => within(set, address, Ipv4Addr::BROADCAST),
        (Elements::Ipv6Ranges(set), Value::Address(V6(address))) => {
            within(set, address, Ipv6Addr::from_bits(u128::MAX))
        }
        (Elements::Ipv4Endpoints(set), Value::Endpoint(V4(address), protocol, port)) => {
            set.contains(&Endpoint { address, protocol, port })
        }
        (Elements::Ipv6Endpoints(set), Value::Endpoint(V6(address), protocol, port)) => {
            set.contains(&Endpoint { address, protocol, port })
        }
        (Elements::Ipv4Pairs(set), Value::Pair(V4(first), V4(second))) => set.contains(&Pair(first, second)),
        (Elements::Ipv6Pairs(set), Value::Pair(V6(first), V6(second))) => set.contains(&Pair(first, second)),
        _ => false,
    }
}

fn verdict(elements: &Elements, value: Value) -> Option<&Verdict> {
    use IpAddr::{V4, V6};
    match (elements, value) {
        (Elements::Ipv4Verdicts(map), Value::Address(V4(address))) => map.get(&address),
        (Elements::Ipv6Verdicts(map), Value::Address(V6(address))) => map.get(&address),
        (Elements::PortVerdicts(map), Value::Port(port)) => map.get(&port),
        (Elements::PortRangeVerdicts(map), Value::Port(port)) => range_verdict(map, port),
        _ => None,
    }
}

fn within<T: Ord + Copy>(ranges: &BTreeSet<Range<T>>, key: T, max: T) -> bool {
    ranges.range(..=Range { first: key, last: max }).next_back().is_some_and(|range| key <= range.last)
}

fn range_verdict(map: &BTreeMap<Range<u16>, Verdict>, port: u16) -> Option<&Verdict> {
    let (range, verdict) = map.range(..=Range { first: port, last: u16::MAX }).next_back()?;
    (port <= range.last).then_some(verdict)
}

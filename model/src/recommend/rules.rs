//! As few rules as say what is granted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::grants::{Atom, Peers};
use crate::reach::PortSet;
use crate::{PortRange, Protocol, Traffic};

/// Any of these peers to any of these ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Ascending, each once.
    pub(super) atoms: Vec<Atom>,
    pub(super) ports: PortSet,
}

/// One rule for the peers that have the same ports, or one for the ports that have the same peers, whichever are fewer.
/// Of either no two can be united.
pub(super) fn shapes(peers: &Peers) -> Vec<Shape> {
    let by_peers = by_peers(peers);
    if by_peers.len() < 3 {
        return by_peers;
    }
    let by_ports = by_ports(peers);
    if by_ports.len() < by_peers.len() { by_ports } else { by_peers }
}

fn by_peers(peers: &Peers) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut known = HashMap::<&PortSet, usize>::new();
    for (atom, ports) in peers {
        let at = *known.entry(ports).or_insert(shapes.len());
        match shapes.get_mut(at) {
            Some(shape) => shape.atoms.push(atom.clone()),
            None => shapes.push(Shape { atoms: vec![atom.clone()], ports: ports.clone() }),
        }
    }
    shapes
}

fn by_ports(peers: &Peers) -> Vec<Shape> {
    let mut shapes = BTreeMap::<Vec<Atom>, PortSet>::new();
    for (protocol, range) in segments(peers) {
        let traffic = Traffic::Port { protocol, port: range.first() };
        let have = peers.iter().filter(|(_, ports)| ports.contains(traffic)).map(|(atom, _)| atom.clone());
        let atoms: Vec<Atom> = have.collect();
        if !atoms.is_empty() {
            let ports = shapes.entry(atoms).or_default();
            *ports = ports.union(&PortSet::range(protocol, range));
        }
    }
    shapes.into_iter().map(|(atoms, ports)| Shape { atoms, ports }).collect()
}

/// Ranges of ports that no peer has a part of.
fn segments(peers: &Peers) -> Vec<(Protocol, PortRange)> {
    let mut segments = Vec::new();
    for protocol in Protocol::ALL {
        let ranges = peers.values().flat_map(|ports| ports.ranges_of(protocol));
        let bounds: BTreeSet<u32> =
            ranges.flat_map(|range| [u32::from(range.first()), u32::from(range.last()) + 1]).collect();
        let pairs = bounds.iter().zip(bounds.iter().skip(1));
        let port = |bound: u32| u16::try_from(bound).expect("what is before a bound is a port");
        let range = |(first, end): (&u32, &u32)| PortRange::new(port(*first), port(*end - 1));
        segments.extend(pairs.filter_map(|pair| Some((protocol, range(pair).ok()?))));
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[(&str, &[u16])]) -> Vec<(usize, String)> {
        let set = |ports: &[u16]| {
            let one = |port: &u16| PortSet::range(Protocol::Tcp, PortRange::single(*port));
            ports.iter().map(one).fold(PortSet::default(), |all, one| all.union(&one))
        };
        let peers: Peers = text.iter().map(|(name, ports)| (Atom::Pods((*name).into(), 0), set(ports))).collect();
        shapes(&peers).into_iter().map(|shape| (shape.atoms.len(), shape.ports.to_string())).collect()
    }

    #[test]
    fn peers_of_the_same_ports_share_a_rule() {
        assert_eq!(
            of(&[("a", &[80, 443]), ("b", &[80, 443]), ("c", &[90])]),
            [(2, "TCP 80, TCP 443".to_owned()), (1, "TCP 90".to_owned())]
        );
    }

    #[test]
    fn ports_of_the_same_peers_share_one_where_those_are_fewer() {
        assert_eq!(
            of(&[("a", &[80, 443]), ("b", &[80]), ("c", &[443])]),
            [(2, "TCP 80".to_owned()), (2, "TCP 443".to_owned())]
        );
    }
}

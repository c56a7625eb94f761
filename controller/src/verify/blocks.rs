//! The blocks of addresses that policies tell apart.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use palisade_model::{ClusterPeer, ClusterPeers, ClusterPolicy, Direction, IpBlock, Peer, Peers, Policy};

/// Addresses for examples (RFC 5737, RFC 3849), which stand for others that policies do not tell from them.
const EXAMPLES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// How many addresses are tried to find one that nobody has.
const TRIES: usize = 4096;

/// CIDRs and their exceptions, each once.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// By the family and the length of the prefix.
    by_length: BTreeMap<(bool, u8), HashSet<IpNet>>,
}

impl Blocks {
    pub(super) fn add_policy(&mut self, policy: &Policy) {
        let rules = Direction::ALL.into_iter().filter_map(|direction| policy.rules(direction)).flatten();
        let peers = rules.filter_map(|rule| match &rule.peers {
            Peers::AnyOf(peers) => Some(peers),
            Peers::All => None,
        });
        peers.flatten().for_each(|peer| match peer {
            Peer::Block(block) => self.add(block),
            Peer::Pods(_) => {}
        });
    }

    pub(super) fn add_cluster_policy(&mut self, policy: &ClusterPolicy) {
        let rules = Direction::ALL.into_iter().flat_map(|direction| policy.rules(direction));
        let peers = rules.filter_map(|rule| match &rule.peers {
            ClusterPeers::AnyOf(peers) => Some(peers),
            ClusterPeers::Others => None,
        });
        peers.flatten().for_each(|peer| match peer {
            ClusterPeer::Network(block) => self.add(block),
            ClusterPeer::Pods(_) | ClusterPeer::Nodes(_) => {}
        });
    }

    fn add(&mut self, block: &IpBlock) {
        for net in [block.cidr()].iter().chain(block.except()) {
            self.by_length.entry((net.addr().is_ipv6(), net.prefix_len())).or_default().insert(*net);
        }
    }

    /// Those that hold the address: addresses that have the same ones are the same to policies.
    pub(super) fn holding(&self, address: IpAddr) -> Vec<IpNet> {
        let lengths = self.by_length.iter().filter(|((is_ipv6, _), _)| *is_ipv6 == address.is_ipv6());
        let nets = lengths.filter_map(|((_, length), nets)| {
            let net = IpNet::new(address, *length).ok()?.trunc();
            nets.contains(&net).then_some(net)
        });
        nets.collect()
    }

    /// Whether one of them is this address alone.
    pub(super) fn is_named(&self, address: IpAddr) -> bool {
        let net = IpNet::from(address);
        self.by_length.get(&(address.is_ipv6(), net.prefix_len())).is_some_and(|nets| nets.contains(&net))
    }

    /// Addresses of both families, at least one of each kind that these blocks tell apart, where there is one that is
    /// not `taken`.
    pub(super) fn outside(&self, taken: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        let firsts = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let nets = self.by_length.values().flatten();
        let bounds = nets.flat_map(|net| [Some(net.network()), step(net.broadcast(), 1)]).flatten();
        let starts: Vec<IpAddr> = bounds.chain(firsts).collect::<BTreeSet<_>>().into_iter().collect();
        let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
        starts.iter().zip(ends).filter_map(|(start, end)| one_of(*start, end, &taken)).collect()
    }
}

/// One from `start` on, before `end` and of its family.
fn one_of(start: IpAddr, end: Option<IpAddr>, taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let is_in = |address: IpAddr| {
        address.is_ipv4() == start.is_ipv4() && address >= start && end.is_none_or(|end| address < end)
    };
    let from_start = (usize::from(start.is_unspecified())..TRIES).map_while(|by| step(start, by as u128));
    let fits = |address: &IpAddr| is_in(*address) && !taken(*address);
    EXAMPLES.into_iter().find(fits).or_else(|| from_start.take_while(|address| is_in(*address)).find(fits))
}

/// The address that comes so many later; `None` past the last.
pub(super) fn step(address: IpAddr, by: u128) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address).checked_add(u32::try_from(by).ok()?)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).checked_add(by)?).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str, except: &[&str]) -> IpBlock {
        IpBlock::new(cidr.parse().unwrap(), except.iter().map(|net| net.parse().unwrap())).unwrap()
    }

    #[test]
    fn each_kind_of_address_has_one() {
        let mut blocks = Blocks::default();
        blocks.add(&block("10.0.0.0/8", &["10.1.0.0/16"]));
        blocks.add(&block("0.0.0.0/0", &[]));
        blocks.add(&block("fd00::/8", &[]));
        let taken = |address: IpAddr| address == IpAddr::from([10, 1, 0, 0]);
        let all = blocks.outside(taken);
        let expected = ["0.0.0.1", "10.0.0.0", "10.1.0.1", "10.2.0.0", "192.0.2.1", "2001:db8::1", "fd00::", "fe00::"];
        assert_eq!(all, expected.map(|address| address.parse::<IpAddr>().unwrap()));
        let held: Vec<String> = blocks.holding([10, 1, 2, 3].into()).iter().map(ToString::to_string).collect();
        assert_eq!(held, ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16"]);
    }

    #[test]
    fn the_last_address_ends_the_last_block() {
        let mut blocks = Blocks::default();
        blocks.add(&block("255.255.255.255/32", &[]));
        assert!(blocks.is_named(Ipv4Addr::BROADCAST.into()) && !blocks.is_named([1, 1, 1, 1].into()));
        let all = blocks.outside(|_| false);
        assert_eq!(all, ["192.0.2.1", "255.255.255.255", "2001:db8::1"].map(|a| a.parse::<IpAddr>().unwrap()));
        assert_eq!(blocks.outside(|address| address.is_ipv4() && address != EXAMPLES[2]).len(), 2);
    }
}

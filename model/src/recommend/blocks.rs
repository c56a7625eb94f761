//! Networks that stand for many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::reference::Cluster;

/// How often networks are widened at most: IPv4 ones by a bit each time, to /16, IPv6 ones by five, to /48.
const STEPS: u8 = 16;
const BITS_V4: u8 = 1;
const BITS_V6: u8 = 5;

/// The addresses that no block may come to hold: those of pods and nodes.
pub(super) struct Taken(BTreeSet<IpAddr>);

impl Taken {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let pods = cluster.pods.values().flat_map(|pod| pod.ips.iter().chain(&pod.host_ips));
        let nodes = cluster.nodes.values().flat_map(|node| &node.addresses);
        Self(pods.chain(nodes).copied().collect())
    }

    fn is_in(&self, net: IpNet) -> bool {
        self.0.range(net.network()..=net.broadcast()).next().is_some()
    }
}

/// Which network stands for each: one of no more than `most` where they can be widened to that, of as few as can be where they
/// cannot, and of the same addresses where there are not so many.
pub(super) fn aggregate(networks: &BTreeSet<IpNet>, taken: &Taken, most: usize) -> BTreeMap<IpNet, IpNet> {
    let exact = IpNet::aggregate(&networks.iter().copied().collect());
    let mut blocks = exact.clone();
    for step in 1..=STEPS {
        if blocks.len() <= most {
            break;
        }
        let wider = IpNet::aggregate(&exact.iter().map(|net| widened(*net, step, taken)).collect());
        if wider.len() < blocks.len() {
            blocks = wider;
        }
    }
    let stands_for = |net: &IpNet| blocks.iter().copied().find(|block| block.contains(net)).unwrap_or(*net);
    networks.iter().map(|net| (*net, stands_for(net))).collect()
}

/// How many of the networks a block stands for, where it holds more addresses than they do.
pub(super) fn is_wider(block: IpNet, networks: &BTreeSet<IpNet>) -> Option<usize> {
    let held: Vec<IpNet> = networks.iter().copied().filter(|net| block.contains(net)).collect();
    (IpNet::aggregate(&held) != [block]).then_some(held.len())
}

fn widened(net: IpNet, step: u8, taken: &Taken) -> IpNet {
    let wide = match net {
        IpNet::V4(net) => Ipv4Net::new(net.addr(), net.prefix_len().min(32 - step * BITS_V4)).map(IpNet::V4),
        IpNet::V6(net) => Ipv6Net::new(net.addr(), net.prefix_len().min(128 - step * BITS_V6)).map(IpNet::V6),
    };
    wide.map(|wide| wide.trunc()).ok().filter(|wide| !taken.is_in(*wide)).unwrap_or(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_for(networks: &[&str], taken: &[&str], most: usize) -> Vec<String> {
        let networks = networks.iter().map(|net| net.parse().unwrap()).collect();
        let taken = Taken(taken.iter().map(|address| address.parse().unwrap()).collect());
        let blocks: BTreeSet<IpNet> = aggregate(&networks, &taken, most).into_values().collect();
        blocks.into_iter().map(|block| block.to_string()).collect()
    }

    #[test]
    fn few_networks_stay_what_they_are() {
        assert_eq!(stand_for(&["192.0.2.7/32", "192.0.2.9/32"], &[], 2), ["192.0.2.7/32", "192.0.2.9/32"]);
        assert_eq!(stand_for(&["192.0.2.6/32", "192.0.2.7/32"], &[], 2), ["192.0.2.6/31"]);
    }

    #[test]
    fn many_are_widened_as_little_as_does_and_not_over_a_pod() {
        let many = ["192.0.2.1/32", "192.0.2.4/32", "198.51.100.7/32"];
        assert_eq!(stand_for(&many, &[], 2), ["192.0.2.0/29", "198.51.100.4/30"]);
        assert_eq!(stand_for(&many, &["192.0.2.3"], 2), many);
    }

    #[test]
    fn a_wider_block_tells_what_it_stands_for() {
        let networks = ["192.0.2.1/32", "192.0.2.4/32"].map(|net| net.parse().unwrap()).into();
        assert_eq!(is_wider("192.0.2.0/29".parse().unwrap(), &networks), Some(2));
        let networks = ["192.0.2.0/32", "192.0.2.1/32"].map(|net| net.parse().unwrap()).into();
        assert_eq!(is_wider("192.0.2.0/31".parse().unwrap(), &networks), None);
    }
}

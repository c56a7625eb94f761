//! Addresses by the blocks that rules name, and those of nobody's pod by the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::terms::{Term, TermId, Terms};
use crate::IpBlock;
use crate::cidr::everything;
use crate::reference::Cluster;

/// What rules say of addresses.
#[derive(Debug, Default)]
pub(super) struct Networks {
    blocks: HashMap<IpNet, Vec<(IpBlock, TermId)>>,
    /// The lengths of the blocks' prefixes: of IPv4, then of IPv6.
    lengths: [BTreeSet<u8>; 2],
    nodes: HashMap<IpAddr, Vec<TermId>>,
}

/// Addresses that rules do not tell apart, as blocks.
pub(super) type Outside = BTreeMap<(bool, Vec<TermId>), Vec<IpBlock>>;

impl Networks {
    pub(super) fn new(cluster: &Cluster, terms: &Terms) -> Self {
        let mut networks = Self::default();
        for (term, id) in terms.iter() {
            match term {
                Term::Network(block) => networks.add(block, id),
                Term::Nodes(selector) => {
                    let nodes = cluster.nodes.values().filter(|node| selector.matches(&node.labels));
                    for address in nodes.flat_map(|node| &node.addresses) {
                        networks.nodes.entry(*address).or_default().push(id);
                    }
                }
                Term::Pods(_) | Term::Port(_) => {}
            }
        }
        networks
    }

    fn add(&mut self, block: &IpBlock, id: TermId) {
        self.blocks.entry(block.cidr()).or_default().push((block.clone(), id));
        self.lengths[usize::from(block.cidr().addr().is_ipv6())].insert(block.cidr().prefix_len());
    }

    /// The terms that hold an address: ascending, each once.
    pub(super) fn of(&self, address: IpAddr) -> Vec<TermId> {
        self.of_net(address.into())
    }

    /// The terms that hold all addresses of `net`, and of which no exception lies within it.
    fn of_net(&self, net: IpNet) -> Vec<TermId> {
        let lengths = self.lengths[usize::from(net.addr().is_ipv6())].range(..=net.prefix_len());
        let around = lengths.filter_map(|length| self.blocks.get(&IpNet::new(net.addr(), *length).ok()?.trunc()));
        let holds = |block: &IpBlock| !block.except().iter().any(|except| except.contains(&net));
        let blocks = around.flatten().filter(|(block, _)| holds(block)).map(|(_, id)| *id);
        let is_one = net.prefix_len() == net.max_prefix_len();
        let nodes = self.nodes.get(&net.addr()).filter(|_| is_one).into_iter().flatten().copied();
        let all: BTreeSet<TermId> = blocks.chain(nodes).collect();
        all.into_iter().collect()
    }

    /// All addresses but those in `taken`. Where rules tell none apart that are left, there is nothing.
    pub(super) fn outside(&self, taken: impl Iterator<Item = IpAddr>) -> Outside {
        let blocks = self.blocks.values().flatten();
        let named = blocks.flat_map(|(block, _)| block.except().iter().copied().chain([block.cidr()]));
        let nodes = self.nodes.keys().map(|address| IpNet::from(*address));
        let parts = named.chain(nodes).chain(everything()).map(|net| (net, false));
        let mut nets: BTreeMap<IpNet, bool> = parts.collect();
        nets.extend(taken.map(|address| (IpNet::from(address), true)));
        let mut outside = Outside::new();
        let mut open: Vec<Part> = Vec::new();
        // Ascending, what holds others before them.
        let mut sorted: Vec<(IpNet, bool)> = nets.into_iter().collect();
        sorted.sort_by_key(|(net, _)| (net.addr().is_ipv6(), net.network(), net.prefix_len()));
        for (net, taken) in sorted {
            while let Some(part) = open.pop_if(|part| !part.net.contains(&net)) {
                self.close(&part, &mut outside);
            }
            if let Some(part) = open.last_mut() {
                part.holes.push(net);
                part.hidden.push(taken);
            }
            if !taken {
                open.push(Part { net, holes: Vec::new(), hidden: Vec::new() });
            }
        }
        while let Some(part) = open.pop() {
            self.close(&part, &mut outside);
        }
        outside
    }

    fn close(&self, part: &Part, outside: &mut Outside) {
        if part.is_empty() {
            return;
        }
        let told = part.holes.iter().zip(&part.hidden).filter(|(_, hidden)| !**hidden).map(|(hole, _)| *hole);
        let block = IpBlock::new(part.net, told).expect("what lies within a network is less than it");
        outside.entry((part.net.addr().is_ipv6(), self.of_net(part.net))).or_default().push(block);
    }
}

/// A network without those within it that are told apart.
struct Part {
    net: IpNet,
    holes: Vec<IpNet>,
    /// By hole: whether it is a pod's address, which goes without saying.
    hidden: Vec<bool>,
}

impl Part {
    /// Whether its holes are all of it. The number of all IPv6 addresses wraps to 0.
    fn is_empty(&self) -> bool {
        let size = |net: &IpNet| 1_u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len())).unwrap_or(0);
        let left = self.holes.iter().fold(size(&self.net), |left, hole| left.wrapping_sub(size(hole)));
        left == 0 && !self.holes.is_empty()
    }
}

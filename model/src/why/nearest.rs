//! The rule that lacks least, and the block that holds the peer.

use ipnet::IpNet;

use super::Miss;
use super::facts::Facts;
use super::looks::Looks;
use super::rule::{Entry, Nearness, PeerGap, PeersView, Placed, excepts, port_nearness};
use crate::{PortMatch, Tier};

/// What a rule lacks.
#[derive(Clone, Copy)]
pub(super) struct Gap<'a> {
    pub(super) rule: Placed<'a>,
    /// What the nearest of its peers lacks, with its position.
    pub(super) peer: Option<(usize, PeerGap<'a>)>,
    /// The ports of which none is right.
    pub(super) ports: Option<&'a [PortMatch]>,
}

impl<'a> Facts<'a> {
    /// The nearest of rules that do not match.
    pub(super) fn nearest(&self, rules: &[Placed<'a>], looks: &mut Looks) -> Option<Miss> {
        let mut nearest: Option<(Nearness, Gap<'a>)> = None;
        for rule in rules {
            let Some((nearness, gap)) = self.gap(*rule, looks) else { break };
            if nearest.as_ref().is_none_or(|(least, _)| nearness < *least) {
                nearest = Some((nearness, gap));
            }
        }
        nearest.map(|(_, gap)| Miss::new(&gap, self))
    }

    /// What a rule lacks; `None` where it may not be looked at.
    fn gap(&self, rule: Placed<'a>, looks: &mut Looks) -> Option<(Nearness, Gap<'a>)> {
        let ports = rule.view.port_gap(self);
        if !looks.take(1 + ports.map_or(0, <[_]>::len)) {
            return None;
        }
        let mut nearest: Option<(Nearness, usize, PeerGap<'a>)> = None;
        let mut is_admitted = matches!(rule.view.peers, PeersView::All | PeersView::Others);
        for (at, entry) in rule.view.peers.entries().enumerate() {
            if !looks.take(entry.size()) {
                nearest.as_ref()?;
                break;
            }
            let Some(gap) = entry.gap(&self.peer) else {
                is_admitted = true;
                break;
            };
            let nearness = gap.nearness(self.peer.address);
            if nearest.as_ref().is_none_or(|(least, ..)| nearness < *least) {
                nearest = Some((nearness, at, gap));
            }
        }
        let no_entry = || (Nearness::default() + PeerGap::NoEntry.nearness(self.peer.address), 0, PeerGap::NoEntry);
        let peer = (!is_admitted).then(|| nearest.unwrap_or_else(no_entry));
        let of_peer = peer.map_or_else(Nearness::default, |(nearness, ..)| nearness);
        let of_ports = ports.map_or_else(Nearness::default, |entries| port_nearness(entries, self.traffic));
        Some((of_peer + of_ports, Gap { rule, peer: peer.map(|(_, at, gap)| (at, gap)), ports }))
    }

    /// The most specific block that holds a peer which is no pod.
    pub(super) fn block(&self, looks: &mut Looks) -> Option<IpNet> {
        if self.peer.pod.is_some() {
            return None;
        }
        let cluster = Tier::ALL.into_iter().flat_map(|tier| self.cluster_policies_of(tier));
        let cluster = cluster.flat_map(|policy| policy.rules(self.direction)).map(|rule| rule.into());
        let peers = self.rules().map(|rule| rule.view).chain(cluster).flat_map(|view| view.peers.entries());
        let mut narrowest: Option<IpNet> = None;
        for entry in peers.take_while(|entry| looks.take(entry.size())) {
            let Entry::Block(block) = entry else { continue };
            let holds = block.cidr().contains(&self.peer.address) && excepts(block, self.peer.address).next().is_none();
            if holds && narrowest.is_none_or(|narrowest| narrowest.prefix_len() < block.cidr().prefix_len()) {
                narrowest = Some(block.cidr());
            }
        }
        narrowest
    }
}

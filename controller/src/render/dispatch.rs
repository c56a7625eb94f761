//! Which pod's chain judges what has to do with an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use palisade_model::Direction;
use palisade_nft::{Family, Name, SetEdit};

use super::{is_nothing, names, objects};

/// A dispatch map of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Map {
    /// Of what is forwarded.
    Forward(Direction),
    /// Of what pods send to this node.
    OwnNode,
    /// Of what cluster policies deny.
    Denied(Direction),
    /// Of what is allowed, where there are audited policies.
    Audit(Direction),
    /// Of what these would drop.
    WouldDrop(Direction),
}

impl From<Direction> for Map {
    fn from(direction: Direction) -> Self {
        Self::Forward(direction)
    }
}

impl Map {
    pub(super) fn name(self, family: Family) -> Name {
        match self {
            Self::Forward(direction) => names::dispatch_map(direction, family),
            Self::OwnNode => names::own_node(family),
            Self::Denied(direction) => names::denied_map(direction, family),
            Self::Audit(direction) => names::audit_map(direction, family),
            Self::WouldDrop(direction) => names::would_drop_map(direction, family),
        }
    }
}

/// What changes in the dispatch maps.
#[derive(Default)]
pub(super) struct Dispatch {
    pub(super) added: BTreeMap<Map, Vec<(IpAddr, Name)>>,
    pub(super) removed: BTreeMap<Map, Vec<(IpAddr, Name)>>,
}

impl Dispatch {
    /// Its addresses lead to a pod's chains.
    pub(super) fn add(&mut self, addresses: &[IpAddr], entries: &[(Map, Name)]) {
        enter(&mut self.added, addresses, entries);
    }

    /// They lead there no more, unless they are added as well.
    pub(super) fn remove(&mut self, addresses: &[IpAddr], entries: &[(Map, Name)]) {
        enter(&mut self.removed, addresses, entries);
    }

    /// Says nothing of these addresses where packets are forwarded.
    pub(super) fn leave_out(&mut self, addresses: &BTreeSet<IpAddr>) {
        let moves = self.removed.iter_mut().chain(&mut self.added).filter(|(map, _)| matches!(map, Map::Forward(_)));
        for (_, elements) in moves {
            elements.retain(|(address, _)| !addresses.contains(address));
        }
    }

    pub(super) fn into_edits(self) -> impl Iterator<Item = (Name, SetEdit)> {
        let maps: BTreeSet<Map> = self.added.keys().chain(self.removed.keys()).copied().collect();
        let maps = maps.into_iter().flat_map(|map| Family::ALL.map(|family| (map, family)));
        maps.filter_map(move |(map, family)| {
            let elements = |of: &BTreeMap<Map, Vec<(IpAddr, Name)>>| {
                objects::dispatch(family, of.get(&map).map(Vec::as_slice).unwrap_or_default())
            };
            let (add, remove) = (elements(&self.added), elements(&self.removed));
            let edit = SetEdit::Elements { add, remove };
            (!is_nothing(&edit)).then(|| (map.name(family), edit))
        })
    }
}

fn enter(moves: &mut BTreeMap<Map, Vec<(IpAddr, Name)>>, addresses: &[IpAddr], entries: &[(Map, Name)]) {
    for (map, chain) in entries {
        moves.entry(*map).or_default().extend(addresses.iter().map(|address| (*address, chain.clone())));
    }
}

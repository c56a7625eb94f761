//! Which pod's chain judges what has to do with an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use palisade_model::{Direction, PodEnforcement};
use palisade_nft::{Family, Name, SetEdit};

use super::{is_nothing, names, objects};

/// A dispatch map of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Map {
    /// Of what is forwarded.
    Forward(Direction),
    /// Of what pods send to this node.
    OwnNode,
}

impl From<Direction> for Map {
    fn from(direction: Direction) -> Self {
        Self::Forward(direction)
    }
}

impl Map {
    fn name(self, family: Family) -> Name {
        match self {
            Self::Forward(direction) => names::dispatch_map(direction, family),
            Self::OwnNode => names::own_node(family),
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
    /// A pod's addresses lead to its chain.
    pub(super) fn move_pod(
        &mut self,
        map: Map,
        chain: &Name,
        before: Option<&PodEnforcement>,
        after: Option<&PodEnforcement>,
    ) {
        for (pod, moves) in [(before, &mut self.removed), (after, &mut self.added)] {
            let addresses = pod.into_iter().flat_map(|pod| &pod.addresses);
            moves.entry(map).or_default().extend(addresses.map(|address| (*address, chain.clone())));
        }
    }

    /// Says nothing of these addresses where packets are forwarded.
    pub(super) fn leave_out(&mut self, addresses: &BTreeSet<IpAddr>) {
        let moves = self.removed.iter_mut().chain(&mut self.added).filter(|(map, _)| **map != Map::OwnNode);
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

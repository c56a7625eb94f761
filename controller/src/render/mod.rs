//! From the index's output to nftables objects.
//!
//! One table, in which a packet meets at most: a rule for what is known, one verdict map keyed by the local
//! pod's address, that pod's chain, one verdict map keyed by the destination port, and the lookups of one segment. All
//! keys are those of the connection, not of the packet, so that a connection can be judged at any time.
//!
//! | object | name | holds |
//! |---|---|---|
//! | mark | `layout-2` | nothing: the version of this layout |
//! | base chain | `forward-egress`, `forward-ingress` | what is known, what always passes, then the dispatch |
//! | chain | `known` | accepts what was judged in this [epoch](Epoch) |
//! | chain | `judged` | marks what both directions allow with the epoch, and accepts it |
//! | dispatch map | `egress-pods-4`, ... | address of an isolated local pod : goto its chain |
//! | pod chain | `pod-egress-NAMESPACE-POD-HASH` | the pod itself, its policies, then count and drop |
//! | policies chain | `policies-egress-NAMESPACE-POLICY-HASH` | the decision table of one combination of policies |
//! | port map | `ports-egress-tcp-NAMESPACE-POLICY-HASH` | destination port : segment |
//! | peers chain | `peers-egress-DEFINITION-HASH` | the lookups of a segment |
//! | set | `pods-DEFINITION-HASH-4`, `cidrs-...`, `endpoints-...` | the union of those definitions |
//!
//! Invariants:
//! - Names follow from definitions, never from members; equal definitions share the object.
//! - Sets only ever allow: adding an element to one forbids nothing (`sets_only_allow` in the tests).
//! - A pod chain ends in `drop` (it is entered by `goto`, so falling off its end would accept).
//! - A layout that changes a base chain's priority, or a map's type, gives it another name: what replaces it then comes
//!   before it goes ([`Diff::steps`](palisade_nft::Diff::steps)).
//! - Rendering deltas one by one gives the same ruleset as rendering their sum (`deltas_add_up` in the tests).

mod epoch;
mod inspect;
mod names;
mod objects;
mod ranges;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{Clause, Delta, Direction, NamespacedName, PodEnforcement, SetDelta, SetKey, Table, TableKey};
use palisade_nft::{Edit, Family, Name, Ruleset, SetEdit};

pub use epoch::Epoch;
pub use inspect::{InspectedPod, pods};

/// The name of the table, of family inet.
pub const TABLE: &str = "palisade";

/// Turns the index's [`Delta`]s into [`Edit`]s of the ruleset.
///
/// It remembers what it rendered last of pods and tables, to take away what they no longer need.
#[derive(Debug, Default)]
pub struct Renderer {
    pods: BTreeMap<NamespacedName, PodEnforcement>,
    tables: BTreeMap<Arc<TableKey>, Arc<Table>>,
    peers: BTreeMap<Name, usize>,
}

/// The ruleset of a node without isolated pods: base chains and empty dispatch maps.
pub fn skeleton(table: Name) -> Ruleset {
    objects::skeleton(table)
}

/// The chain of connections that egress and ingress allow.
#[cfg(test)]
pub(crate) fn judged_chain() -> Name {
    names::judged()
}

impl Renderer {
    /// The edit that makes the ruleset rendered so far into the one that `delta` leads to.
    pub fn edit(&mut self, delta: &Delta) -> Edit {
        let mut edit = Edit::default();
        for (key, set) in &delta.sets {
            edit.sets.extend(set_edits(key, set));
        }
        for (key, table) in &delta.tables {
            self.edit_table(key, table.clone(), &mut edit);
        }
        let mut dispatch = Dispatch::default();
        for (pod, enforcement) in &delta.pods {
            self.edit_pod(pod, enforcement.clone(), &mut dispatch, &mut edit);
        }
        edit.sets.extend(dispatch.into_edits());
        edit
    }

    fn edit_pod(
        &mut self,
        pod: &NamespacedName,
        after: Option<PodEnforcement>,
        dispatch: &mut Dispatch,
        edit: &mut Edit,
    ) {
        let before = self.pods.remove(pod);
        for direction in Direction::ALL {
            let chain = names::pod_chain(direction, pod);
            let isolated = |pod: &Option<PodEnforcement>| pod.clone().filter(|pod| pod.table(direction).is_some());
            let (before, after) = (isolated(&before), isolated(&after));
            let dispatched = |pod: &Option<PodEnforcement>| {
                let addresses = pod.iter().flat_map(|pod| pod.addresses.clone());
                addresses.map(|address| (address, chain.clone())).collect::<Vec<_>>()
            };
            dispatch.removed.entry(direction).or_default().extend(dispatched(&before));
            dispatch.added.entry(direction).or_default().extend(dispatched(&after));
            let chain_after = after
                .as_ref()
                .and_then(|e| Some(objects::pod_chain(direction, pod, &e.addresses, e.table(direction)?)));
            if before.is_some() || after.is_some() {
                edit.chains.insert(chain, chain_after);
            }
        }
        self.pods.extend(after.map(|enforcement| (pod.clone(), enforcement)));
    }

    fn edit_table(&mut self, key: &Arc<TableKey>, after: Option<Arc<Table>>, edit: &mut Edit) {
        let before = self.tables.remove(key);
        let mut gone: BTreeSet<Name> = before.iter().flat_map(|table| names::port_maps(key, table)).collect();
        if let Some(table) = &after {
            for (name, map) in objects::port_maps(key, table) {
                gone.remove(&name);
                edit.sets.insert(name, SetEdit::Put(map));
            }
        }
        edit.sets.extend(gone.into_iter().map(|name| (name, SetEdit::Remove)));
        edit.chains.insert(names::policies_chain(key), after.as_ref().map(|t| objects::policies_chain(key, t)));
        // First what comes, then what goes: a chain that stays in use never counts down to zero.
        for clauses in after.iter().flat_map(|table| segments(table)) {
            self.hold_peers(key.direction, clauses, edit);
        }
        for clauses in before.iter().flat_map(|table| segments(table)) {
            self.release_peers(key.direction, clauses, edit);
        }
        self.tables.extend(after.map(|table| (key.clone(), table)));
    }

    fn hold_peers(&mut self, direction: Direction, clauses: &[Clause], edit: &mut Edit) {
        let Some(name) = names::peers_chain(direction, clauses) else { return };
        let users = self.peers.entry(name.clone()).or_default();
        *users += 1;
        if *users == 1 {
            edit.chains.insert(name, Some(objects::peers_chain(direction, clauses)));
        }
    }

    fn release_peers(&mut self, direction: Direction, clauses: &[Clause], edit: &mut Edit) {
        let Some(name) = names::peers_chain(direction, clauses) else { return };
        let users = self.peers.get_mut(&name).expect("what is released was held when its table was rendered");
        *users -= 1;
        if *users == 0 {
            self.peers.remove(&name);
            edit.chains.insert(name, None);
        }
    }
}

fn segments(table: &Table) -> impl Iterator<Item = &[Clause]> {
    table.segments.values().flatten().map(|segment| &*segment.clauses)
}

fn set_edits(key: &SetKey, delta: &SetDelta) -> Vec<(Name, SetEdit)> {
    match delta {
        SetDelta::New(members) => {
            objects::sets(key, members).into_iter().map(|(name, set)| (name, SetEdit::Put(set))).collect()
        }
        SetDelta::Gone => names::sets(key).into_iter().map(|(name, _)| (name, SetEdit::Remove)).collect(),
        SetDelta::Changed { added, removed } => names::sets(key)
            .into_iter()
            .map(|(name, family)| {
                let (add, remove) = (objects::members(key, family, added), objects::members(key, family, removed));
                (name, SetEdit::Elements { add, remove })
            })
            .filter(|(_, edit)| !is_nothing(edit))
            .collect(),
    }
}

/// What changes in the dispatch maps.
#[derive(Default)]
struct Dispatch {
    added: BTreeMap<Direction, Vec<(IpAddr, Name)>>,
    removed: BTreeMap<Direction, Vec<(IpAddr, Name)>>,
}

impl Dispatch {
    fn into_edits(self) -> impl Iterator<Item = (Name, SetEdit)> {
        let maps = Direction::ALL.into_iter().flat_map(|d| [(d, Family::Ipv4), (d, Family::Ipv6)]);
        maps.filter_map(move |(direction, family)| {
            let elements = |of: &BTreeMap<Direction, Vec<(IpAddr, Name)>>| {
                objects::dispatch(family, of.get(&direction).map(Vec::as_slice).unwrap_or_default())
            };
            let (add, remove) = (elements(&self.added), elements(&self.removed));
            let edit = SetEdit::Elements { add, remove };
            (!is_nothing(&edit)).then(|| (names::dispatch_map(direction, family), edit))
        })
    }
}

fn is_nothing(edit: &SetEdit) -> bool {
    matches!(edit, SetEdit::Elements { add, remove } if add.is_empty() && remove.is_empty())
}

/// The ruleset that `delta`, taken as everything that there is, leads to.
pub fn render(table: Name, delta: &Delta) -> Ruleset {
    let mut ruleset = skeleton(table);
    let edit = Renderer::default().edit(delta);
    ruleset.apply(edit).expect("a rendered edit names only objects that it or the skeleton holds");
    ruleset
}

//! The sets that tables look up, and those that the tables of closed namespaces would.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::bills::Bills;
use super::cluster::Cluster;
use super::definition::Definition;
use super::groups::Groups;
use super::slots::{BillId, ClassId, GroupId, SetId, Slots};
use crate::{Cost, IpBlock, Member, SetDelta, SetKey};

/// The sets. Their members are not kept: they follow from the groups.
///
/// Invariants: a set lives as long as a compiled table asks for it, or one of cluster policies; it is put out as long as a table in force looks it
/// up. Between deltas the groups of a set are listed if and only if it is put out, and its count is that of its members.
#[derive(Debug)]
pub(super) struct Sets {
    slots: Slots<SetId, Set>,
    by_key: HashMap<Arc<SetKey>, SetId>,
    /// The definitions of the sets that are put out, and of the others.
    pub(super) listed: Groups,
    pub(super) counted: Groups,
    /// Sets that may have to be put out or taken back with the next delta.
    touched: BTreeSet<SetId>,
    /// Sets with moves or other counts since the last delta.
    moved: BTreeSet<SetId>,
    /// How many are put out.
    out: usize,
    /// What those cost that tables of namespaces ask for, each once.
    total: Cost,
    /// Those that several namespaces ask for.
    shared: BTreeSet<SetId>,
}

#[derive(Debug)]
struct Set {
    key: Arc<SetKey>,
    /// How many tables in force look it up.
    users: usize,
    /// How many compiled tables of each namespace ask for it.
    askers: BTreeMap<BillId, usize>,
    /// How many of the tables in force that look it up are those of cluster policies, which are on no namespace's bill.
    tiers: usize,
    /// Whether it was in the last delta, or in one before.
    is_out: bool,
    listed: bool,
    groups: Vec<GroupId>,
    /// What became of members since the last delta: came in (`true`) or went out.
    moves: BTreeMap<Member, bool>,
    members: u64,
    /// How many classes match its groups, over all groups.
    matches: u64,
    /// What it is billed at.
    cost: Cost,
}

impl Sets {
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::default(),
            by_key: HashMap::new(),
            listed: Groups::listed(),
            counted: Groups::counted(),
            touched: BTreeSet::new(),
            moved: BTreeSet::new(),
            out: 0,
            total: Cost::default(),
            shared: BTreeSet::new(),
        }
    }

    /// How many are put out.
    pub(super) fn len(&self) -> usize {
        self.out
    }

    /// What those cost that tables of namespaces ask for, each once.
    pub(super) fn total(&self) -> Cost {
        self.total
    }

    pub(super) fn cost(&self, set: SetId) -> Cost {
        self.slots[set].cost
    }

    /// The sets that several namespaces ask for, with those.
    pub(super) fn shared(&self) -> impl Iterator<Item = (SetId, impl Iterator<Item = BillId>)> {
        self.shared.iter().map(|id| (*id, self.slots[*id].askers.keys().copied()))
    }

    /// One more compiled table asks for `key`. A set that is new is listed if its matches are no more than `budget`.
    pub(super) fn ask(&mut self, key: &Arc<SetKey>, bill: BillId, bills: &mut Bills, cluster: &mut Cluster) -> SetId {
        let id = match self.by_key.get(key) {
            Some(id) => *id,
            None => self.insert(key, bills.budget(bill), cluster),
        };
        let set = &mut self.slots[id];
        if !set.askers.contains_key(&bill) {
            bills.add(bill, set.cost);
            if set.askers.is_empty() {
                self.total += set.cost;
                bills.add_unshared(bill, set.cost);
            } else if let Some(other) = set.only_asker() {
                bills.subtract_unshared(other, set.cost);
                self.shared.insert(id);
            }
        }
        *set.askers.entry(bill).or_default() += 1;
        id
    }

    /// One compiled table less asks for the set.
    pub(super) fn unask(&mut self, id: SetId, bill: BillId, bills: &mut Bills) {
        let set = &mut self.slots[id];
        let tables = set.askers.get_mut(&bill).expect("who asked for it is an asker");
        *tables -= 1;
        if *tables == 0 {
            set.askers.remove(&bill);
            bills.subtract(bill, set.cost);
            if set.askers.is_empty() {
                self.total -= set.cost;
                bills.subtract_unshared(bill, set.cost);
            } else if let Some(other) = set.only_asker() {
                bills.add_unshared(other, set.cost);
                self.shared.remove(&id);
            }
            self.touched.insert(id);
        }
    }

    /// What `key` costs. Unless a table comes to look it up before the next delta it is forgotten then. A set that is new is
    /// listed if its matches are no more than `budget`.
    pub(super) fn price(&mut self, key: &Arc<SetKey>, budget: u64, cluster: &mut Cluster) -> Cost {
        let id = match self.by_key.get(key) {
            Some(id) => *id,
            None => self.insert(key, budget, cluster),
        };
        self.slots[id].cost
    }

    /// One more table of cluster policies that is in force looks `key` up.
    pub(super) fn acquire_for_tier(&mut self, key: &Arc<SetKey>, cluster: &mut Cluster) -> SetId {
        let id = match self.by_key.get(key) {
            Some(id) => *id,
            None => self.insert(key, u64::MAX, cluster),
        };
        self.slots[id].tiers += 1;
        self.acquire(id);
        id
    }

    /// One such table less looks the set up.
    pub(super) fn release_for_tier(&mut self, id: SetId) {
        self.slots[id].tiers -= 1;
        self.release(id);
    }

    /// The sets of nodes' addresses.
    pub(super) fn of_nodes(&self) -> Vec<(SetId, Arc<SetKey>)> {
        let of_nodes = self.slots.iter().filter(|(_, set)| matches!(*set.key, SetKey::Nodes(_)));
        of_nodes.map(|(id, set)| (id, set.key.clone())).collect()
    }

    /// One more table in force looks the set up.
    pub(super) fn acquire(&mut self, id: SetId) {
        self.slots[id].users += 1;
        self.touched.insert(id);
    }

    /// One table in force less looks it up.
    pub(super) fn release(&mut self, id: SetId) {
        self.slots[id].users -= 1;
        self.touched.insert(id);
    }

    /// Notes that a member came in or went out. Going back to where it was cancels out.
    pub(super) fn note(&mut self, id: SetId, member: Member, came: bool) {
        let set = &mut self.slots[id];
        set.members = if came { set.members + 1 } else { set.members - 1 };
        if set.is_out {
            match set.moves.entry(member) {
                Entry::Occupied(before) => {
                    before.remove();
                }
                Entry::Vacant(place) => {
                    place.insert(came);
                }
            }
        }
        self.moved.insert(id);
    }

    /// One more class matches a group.
    pub(super) fn enter(&mut self, listed: bool, group: GroupId, class: ClassId) {
        let groups = if listed { &mut self.listed } else { &mut self.counted };
        groups.enter(group, class);
        for set in groups.sets(group) {
            self.slots[set].matches += 1;
            self.moved.insert(set);
        }
    }

    /// One class less matches a group.
    pub(super) fn withdraw(&mut self, listed: bool, group: GroupId, class: ClassId) {
        let groups = if listed { &mut self.listed } else { &mut self.counted };
        groups.withdraw(group, class);
        for set in groups.sets(group) {
            self.slots[set].matches -= 1;
            self.moved.insert(set);
        }
    }

    /// Bills the sets whose counts moved at what they cost now.
    pub(super) fn reprice(&mut self, bills: &mut Bills) {
        for id in &self.moved {
            let set = &mut self.slots[*id];
            let cost = Cost::of_set(&set.key, set.members, set.matches);
            let before = std::mem::replace(&mut set.cost, cost);
            if before != cost && !set.askers.is_empty() {
                self.total = self.total - before + cost;
                if let Some(only) = set.only_asker() {
                    bills.subtract_unshared(only, before);
                    bills.add_unshared(only, cost);
                }
                set.askers.keys().for_each(|bill| bills.reprice(*bill, &before, &cost));
            }
        }
    }

    /// What became of the sets since the last time.
    pub(super) fn take(&mut self, cluster: &mut Cluster) -> BTreeMap<Arc<SetKey>, SetDelta> {
        let mut delta = BTreeMap::new();
        for id in std::mem::take(&mut self.touched) {
            let set = &self.slots[id];
            let (was_out, is_out, is_asked) = (set.is_out, set.users > 0, !set.askers.is_empty() || set.tiers > 0);
            if set.listed != is_out && is_asked {
                self.relist(id, is_out, cluster);
            }
            self.slots[id].is_out = is_out;
            match (was_out, is_out) {
                (false, true) => {
                    self.out += 1;
                    delta.extend([self.whole(id, cluster)]);
                }
                (true, false) => {
                    self.out -= 1;
                    self.slots[id].moves.clear();
                    delta.insert(self.slots[id].key.clone(), SetDelta::Gone);
                }
                (true, true) | (false, false) => {}
            }
            if !is_asked {
                self.remove(id);
            }
        }
        self.listed.sweep(cluster);
        self.counted.sweep(cluster);
        self.listed.link(cluster);
        self.counted.link(cluster);
        for id in std::mem::take(&mut self.moved) {
            let (came, went): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.slots[id].moves).into_iter().partition(|(_, came)| *came);
            if !(came.is_empty() && went.is_empty()) {
                let [added, removed] = [came, went].map(|moves| moves.into_iter().map(|(member, _)| member).collect());
                delta.insert(self.slots[id].key.clone(), SetDelta::Changed { added, removed });
            }
        }
        delta
    }

    /// All sets that are put out, as new ones.
    pub(super) fn all(&self, cluster: &Cluster) -> BTreeMap<Arc<SetKey>, SetDelta> {
        let out = self.slots.iter().filter(|(_, set)| set.is_out);
        out.map(|(id, _)| self.whole(id, cluster)).collect()
    }

    fn whole(&self, id: SetId, cluster: &Cluster) -> (Arc<SetKey>, SetDelta) {
        let set = &self.slots[id];
        let members = match &*set.key {
            SetKey::Nodes(selectors) => {
                cluster.addresses_of_nodes(selectors).into_iter().map(Member::Address).collect()
            }
            SetKey::Pods(_) | SetKey::Blocks(_) | SetKey::Endpoints(_) => self.listed.union(&set.groups, cluster),
        };
        (set.key.clone(), SetDelta::New(members))
    }
}

impl Sets {
    fn insert(&mut self, key: &Arc<SetKey>, budget: u64, cluster: &mut Cluster) -> SetId {
        let id = self.slots.insert(Set {
            key: key.clone(),
            users: 0,
            askers: BTreeMap::new(),
            tiers: 0,
            is_out: false,
            listed: true,
            groups: Vec::new(),
            moves: BTreeMap::new(),
            members: 0,
            matches: 0,
            cost: Cost::default(),
        });
        self.by_key.insert(key.clone(), id);
        self.touched.insert(id);
        if !self.list_within(id, budget, cluster) {
            self.relist(id, false, cluster);
        }
        let set = &mut self.slots[id];
        let groups = if set.listed { &self.listed } else { &self.counted };
        set.matches = set.groups.iter().map(|group| groups.matches(*group)).sum();
        set.members = match &**key {
            SetKey::Blocks(blocks) => blocks.iter().map(bounds).sum(),
            SetKey::Nodes(selectors) => cluster.addresses_of_nodes(selectors).len() as u64,
            SetKey::Pods(_) | SetKey::Endpoints(_) => groups.count(&set.groups, cluster),
        };
        set.cost = Cost::of_set(key, set.members, set.matches);
        id
    }

    /// Lists the groups of a set, up to a number of matches. Gives whether there were no more.
    fn list_within(&mut self, id: SetId, budget: u64, cluster: &mut Cluster) -> bool {
        let set = &mut self.slots[id];
        let mut rest = budget;
        for definition in Definition::of(&set.key) {
            let group = self.listed.join(definition, id, None, cluster);
            set.groups.push(group);
            match rest.checked_sub(self.listed.matches(group)) {
                Some(less) => rest = less,
                None => return false,
            }
        }
        true
    }

    /// Makes the set's groups ones that are only counted, of such that are listed, or the other way round.
    fn relist(&mut self, id: SetId, listed: bool, cluster: &Cluster) {
        let set = &mut self.slots[id];
        let (from, to) = match listed {
            true => (&mut self.counted, &mut self.listed),
            false => (&mut self.listed, &mut self.counted),
        };
        let before = std::mem::take(&mut set.groups);
        let known = before.iter().map(|group| Some(from.matches(*group))).chain(std::iter::repeat(None));
        let definitions = Definition::of(&set.key).into_iter().zip(known);
        set.groups = definitions.map(|(definition, matches)| to.join(definition, id, matches, cluster)).collect();
        set.listed = listed;
        for group in before.into_iter().rev() {
            from.leave(group, id);
        }
    }

    fn leave_groups(&mut self, id: SetId) {
        let set = &mut self.slots[id];
        let groups = if set.listed { &mut self.listed } else { &mut self.counted };
        for group in std::mem::take(&mut set.groups).into_iter().rev() {
            groups.leave(group, id);
        }
    }

    fn remove(&mut self, id: SetId) {
        self.leave_groups(id);
        let set = self.slots.remove(id);
        self.by_key.remove(&set.key);
        self.moved.remove(&id);
    }
}

impl Set {
    /// The namespace that asks for it, if it is one alone.
    fn only_asker(&self) -> Option<BillId> {
        let mut askers = self.askers.keys().copied();
        askers.next().filter(|_| askers.next().is_none())
    }
}

/// The bounds of the ranges that a block is cut into, at most.
fn bounds(block: &IpBlock) -> u64 {
    2 * (block.except().len() as u64 + 1)
}

//! The sets that live tables look up.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cluster::Cluster;
use super::definition::Definition;
use super::groups::Groups;
use super::slots::{GroupId, SetId, Slots};
use crate::{Member, SetDelta, SetKey};

/// The live sets. Their members are not kept: they follow from the groups.
#[derive(Debug, Default)]
pub(super) struct Sets {
    slots: Slots<SetId, Set>,
    by_key: HashMap<Arc<SetKey>, SetId>,
    /// Sets that came up since the last delta.
    new: BTreeSet<SetId>,
    /// Sets that lost their last user since the last delta, though they may have got another one.
    idle: BTreeSet<SetId>,
    /// Sets with moves since the last delta.
    moved: BTreeSet<SetId>,
}

#[derive(Debug)]
struct Set {
    key: Arc<SetKey>,
    /// How many tables look it up.
    users: usize,
    groups: Vec<GroupId>,
    /// What became of members since the last delta: came in (`true`) or went out.
    moves: BTreeMap<Member, bool>,
}

impl Sets {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// One more table looks `key` up.
    pub(super) fn acquire(&mut self, key: &Arc<SetKey>, groups: &mut Groups, cluster: &mut Cluster) {
        if let Some(set) = self.by_key.get(key) {
            self.slots[*set].users += 1;
            return;
        }
        let set = Set { key: key.clone(), users: 1, groups: Vec::new(), moves: BTreeMap::new() };
        let set = self.slots.insert(set);
        self.slots[set].groups =
            Definition::of(key).into_iter().map(|definition| groups.join(definition, set, cluster)).collect();
        self.by_key.insert(key.clone(), set);
        self.new.insert(set);
    }

    /// One table less looks `key` up.
    pub(super) fn release(&mut self, key: &SetKey) {
        let Some(id) = self.by_key.get(key) else { return };
        let set = &mut self.slots[*id];
        set.users -= 1;
        if set.users == 0 {
            self.idle.insert(*id);
        }
    }

    /// Notes that a member came in or went out. Going back to where it was cancels out.
    pub(super) fn note(&mut self, set: SetId, member: Member, came: bool) {
        match self.slots[set].moves.entry(member) {
            Entry::Occupied(before) => {
                before.remove();
            }
            Entry::Vacant(place) => {
                place.insert(came);
            }
        }
        self.moved.insert(set);
    }

    /// What became of the sets since the last time.
    pub(super) fn take(&mut self, groups: &mut Groups, cluster: &mut Cluster) -> BTreeMap<Arc<SetKey>, SetDelta> {
        let mut delta = BTreeMap::new();
        for id in std::mem::take(&mut self.idle) {
            if self.slots[id].users > 0 {
                continue;
            }
            let was_new = self.new.remove(&id);
            let key = self.remove(id, groups, cluster);
            if !was_new {
                delta.insert(key, SetDelta::Gone);
            }
        }
        let new = std::mem::take(&mut self.new);
        for id in std::mem::take(&mut self.moved).difference(&new) {
            let (came, went): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.slots[*id].moves).into_iter().partition(|(_, came)| *came);
            if !(came.is_empty() && went.is_empty()) {
                let [added, removed] = [came, went].map(|moves| moves.into_iter().map(|(member, _)| member).collect());
                delta.insert(self.slots[*id].key.clone(), SetDelta::Changed { added, removed });
            }
        }
        delta.extend(new.into_iter().map(|id| self.whole(id, groups, cluster)));
        delta
    }

    /// All sets as new ones.
    pub(super) fn all(&self, groups: &Groups, cluster: &Cluster) -> BTreeMap<Arc<SetKey>, SetDelta> {
        self.slots.iter().map(|(id, _)| self.whole(id, groups, cluster)).collect()
    }

    fn whole(&self, id: SetId, groups: &Groups, cluster: &Cluster) -> (Arc<SetKey>, SetDelta) {
        let set = &self.slots[id];
        (set.key.clone(), SetDelta::New(groups.union(&set.groups, cluster)))
    }

    fn remove(&mut self, id: SetId, groups: &mut Groups, cluster: &mut Cluster) -> Arc<SetKey> {
        let set = self.slots.remove(id);
        self.by_key.remove(&set.key);
        self.moved.remove(&id);
        for group in set.groups {
            groups.leave(group, id, cluster);
        }
        set.key
    }
}

//! Which classes match the definitions that live sets are made of.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::cluster::Cluster;
use super::definition::{Definition, File};
use super::objects::{Class, ClassKey};
use super::postings::Postings;
use super::slots::{ClassId, GroupId, SetId, Slots};
use crate::{Member, Protocol};

/// The definitions that live sets are made of, each once, with the classes that match them.
///
/// Invariant: a class has a group in its list if and only if the group has the class in its own, and that is if and
/// only if the group's definition matches the class.
#[derive(Debug, Default)]
pub(super) struct Groups {
    slots: Slots<GroupId, Group>,
    by_definition: HashMap<Definition, GroupId>,
    /// Groups of one namespace, by its name, then by their podSelector.
    named: HashMap<Arc<str>, Postings<GroupId>>,
    /// Groups of several namespaces whose podSelector asks for a label.
    by_pod: Postings<GroupId>,
    /// The other groups of several namespaces, by their namespaceSelector.
    by_namespace: Postings<GroupId>,
    /// Named ports on pods of any labels.
    by_port: HashMap<(Arc<str>, Protocol), BTreeSet<GroupId>>,
}

#[derive(Debug)]
struct Group {
    definition: Definition,
    /// The sets that it is part of.
    sets: BTreeSet<SetId>,
    classes: BTreeSet<ClassId>,
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Makes `definition` a part of `set`.
    pub(super) fn join(&mut self, definition: Definition, set: SetId, cluster: &mut Cluster) -> GroupId {
        let group = match self.by_definition.get(&definition) {
            Some(group) => *group,
            None => self.insert(definition, cluster),
        };
        self.slots[group].sets.insert(set);
        group
    }

    /// Ends the part of `group` in `set`; a group that is part of none ends with it.
    pub(super) fn leave(&mut self, group: GroupId, set: SetId, cluster: &mut Cluster) {
        let sets = &mut self.slots[group].sets;
        sets.remove(&set);
        if sets.is_empty() {
            self.remove(group, cluster);
        }
    }

    /// The groups that match a class: ascending.
    pub(super) fn matching(&self, cluster: &Cluster, class: &Class) -> Vec<GroupId> {
        let space = &cluster.spaces[class.space];
        let named = self.named.get(&space.name).into_iter().flat_map(|groups| groups.candidates(&class.key.labels));
        let by_pod = self.by_pod.candidates(&class.key.labels);
        let by_namespace = space.labels.iter().flat_map(|labels| self.by_namespace.candidates(labels));
        let by_port = class.key.ports.iter().filter_map(|port| self.by_port.get(&(port.name.clone(), port.protocol)));
        let candidates: BTreeSet<GroupId> =
            named.chain(by_pod).chain(by_namespace).chain(by_port.flatten()).copied().collect();
        candidates.into_iter().filter(|group| self.slots[*group].definition.matches(space, &class.key)).collect()
    }

    pub(super) fn enter(&mut self, group: GroupId, class: ClassId) {
        self.slots[group].classes.insert(class);
    }

    pub(super) fn withdraw(&mut self, group: GroupId, class: ClassId) {
        self.slots[group].classes.remove(&class);
    }

    /// The sets, and the members of them, that an address is as that of a pod of these groups: ascending, each once.
    pub(super) fn memberships(&self, groups: &[GroupId], key: &ClassKey, address: IpAddr) -> Vec<(SetId, Member)> {
        let mut memberships = Vec::new();
        for group in groups {
            let group = &self.slots[*group];
            let members = group.definition.members(key, address);
            memberships.extend(members.flat_map(|member| group.sets.iter().map(move |set| (*set, member))));
        }
        memberships.sort_unstable();
        memberships.dedup();
        memberships
    }

    /// The members of the union of `groups`: ascending, each once.
    pub(super) fn union(&self, groups: &[GroupId], cluster: &Cluster) -> Vec<Member> {
        let mut members = Vec::new();
        for group in groups {
            let Group { definition, classes, .. } = &self.slots[*group];
            for class in classes.iter().map(|class| &cluster.classes[*class]) {
                let addresses = class.pods.iter().flat_map(|pod| cluster.owned(*pod));
                members.extend(addresses.flat_map(|address| definition.members(&class.key, address)));
            }
        }
        members.sort_unstable();
        members.dedup();
        members
    }

    fn insert(&mut self, definition: Definition, cluster: &mut Cluster) -> GroupId {
        let classes = definition.find_classes(cluster);
        let group = self.slots.insert(Group { definition: definition.clone(), sets: BTreeSet::new(), classes });
        for class in &self.slots[group].classes {
            let groups = &mut cluster.classes[*class].groups;
            groups.insert(groups.partition_point(|other| *other < group), group);
        }
        match definition.file() {
            File::Named(name, pods) => self.named.entry(name.clone()).or_default().insert(pods, group),
            File::Pod(selector) => self.by_pod.insert(selector, group),
            File::Namespace(selector) => self.by_namespace.insert(selector, group),
            File::Port(name, protocol) => {
                self.by_port.entry((name.clone(), protocol)).or_default().insert(group);
            }
        }
        self.by_definition.insert(definition, group);
        group
    }

    fn remove(&mut self, group: GroupId, cluster: &mut Cluster) {
        let Group { definition, classes, .. } = self.slots.remove(group);
        for class in classes {
            cluster.classes[class].groups.retain(|other| *other != group);
        }
        match definition.file() {
            File::Named(name, pods) => {
                if let Some(postings) = self.named.get_mut(name) {
                    postings.remove(pods, &group);
                    if postings.is_empty() {
                        self.named.remove(name);
                    }
                }
            }
            File::Pod(selector) => self.by_pod.remove(selector, &group),
            File::Namespace(selector) => self.by_namespace.remove(selector, &group),
            File::Port(name, protocol) => {
                let key = (name.clone(), protocol);
                if self.by_port.get_mut(&key).is_some_and(|groups| groups.remove(&group) && groups.is_empty()) {
                    self.by_port.remove(&key);
                }
            }
        }
        self.by_definition.remove(&definition);
    }
}

//! Which classes match the definitions that sets are made of.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::cluster::Cluster;
use super::definition::{Definition, File};
use super::finder::Finder;
use super::objects::{Class, ClassKey};
use super::postings::Postings;
use super::slots::{ClassId, GroupId, SetId, Slot, Slots};
use crate::{Member, Protocol};

/// The definitions that sets are made of, each once, with the classes that match them.
///
/// Those of live sets are listed: classes and groups know each other. Those of sets that are only counted are not, so that
/// a namespace that is closed because it would cost too much costs little more than its policies: who asks which of them
/// a class matches evaluates selectors.
///
/// Invariant: a class has a listed group in its list if and only if the group has the class in its own, and that is, of
/// groups that were [linked](Groups::link), if and only if the group's definition matches the class. Between deltas each group
/// is part of a set, and linked where groups are listed: most of what it costs to list a group is not spent on sets that turn
/// out to be somebody's who is closed.
#[derive(Debug)]
pub(super) struct Groups {
    listed: bool,
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
    /// Groups that have come to be part of no set, and may be part of one again.
    idle: BTreeSet<GroupId>,
    /// Groups that classes do not know of yet.
    unlinked: BTreeSet<GroupId>,
    finder: Finder,
}

#[derive(Debug)]
struct Group {
    definition: Definition,
    /// The sets that it is part of.
    sets: BTreeSet<SetId>,
    /// The classes that match it; none where groups are not listed, or it is not linked.
    classes: BTreeSet<ClassId>,
    /// The same until it is linked: in no order.
    found: Vec<ClassId>,
    /// How many classes match it.
    matches: u64,
}

impl Groups {
    /// Groups that know their classes, and these them.
    pub(super) fn listed() -> Self {
        Self::new(true)
    }

    /// Groups that know only how many classes they match.
    pub(super) fn counted() -> Self {
        Self::new(false)
    }

    fn new(listed: bool) -> Self {
        Self {
            listed,
            slots: Slots::default(),
            by_definition: HashMap::new(),
            named: HashMap::new(),
            by_pod: Postings::default(),
            by_namespace: Postings::default(),
            by_port: HashMap::new(),
            idle: BTreeSet::new(),
            unlinked: BTreeSet::new(),
            finder: Finder::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// How many classes match a group.
    pub(super) fn matches(&self, group: GroupId) -> u64 {
        self.slots[group].matches
    }

    /// The sets that a group is part of.
    pub(super) fn sets(&self, group: GroupId) -> impl Iterator<Item = SetId> {
        self.slots[group].sets.iter().copied()
    }

    /// Makes `definition` a part of `set`; so many classes match it, if that is known.
    pub(super) fn join(
        &mut self,
        definition: Definition,
        set: SetId,
        matches: Option<u64>,
        cluster: &Cluster,
    ) -> GroupId {
        let group = match self.by_definition.get(&definition) {
            Some(group) => *group,
            None => self.insert(definition, matches, cluster),
        };
        self.slots[group].sets.insert(set);
        group
    }

    /// Ends the part of `group` in `set`; a group that is part of none ends when they are [swept](Groups::sweep).
    pub(super) fn leave(&mut self, group: GroupId, set: SetId) {
        let sets = &mut self.slots[group].sets;
        sets.remove(&set);
        if sets.is_empty() {
            self.idle.insert(group);
        }
    }

    /// Ends all groups that are part of no set: many at once cost each class that they match little more than one.
    pub(super) fn sweep(&mut self, cluster: &mut Cluster) {
        let mut goes = vec![false; if self.idle.is_empty() { 0 } else { self.slots.bound() }];
        let mut classes = BTreeSet::new();
        for group in std::mem::take(&mut self.idle) {
            if self.slots[group].sets.is_empty() {
                goes[group.index()] = true;
                classes.append(&mut self.remove(group));
            }
        }
        for class in classes {
            cluster.classes[class].groups.retain(|group| !goes[group.index()]);
        }
    }

    /// Classes know of all groups from now on, where groups are listed; there may be other classes then.
    pub(super) fn link(&mut self, cluster: &mut Cluster) {
        self.finder.forget();
        for id in std::mem::take(&mut self.unlinked) {
            let group = &mut self.slots[id];
            for class in &group.found {
                let groups = &mut cluster.classes[*class].groups;
                let at = if groups.last() < Some(&id) { groups.len() } else { groups.partition_point(|at| *at < id) };
                groups.insert(at, id);
            }
            group.classes = std::mem::take(&mut group.found).into_iter().collect();
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
        let Group { classes, matches, .. } = &mut self.slots[group];
        *matches += 1;
        if self.listed {
            classes.insert(class);
        }
    }

    pub(super) fn withdraw(&mut self, group: GroupId, class: ClassId) {
        let Group { classes, matches, .. } = &mut self.slots[group];
        *matches -= 1;
        classes.remove(&class);
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
        let are_pods = self.are_pods(groups);
        self.each_distinct_class(groups, cluster, |class| match are_pods {
            true => members.extend(addresses(class, cluster).map(Member::Address)),
            false => members.extend(self.endpoints(groups, class, cluster)),
        });
        members.sort_unstable();
        members
    }

    /// How many members the union of `groups` has. Memory in proportion to the classes alone.
    pub(super) fn count(&self, groups: &[GroupId], cluster: &Cluster) -> u64 {
        let mut count = 0;
        let are_pods = self.are_pods(groups);
        self.each_distinct_class(groups, cluster, |class| match are_pods {
            true => count += u64::from(cluster.classes[class].owned),
            false => count += self.endpoints(groups, class, cluster).len() as u64,
        });
        count
    }

    /// The classes that match some of `groups`: each once. Memory in proportion to all classes, however many groups match.
    fn each_distinct_class(&self, groups: &[GroupId], cluster: &Cluster, mut see: impl FnMut(ClassId)) {
        let matches: u64 = groups.iter().map(|group| self.matches(*group)).sum();
        if groups.len() == 1 {
            self.each_class(groups, cluster, see);
        } else if matches < cluster.classes.bound() as u64 / 8 {
            let mut classes = Vec::new();
            self.each_class(groups, cluster, |class| classes.push(class));
            classes.sort_unstable();
            classes.dedup();
            classes.into_iter().for_each(see);
        } else {
            let mut seen = vec![false; cluster.classes.bound()];
            self.each_class(groups, cluster, |class| {
                if !std::mem::replace(&mut seen[class.index()], true) {
                    see(class);
                }
            });
        }
    }

    fn each_class(&self, groups: &[GroupId], cluster: &Cluster, mut see: impl FnMut(ClassId)) {
        for id in groups {
            let group = &self.slots[*id];
            if !self.listed {
                group.definition.find_classes(cluster).into_iter().for_each(&mut see);
            } else if self.unlinked.contains(id) {
                group.found.iter().copied().for_each(&mut see);
            } else {
                group.classes.iter().copied().for_each(&mut see);
            }
        }
    }

    /// What the addresses of a class are as members of the union of `groups` of endpoints: each once.
    fn endpoints(&self, groups: &[GroupId], id: ClassId, cluster: &Cluster) -> Vec<Member> {
        let class = &cluster.classes[id];
        let matches = |group: &&GroupId| match self.listed && !self.unlinked.contains(*group) {
            true => self.slots[**group].classes.contains(&id),
            false => self.slots[**group].definition.matches(&cluster.spaces[class.space], &class.key),
        };
        let groups: Vec<&Group> = groups.iter().filter(matches).map(|group| &self.slots[*group]).collect();
        let members_at = |address| {
            let mut members: Vec<Member> =
                groups.iter().flat_map(|group| group.definition.members(&class.key, address)).collect();
            members.sort_unstable();
            members.dedup();
            members
        };
        addresses(id, cluster).flat_map(members_at).collect()
    }

    /// Whether the set of these groups is one of pods' addresses: all of its groups are of one kind.
    fn are_pods(&self, groups: &[GroupId]) -> bool {
        groups.first().is_some_and(|group| matches!(self.slots[*group].definition, Definition::Pods(_)))
    }

    fn insert(&mut self, definition: Definition, matches: Option<u64>, cluster: &Cluster) -> GroupId {
        let is_asked = self.listed || matches.is_none();
        let found = if is_asked { self.finder.classes(&definition, cluster) } else { Vec::new() };
        let group = self.slots.insert(Group {
            definition: definition.clone(),
            sets: BTreeSet::new(),
            classes: BTreeSet::new(),
            matches: matches.unwrap_or(found.len() as u64),
            found: if self.listed { found } else { Vec::new() },
        });
        if self.listed {
            self.unlinked.insert(group);
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

    /// Gives the classes that have it in their lists.
    fn remove(&mut self, group: GroupId) -> BTreeSet<ClassId> {
        let Group { definition, classes, .. } = self.slots.remove(group);
        self.unlinked.remove(&group);
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
        classes
    }
}

/// The addresses at which the pods of a class are peers.
fn addresses(class: ClassId, cluster: &Cluster) -> impl Iterator<Item = IpAddr> {
    cluster.classes[class].pods.iter().flat_map(|pod| cluster.peers(*pod))
}

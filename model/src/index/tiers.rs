//! Cluster policies: whom they judge, and the tables of their tiers.
//!
//! Invariants:
//! - Whose subject a class is, is known of each class that a local pod has asked for, until its namespace is relabelled: a
//!   pod that comes under unchanged policies evaluates no selector that its class has answered.
//! - A table lives as long as it judges a pod.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Index;
use super::cluster::Cluster;
use super::objects::ClassKey;
use super::settle::{port_names, resolve};
use super::slots::{ClassId, SetId};
use crate::{
    ClusterPolicy, Direction, NamespaceScope, NamespacedName, PodGroup, Protocol, SetKey, Tier, TierKey, TierMatch,
    TierTable, compile_tier,
};

/// The cluster policies, and the tables of those that judge local pods.
#[derive(Debug, Default)]
pub(super) struct Tiers {
    policies: BTreeMap<Arc<str>, ClusterPolicy>,
    /// By class the policies whose subject its pods are: ascending.
    subjects: HashMap<ClassId, Vec<Arc<str>>>,
    tables: HashMap<Arc<TierKey>, LiveTier>,
    /// Tables that got their first pod since the last delta, or lost their last one.
    dirty: BTreeSet<Arc<TierKey>>,
    /// Policies that changed since the last delta.
    edited: BTreeSet<Arc<str>>,
}

/// A table that judges pods, or did until now.
#[derive(Debug, Default)]
struct LiveTier {
    users: usize,
    /// As it was put out last, with the sets that it looks up.
    in_force: Option<(Arc<TierTable>, Vec<SetId>)>,
}

impl Tiers {
    /// How many policies there are.
    pub(super) fn len(&self) -> usize {
        self.policies.len()
    }

    /// How many tables are in use.
    pub(super) fn tables(&self) -> usize {
        self.tables.len()
    }

    /// All tables, as new ones.
    pub(super) fn all(&self) -> BTreeMap<Arc<TierKey>, Option<Arc<TierTable>>> {
        let table = |live: &LiveTier| live.in_force.as_ref().map(|(table, _)| table.clone());
        self.tables.iter().map(|(key, live)| (key.clone(), table(live))).collect()
    }

    pub(super) fn forget_class(&mut self, class: ClassId) {
        self.subjects.remove(&class);
    }

    /// One more pod is judged by the table.
    pub(super) fn acquire(&mut self, key: &Arc<TierKey>) {
        let live = self.tables.entry(key.clone()).or_default();
        live.users += 1;
        if live.users == 1 {
            self.dirty.insert(key.clone());
        }
    }

    /// One pod less is judged by it.
    pub(super) fn release(&mut self, key: &Arc<TierKey>) {
        let live = self.tables.get_mut(key).expect("a pod holds its tables");
        live.users -= 1;
        if live.users == 0 {
            self.dirty.insert(key.clone());
        }
    }

    fn is_subject(policy: &ClusterPolicy, cluster: &Cluster, class: ClassId) -> bool {
        let class = &cluster.classes[class];
        holds(&policy.subject, cluster, class.space, &class.key)
    }

    fn table(&self, key: &TierKey) -> TierTable {
        let policies = key.policies.iter().filter_map(|name| self.policies.get(name));
        compile_tier(key.direction, policies, &key.named_ports)
    }
}

fn holds(group: &PodGroup, cluster: &Cluster, space: super::slots::SpaceId, class: &ClassKey) -> bool {
    let space = &cluster.spaces[space];
    let in_namespace = match &group.namespaces {
        NamespaceScope::Named(name) => *name == space.name,
        NamespaceScope::Matching(selector) => space.labels.as_ref().is_some_and(|labels| selector.matches(labels)),
    };
    in_namespace && group.pods.matches(&class.labels)
}

impl Index {
    pub(super) fn set_cluster_policy(&mut self, name: &Arc<str>, policy: Option<ClusterPolicy>) {
        let old = self.tiers.policies.get(name);
        if old == policy.as_ref() {
            return;
        }
        if old.map(placement) != policy.as_ref().map(placement) {
            self.place(name, policy.as_ref());
        }
        self.tiers.edited.insert(name.clone());
        match policy {
            Some(policy) => drop(self.tiers.policies.insert(name.clone(), policy)),
            None => drop(self.tiers.policies.remove(name)),
        }
    }

    /// Finds out for which classes a policy is another than before, and has their pods looked at.
    fn place(&mut self, name: &Arc<str>, policy: Option<&ClusterPolicy>) {
        let mut touched = BTreeSet::new();
        for (class, subjects) in &mut self.tiers.subjects {
            let is_subject = policy.is_some_and(|policy| Tiers::is_subject(policy, &self.cluster, *class));
            match (subjects.binary_search(name), is_subject) {
                (Ok(_), true) => {}
                (Ok(at), false) => drop(subjects.remove(at)),
                (Err(at), true) => subjects.insert(at, name.clone()),
                (Err(_), false) => continue,
            }
            touched.insert(*class);
        }
        self.judge_again(&touched);
    }

    /// The labels of the namespace of these classes have changed.
    pub(super) fn place_again(&mut self, classes: &[ClassId]) {
        let mut touched = BTreeSet::new();
        for class in classes {
            let Some(before) = self.tiers.subjects.remove(class) else { continue };
            if before != self.subject_of(*class) {
                touched.insert(*class);
            }
        }
        self.judge_again(&touched);
    }

    /// The local pods of these classes may have to be judged by other tables.
    fn judge_again(&mut self, classes: &BTreeSet<ClassId>) {
        if classes.is_empty() {
            return;
        }
        let is_touched = |id: &&NamespacedName| {
            self.cluster.pod(id).is_some_and(|pod| classes.contains(&self.cluster.pods[pod].class))
        };
        let touched: Vec<NamespacedName> = self.locals.keys().filter(is_touched).cloned().collect();
        self.dirty_pods.extend(touched);
    }

    /// The cluster policies whose subject the pods of a class are: ascending.
    fn subject_of(&mut self, class: ClassId) -> &[Arc<str>] {
        let Tiers { policies, subjects, .. } = &mut self.tiers;
        subjects.entry(class).or_insert_with(|| {
            let selecting = policies.values().filter(|policy| Tiers::is_subject(policy, &self.cluster, class));
            selecting.map(|policy| policy.name.clone()).collect()
        })
    }

    /// The tables of cluster policies that judge pods of a class, which are isolated in these directions: ascending.
    pub(super) fn tiers_of(&mut self, class: ClassId, is_isolated: impl Fn(Direction) -> bool) -> Vec<Arc<TierKey>> {
        let subject_of = self.subject_of(class).to_vec();
        if subject_of.is_empty() {
            return Vec::new();
        }
        let selecting: Vec<&ClusterPolicy> = subject_of.iter().map(|name| &self.tiers.policies[name]).collect();
        let mut keys = Vec::new();
        for (direction, tier) in
            Direction::ALL.into_iter().flat_map(|direction| Tier::ALL.map(|tier| (direction, tier)))
        {
            if tier == Tier::Baseline && is_isolated(direction) {
                continue;
            }
            let has_rules = |policy: &&ClusterPolicy| policy.tier == tier && !policy.rules(direction).is_empty();
            let of_tier: Vec<&ClusterPolicy> = selecting.iter().copied().filter(has_rules).collect();
            if of_tier.is_empty() {
                continue;
            }
            let key = tier_key(direction, tier, &of_tier, &self.cluster.classes[class].key);
            keys.push(self.tiers.tables.get_key_value(&key).map_or_else(|| Arc::new(key), |(live, _)| live.clone()));
        }
        keys.sort();
        keys
    }

    /// The tables that are new, gone, or say something else.
    pub(super) fn settle_tiers(&mut self) -> BTreeMap<Arc<TierKey>, Option<Arc<TierTable>>> {
        let edited = std::mem::take(&mut self.tiers.edited);
        let mut dirty = std::mem::take(&mut self.tiers.dirty);
        if !edited.is_empty() {
            let is_edited = |key: &&Arc<TierKey>| key.policies.iter().any(|policy| edited.contains(policy));
            dirty.extend(self.tiers.tables.keys().filter(is_edited).cloned());
        }
        let mut changed = BTreeMap::new();
        for key in dirty {
            let live = &self.tiers.tables[&key];
            let new = (live.users > 0).then(|| self.tiers.table(&key));
            let before = live.in_force.as_ref().map(|(table, _)| &**table);
            if new.as_ref() == before {
                if new.is_none() {
                    self.tiers.tables.remove(&key);
                }
                continue;
            }
            let new = new.map(|table| {
                let sets: Vec<SetId> =
                    sets_of(&table).into_iter().map(|set| self.sets.acquire_for_tier(set, &mut self.cluster)).collect();
                (Arc::new(table), sets)
            });
            changed.insert(key.clone(), new.as_ref().map(|(table, _)| table.clone()));
            let old = match new {
                Some(new) => self.tiers.tables.get_mut(&key).and_then(|live| live.in_force.replace(new)),
                None => self.tiers.tables.remove(&key).and_then(|live| live.in_force),
            };
            for set in old.into_iter().flat_map(|(_, sets)| sets) {
                self.sets.release_for_tier(set);
            }
        }
        changed
    }
}

/// What of a policy says which pods it judges, and by which tables.
fn placement(policy: &ClusterPolicy) -> (Tier, &PodGroup, [bool; 2], BTreeSet<(&Arc<str>, Protocol)>) {
    let ClusterPolicy { tier, subject, ingress, egress, .. } = policy;
    let names = port_names(ingress.iter().map(|rule| &rule.ports)).collect();
    (*tier, subject, [ingress.is_empty(), egress.is_empty()], names)
}

fn tier_key(direction: Direction, tier: Tier, policies: &[&ClusterPolicy], class: &ClassKey) -> TierKey {
    let rules = policies.iter().flat_map(|policy| policy.rules(direction));
    let named_ports = match direction {
        Direction::Ingress => resolve(port_names(rules.map(|rule| &rule.ports)), class),
        Direction::Egress => Vec::new(),
    };
    TierKey { direction, tier, policies: policies.iter().map(|policy| policy.name.clone()).collect(), named_ports }
}

/// The sets that a table looks up, each once: ascending.
fn sets_of(table: &TierTable) -> BTreeSet<&Arc<SetKey>> {
    let sets = table.clauses().filter_map(|clause| match &clause.peers {
        TierMatch::Set(set) => Some(set),
        TierMatch::Others => None,
    });
    sets.collect()
}

//! Cluster policies: whom they judge, and the tables of their tiers.
//!
//! What they cost a node is counted apart from what namespaces' policies cost, before it is built: what is too much is left
//! out, most expensive first, and what was in force of it stays.
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
use super::settle::{named_ports, port_names};
use super::slots::{ClassId, SetId};
use crate::compile::tier_grants;
use crate::{
    ClusterPolicy, Cost, Direction, Enforcement, NamespacedName, PodGroup, Protocol, SetKey, Tier, TierKey, TierMatch,
    TierTable, compile_tier,
};

/// The cluster policies, and the tables of those that judge local pods.
#[derive(Debug, Default)]
pub(super) struct Tiers {
    /// In force, or to be with the next delta.
    policies: BTreeMap<Arc<str>, ClusterPolicy>,
    /// Versions that were not looked at yet; `None`: gone.
    offered: BTreeMap<Arc<str>, Option<ClusterPolicy>>,
    /// Versions that cost too much, or that the kernel has refused.
    refused: BTreeMap<Arc<str>, ClusterPolicy>,
    /// Which of them the kernel has refused: others' changes are no reason to try them again.
    refused_by_kernel: BTreeSet<Arc<str>>,
    /// What was in force before of those that are not known to be in force yet; `None`: nothing.
    unconfirmed: BTreeMap<Arc<str>, Option<ClusterPolicy>>,
    /// What the tables of local pods and of their audits cost, were none of these isolated.
    cost: Cost,
    /// Tables that were compiled to find out what they cost.
    compiled: HashMap<Arc<TierKey>, Arc<TierTable>>,
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
    /// The last version of each policy; `None`: gone.
    pub(super) fn wanted(&self) -> BTreeMap<Arc<str>, Option<ClusterPolicy>> {
        let known =
            self.policies.iter().chain(&self.refused).map(|(name, policy)| (name.clone(), Some(policy.clone())));
        let offered = self.offered.iter().map(|(name, policy)| (name.clone(), policy.clone()));
        known.chain(offered).collect()
    }

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

    /// The policies whose subject the pods of a class are, and, while nobody has asked, all others as well.
    pub(super) fn about(&self, class: ClassId) -> impl Iterator<Item = &ClusterPolicy> {
        let known = self.subjects.get(&class);
        let is_about = move |name: &Arc<str>| known.is_none_or(|names| names.binary_search(name).is_ok());
        self.policies.iter().filter(move |(name, _)| is_about(name)).map(|(_, policy)| policy)
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
        policy.subject.matches(&cluster.spaces[class.space], &class.key)
    }

    /// Whether a table is of any policy that only watches.
    pub(super) fn is_audited(&self, key: &TierKey) -> bool {
        self.policies_of(key).any(ClusterPolicy::is_audited)
    }

    fn policies_of(&self, key: &TierKey) -> impl Iterator<Item = &ClusterPolicy> {
        key.policies.iter().filter_map(|name| self.policies.get(name))
    }

    fn table(&self, key: &TierKey) -> TierTable {
        compile_tier(key.direction, self.policies_of(key), &key.named_ports)
    }
}

/// What a table costs, its sets aside.
fn cost(table: &TierTable) -> Cost {
    let lists = table.lists();
    Cost::of_table(table.segments.values().map(Vec::len), lists.iter().map(|list| list.len()), table.otherwise.len())
}

/// What a policy costs by itself, roughly: what compiling it takes.
fn weight(policy: &ClusterPolicy) -> u64 {
    let grants = |direction| tier_grants(direction, [policy], &[]);
    Direction::ALL.into_iter().map(grants).fold(0, u64::saturating_add)
}

impl Index {
    pub(super) fn set_cluster_policy(&mut self, name: &Arc<str>, policy: Option<ClusterPolicy>) {
        self.tiers.offered.insert(name.clone(), policy);
    }

    /// The cluster policies of which a version is not enforced because it would cost too much, or because the kernel
    /// [refused](Index::refuse_cluster_policy) it: ascending. What was in force of them before still is.
    pub fn refused_cluster_policies(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tiers.refused.keys()
    }

    /// Goes back to the version that was in force before, because the kernel refuses what this one needs, until another one
    /// comes or it is [tried again](Index::readmit). What was in force all along and has become too much, by pods that
    /// came, is in force no longer. Says which of these policies it is: one that is not
    /// in force yet, an audited one, the most expensive, in this order.
    pub fn refuse_cluster_policy<'a>(&mut self, of: impl IntoIterator<Item = &'a Arc<str>>) -> Option<Arc<str>> {
        let candidates = of.into_iter().filter_map(|name| self.tiers.policies.get(name));
        let blame = |policy: &&ClusterPolicy| {
            (self.tiers.unconfirmed.contains_key(&policy.name), policy.enforcement, weight(policy))
        };
        let policy = candidates.max_by_key(blame)?.clone();
        let name = policy.name.clone();
        let before = self.tiers.unconfirmed.remove(&name).flatten();
        self.put_cluster_policy(&name, before);
        self.tiers.unconfirmed.remove(&name);
        self.tiers.refused.insert(name.clone(), policy);
        self.tiers.refused_by_kernel.insert(name.clone());
        Some(name)
    }

    /// Cluster policies that the kernel refused are looked at again.
    pub(super) fn readmit_cluster_policies(&mut self) {
        for name in std::mem::take(&mut self.tiers.refused_by_kernel) {
            let Some(policy) = self.tiers.refused.remove(&name) else { continue };
            self.tiers.offered.entry(name).or_insert(Some(policy));
        }
    }

    /// What the deltas so far say of cluster policies is in force.
    pub fn confirm_cluster_policies(&mut self) {
        self.tiers.unconfirmed.clear();
    }

    /// The cluster policies of one tier and one priority that have a local pod as their subject in common: of which comes
    /// first the names decide. Each group ascending.
    pub fn tied_cluster_policies(&self) -> BTreeSet<Vec<Arc<str>>> {
        let classes: BTreeSet<ClassId> = self.local_classes().collect();
        let mut tied = BTreeSet::new();
        for subject_of in classes.into_iter().filter_map(|class| self.tiers.subjects.get(&class)) {
            let mut by_priority = BTreeMap::<(Tier, u16), Vec<Arc<str>>>::new();
            for policy in subject_of.iter().filter_map(|name| self.tiers.policies.get(name)) {
                by_priority.entry((policy.tier, policy.priority)).or_default().push(policy.name.clone());
            }
            tied.extend(by_priority.into_values().filter(|policies| policies.len() > 1));
        }
        tied
    }

    /// What the cluster policies in force cost this node.
    pub fn cluster_cost(&self) -> Cost {
        self.tiers.cost
    }

    /// All are taken in with the next delta as if none had been there before, these in their last version.
    pub(super) fn offer_cluster_policies_anew(&mut self, versions: BTreeMap<Arc<str>, ClusterPolicy>) {
        let mut wanted = self.tiers.wanted();
        wanted.extend(versions.into_iter().map(|(name, policy)| (name, Some(policy))));
        let known: Vec<Arc<str>> = self.tiers.policies.keys().cloned().collect();
        known.iter().for_each(|name| self.put_cluster_policy(name, None));
        self.tiers.refused.clear();
        self.tiers.refused_by_kernel.clear();
        self.tiers.unconfirmed.clear();
        self.tiers.offered = wanted;
    }

    /// Takes in what was offered, as far as it fits: what costs too much is looked at again whenever any policy changes.
    pub(super) fn admit_cluster_policies(&mut self) {
        let mut offered = std::mem::take(&mut self.tiers.offered);
        if offered.is_empty() {
            return;
        }
        self.tiers.refused_by_kernel.retain(|name| !offered.contains_key(name));
        for (name, policy) in std::mem::take(&mut self.tiers.refused) {
            if self.tiers.refused_by_kernel.contains(&name) {
                self.tiers.refused.insert(name, policy);
            } else {
                offered.entry(name).or_insert(Some(policy));
            }
        }
        offered.retain(|name, policy| self.tiers.policies.get(name) != policy.as_ref());
        let before: BTreeMap<_, _> =
            offered.keys().map(|name| (name.clone(), self.tiers.policies.get(name).cloned())).collect();
        offered.iter().for_each(|(name, policy)| self.put_cluster_policy(name, policy.clone()));
        if self.cluster_policies_fit() {
            return;
        }
        let mut wanted: Vec<(u64, Arc<str>, ClusterPolicy)> =
            offered.into_iter().filter_map(|(name, policy)| Some((weight(policy.as_ref()?), name, policy?))).collect();
        wanted.sort_by(|(a, one, of), (b, other, than)| {
            of.enforcement.cmp(&than.enforcement).then(a.cmp(b)).then_with(|| one.cmp(other))
        });
        let (mut fitting, mut beyond) = (0, wanted.len());
        while fitting < beyond {
            let tried = fitting + (beyond - fitting).div_ceil(2);
            for (at, (_, name, policy)) in wanted.iter().enumerate() {
                let version = if at < tried { Some(policy.clone()) } else { before[name].clone() };
                self.put_cluster_policy(name, version);
            }
            if self.cluster_policies_fit() {
                fitting = tried;
            } else {
                beyond = tried - 1;
            }
        }
        for (_, name, _) in &wanted[fitting..] {
            self.put_cluster_policy(name, before[name].clone());
        }
        self.cluster_policies_fit();
        self.tiers.refused.extend(wanted.drain(fitting..).map(|(_, name, policy)| (name, policy)));
    }

    /// Compiles the tables that local pods come under, and counts what they cost. Gives whether that is within the share; what
    /// is not is not counted to its end.
    fn cluster_policies_fit(&mut self) -> bool {
        let share = self.bills.shares.cluster;
        let classes: BTreeSet<ClassId> = self.local_classes().collect();
        let mut keys = BTreeSet::<Arc<TierKey>>::new();
        for class in classes {
            keys.extend(self.tiers_of(class, Enforcement::Enforced, |_| false));
            if self.tiers_are_audited(class) {
                keys.extend(self.tiers_of(class, Enforcement::Audited, |_| false));
            }
        }
        let of_key = |key: &Arc<TierKey>| tier_grants(key.direction, self.tiers.policies_of(key), &key.named_ports);
        let mut cost = Cost::of_grants(keys.iter().map(of_key).fold(0, u64::saturating_add));
        self.tiers.compiled.retain(|key, _| keys.contains(key));
        let mut counted = BTreeSet::new();
        for key in keys {
            if !cost.fits(&share) {
                return false;
            }
            let table = match self.tiers.compiled.get(&key) {
                Some(table) => table.clone(),
                None => Arc::new(self.tiers.table(&key)),
            };
            self.tiers.compiled.insert(key, table.clone());
            cost += self::cost(&table);
            for set in sets_of(&table) {
                if counted.insert(set.clone()) && cost.fits(&share) {
                    cost += self.sets.price(set, cost.rest_of(share).matches(), &mut self.cluster);
                }
            }
        }
        self.tiers.cost = cost;
        cost.fits(&share)
    }

    fn local_classes(&self) -> impl Iterator<Item = ClassId> {
        let pods = self.locals.keys().filter_map(|id| self.cluster.pod(id));
        pods.map(|pod| self.cluster.pods[pod].class)
    }

    fn put_cluster_policy(&mut self, name: &Arc<str>, policy: Option<ClusterPolicy>) {
        let old = self.tiers.policies.get(name);
        if old == policy.as_ref() {
            return;
        }
        self.tiers.unconfirmed.entry(name.clone()).or_insert_with(|| old.cloned());
        self.tiers.compiled.retain(|key, _| !key.policies.contains(name));
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

    /// Whether pods of a class come under cluster policies that only watch.
    pub(super) fn tiers_are_audited(&mut self, class: ClassId) -> bool {
        let subject_of = self.subject_of(class).to_vec();
        subject_of.iter().any(|name| self.tiers.policies[name].is_audited())
    }

    /// The tables of cluster policies that judge pods of a class, which are isolated in these directions: ascending.
    /// Those of policies up to audited ones, or without these.
    pub(super) fn tiers_of(
        &mut self,
        class: ClassId,
        up_to: Enforcement,
        is_isolated: impl Fn(Direction) -> bool,
    ) -> Vec<Arc<TierKey>> {
        let subject_of = self.subject_of(class).to_vec();
        if subject_of.is_empty() {
            return Vec::new();
        }
        let selecting = subject_of.iter().map(|name| &self.tiers.policies[name]);
        let selecting: Vec<&ClusterPolicy> = selecting.filter(|policy| policy.enforcement <= up_to).collect();
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
            let compiled =
                || self.tiers.compiled.get(&key).cloned().unwrap_or_else(|| Arc::new(self.tiers.table(&key)));
            let new = (live.users > 0).then(compiled);
            let before = live.in_force.as_ref().map(|(table, _)| table);
            if new.as_ref() == before {
                if new.is_none() {
                    self.tiers.tables.remove(&key);
                }
                continue;
            }
            let new = new.map(|table| {
                let sets: Vec<SetId> =
                    sets_of(&table).into_iter().map(|set| self.sets.acquire_for_tier(set, &mut self.cluster)).collect();
                (table, sets)
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
#[derive(PartialEq, Eq)]
struct Placement<'a> {
    enforcement: Enforcement,
    tier: Tier,
    subject: &'a PodGroup,
    /// Whether it has rules for ingress, and for egress.
    has_rules: [bool; 2],
    /// The port names in its ingress rules.
    names: BTreeSet<(&'a Arc<str>, Protocol)>,
}

fn placement(policy: &ClusterPolicy) -> Placement<'_> {
    let ClusterPolicy { enforcement, tier, subject, ingress, egress, .. } = policy;
    let names = port_names(ingress.iter().map(|rule| &rule.ports)).collect();
    Placement {
        enforcement: *enforcement,
        tier: *tier,
        subject,
        has_rules: [!ingress.is_empty(), !egress.is_empty()],
        names,
    }
}

fn tier_key(direction: Direction, tier: Tier, policies: &[&ClusterPolicy], class: &ClassKey) -> TierKey {
    let ports = policies.iter().flat_map(|policy| policy.rules(direction)).map(|rule| &rule.ports);
    let named_ports = named_ports(direction, ports, class);
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

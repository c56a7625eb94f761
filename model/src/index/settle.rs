//! Taking a delta: which pods are judged by which tables, which tables look up which sets, and what of it is new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Index;
use super::objects::ClassKey;
use super::slots::ClassId;
use super::tables::LiveTable;
use crate::{
    Audit, Delta, Direction, Enforcement, LocalPod, NamespacedName, PodEnforcement, Policy, PortMatch, PortResolution,
    Ports, Protocol, Table, TableKey, TierKey,
};

impl Index {
    /// Settles what concerns all, and the policies of those namespaces whose turn it is.
    pub(super) fn settle(&mut self, is_turn: impl Fn(&str) -> bool) -> Delta {
        let locals = self.settle_locals();
        let disowned = std::mem::take(&mut self.disowned);
        let owned = std::mem::take(&mut self.owned);
        self.admit_cluster_policies();
        let pods = self.settle_pods(&is_turn);
        let dirty = self.dirty_tables(&is_turn);
        let dirty = self.price(dirty, &is_turn);
        let compiled = dirty.iter().map(|key| key.namespace().clone()).collect();
        let tables = self.settle_tables(dirty);
        let tiers = self.settle_tiers();
        Delta { locals, disowned, owned, pods, tables, tiers, sets: self.sets.take(&mut self.cluster), compiled }
    }

    fn settle_locals(&mut self) -> BTreeMap<NamespacedName, Option<LocalPod>> {
        let mut changed = BTreeMap::new();
        for id in &self.dirty_pods {
            let local = self.local_pod(id);
            if self.locals.get(id) == local.as_ref() {
                continue;
            }
            match &local {
                Some(local) => self.locals.insert(id.clone(), local.clone()),
                None => self.locals.remove(id),
            };
            changed.insert(id.clone(), local);
        }
        changed
    }

    /// `None` where it is not local, or owns no address.
    fn local_pod(&self, id: &NamespacedName) -> Option<LocalPod> {
        let pod = self.cluster.pod(id)?;
        let claim = &self.cluster.pods[pod].claim;
        let addresses: Vec<_> = self.cluster.owned(pod).collect();
        (claim.local && !addresses.is_empty()).then_some(LocalPod { addresses, created: claim.age.created })
    }

    fn settle_pods(&mut self, is_turn: impl Fn(&str) -> bool) -> BTreeMap<NamespacedName, Option<PodEnforcement>> {
        let mut changed = BTreeMap::new();
        for id in std::mem::take(&mut self.dirty_pods) {
            let mut pod = self.enforcement(&id);
            if !is_turn(&id.namespace) && !self.is_in_force(pod.as_ref()) {
                pod = self.enforcement_so_far(&id);
                self.dirty_pods.insert(id.clone());
            }
            if self.pods.get(&id) == pod.as_ref() {
                continue;
            }
            pod.iter().for_each(|pod| self.hold(pod));
            let old = match &pod {
                Some(pod) => self.pods.insert(id.clone(), pod.clone()),
                None => self.pods.remove(&id),
            };
            old.iter().for_each(|pod| self.let_go(pod));
            changed.insert(id, pod);
        }
        changed
    }

    /// The pod holds its tables from now on.
    fn hold(&mut self, pod: &PodEnforcement) {
        tables_of(pod).for_each(|key| self.count(key, |live| live.users += 1));
        audited_tables_of(pod).for_each(|key| self.count(key, |live| live.audits += 1));
        tiers_of(pod).for_each(|key| self.tiers.acquire(key));
    }

    fn let_go(&mut self, pod: &PodEnforcement) {
        tables_of(pod).for_each(|key| self.count(key, |live| live.users -= 1));
        audited_tables_of(pod).for_each(|key| self.count(key, |live| live.audits -= 1));
        tiers_of(pod).for_each(|key| self.tiers.release(key));
    }

    fn count(&mut self, key: &Arc<TableKey>, change: impl Fn(&mut LiveTable)) {
        let live = self.tables.entry(key.clone()).or_default();
        let before = live.purpose();
        change(live);
        if live.purpose() != before {
            self.dirty_tables.insert(key.clone());
        }
    }

    /// Whether all tables that are to judge a pod are in force. One that only audits needed, which may let everything
    /// through, judges nobody before it is priced anew.
    fn is_in_force(&self, pod: Option<&PodEnforcement>) -> bool {
        let in_force = |key| self.tables.get(key).filter(|live| live.in_force.is_some());
        let judges =
            |key| in_force(key).and_then(|live| live.bill).is_some_and(|bill| self.bills.bill(bill).is_enforced());
        pod.is_none_or(|pod| tables_of(pod).all(judges) && audited_tables_of(pod).all(|key| in_force(key).is_some()))
    }

    /// How a pod is judged until its namespace's turn: as before, at those of its addresses that are still its own.
    fn enforcement_so_far(&self, id: &NamespacedName) -> Option<PodEnforcement> {
        let before = self.pods.get(id)?;
        let owned: Vec<_> = self.cluster.pod(id).into_iter().flat_map(|pod| self.cluster.owned(pod)).collect();
        let addresses: Vec<_> = before.addresses.iter().copied().filter(|address| owned.contains(address)).collect();
        (!addresses.is_empty()).then(|| PodEnforcement { addresses, ..before.clone() })
    }

    /// The tables that may have changed, of namespaces whose turn it is, and all that pods ceased to need.
    fn dirty_tables(&mut self, is_turn: impl Fn(&str) -> bool) -> BTreeSet<Arc<TableKey>> {
        let policies = std::mem::take(&mut self.dirty_policies).into_iter();
        let (edited, later): (BTreeSet<_>, _) = policies.partition(|policy| is_turn(&policy.namespace));
        self.dirty_policies = later;
        let is_ready = |key: &Arc<TableKey>| is_turn(key.namespace()) || self.tables[key].purpose().is_none();
        let (mut dirty, later): (BTreeSet<_>, _) =
            std::mem::take(&mut self.dirty_tables).into_iter().partition(is_ready);
        self.dirty_tables = later;
        if !edited.is_empty() {
            for (key, live) in &mut self.tables {
                if key.policies.iter().any(|policy| edited.contains(policy)) {
                    live.is_edited = true;
                    dirty.insert(key.clone());
                }
            }
        }
        dirty
    }

    /// Whether there is no [unsettled](Index::unsettled) namespace.
    pub fn is_settled(&self) -> bool {
        self.dirty_pods.is_empty() && self.dirty_policies.is_empty() && self.dirty_tables.is_empty()
    }

    /// The namespaces with policies of which no delta has shown yet what becomes of them.
    pub fn unsettled(&self) -> BTreeSet<Arc<str>> {
        let pods = self.dirty_pods.iter().map(|pod| &pod.namespace);
        let policies = self.dirty_policies.iter().map(|policy| &policy.namespace);
        let tables = self.dirty_tables.iter().map(|key| key.namespace());
        pods.chain(policies).chain(tables).chain(self.bills.held_back()).cloned().collect()
    }

    fn settle_tables(&mut self, dirty: BTreeSet<Arc<TableKey>>) -> BTreeMap<Arc<TableKey>, Option<Arc<Table>>> {
        let mut changed = BTreeMap::new();
        for key in dirty {
            let new = self.table_in_force(&key);
            let before = self.tables[&key].in_force.as_ref();
            let [is, was] = [new.as_ref(), before].map(|in_force| in_force.map(|in_force| &in_force.table));
            if is == was {
                if is.is_none() {
                    self.tables.remove(&key);
                }
                continue;
            }
            let table = is.cloned();
            for set in new.iter().flat_map(|new| &new.sets) {
                self.sets.acquire(*set);
            }
            let old = match new {
                Some(new) => self.tables.get_mut(&key).and_then(|live| live.in_force.replace(new)),
                None => self.tables.remove(&key).and_then(|live| live.in_force),
            };
            for set in old.iter().flat_map(|old| &old.sets) {
                self.sets.release(*set);
            }
            changed.insert(key, table);
        }
        changed
    }

    /// How the pod is to be judged; `None` where it is not: it is not local, owns no address, or no policy selects it.
    fn enforcement(&mut self, id: &NamespacedName) -> Option<PodEnforcement> {
        let pod = self.cluster.pod(id).filter(|pod| self.cluster.pods[*pod].claim.local)?;
        let addresses: Vec<_> = self.cluster.owned(pod).collect();
        if addresses.is_empty() {
            return None;
        }
        let class = self.cluster.pods[pod].class;
        let Judges { tables, tiers } = self.judges(class, Enforcement::Enforced);
        let audit = self.audit(class, &tables);
        let judged = tables.iter().any(Option::is_some) || !tiers.is_empty() || !audit.is_empty();
        let [egress, ingress] = tables;
        judged.then_some(PodEnforcement { addresses, egress, ingress, tiers, audit })
    }

    /// What audited policies would make of pods of a class that these tables judge, where that may be another thing.
    ///
    /// NetworkPolicies only allow: more of them drop nothing that passes where one isolates already.
    fn audit(&mut self, class: ClassId, enforced: &[Option<Arc<TableKey>>; 2]) -> BTreeMap<Direction, Audit> {
        if !self.selecting(class).iter().any(|policy| policy.is_audited()) && !self.tiers_are_audited(class) {
            return BTreeMap::new();
        }
        let Judges { tables, tiers } = self.judges(class, Enforcement::Audited);
        let audits =
            Direction::ALL.into_iter().zip(tables).zip(enforced).filter_map(|((direction, table), enforced)| {
                let tiers: Vec<_> = tiers.iter().filter(|key| key.direction == direction).cloned().collect();
                let isolates = table.is_some() && enforced.is_none();
                let differs = isolates || tiers.iter().any(|key| self.tiers.is_audited(key));
                differs.then_some((direction, Audit { table, tiers }))
            });
        audits.collect()
    }

    /// The tables of the policies that pods of a class come under, up to audited ones or without those.
    fn judges(&mut self, class_id: ClassId, up_to: Enforcement) -> Judges {
        let class = &self.cluster.classes[class_id];
        let selecting = self.selecting(class_id);
        let tables = Direction::ALL.map(|direction| {
            let isolates = |policy: &&Policy| policy.enforcement <= up_to && policy.rules(direction).is_some();
            let isolating: Vec<&Policy> = selecting.iter().copied().filter(isolates).collect();
            let key = (!isolating.is_empty()).then(|| table_key(direction, &isolating, &class.key))?;
            Some(self.tables.get_key_value(&key).map_or_else(|| Arc::new(key), |(live, _)| live.clone()))
        });
        let tiers = self.tiers_of(class_id, up_to, |direction| tables[direction as usize].is_some());
        Judges { tables, tiers }
    }

    /// The policies that select pods of a class: ascending.
    fn selecting(&self, class: ClassId) -> Vec<&Policy> {
        let class = &self.cluster.classes[class];
        self.cluster.spaces[class.space].selecting(&class.key.labels)
    }
}

/// What judges pods of a class.
struct Judges {
    /// By direction the table of NetworkPolicies.
    tables: [Option<Arc<TableKey>>; 2],
    /// Those of cluster policies: ascending.
    tiers: Vec<Arc<TierKey>>,
}

/// The key of the table that judges pods of a class, isolated by `policies`: ascending and not empty.
fn table_key(direction: Direction, policies: &[&Policy], class: &ClassKey) -> TableKey {
    let rules = policies.iter().flat_map(|policy| policy.rules(direction).unwrap_or_default());
    TableKey {
        direction,
        policies: policies.iter().map(|policy| policy.id.clone()).collect(),
        named_ports: named_ports(direction, rules.map(|rule| &rule.ports), class),
    }
}

/// What the port names in these ports of rules mean on the pods of a class, where that is part of a table's key: ascending,
/// names that they do not declare left out.
pub(super) fn named_ports<'a>(
    direction: Direction,
    ports: impl Iterator<Item = &'a Ports>,
    class: &ClassKey,
) -> Vec<PortResolution> {
    let names: BTreeSet<_> = match direction {
        Direction::Ingress => port_names(ports).collect(),
        Direction::Egress => BTreeSet::new(),
    };
    let resolutions = names.into_iter().map(|(name, protocol)| {
        let ports: BTreeSet<u16> = class.numbers(name, protocol).collect();
        PortResolution { name: name.clone(), protocol, ports: ports.into_iter().collect() }
    });
    resolutions.filter(|resolution| !resolution.ports.is_empty()).collect()
}

/// The port names in the ports of rules.
pub(super) fn port_names<'a>(ports: impl Iterator<Item = &'a Ports>) -> impl Iterator<Item = (&'a Arc<str>, Protocol)> {
    let entries = ports.flat_map(|ports| match ports {
        Ports::All => &[][..],
        Ports::AnyOf(entries) => entries,
    });
    entries.filter_map(|entry| match entry {
        PortMatch::Named { protocol, name } => Some((name, *protocol)),
        PortMatch::Numbers { .. } => None,
    })
}

fn tables_of(pod: &PodEnforcement) -> impl Iterator<Item = &Arc<TableKey>> {
    Direction::ALL.into_iter().filter_map(|direction| pod.table(direction))
}

fn audited_tables_of(pod: &PodEnforcement) -> impl Iterator<Item = &Arc<TableKey>> {
    pod.audit.values().filter_map(|audit| audit.table.as_ref())
}

fn tiers_of(pod: &PodEnforcement) -> impl Iterator<Item = &Arc<TierKey>> {
    pod.tiers.iter().chain(pod.audit.values().flat_map(|audit| &audit.tiers))
}

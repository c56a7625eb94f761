//! Who is closed, and what everything costs, as of the last delta.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Index;
use super::bills::Bill;
use super::closing;
use super::objects::Space;
use super::slots::BillId;
use crate::compile::grants;
use crate::{Closed, Cost, Direction, Enforcement, Limit, NamespacedName, Shares};

impl Index {
    /// The node whose pods are local.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// What namespaces may cost.
    pub fn shares(&self) -> &Shares {
        &self.bills.shares
    }

    /// What the policies of a namespace cost this node, audited ones as far as they are not left out; nothing where
    /// they select no pod here. Of a namespace over its share so much was counted as is over it.
    pub fn cost(&self, namespace: &str) -> Cost {
        let enforced = self.bills.find(namespace, Enforcement::Enforced);
        let audit = self.bills.find(namespace, Enforcement::Audited).filter(|bill| !self.bills.is_closed(bill));
        enforced.into_iter().chain(audit).map(|bill| bill.cost).sum()
    }

    /// The namespaces with pods here whose policies need more than so many grants to be compiled, with how many: whether they
    /// select any of these pods, and what ports with names are, is not looked at. In no order.
    pub fn grants_above(&self, limit: u64) -> impl Iterator<Item = (Arc<str>, u64)> {
        let grants = |space: &Space| {
            let of = |direction| grants(direction, space.policies.values().map(|policy| &**policy), &[]);
            Direction::ALL.into_iter().map(of).fold(0, u64::saturating_add)
        };
        let spaces = self.cluster.spaces.iter().filter(|(_, space)| !space.local.is_empty());
        let with_grants = spaces.map(move |(_, space)| (space.name.clone(), grants(space)));
        with_grants.filter(move |(_, grants)| *grants > limit)
    }

    /// Until they are [let out](Index::let_out), the policies of these namespaces let nothing through, although they are not
    /// closed: what they cost is found out when they are [counted](Index::count_next), and what they say is put out when it is known
    /// of all. So nothing is put out that is taken back because of what others cost.
    pub fn hold_back(&mut self, namespaces: impl IntoIterator<Item = Arc<str>>) {
        namespaces.into_iter().for_each(|namespace| self.bills.hold_back(namespace));
    }

    /// What the next of those costs that are [held back](Index::hold_back) is found out with the next delta in which it is its
    /// turn. Gives it; `None`: all are counted.
    pub fn count_next(&mut self) -> Option<Arc<str>> {
        let (namespace, tables) = self.bills.count_next()?;
        self.dirty_tables.extend(tables);
        Some(namespace)
    }

    /// Who is [held back](Index::hold_back): ascending.
    pub fn held_back(&self) -> &BTreeSet<Arc<str>> {
        self.bills.held_back()
    }

    /// Nobody is [held back](Index::hold_back) from the next delta on in which it is their turn. Gives who was.
    pub fn let_out(&mut self) -> BTreeSet<Arc<str>> {
        let (namespaces, tables) = self.bills.let_out();
        self.dirty_tables.extend(tables);
        namespaces
    }

    /// The namespaces whose policies select pods here, with what they cost: in no order.
    pub fn costs(&self) -> impl Iterator<Item = (&Arc<str>, Cost)> {
        let first = |(_, bill): &(BillId, &Bill)| bill.is_enforced() || bill.other.is_none();
        self.bills.iter().filter(first).map(|(_, bill)| (&bill.namespace, self.cost(&bill.namespace)))
    }

    /// What the policies of all namespaces that are not closed cost this node, each set once; audits that are left out
    /// aside.
    pub fn total_cost(&self) -> Cost {
        closing::total(&self.bills, &self.sets)
    }

    /// The closed namespaces: ascending.
    pub fn closed(&self) -> impl Iterator<Item = (&Arc<str>, Closed)> {
        self.closings(Enforcement::Enforced)
    }

    /// The namespaces whose audits are left out, so that nothing is said to be dropped by audited policies of theirs:
    /// ascending. Because of what these cost beside what is enforced, or because the namespace is closed.
    pub fn audits_left_out(&self) -> impl Iterator<Item = (&Arc<str>, Closed)> {
        self.closings(Enforcement::Audited)
    }

    fn closings(&self, of: Enforcement) -> impl Iterator<Item = (&Arc<str>, Closed)> {
        self.bills.closed(of).iter().map(move |(namespace, limit)| (namespace, self.closing(namespace, of, *limit)))
    }

    /// Closes a namespace because the kernel refuses what its policies need, until one of them changes or it is
    /// [tried again](Index::readmit). Where audited policies of it are in force, at first only those are left out.
    pub fn refuse(&mut self, namespace: &Arc<str>) {
        self.bills.refuse(namespace);
    }

    /// The namespaces that were [refused](Index::refuse) are tried again, and
    /// [cluster policies](Index::refuse_cluster_policy).
    pub fn readmit(&mut self) {
        self.bills.readmit_all();
        self.readmit_cluster_policies();
    }

    /// The namespaces that were closed since this was last asked, or for another reason; `None`: opened again.
    pub fn take_closings(&mut self) -> BTreeMap<Arc<str>, Option<Closed>> {
        let now = self.bills.closed(Enforcement::Enforced).clone();
        let before = std::mem::replace(&mut self.told_closed, now);
        let new = self.told_closed.iter().filter(|(namespace, limit)| before.get(*namespace) != Some(limit));
        let opened = before.keys().filter(|namespace| !self.told_closed.contains_key(*namespace));
        let closing = |namespace: &Arc<str>, limit: &Limit| self.closing(namespace, Enforcement::Enforced, *limit);
        let new = new.map(|(namespace, limit)| (namespace.clone(), Some(closing(namespace, limit))));
        new.chain(opened.map(|namespace| (namespace.clone(), None))).collect()
    }

    /// The policies of a namespace that are most of its cost, audits aside, the most expensive first: each with its
    /// grants in all tables that it is part of, which is what sets and segments grow with.
    pub fn most_expensive(&self, namespace: &str, count: usize) -> Vec<(NamespacedName, u64)> {
        let Some(bill) = self.bills.find(namespace, Enforcement::Enforced) else { return Vec::new() };
        let mut policies: Vec<_> = self.grants_by_policy(bill).into_iter().collect();
        policies.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        policies.truncate(count);
        policies
    }

    fn grants_by_policy(&self, bill: &Bill) -> BTreeMap<NamespacedName, u64> {
        let mut of = BTreeMap::<NamespacedName, u64>::new();
        for table in &bill.tables {
            for policy in self.policies_of(table) {
                let grants = grants(table.direction, [policy], &table.named_ports);
                let sum = of.entry(policy.id.clone()).or_default();
                *sum = sum.saturating_add(grants);
            }
        }
        of
    }

    fn closing(&self, namespace: &str, of: Enforcement, limit: Limit) -> Closed {
        let cost = self.bills.find(namespace, of).map(|bill| self.bills.charge(bill)).unwrap_or_default();
        Closed { cost, limit }
    }
}

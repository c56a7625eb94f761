//! What the policies of each namespace cost this node, and which namespaces are closed for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::closing;
use super::sets::Sets;
use super::slots::{BillId, Slots};
use crate::{Cost, Limit, Shares, TableKey};

/// The namespaces that have tables, with what these cost.
///
/// Invariant: which namespaces are closed follows from the costs of all, never from what was closed before.
#[derive(Debug)]
pub(super) struct Bills {
    pub(super) shares: Shares,
    slots: Slots<BillId, Bill>,
    by_name: HashMap<Arc<str>, BillId>,
    closed: BTreeMap<Arc<str>, Limit>,
    /// Those whose tables the kernel has refused.
    refused: BTreeSet<Arc<str>>,
    /// What all tables cost, the sets that they look up aside.
    own: Cost,
    /// Whether any namespace went over its share since it was last decided who is closed.
    is_pressed: bool,
}

/// What the policies of a namespace cost.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) namespace: Arc<str>,
    pub(super) tables: BTreeSet<Arc<TableKey>>,
    /// What its tables cost, the sets that they look up aside. Of those that are not compiled only the grants.
    pub(super) own: Cost,
    /// The same with all sets that were counted: each once, and as if no other namespace asked for it.
    pub(super) cost: Cost,
    /// The compiled tables that do not ask for all of their sets yet, because it is over its share without them.
    unasked: BTreeSet<Arc<TableKey>>,
    /// Why its tables are not compiled.
    pub(super) too_many_grants: Option<Limit>,
}

impl Bills {
    pub(super) fn new(shares: Shares) -> Self {
        Self {
            shares,
            slots: Slots::default(),
            by_name: HashMap::new(),
            closed: BTreeMap::new(),
            refused: BTreeSet::new(),
            own: Cost::default(),
            is_pressed: false,
        }
    }

    pub(super) fn bill(&self, bill: BillId) -> &Bill {
        &self.slots[bill]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BillId, &Bill)> {
        self.slots.iter()
    }

    /// The numbers of all bills are below it.
    pub(super) fn bound(&self) -> usize {
        self.slots.bound()
    }

    pub(super) fn find(&self, namespace: &str) -> Option<&Bill> {
        self.by_name.get(namespace).map(|bill| &self.slots[*bill])
    }

    /// The closed namespaces, with why.
    pub(super) fn closed(&self) -> &BTreeMap<Arc<str>, Limit> {
        &self.closed
    }

    pub(super) fn refuse(&mut self, namespace: &Arc<str>) {
        self.refused.insert(namespace.clone());
    }

    /// Gives whether it was refused.
    pub(super) fn readmit(&mut self, namespace: &str) -> bool {
        self.refused.remove(namespace)
    }

    pub(super) fn refused(&self) -> &BTreeSet<Arc<str>> {
        &self.refused
    }

    pub(super) fn is_refused(&self, namespace: &str) -> bool {
        self.refused.contains(namespace)
    }

    /// Enters a table. Gives the bill of its namespace.
    pub(super) fn enter(&mut self, table: &Arc<TableKey>) -> BillId {
        let namespace = table.namespace();
        let bill = match self.by_name.get(namespace) {
            Some(bill) => *bill,
            None => {
                let bill = self.slots.insert(Bill::new(namespace.clone()));
                self.by_name.insert(namespace.clone(), bill);
                bill
            }
        };
        self.slots[bill].tables.insert(table.clone());
        bill
    }

    /// Strikes a table out whose costs have been subtracted.
    pub(super) fn strike(&mut self, bill: BillId, table: &Arc<TableKey>) {
        self.slots[bill].tables.remove(table);
        if self.slots[bill].tables.is_empty() {
            let bill = self.slots.remove(bill);
            self.by_name.remove(&bill.namespace);
        }
    }

    /// Adds what a table costs, its sets aside.
    pub(super) fn add_own(&mut self, bill: BillId, cost: Cost) {
        self.own += cost;
        self.slots[bill].own += cost;
        self.add(bill, cost);
    }

    pub(super) fn subtract_own(&mut self, bill: BillId, cost: Cost) {
        self.own -= cost;
        self.slots[bill].own -= cost;
        self.subtract(bill, cost);
    }

    /// Adds what a set costs.
    pub(super) fn add(&mut self, bill: BillId, cost: Cost) {
        self.slots[bill].cost += cost;
        self.is_pressed |= !self.fits(bill);
    }

    pub(super) fn subtract(&mut self, bill: BillId, cost: Cost) {
        self.slots[bill].cost -= cost;
    }

    /// A set costs another number of elements and bytes than before. Many may ask for it.
    pub(super) fn reprice(&mut self, bill: BillId, before: &Cost, now: &Cost) {
        let cost = &mut self.slots[bill].cost;
        cost.elements = cost.elements + now.elements - before.elements;
        cost.bytes = cost.bytes + now.bytes - before.bytes;
        let share = &self.shares.per_namespace;
        self.is_pressed |= cost.elements > share.elements || cost.bytes > share.bytes;
    }

    /// Whether nobody is closed, and nobody will be: as nearly always.
    pub(super) fn is_calm(&self, sets: &Sets) -> bool {
        let is_open = self.closed.is_empty() && self.refused.is_empty();
        !self.is_pressed && is_open && self.total(sets).fits(&self.shares.total)
    }

    /// What all namespaces cost, closed ones as far as they were counted.
    pub(super) fn total(&self, sets: &Sets) -> Cost {
        self.own + sets.total()
    }

    /// Whether the namespace is within its share, as far as was counted.
    pub(super) fn fits(&self, bill: BillId) -> bool {
        self.slots[bill].cost.fits(&self.shares.per_namespace)
    }

    /// How many matches of definitions with classes the rest of the namespace's share is enough for.
    pub(super) fn budget(&self, bill: BillId) -> u64 {
        self.slots[bill].cost.rest_of(self.shares.per_namespace).matches()
    }

    /// Notes whether a table does not ask for all of its sets yet.
    pub(super) fn set_unasked(&mut self, bill: BillId, table: &Arc<TableKey>, unasked: bool) {
        let tables = &mut self.slots[bill].unasked;
        if unasked {
            tables.insert(table.clone());
        } else {
            tables.remove(table);
        }
    }

    /// The tables that do not ask for all of their sets yet although their namespace is within its share so far.
    pub(super) fn unasked(&self) -> Vec<(BillId, Arc<TableKey>)> {
        let unasked = self.iter().filter(|(id, bill)| !bill.unasked.is_empty() && self.fits(*id));
        unasked.flat_map(|(id, bill)| bill.unasked.iter().map(move |table| (id, table.clone()))).collect()
    }

    /// Decides anew whose tables are compiled. Gives the namespaces for which that changed.
    pub(super) fn decide_compiled(&mut self) -> Vec<BillId> {
        let mut over = closing::too_many_grants(self);
        let mut changed = Vec::new();
        let ids: Vec<BillId> = self.iter().map(|(id, _)| id).collect();
        for id in ids {
            let limit = over.remove(&id);
            let before = std::mem::replace(&mut self.slots[id].too_many_grants, limit);
            if before.is_some() != limit.is_some() {
                changed.push(id);
            }
        }
        changed
    }

    /// Decides anew which namespaces are closed. Gives those for which that changed.
    pub(super) fn decide_closed(&mut self, sets: &Sets) -> Vec<BillId> {
        self.is_pressed = false;
        let closed = closing::closed(self, sets);
        let closed: BTreeMap<Arc<str>, Limit> =
            closed.into_iter().map(|(bill, limit)| (self.slots[bill].namespace.clone(), limit)).collect();
        let before = std::mem::replace(&mut self.closed, closed);
        let is_changed = |(_, bill): &(BillId, &Bill)| {
            before.contains_key(&bill.namespace) != self.closed.contains_key(&bill.namespace)
        };
        self.iter().filter(is_changed).map(|(id, _)| id).collect()
    }
}

impl Bill {
    fn new(namespace: Arc<str>) -> Self {
        Self {
            namespace,
            tables: BTreeSet::new(),
            own: Cost::default(),
            cost: Cost::default(),
            unasked: BTreeSet::new(),
            too_many_grants: None,
        }
    }
}

//! What the policies of each namespace cost this node, and which namespaces are closed for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::closing;
use super::sets::Sets;
use super::slots::{BillId, Slots};
use crate::{Cost, Enforcement, Limit, Shares, TableKey};

/// The namespaces that have tables, with what these cost. What audits need is on a bill of its own.
///
/// Invariants:
/// - Which namespaces are closed follows from the costs of all, never from what was closed before.
/// - What audits cost closes nobody: they have what is left, or are left out.
/// - A table that judges a pod is on the bill of what is enforced.
#[derive(Debug)]
pub(super) struct Bills {
    pub(super) shares: Shares,
    slots: Slots<BillId, Bill>,
    /// By what they are for.
    by_name: [HashMap<Arc<str>, BillId>; 2],
    /// The closed namespaces, and those whose audits are left out.
    closed: [BTreeMap<Arc<str>, Limit>; 2],
    /// Those whose tables the kernel has refused, and those whose audits.
    refused: [BTreeSet<Arc<str>>; 2],
    /// Those of which it is not to be put out yet what their policies say, and those of them whose tables are not to be
    /// compiled yet.
    held_back: BTreeSet<Arc<str>>,
    uncounted: BTreeSet<Arc<str>>,
    /// What all tables cost, the sets that they look up aside.
    own: Cost,
    /// Whether any namespace went over its share since it was last decided who is closed.
    is_pressed: bool,
}

/// What the policies of a namespace cost: its tables that judge pods, or those that only audits need.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) namespace: Arc<str>,
    pub(super) enforcement: Enforcement,
    /// The namespace's other bill.
    pub(super) other: Option<BillId>,
    pub(super) tables: BTreeSet<Arc<TableKey>>,
    /// What its tables cost, the sets that they look up aside. Of those that are not compiled only the grants.
    pub(super) own: Cost,
    /// What the sets cost that were counted and nobody else asks for.
    pub(super) unshared: Cost,
    /// What its tables cost with all sets that were counted: each once, and as if no other namespace asked for it.
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
            by_name: Default::default(),
            closed: Default::default(),
            refused: Default::default(),
            held_back: BTreeSet::new(),
            uncounted: BTreeSet::new(),
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

    pub(super) fn find(&self, namespace: &str, enforcement: Enforcement) -> Option<&Bill> {
        self.by_name[enforcement as usize].get(namespace).map(|bill| &self.slots[*bill])
    }

    /// The closed namespaces, or those whose audits are left out, with why.
    pub(super) fn closed(&self, enforcement: Enforcement) -> &BTreeMap<Arc<str>, Limit> {
        &self.closed[enforcement as usize]
    }

    pub(super) fn is_closed(&self, bill: &Bill) -> bool {
        self.closed(bill.enforcement).contains_key(&bill.namespace)
    }

    /// First the namespace's audit, where there is one in force.
    pub(super) fn refuse(&mut self, namespace: &Arc<str>) {
        let is_in_force = |bill: &Bill| !self.is_closed(bill) && !self.is_refused(bill);
        let has_audit = self.find(namespace, Enforcement::Audited).is_some_and(is_in_force);
        let refused = if has_audit { Enforcement::Audited } else { Enforcement::Enforced };
        self.refused[refused as usize].insert(namespace.clone());
    }

    pub(super) fn readmit(&mut self, namespace: &str) {
        for refused in &mut self.refused {
            refused.remove(namespace);
        }
    }

    pub(super) fn readmit_all(&mut self) {
        self.refused = Default::default();
    }

    pub(super) fn is_refused(&self, bill: &Bill) -> bool {
        self.refused[bill.enforcement as usize].contains(&bill.namespace)
    }

    pub(super) fn hold_back(&mut self, namespace: Arc<str>) {
        self.held_back.insert(namespace.clone());
        self.uncounted.insert(namespace);
    }

    pub(super) fn held_back(&self) -> &BTreeSet<Arc<str>> {
        &self.held_back
    }

    /// Whether it is not to be found out yet what it costs.
    pub(super) fn is_uncounted(&self, bill: BillId) -> bool {
        self.uncounted.contains(&self.slots[bill].namespace)
    }

    /// The tables of the next of those may be compiled from now on. Gives it, and them.
    pub(super) fn count_next(&mut self) -> Option<(Arc<str>, Vec<Arc<TableKey>>)> {
        let namespace = self.uncounted.pop_first()?;
        let tables = self.tables_of(&namespace).cloned().collect();
        Some((namespace, tables))
    }

    /// Nobody is held back any more. Gives who was, and the tables of those.
    pub(super) fn let_out(&mut self) -> (BTreeSet<Arc<str>>, Vec<Arc<TableKey>>) {
        self.uncounted.clear();
        let held_back = std::mem::take(&mut self.held_back);
        let tables = held_back.iter().flat_map(|namespace| self.tables_of(namespace)).cloned().collect();
        (held_back, tables)
    }

    fn tables_of(&self, namespace: &str) -> impl Iterator<Item = &Arc<TableKey>> {
        self.by_name.iter().filter_map(move |bills| bills.get(namespace)).flat_map(|bill| &self.slots[*bill].tables)
    }

    /// Enters a table. Gives the bill that it is on.
    pub(super) fn enter(&mut self, table: &Arc<TableKey>, enforcement: Enforcement) -> BillId {
        let namespace = table.namespace();
        let bill = match self.by_name[enforcement as usize].get(namespace) {
            Some(bill) => *bill,
            None => self.open(namespace, enforcement),
        };
        self.slots[bill].tables.insert(table.clone());
        bill
    }

    fn open(&mut self, namespace: &Arc<str>, enforcement: Enforcement) -> BillId {
        let bill = self.slots.insert(Bill::new(namespace.clone(), enforcement));
        self.by_name[enforcement as usize].insert(namespace.clone(), bill);
        let [first, last] = &self.by_name;
        if let (Some(first), Some(last)) = (first.get(namespace), last.get(namespace)) {
            self.slots[*first].other = Some(*last);
            self.slots[*last].other = Some(*first);
        }
        bill
    }

    /// Strikes a table out whose costs have been subtracted.
    pub(super) fn strike(&mut self, bill: BillId, table: &Arc<TableKey>) {
        self.slots[bill].tables.remove(table);
        if self.slots[bill].tables.is_empty() {
            let bill = self.slots.remove(bill);
            self.by_name[bill.enforcement as usize].remove(&bill.namespace);
            if let Some(other) = bill.other {
                self.slots[other].other = None;
            }
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
        self.is_pressed |= !self.both_fit(bill);
    }

    pub(super) fn subtract(&mut self, bill: BillId, cost: Cost) {
        self.slots[bill].cost -= cost;
    }

    /// A set is asked for by this one alone from now on.
    pub(super) fn add_unshared(&mut self, bill: BillId, cost: Cost) {
        self.slots[bill].unshared += cost;
    }

    /// Another one asks for the set, too, or this one no more.
    pub(super) fn subtract_unshared(&mut self, bill: BillId, cost: Cost) {
        self.slots[bill].unshared -= cost;
    }

    /// A set costs another number of elements and bytes than before. Many may ask for it.
    pub(super) fn reprice(&mut self, bill: BillId, before: &Cost, now: &Cost) {
        let cost = &mut self.slots[bill].cost;
        cost.elements = cost.elements + now.elements - before.elements;
        cost.bytes = cost.bytes + now.bytes - before.bytes;
        self.is_pressed |= !self.both_fit(bill);
    }

    /// Whether nobody is closed, and nobody will be: as nearly always.
    pub(super) fn is_calm(&self, sets: &Sets) -> bool {
        let is_open = self.closed.iter().all(BTreeMap::is_empty) && self.refused.iter().all(BTreeSet::is_empty);
        !self.is_pressed && is_open && self.total(sets).fits(&self.shares.total)
    }

    /// What all namespaces cost, closed ones as far as they were counted.
    pub(super) fn total(&self, sets: &Sets) -> Cost {
        self.own + sets.total()
    }

    /// What counts against the namespace's share: an audit comes after what is enforced.
    pub(super) fn charge(&self, bill: &Bill) -> Cost {
        let first = bill.other.filter(|_| !bill.is_enforced());
        first.map_or(bill.cost, |first| self.slots[first].cost + bill.cost)
    }

    /// Whether the namespace is within its share, as far as was counted.
    pub(super) fn fits(&self, bill: BillId) -> bool {
        self.charge(&self.slots[bill]).fits(&self.shares.per_namespace)
    }

    /// The same with both of its bills.
    fn both_fit(&self, bill: BillId) -> bool {
        self.fits(bill) && self.slots[bill].other.is_none_or(|other| self.fits(other))
    }

    /// How many matches of definitions with classes the rest of the namespace's share is enough for.
    pub(super) fn budget(&self, bill: BillId) -> u64 {
        self.charge(&self.slots[bill]).rest_of(self.shares.per_namespace).matches()
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

    /// Decides anew whose tables are compiled. Gives the bills for which that changed.
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

    /// Decides anew which namespaces are closed, and whose audits are left out. Gives the bills for which that changed.
    pub(super) fn decide_closed(&mut self, sets: &Sets) -> Vec<BillId> {
        self.is_pressed = false;
        let mut now: [BTreeMap<Arc<str>, Limit>; 2] = Default::default();
        for (bill, limit) in closing::closed(self, sets) {
            let bill = &self.slots[bill];
            now[bill.enforcement as usize].insert(bill.namespace.clone(), limit);
        }
        let before = std::mem::replace(&mut self.closed, now);
        let is_changed = |(_, bill): &(BillId, &Bill)| {
            before[bill.enforcement as usize].contains_key(&bill.namespace) != self.is_closed(bill)
        };
        self.iter().filter(is_changed).map(|(id, _)| id).collect()
    }
}

impl Bill {
    /// Whether its tables judge pods.
    pub(super) fn is_enforced(&self) -> bool {
        self.enforcement == Enforcement::Enforced
    }

    fn new(namespace: Arc<str>, enforcement: Enforcement) -> Self {
        Self {
            namespace,
            enforcement,
            other: None,
            tables: BTreeSet::new(),
            own: Cost::default(),
            unshared: Cost::default(),
            cost: Cost::default(),
            unasked: BTreeSet::new(),
            too_many_grants: None,
        }
    }
}

//! Which namespaces are closed, and which audits are left out: functions of what all of them cost.
//!
//! Invariant: who is closed is decided as if there were no audits; those have what is left.

use std::collections::{BTreeMap, HashMap};

use super::bills::{Bill, Bills};
use super::sets::Sets;
use super::slots::{BillId, SetId, Slot};
use crate::{Cost, Enforcement, Limit};

/// First what is enforced, then what audits need beside that.
const ORDER: [Enforcement; 2] = [Enforcement::Enforced, Enforcement::Audited];

/// The bills whose tables are too much to compile, and why.
pub(super) fn too_many_grants(bills: &Bills) -> BTreeMap<BillId, Limit> {
    let grants = |bill: &Bill| Cost::of_grants(bill.cost.grants);
    let mut over = BTreeMap::new();
    for last in ORDER {
        let alone = |bill: &Bill| {
            let charge = Cost::of_grants(bills.charge(bill).grants);
            (!charge.fits(&bills.shares.per_namespace)).then_some(Limit::Namespace)
        };
        let alone = of_share(bills, last, &over, alone);
        over.extend(alone);
        let open = open(bills, last, &over);
        let sum = open.iter().map(|id| grants(bills.bill(*id))).sum();
        let candidates = open.into_iter().filter(|id| bills.bill(*id).enforcement == last);
        let charges = candidates.map(|id| (id, grants(bills.bill(id)))).collect();
        over.extend(most_expensive(bills, charges, sum, |id| grants(bills.bill(id))));
    }
    over
}

/// All bills that are not paid, and why.
pub(super) fn closed(bills: &Bills, sets: &Sets) -> BTreeMap<BillId, Limit> {
    let mut closed = BTreeMap::new();
    for last in ORDER {
        let alone = |bill: &Bill| {
            let over = (!bills.charge(bill).fits(&bills.shares.per_namespace)).then_some(Limit::Namespace);
            bill.too_many_grants.or(over).or(bills.is_refused(bill).then_some(Limit::Kernel))
        };
        let alone = of_share(bills, last, &closed, alone);
        closed.extend(alone);
        if !bills.total(sets).fits(&bills.shares.total) {
            let open = open(bills, last, &closed);
            closed.extend(over_total(bills, sets, &open, last));
        }
    }
    closed
}

/// The bills for that which are closed whatever others cost: `alone` says it of one. A closed namespace has no audit.
fn of_share(
    bills: &Bills,
    of: Enforcement,
    closed: &BTreeMap<BillId, Limit>,
    alone: impl Fn(&Bill) -> Option<Limit>,
) -> BTreeMap<BillId, Limit> {
    let limit = |bill: &Bill| bill.other.and_then(|other| closed.get(&other).copied()).or_else(|| alone(bill));
    bills.iter().filter(|(_, bill)| bill.enforcement == of).filter_map(|(id, bill)| Some((id, limit(bill)?))).collect()
}

/// The bills up to those for `last` that are not closed.
fn open(bills: &Bills, last: Enforcement, closed: &BTreeMap<BillId, Limit>) -> Vec<BillId> {
    let is_open = |(id, bill): &(BillId, &Bill)| bill.enforcement <= last && !closed.contains_key(id);
    bills.iter().filter(is_open).map(|(id, _)| id).collect()
}

/// What everything costs that is open.
pub(super) fn total(bills: &Bills, sets: &Sets) -> Cost {
    let is_open = |bill: &Bill| !bills.is_closed(bill);
    let alone: Cost = bills.iter().filter(|(_, bill)| is_open(bill)).map(|(_, bill)| bill.own + bill.unshared).sum();
    let asked = sets.shared().filter_map(|(set, mut by)| by.any(|bill| is_open(bills.bill(bill))).then_some(set));
    alone + asked.map(|set| sets.cost(set)).sum()
}

/// What a namespace costs that may have to be closed.
#[derive(Clone, Default)]
struct Charge {
    /// With its part of each set, which is divided among those who ask for it: a namespace is not more expensive because of
    /// what others need, too.
    cost: Cost,
    /// What of it nobody else asks for.
    alone: Cost,
    /// The sets that others ask for, too.
    shared: Vec<SetId>,
}

/// Whom of `open` to close so that the rest fits into the total: only bills for `of`.
fn over_total(bills: &Bills, sets: &Sets, open: &[BillId], of: Enforcement) -> BTreeMap<BillId, Limit> {
    let mut charges = vec![None; bills.bound()];
    let mut sum = Cost::default();
    for id in open {
        let bill = bills.bill(*id);
        let alone = bill.own + bill.unshared;
        sum += alone;
        charges[id.index()] = Some(Charge { cost: alone, alone, shared: Vec::new() });
    }
    let mut askers = HashMap::<SetId, usize>::new();
    let mut by = Vec::new();
    for (set, all) in sets.shared() {
        by.clear();
        by.extend(all.filter(|bill| charges[bill.index()].is_some()));
        if by.is_empty() {
            continue;
        }
        let cost = sets.cost(set);
        sum += cost;
        if by.len() > 1 {
            askers.insert(set, by.len());
        }
        for bill in &by {
            let charge = charges[bill.index()].as_mut().expect("only who is open was kept");
            charge.cost += cost.divided(by.len() as u64);
            match by.len() {
                1 => charge.alone += cost,
                _ => charge.shared.push(set),
            }
        }
    }
    let cost = |id: &BillId| charges[id.index()].as_ref().map(|charge| (*id, charge.cost));
    let costs = open.iter().filter(|id| bills.bill(**id).enforcement == of).filter_map(cost).collect();
    most_expensive(bills, costs, sum, |id| {
        let charge = charges[id.index()].take().unwrap_or_default();
        let mut freed = charge.alone;
        for set in charge.shared {
            let left = askers.get_mut(&set).expect("who asks for a set is among its askers");
            *left -= 1;
            if *left == 0 {
                freed += sets.cost(set);
            }
        }
        freed
    })
}

/// Those of the namespaces with these charges, the most expensive first, without which `sum` fits into the total. `close`
/// gives what closing one frees.
///
/// How expensive one is is told in powers of two: of what costs about the same who is closed does not change with every
/// edit of theirs, which is as much work as if they were new.
fn most_expensive(
    bills: &Bills,
    mut charges: Vec<(BillId, Cost)>,
    mut sum: Cost,
    mut close: impl FnMut(BillId) -> Cost,
) -> BTreeMap<BillId, Limit> {
    let total = &bills.shares.total;
    let mut closed = BTreeMap::new();
    if sum.fits(total) {
        return closed;
    }
    charges.sort_unstable_by_key(|(id, _)| &bills.bill(*id).namespace);
    for halvings in 0..u64::BITS {
        for (id, charge) in &charges {
            if sum.fits(total) {
                return closed;
            }
            if charge.is_more_of(total, halvings, &sum) && !closed.contains_key(id) {
                sum -= close(*id);
                closed.insert(*id, Limit::Total);
            }
        }
    }
    closed
}

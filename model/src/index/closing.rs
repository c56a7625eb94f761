//! Which namespaces are closed: functions of what all of them cost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bills::{Bill, Bills};
use super::sets::Sets;
use super::slots::{BillId, SetId};
use crate::{Cost, Limit};

/// The namespaces whose tables are too much to compile, and why.
pub(super) fn too_many_grants(bills: &Bills) -> BTreeMap<BillId, Limit> {
    let grants = |bill: &Bill| Cost::of_grants(bill.cost.grants);
    let shares = &bills.shares;
    let is_over = |(_, bill): &(BillId, &Bill)| !grants(bill).fits(&shares.per_namespace);
    let mut over: BTreeMap<BillId, Limit> =
        bills.iter().filter(is_over).map(|(id, _)| (id, Limit::Namespace)).collect();
    let charges: BTreeMap<BillId, Cost> =
        bills.iter().filter(|(id, _)| !over.contains_key(id)).map(|(id, bill)| (id, grants(bill))).collect();
    let sum = charges.values().copied().sum();
    over.extend(most_expensive(bills, charges, sum, |_, bill| grants(bill)));
    over
}

/// All namespaces that are closed, and why.
pub(super) fn closed(bills: &Bills, sets: &Sets) -> BTreeMap<BillId, Limit> {
    let limit = |bill: &Bill| {
        let over = (!bill.cost.fits(&bills.shares.per_namespace)).then_some(Limit::Namespace);
        bill.too_many_grants.or(over).or(bills.is_refused(&bill.namespace).then_some(Limit::Kernel))
    };
    let mut closed: BTreeMap<BillId, Limit> = bills.iter().filter_map(|(id, bill)| Some((id, limit(bill)?))).collect();
    if !bills.total(sets).fits(&bills.shares.total) {
        let open = bills.iter().map(|(id, _)| id).filter(|id| !closed.contains_key(id)).collect();
        closed.extend(over_total(bills, sets, &open));
    }
    closed
}

/// What everything costs that is open.
pub(super) fn total(bills: &Bills, sets: &Sets) -> Cost {
    let is_open = |bill: &Bill| !bills.closed().contains_key(&bill.namespace);
    let own: Cost = bills.iter().filter(|(_, bill)| is_open(bill)).map(|(_, bill)| bill.own).sum();
    let asked = sets.all_askers().filter_map(|(set, mut by)| by.any(|bill| is_open(bills.bill(bill))).then_some(set));
    own + asked.map(|set| sets.cost(set)).sum()
}

/// Whom of `open` to close so that the rest fits into the total. For the order, each set is divided among those who ask
/// for it: a namespace is not more expensive because of what others need, too.
fn over_total(bills: &Bills, sets: &Sets, open: &BTreeSet<BillId>) -> BTreeMap<BillId, Limit> {
    let mut charges: BTreeMap<BillId, Cost> = open.iter().map(|id| (*id, bills.bill(*id).own)).collect();
    let mut sum: Cost = charges.values().copied().sum();
    let mut asks = HashMap::<BillId, Vec<SetId>>::new();
    let mut askers = HashMap::<SetId, u64>::new();
    for (set, by) in sets.all_askers() {
        let by: Vec<BillId> = by.filter(|bill| open.contains(bill)).collect();
        if by.is_empty() {
            continue;
        }
        askers.insert(set, by.len() as u64);
        sum += sets.cost(set);
        for bill in &by {
            *charges.entry(*bill).or_default() += sets.cost(set).divided(by.len() as u64);
            asks.entry(*bill).or_default().push(set);
        }
    }
    most_expensive(bills, charges, sum, |id, bill| {
        let mut freed = bill.own;
        for set in asks.get(&id).into_iter().flatten() {
            let left = askers.get_mut(set).expect("who asks for a set is among its askers");
            *left -= 1;
            if *left == 0 {
                freed += sets.cost(*set);
            }
        }
        freed
    })
}

/// Those of the namespaces with these charges, the most expensive first, without which `sum` fits into the total. `close`
/// gives what closing one frees.
fn most_expensive(
    bills: &Bills,
    mut charges: BTreeMap<BillId, Cost>,
    mut sum: Cost,
    mut close: impl FnMut(BillId, &Bill) -> Cost,
) -> BTreeMap<BillId, Limit> {
    let total = &bills.shares.total;
    let mut closed = BTreeMap::new();
    while !sum.fits(total) {
        let rank = |id: BillId, charge: &Cost| (charge.load(total, &sum), Reverse(&bills.bill(id).namespace));
        let Some(id) = charges.iter().max_by_key(|(id, charge)| rank(**id, charge)).map(|(id, _)| *id) else { break };
        charges.remove(&id);
        sum -= close(id, bills.bill(id));
        closed.insert(id, Limit::Total);
    }
    closed
}

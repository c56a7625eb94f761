//! The tables in use: each is compiled as long as its namespace can afford that, and in force as long as that is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::Index;
use super::slots::{BillId, SetId};
use crate::compile::grants;
use crate::{Clause, Cost, Enforcement, NamespacedName, PeerMatch, Policy, SetKey, Table, TableKey, Verdict, compile};

/// The table of closed namespaces.
static NOTHING: LazyLock<Arc<Table>> = LazyLock::new(Arc::default);

/// The table of audits that are left out: nothing would be dropped.
static EVERYTHING: LazyLock<Arc<Table>> = LazyLock::new(|| {
    let all = Clause { peers: PeerMatch::All, verdict: Verdict::Accept };
    Arc::new(Table { segments: BTreeMap::new(), always: vec![all] })
});

/// A table that judges pods, or is part of audits; or was until now.
#[derive(Debug, Default)]
pub(super) struct LiveTable {
    /// How many pods it judges.
    pub(super) users: usize,
    /// Of how many audits it is part.
    pub(super) audits: usize,
    /// Who pays for it; `None` until it is priced, and once it is gone.
    pub(super) bill: Option<BillId>,
    /// What compiling it costs.
    grants: Cost,
    compiled: Option<Compiled>,
    /// Whether a policy of its changed since it was compiled.
    pub(super) is_edited: bool,
    /// As it was put out last.
    pub(super) in_force: Option<InForce>,
}

#[derive(Debug)]
struct Compiled {
    table: Arc<Table>,
    /// What it costs, its sets aside.
    cost: Cost,
    /// The sets that it asks for, in order. Not all, if its namespace is over its share without the rest.
    sets: Vec<SetId>,
}

/// A table as it is put out.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) table: Arc<Table>,
    /// The sets that it looks up.
    pub(super) sets: Vec<SetId>,
}

impl LiveTable {
    /// What it is there for; `None` where nobody needs it any more.
    pub(super) fn purpose(&self) -> Option<Enforcement> {
        match (self.users, self.audits) {
            (0, 0) => None,
            (0, _) => Some(Enforcement::Audited),
            _ => Some(Enforcement::Enforced),
        }
    }

    /// As it was put out last.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.in_force.as_ref().map(|in_force| in_force.table.clone())
    }
}

impl Index {
    /// Finds out what tables cost that are new, gone or edited, and which namespaces are closed. Gives the tables that
    /// may have to be put out otherwise: those of namespaces that are closed no more only if it is their turn, because
    /// that is as much work as if they were new.
    pub(super) fn price(
        &mut self,
        mut dirty: BTreeSet<Arc<TableKey>>,
        is_turn: impl Fn(&str) -> bool,
    ) -> BTreeSet<Arc<TableKey>> {
        for key in &dirty {
            self.price_grants(key);
        }
        if !self.bills.is_calm(&self.sets) {
            for bill in self.bills.decide_compiled() {
                self.put_out_or_wait(bill, &mut dirty, &is_turn);
            }
        }
        for key in &dirty {
            self.recompile(key);
        }
        self.sets.reprice(&mut self.bills);
        if !self.bills.is_calm(&self.sets) {
            self.ask_for_the_rest();
            for bill in self.bills.decide_closed(&self.sets) {
                self.put_out_or_wait(bill, &mut dirty, &is_turn);
            }
        }
        dirty
    }

    /// Its tables, of a namespace that was closed or opened.
    fn put_out_or_wait(&mut self, bill: BillId, dirty: &mut BTreeSet<Arc<TableKey>>, is_turn: impl Fn(&str) -> bool) {
        let bill = self.bills.bill(bill);
        let is_closed = bill.too_many_grants.is_some() || self.bills.is_closed(bill);
        let to = if is_closed || is_turn(&bill.namespace) { dirty } else { &mut self.dirty_tables };
        to.extend(bill.tables.iter().cloned());
    }

    /// A table as it is to be put out; `None` where nobody needs it. One on the bill of what is enforced never lets
    /// more through for what it costs.
    pub(super) fn table_in_force(&self, key: &TableKey) -> Option<InForce> {
        let live = &self.tables[key];
        let bill = self.bills.bill(live.bill?);
        let is_held_back = self.bills.held_back().contains(&bill.namespace);
        let is_open = |_: &&Compiled| !self.bills.is_closed(bill) && !is_held_back;
        Some(match live.compiled.as_ref().filter(is_open) {
            Some(compiled) => InForce { table: compiled.table.clone(), sets: compiled.sets.clone() },
            None if bill.is_enforced() => InForce { table: NOTHING.clone(), sets: Vec::new() },
            None => InForce { table: EVERYTHING.clone(), sets: Vec::new() },
        })
    }

    /// Enters into the bill of a table's namespace what compiling it costs; or strikes a table out that is gone, or on
    /// the other bill from now on.
    fn price_grants(&mut self, key: &Arc<TableKey>) {
        let cost = Cost::of_grants(grants(key.direction, self.policies_of(key), &key.named_ports));
        let live = self.live(key);
        let (before, purpose) = (std::mem::replace(&mut live.grants, cost), live.purpose());
        if let Some(bill) = live.bill {
            let stays = purpose == Some(self.bills.bill(bill).enforcement);
            if !stays {
                self.drop_compiled(key, bill);
                self.live(key).bill = None;
            }
            self.bills.subtract_own(bill, before);
            if !stays {
                self.bills.strike(bill, key);
            }
        }
        if let Some(purpose) = purpose {
            let bill = self.bills.enter(key, purpose);
            self.live(key).bill = Some(bill);
            self.bills.add_own(bill, cost);
        }
    }

    /// Compiles a table anew, where that changes anything and its namespace can afford it.
    fn recompile(&mut self, key: &Arc<TableKey>) {
        let Some(bill) = self.tables[key].bill else { return };
        if self.bills.bill(bill).too_many_grants.is_some() {
            self.drop_compiled(key, bill);
            return;
        }
        if self.bills.is_uncounted(bill) {
            return;
        }
        let live = self.live(key);
        if !std::mem::take(&mut live.is_edited) && live.compiled.is_some() {
            return;
        }
        let table = compile(key.direction, self.policies_of(key), &key.named_ports);
        if self.tables[key].compiled.as_ref().is_some_and(|compiled| *compiled.table == table) {
            return;
        }
        let cost = cost(&table);
        self.bills.add_own(bill, cost);
        let mut sets = Vec::new();
        let asked_all = self.ask(&table, bill, &mut sets);
        self.drop_compiled(key, bill);
        self.live(key).compiled = Some(Compiled { table: Arc::new(table), cost, sets });
        self.bills.set_unasked(bill, key, !asked_all);
    }

    /// Asks for those sets of a table that are not asked for yet, as long as the namespace is within its share. Gives
    /// whether all are now.
    fn ask(&mut self, table: &Table, bill: BillId, asked: &mut Vec<SetId>) -> bool {
        for set in sets_of(table).into_iter().skip(asked.len()) {
            if !self.bills.fits(bill) {
                return false;
            }
            asked.push(self.sets.ask(set, bill, &mut self.bills, &mut self.cluster));
        }
        true
    }

    /// Goes on to ask, where a namespace turns out to be within its share so far.
    fn ask_for_the_rest(&mut self) {
        for (bill, key) in self.bills.unasked() {
            let Compiled { table, cost, mut sets } =
                self.live(&key).compiled.take().expect("only what is compiled asks");
            let asked_all = self.ask(&table, bill, &mut sets);
            self.live(&key).compiled = Some(Compiled { table, cost, sets });
            self.bills.set_unasked(bill, &key, !asked_all);
        }
    }

    fn drop_compiled(&mut self, key: &Arc<TableKey>, bill: BillId) {
        let Some(old) = self.live(key).compiled.take() else { return };
        self.bills.subtract_own(bill, old.cost);
        self.bills.set_unasked(bill, key, false);
        for set in old.sets {
            self.sets.unask(set, bill, &mut self.bills);
        }
    }

    fn live(&mut self, key: &TableKey) -> &mut LiveTable {
        self.tables.get_mut(key).expect("a table is there until it is put out as gone")
    }

    /// The policies of a table: those that are gone may be left out where it judges no pod.
    pub(super) fn policies_of(&self, key: &TableKey) -> impl Iterator<Item = &Policy> {
        key.policies.iter().filter_map(|NamespacedName { namespace, name }| {
            let space = self.cluster.space(namespace)?;
            self.cluster.spaces[space].policies.get(name).map(|policy| &**policy)
        })
    }
}

/// What a table costs, its sets aside.
fn cost(table: &Table) -> Cost {
    let lists = table.lists();
    Cost::of_table(table.segments.values().map(Vec::len), lists.iter().map(|list| list.len()), table.always.len())
}

/// The sets that a table looks up, each once: ascending.
fn sets_of(table: &Table) -> Vec<&Arc<SetKey>> {
    let clauses = table.always.iter().chain(table.lists().into_iter().flatten());
    let sets = clauses.filter_map(|clause| match &clause.peers {
        PeerMatch::Set(set) => Some(set),
        PeerMatch::All => None,
    });
    let mut sets: Vec<&Arc<SetKey>> = sets.collect();
    // Most are shared: those are told apart by their addresses, before what they hold is compared.
    sets.sort_unstable_by_key(|set| Arc::as_ptr(set));
    sets.dedup_by_key(|set| Arc::as_ptr(set));
    sets.sort_unstable();
    sets.dedup();
    sets
}

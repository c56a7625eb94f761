//! The tables of cluster policies: ordered lookups, which every pod that comes under the same policies shares.
//!
//! | object | name | holds |
//! |---|---|---|
//! | tier chain | `admin-egress-POLICY-HASH` | the table of one combination of cluster policies of a tier |
//! | port map | `ports-admin-egress-tcp-POLICY-HASH` | destination port : what applies there instead |
//! | rules chain | `rules-egress-POLICY-HASH` | the ordered lookups of a segment |
//! | chain | `pass` | nothing: whoever goes there comes back to the pod's chain, which asks the next tier |
//! | base chain | `input-egress` | of what is for the node itself, what local pods under cluster policies send |
//! | dispatch map | `own-node-4`, ... | address of such a pod : goto its chain |
//! | pod chain | `node-egress-NAMESPACE-POD-HASH` | its tiers, as far as they judge what goes to its own node |
//!
//! Invariants:
//! - A tier chain is jumped to from pods' chains, and comes back to them for what it passes on. Everything that it leads to
//!   is gone to, so that `pass`, and the end of any of them, comes back to the pod's chain as well.
//! - What is for the node is judged packet by packet: it has no part in epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use palisade_model::{
    Direction, NamespacedName, PodEnforcement, Protocol, Tier, TierAction, TierClause, TierKey, TierMatch, TierSegment,
    TierTable,
};
use palisade_nft::{
    Action, AddressField, BaseChain, Chain, Comment, Counter, CtState, Diff, Edit, End, Family, Hook, Key, Match, Name,
    Set, SetEdit, Statement, Verdict,
};

use super::logs::Logs;
use super::names::{self, Form};
use super::objects::{self, HIGHEST_HOP_LIMIT, ICMP, ICMPV6, accept, allowed, statement};
use super::origin::chain;
use super::pod::of_no_connection;
use super::users::Users;

/// What is rendered of cluster policies.
#[derive(Debug, Default)]
pub(super) struct Tiers {
    tables: BTreeMap<Arc<TierKey>, Arc<TierTable>>,
    /// The rules chains, with how many tables lead to them.
    rules: Users,
    /// The tables that are used in another than the plain form, with how many pods do.
    forms: Users<(Arc<TierKey>, Form)>,
    /// Sets that are looked up to deny or to pass on, with how many clauses do.
    restricting: Users,
    /// How many pods are judged at the input hook, and whether there is a chain at it.
    at_input: usize,
    has_input: bool,
}

/// The chain that every table may lead to.
pub(super) fn pass() -> Chain {
    chain("passes on to the next tier", [])
}

impl Tiers {
    pub(super) fn denies(&self, key: &Arc<TierKey>) -> bool {
        self.tables.get(key).is_some_and(|table| table.denies())
    }

    /// Whether it denies everybody, because of a rule that could not be understood.
    pub(super) fn denies_all(&self, key: &Arc<TierKey>) -> bool {
        let denies_all = |clause: &TierClause| clause.peers == TierMatch::Others && clause.action == TierAction::Deny;
        self.tables.get(key).is_some_and(|table| table.clauses().any(denies_all))
    }

    /// Whether an address that comes into the set may be forbidden something.
    pub(super) fn restricts(&self, set: &Name) -> bool {
        self.restricting.has(set)
    }

    pub(super) fn edit_table(&mut self, key: &Arc<TierKey>, after: Option<Arc<TierTable>>, edit: &mut Edit) {
        let before = self.tables.remove(key);
        for form in Form::ALL {
            if form == Form::Plain || self.forms.has(&(key.clone(), form)) {
                self.put(key, form, before.as_deref(), after.as_deref(), edit);
            }
        }
        for set in after.iter().flat_map(|table| restricting(table)) {
            self.restricting.hold(&set);
        }
        for set in before.iter().flat_map(|table| restricting(table)) {
            self.restricting.release(&set);
        }
        self.tables.extend(after.map(|table| (key.clone(), table)));
    }

    /// One more pod comes under a table in this form, or one less.
    pub(super) fn use_form(&mut self, key: &Arc<TierKey>, form: Form, is_used: bool, edit: &mut Edit) {
        let of = (key.clone(), form);
        let changes = if is_used { self.forms.hold(&of) } else { self.forms.release(&of) };
        if let Some(table) = self.tables.get(key).cloned().filter(|_| changes) {
            let (before, after) = if is_used { (None, Some(&*table)) } else { (Some(&*table), None) };
            self.put(key, form, before, after, edit);
        }
    }

    /// Makes of a table in one form what it is to be.
    fn put(
        &mut self,
        key: &TierKey,
        form: Form,
        before: Option<&TierTable>,
        after: Option<&TierTable>,
        edit: &mut Edit,
    ) {
        let mut gone: Vec<Name> = before.iter().flat_map(|table| port_maps(key, form, table)).collect();
        if let Some(table) = after {
            for (protocol, segments) in &table.segments {
                let map = names::tier_port_map(key, form, *protocol, has_ranges(segments));
                gone.retain(|name| *name != map);
                edit.sets.insert(map, SetEdit::Put(port_map(key, form, segments)));
            }
        }
        edit.sets.extend(gone.into_iter().map(|name| (name, SetEdit::Remove)));
        edit.chains.insert(names::tier_chain(key, form), after.map(|table| tier_chain(key, form, table)));
        // First what comes, then what goes: a chain that stays in use never counts down to zero.
        for clauses in after.iter().flat_map(|table| table.lists()) {
            self.hold_rules(clauses, form, edit);
        }
        for clauses in before.iter().flat_map(|table| table.lists()) {
            self.release_rules(clauses, form, edit);
        }
    }

    fn hold_rules(&mut self, clauses: &[TierClause], form: Form, edit: &mut Edit) {
        let Some(name) = names::rules_chain(clauses, form) else { return };
        if self.rules.hold(&name) {
            edit.chains.insert(name, Some(chain("cluster policies' rules at some ports", lookups_of(clauses, form))));
        }
    }

    fn release_rules(&mut self, clauses: &[TierClause], form: Form, edit: &mut Edit) {
        let Some(name) = names::rules_chain(clauses, form) else { return };
        if self.rules.release(&name) {
            edit.chains.insert(name, None);
        }
    }

    /// The policies of the tables that what changes belongs to, sets that others look up as well among it.
    pub(super) fn whose(&self, diff: &Diff) -> BTreeSet<Arc<str>> {
        let has_form = |key: &TierKey, table: &TierTable, form: Form| {
            diff.chains.contains_key(&names::tier_chain(key, form))
                || port_maps(key, form, table).any(|map| diff.sets.contains_key(&map))
                || table.lists().into_iter().any(|clauses| {
                    names::rules_chain(clauses, form).is_some_and(|chain| diff.chains.contains_key(&chain))
                })
        };
        let is_in = |key: &TierKey, table: &TierTable| {
            Form::ALL.into_iter().any(|form| has_form(key, table, form))
                || sets_of(table.clauses()).any(|set| diff.sets.contains_key(&set))
        };
        let tables = self.tables.iter().filter(|(key, table)| is_in(key, table));
        tables.flat_map(|(key, _)| key.policies.iter().cloned()).collect()
    }

    /// In which directions there are tables.
    pub(super) fn directions(&self) -> BTreeSet<Direction> {
        self.tables.keys().map(|key| key.direction).collect()
    }

    /// A pod comes to be judged at the input hook, or ceases to be.
    pub(super) fn count_at_input(&mut self, was: bool, is: bool) {
        self.at_input = self.at_input + usize::from(is) - usize::from(was);
    }

    /// The input hook is there only while a pod is judged at it: until then it costs the node's packets nothing.
    pub(super) fn edit_input(&mut self, edit: &mut Edit) {
        let is_needed = self.at_input > 0;
        if std::mem::replace(&mut self.has_input, is_needed) != is_needed {
            edit.chains.insert(names::input_egress(), is_needed.then(input_egress));
        }
    }
}

/// The dispatch maps of the input hook, empty.
pub(super) fn sets() -> [(Name, Set); 2] {
    Family::ALL.map(|family| {
        let comment = Some(Comment::new("local pods under cluster policies, as senders to this node"));
        (names::own_node(family), Set { elements: objects::dispatch(family, &[]), comment })
    })
}

/// Whether what a pod sends to its own node is judged.
pub(super) fn is_at_input(pod: &PodEnforcement) -> bool {
    Tier::ALL.into_iter().any(|tier| pod.tier(Direction::Egress, tier).is_some())
}

/// Of what is for the node itself only what local pods send is judged. ICMP errors are, as everywhere, a matter of their
/// connection's other packets.
fn input_egress() -> Chain {
    let related = |protocol| accept([Match::CtState([CtState::Related].into()), Match::L4Proto(protocol)]);
    let neighbour_discovery =
        accept([Match::Icmpv6Types { first: 133, last: 137 }, Match::HopLimit(HIGHEST_HOP_LIMIT)]);
    let dispatch = |family, field| Action::Vmap(Key::Address(family, field), names::own_node(family));
    let of_connections = Family::ALL.map(|family| statement([], dispatch(family, AddressField::OriginalSaddr)));
    let of_others = Family::ALL.map(|family| {
        let state = Match::CtState([CtState::Invalid, CtState::Untracked].into());
        statement([state], dispatch(family, AddressField::Saddr))
    });
    let first = [neighbour_discovery, related(ICMP), related(ICMPV6)];
    let base = BaseChain { hook: Hook::Input, priority: objects::priority(Direction::Egress) };
    let rules = first.into_iter().chain(of_connections).chain(of_others);
    Chain { base: Some(base), ..chain("egress of local pods to this node", rules) }
}

/// What asks the tiers ahead of NetworkPolicy.
pub(super) fn ahead(
    direction: Direction,
    id: &NamespacedName,
    pod: &PodEnforcement,
    form: Form,
    logs: Logs,
) -> impl Iterator<Item = Statement> {
    let strays = pod.is_under_tiers(direction).then(|| of_no_connection(direction, id, logs));
    strays.into_iter().flatten().chain(pod.tier(direction, Tier::Admin).map(|key| jump(key, form)))
}

/// What a pod sends to its own node: NetworkPolicy has nothing against that.
pub(super) fn node_chain(id: &NamespacedName, pod: &PodEnforcement, logs: Logs) -> Chain {
    let rules = match pod.table(Direction::Egress) {
        Some(_) => vec![Statement {
            comment: Some(Comment::new("NetworkPolicy has no say between a pod and its node")),
            ..accept([])
        }],
        None => {
            let baseline = pod.tier(Direction::Egress, Tier::Baseline).map(|key| jump(key, Form::Plain));
            baseline.into_iter().chain([statement([], Action::Verdict(allowed(Direction::Egress)))]).collect()
        }
    };
    let ahead = ahead(Direction::Egress, id, pod, Form::Plain, logs);
    chain(&format!("egress to this node of pod {id}"), ahead.chain(rules))
}

fn jump(key: &Arc<TierKey>, form: Form) -> Statement {
    statement([], Action::Verdict(Verdict::Jump(names::tier_chain(key, form))))
}

fn tier_chain(key: &TierKey, form: Form, table: &TierTable) -> Chain {
    let ports = table.segments.iter().map(|(protocol, segments)| {
        let map = names::tier_port_map(key, form, *protocol, has_ranges(segments));
        statement([], Action::Vmap(Key::Port(protocol.number()), map))
    });
    chain(&comment(key), ports.chain(lookups_of(&table.otherwise, form)))
}

fn comment(key: &TierKey) -> String {
    format!("{} {} by cluster policies: {}", key.tier, key.direction, key.policies.join(", "))
}

fn port_maps(key: &TierKey, form: Form, table: &TierTable) -> impl Iterator<Item = Name> {
    let map = move |(protocol, segments): (&Protocol, &Vec<TierSegment>)| {
        names::tier_port_map(key, form, *protocol, has_ranges(segments))
    };
    table.segments.iter().map(map)
}

fn has_ranges(segments: &[TierSegment]) -> bool {
    names::has_ranges(segments.iter().map(|segment| segment.ports))
}

fn port_map(key: &TierKey, form: Form, segments: &[TierSegment]) -> Set {
    let to =
        |segment: &TierSegment| Verdict::Goto(names::rules_chain(&segment.clauses, form).unwrap_or_else(names::pass));
    let elements = objects::port_verdicts(segments.iter().map(|segment| (segment.ports, to(segment))).collect());
    Set { elements, comment: Some(Comment::new(&comment(key))) }
}

fn lookups_of(clauses: &[TierClause], form: Form) -> impl Iterator<Item = Statement> {
    clauses.iter().flat_map(move |clause| lookups(clause, form))
}

/// The rules of a clause, which name the rule of the policy that they stand for.
fn lookups(clause: &TierClause, form: Form) -> Vec<Statement> {
    let direction = clause.rule.direction;
    let conditions: Vec<Vec<Match>> = match &clause.peers {
        TierMatch::Others => Family::ALL.into_iter().flat_map(others).collect(),
        TierMatch::Set(set) => {
            let of_family = |(name, family): &(Name, Family)| {
                let keys = objects::keys(direction, set, *family);
                keys.into_iter().map(|key| vec![Match::In(key, name.clone())]).collect::<Vec<_>>()
            };
            names::sets(set).iter().flat_map(of_family).collect()
        }
    };
    let verdict = match clause.action {
        TierAction::Accept => objects::accepted(direction, form),
        TierAction::Deny => objects::denied(direction, form),
        TierAction::Pass => Verdict::Goto(names::pass()),
    };
    let more = if clause.more > 0 { format!(" and {} more", clause.more) } else { String::new() };
    let comment = Comment::new(&format!("{} by {}{more}", clause.action, clause.rule));
    let rule = |matches: Vec<Match>| Statement {
        counter: (clause.action == TierAction::Deny).then_some(Counter::Own),
        comment: Some(comment.clone()),
        ..statement(matches, Action::Verdict(verdict.clone()))
    };
    conditions.into_iter().map(rule).collect()
}

/// It is the pod itself if and only if both ends of the connection belong to who sends the packet.
fn others(family: Family) -> [Vec<Match>; 2] {
    [End::Original, End::Reply].map(|end| vec![Match::NotIn(Key::SourceAndEnd(family, end), names::own_ends(family))])
}

/// The sets that are looked up to deny or to pass on, one each time.
fn restricting(table: &TierTable) -> impl Iterator<Item = Name> {
    sets_of(table.clauses().filter(|clause| clause.action != TierAction::Accept))
}

fn sets_of<'a>(clauses: impl Iterator<Item = &'a TierClause>) -> impl Iterator<Item = Name> {
    let sets = clauses.filter_map(|clause| match &clause.peers {
        TierMatch::Set(set) => Some(names::sets(set)),
        TierMatch::Others => None,
    });
    sets.flatten().map(|(name, _)| name)
}

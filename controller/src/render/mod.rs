//! From the index's output to nftables objects.
//!
//! One table, in which a packet meets at most: a rule for what is known, one verdict map keyed by the local
//! pod's address, that pod's chain, one verdict map keyed by the destination port, and the lookups of one segment. All
//! keys are those of the connection, not of the packet, so that a connection can be judged at any time.
//!
//! | object | name | holds |
//! |---|---|---|
//! | mark | `layout-5` | nothing: the version of this layout |
//! | base chain | `forward-egress`, `forward-ingress` | what is known, what always passes, then the dispatch |
//! | chain | `known` | accepts what was judged in this [epoch](Epoch) |
//! | chain | `judged` | marks what both directions allow with the epoch, and accepts it |
//! | base chain | `guard` | where packets come from (`guard.rs`) |
//! | chain | `errors`, `unseen`, ... | who a packet can be from (`origin.rs`) |
//! | chain | `unknown-pods-egress`, ... | where a pod range is guarded: addresses of it that are no known pod's (`pod_range.rs`) |
//! | dispatch map | `egress-pods-4`, ... | address of an isolated local pod : goto its chain |
//! | pod chain | `pod-egress-NAMESPACE-POD-HASH` | the pod itself, its policies, then count, tell and drop (`pod.rs`) |
//! | counter | `dropped-egress-NAMESPACE-POD-HASH`, ... | what is dropped of a pod's connections, for as long as it is here |
//! | policies chain | `policies-egress-NAMESPACE-POLICY-HASH` | the decision table of one combination of policies |
//! | port map | `ports-egress-tcp-NAMESPACE-POLICY-HASH` | destination port : segment |
//! | peers chain | `peers-egress-DEFINITION-HASH` | the lookups of a segment |
//! | tiers | `admin-egress-...`, `input-egress`, ... | the tables of cluster policies (`tiers.rs`) |
//! | `watched-...`, `shadow-...` | as without that word | the same table for pods under audited policies |
//! | set | `pods-DEFINITION-HASH-4`, `cidrs-...`, `endpoints-...` | the union of those definitions |
//!
//! Invariants:
//! - Names follow from definitions, never from members; equal definitions share the object.
//! - Sets only ever allow: adding an element to one forbids nothing (`sets_only_allow` in the tests). But for those of the
//!   guard and of origins, which say nothing of what the mark of an epoch is on, and those that cluster policies deny or
//!   pass on ([`Renderer::may_forbid`]).
//! - The chain of an isolated pod ends in `drop` (it is entered by `goto`, so falling off its end would accept).
//! - A layout that changes a base chain's priority, or a map's type, gives it another name: what replaces it then comes
//!   before it goes ([`Diff::into_steps`](palisade_nft::Diff::into_steps)).
//! - Rendering deltas one by one gives the same ruleset as rendering their sum (`deltas_add_up` in the tests).

mod closed;
mod dispatch;
mod epoch;
mod frames;
mod guard;
mod inspect;
mod logs;
mod names;
mod objects;
mod origin;
mod pod;
mod pod_range;
mod ranges;
mod tiers;
mod users;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{
    Clause, Delta, Direction, LocalPod, NamespacedName, PeerMatch, PodEnforcement, SetDelta, SetKey, Table, TableKey,
    TierKey, Verdict,
};
use palisade_nft::{Diff, Edit, Family, LinkName, Name, NamedCounter, Ruleset, SetEdit};

use self::dispatch::{Dispatch, Map};
use self::frames::{Frames, PodPort};
use self::guard::Guard;
use self::names::{Form, Memo};
use self::origin::Moves;
use self::pod::Chains;
use self::tiers::Tiers;
use self::users::Users;
use self::ways::Ways;
use crate::links::NodeLinks;

pub use closed::closed;
pub use epoch::Epoch;
pub use frames::table as table_of_frames;
pub use inspect::{Account, Forger, InspectedPod, accounts, audited, forger, local_pods, origins, pods};
pub use logs::{Logs, Prefix, Told, pod_text};
pub use pod_range::PodRange;

/// The name of the table, of family inet.
pub const TABLE: &str = "palisade";

/// Turns the index's [`Delta`]s into [`Edit`]s of the ruleset.
///
/// It remembers what it rendered last of pods and tables, to take away what they no longer need.
#[derive(Debug)]
pub struct Renderer {
    pods: BTreeMap<NamespacedName, PodEnforcement>,
    tables: BTreeMap<Arc<TableKey>, Arc<Table>>,
    /// The tables that are used in another than the plain form, with how many pods do.
    forms: Users<(Arc<TableKey>, Form)>,
    tiers: Tiers,
    ways: Ways,
    peers: Users,
    logs: Logs,
    /// The addresses of pods that are not open to packets whose connection nobody saw begin.
    isolated: BTreeMap<NamespacedName, Vec<IpAddr>>,
    /// Addresses that nothing is let to or from, whoever has them.
    held: BTreeSet<IpAddr>,
    guard: Guard,
    pod_range: PodRange,
    frames: Frames,
    /// Whether pods or links have changed since frames were looked at.
    frames_outdated: bool,
    /// Pods on bridges without a port.
    lost: BTreeSet<NamespacedName>,
    /// Whether there are more of them than before.
    lost_more: bool,
}

/// The counters of some pods.
type Counters = BTreeMap<NamespacedName, BTreeSet<Name>>;

/// Whether packets are held against where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of pods.
    Guarded,
    /// Nobody's: who a packet says that it is from is believed.
    Believed,
}

/// The ruleset of a node without isolated pods: base chains and empty dispatch maps.
pub fn skeleton(table: Name, origins: Origins, logs: Logs) -> Ruleset {
    let mut ruleset = objects::skeleton(table, logs);
    if origins == Origins::Guarded {
        guard::skeleton(&mut ruleset);
    }
    ruleset
}

/// The verdict maps that lead from a pod's address to its chain, in both directions and families: what they say of one has
/// nothing to do with what they say of another.
pub fn dispatch_maps() -> impl Iterator<Item = Name> {
    let maps = Direction::ALL.map(Map::Forward).into_iter().chain([Map::OwnNode]);
    maps.flat_map(|map| Family::ALL.map(|family| map.name(family)))
}

/// The chain of connections that egress and ingress allow.
#[cfg(test)]
pub(crate) fn judged_chain() -> Name {
    names::judged()
}

impl Renderer {
    /// Nothing rendered yet.
    pub fn new(origins: Origins) -> Self {
        Self {
            pods: BTreeMap::new(),
            tables: BTreeMap::new(),
            forms: Users::default(),
            tiers: Tiers::default(),
            ways: Ways::default(),
            peers: Users::default(),
            logs: Logs::default(),
            isolated: BTreeMap::new(),
            held: BTreeSet::new(),
            guard: Guard::new(origins == Origins::Guarded),
            pod_range: PodRange::default(),
            frames: Frames::new(),
            frames_outdated: false,
            lost: BTreeSet::new(),
            lost_more: false,
        }
    }

    /// What is dropped is told to this group. To be said before anything else.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        Self { logs, guard: self.guard.with_logs(logs), ..self }
    }

    /// Whom what is dropped is told.
    pub fn logs(&self) -> Logs {
        self.logs
    }

    /// Whether what is allowed now may be forbidden after an edit that is the last that was made. Sets only ever allow, but for
    /// those of cluster policies; maps do what they like.
    pub fn may_forbid(&self, edit: &Edit) -> bool {
        let only_adds = |edit: &SetEdit| matches!(edit, SetEdit::Elements { add, remove } if remove.is_empty() && !add.kind().is_map());
        let chains = edit.chains.keys().any(|name| !self.is_apart(name));
        let mut sets = edit.sets.iter().filter(|(name, _)| !self.is_apart(name));
        chains || !sets.all(|(name, edit)| only_adds(edit) && !self.tiers.restricts(name))
    }

    /// Whether an object has no say in what the mark of an epoch may be on.
    fn is_apart(&self, name: &Name) -> bool {
        guard::is_apart(name) && (self.pod_range.is_empty() || !guard::is_of_local_pods(name))
    }

    /// Whether a set has to do with epochs, and what it is looked up for is to allow.
    #[cfg(test)]
    pub(crate) fn only_allows(&self, set: &Name) -> bool {
        !guard::is_apart(set) && !self.tiers.restricts(set)
    }

    /// Whose packets are held against where they come from.
    pub fn origins(&self) -> Origins {
        if self.is_guarding() { Origins::Guarded } else { Origins::Believed }
    }

    /// Whether packets are held against where they come from.
    pub fn is_guarding(&self) -> bool {
        self.guard.is_on()
    }

    /// The addresses that this node has for its pods: those of them that are no known pod's go nowhere.
    pub fn set_pod_range(&mut self, range: PodRange, edit: &mut Edit) {
        range.edit(&self.pod_range, self.logs, edit);
        self.pod_range = range;
    }

    /// The last that was said of that.
    pub fn pod_range(&self) -> &PodRange {
        &self.pod_range
    }

    /// The addresses of known pods of this node that are not in that range.
    pub fn outside_pod_range(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = self.guard.locals().values().flat_map(|pod| pod.addresses.iter().copied());
        addresses.filter(|address| !self.pod_range.contains(*address))
    }

    /// How pods hang on the node.
    pub fn set_links(&mut self, links: NodeLinks, edit: &mut Edit) {
        self.frames_outdated = true;
        self.guard.set_links(links, edit);
    }

    /// The last that was said of that.
    pub fn links(&self) -> &NodeLinks {
        self.guard.links()
    }

    /// What differs in the table of frames from what was last asked for; it is needed only where there are pods on bridges.
    pub fn edit_frames(&mut self) -> Diff {
        if !std::mem::take(&mut self.frames_outdated) {
            return Diff::default();
        }
        let lost = self.pods_without_port();
        self.lost_more |= !lost.is_subset(&self.lost);
        self.lost = lost;
        let ports = self.ports();
        self.frames.update(ports)
    }

    /// Whether a pod has come since this was last asked that is on a bridge, with an address that no port is known to have.
    pub fn lost_a_port(&mut self) -> bool {
        std::mem::take(&mut self.lost_more)
    }

    /// Whether it is known which interface an address of a pod is behind.
    pub fn is_located(&self, address: IpAddr) -> bool {
        let links = self.guard.links();
        let behind = |link: &str| links.pods.contains(link) || links.port_of(address).is_some();
        !self.guard.is_on() || links.link_of(address).is_some_and(behind)
    }

    fn pods_without_port(&self) -> BTreeSet<NamespacedName> {
        let links = self.guard.links();
        if links.bridges.is_empty() {
            return BTreeSet::new();
        }
        let is_lost = |address: &IpAddr| {
            let on_bridge = links.link_of(*address).is_some_and(|link| links.bridges.contains_key(link));
            on_bridge && links.port_of(*address).is_none()
        };
        let lost = |pod: &LocalPod| pod.addresses.iter().any(is_lost);
        self.guard.locals().iter().filter(|(_, pod)| lost(pod)).map(|(id, _)| id.clone()).collect()
    }

    /// The table of frames, if one is needed.
    pub fn frames(&self) -> Option<&Ruleset> {
        self.frames.is_needed().then(|| self.frames.ruleset())
    }

    /// The ports of the bridges that a pod of this node is on.
    fn ports(&self) -> BTreeMap<LinkName, PodPort> {
        let links = self.guard.links();
        if !self.guard.is_on() || links.bridges.is_empty() {
            return BTreeMap::new();
        }
        let mut bridges = BTreeSet::new();
        let mut pods = BTreeMap::new();
        for (id, pod) in self.guard.locals() {
            for address in &pod.addresses {
                bridges.extend(links.link_of(*address).filter(|link| links.bridges.contains_key(*link)));
                pods.extend(links.port_of(*address).map(|(_, port)| (port, id)));
            }
        }
        let ports = bridges.into_iter().filter_map(|bridge| links.bridges.get(bridge)).flat_map(|bridge| &bridge.ports);
        ports
            .filter_map(|(name, port)| {
                let pod = pods.get(&**name).copied();
                let enforcement = pod.and_then(|pod| self.pods.get(pod));
                let isolated =
                    |direction: &Direction| enforcement.is_some_and(|pod| self.is_closed_to_frames(*direction, pod));
                let isolated = Direction::ALL.into_iter().filter(isolated).collect();
                Some((LinkName::new(&**name).ok()?, PodPort { port: port.clone(), pod: pod.cloned(), isolated }))
            })
            .collect()
    }

    /// Whether what has no policies (link-local, broadcast, multicast) is not for the pod.
    fn is_closed_to_frames(&self, direction: Direction, pod: &PodEnforcement) -> bool {
        let denies_all = |key: &Arc<TierKey>| key.direction == direction && self.tiers.denies_all(key);
        pod.table(direction).is_some() || pod.tiers.iter().any(denies_all)
    }

    /// The edit that makes the ruleset rendered so far into the one that `delta` leads to, in which nothing is let to or
    /// from the addresses that are `held`, whoever has them.
    pub fn edit(&mut self, delta: &Delta, held: &BTreeSet<IpAddr>) -> Edit {
        let mut edit = Edit::default();
        let pods: BTreeSet<&NamespacedName> = delta.pods.keys().chain(delta.locals.keys()).collect();
        let counters: Counters =
            pods.iter().map(|id| ((*id).clone(), self.counters_of(id).into_keys().collect())).collect();
        for (key, set) in &delta.sets {
            edit.sets.extend(set_edits(key, set));
        }
        for (key, table) in &delta.tables {
            self.edit_table(key, table.clone(), &mut edit);
        }
        for (key, table) in &delta.tiers {
            self.tiers.edit_table(key, table.clone(), &mut edit);
        }
        let mut dispatch = Dispatch::default();
        for (pod, enforcement) in &delta.pods {
            self.edit_pod(pod, enforcement.clone(), &mut dispatch, &mut edit);
        }
        self.tiers.edit_input(&mut edit);
        self.hold(held, &mut dispatch);
        edit.sets.extend(dispatch.into_edits());
        self.ways.edit(&self.tiers.directions(), &mut edit);
        self.frames_outdated |= !delta.locals.is_empty() || !delta.pods.is_empty() || !delta.tiers.is_empty();
        self.edit_isolated(delta, &mut edit);
        self.guard.edit(&delta.locals, &mut edit);
        self.edit_counters(pods.into_iter(), &counters, &mut edit);
        edit
    }

    fn hold(&mut self, held: &BTreeSet<IpAddr>, dispatch: &mut Dispatch) {
        if self.held.is_empty() && held.is_empty() {
            return;
        }
        let changed: Vec<IpAddr> = self.held.symmetric_difference(held).copied().collect();
        self.held.clone_from(held);
        dispatch.leave_out(held);
        for (direction, address) in Direction::ALL.into_iter().flat_map(|d| changed.iter().map(move |a| (d, *a))) {
            let of_pod = self.pods.iter().find(|(_, pod)| pod.addresses.contains(&address));
            let chain = of_pod.and_then(|(id, pod)| pod::entry(direction, id, pod));
            let chain = if held.contains(&address) { Some(names::renewed()) } else { chain };
            dispatch.removed.entry(direction.into()).or_default().push((address, names::renewed()));
            dispatch.added.entry(direction.into()).or_default().extend(chain.map(|chain| (address, chain)));
        }
    }

    /// The namespaces that something in `diff` is for.
    pub fn whose(&self, diff: &Diff) -> BTreeSet<Arc<str>> {
        let has_form = |key: &TableKey, table: &Table, form: Form| {
            diff.chains.contains_key(&names::policies_chain(key, form))
                || names::port_maps(key, form, table).any(|map| diff.sets.contains_key(&map))
                || table.lists().into_iter().any(|of| {
                    names::peers_chain(key.direction, form, of).is_some_and(|at| diff.chains.contains_key(&at))
                })
        };
        let is_in = |key: &TableKey, table: &Table| {
            let lists = || table.lists().into_iter().chain([&*table.always]);
            let mut sets = lists().flatten().filter_map(|clause| match &clause.peers {
                PeerMatch::Set(set) => Some(names::sets(set)),
                PeerMatch::All => None,
            });
            Form::ALL.into_iter().any(|form| has_form(key, table, form))
                || sets.any(|of_families| of_families.iter().any(|(name, _)| diff.sets.contains_key(name)))
        };
        let tables = self.tables.iter().filter(|(key, table)| is_in(key, table)).map(|(key, _)| key.namespace());
        let has_chain = |pod| Direction::ALL.iter().any(|at| diff.chains.contains_key(&names::pod_chain(*at, pod)));
        let pods = self.pods.keys().filter(|pod| has_chain(pod)).map(|pod| &pod.namespace);
        tables.chain(pods).cloned().collect()
    }

    /// The cluster policies that something in `diff` is for.
    pub fn whose_tiers(&self, diff: &Diff) -> BTreeSet<Arc<str>> {
        self.tiers.whose(diff)
    }

    /// Which addresses are open to packets whose connection nobody saw begin.
    fn edit_isolated(&mut self, delta: &Delta, edit: &mut Edit) {
        let uses_changed = |pod: &PodEnforcement| {
            let mut tiers = pod.tiers.iter();
            tables_of(pod).any(|table| delta.tables.contains_key(table))
                || tiers.any(|key| delta.tiers.contains_key(key))
        };
        let is_nothing = delta.tables.is_empty() && delta.tiers.is_empty();
        let of_tables = self.pods.iter().filter(|_| !is_nothing).filter(|(_, pod)| uses_changed(pod));
        let ids: BTreeSet<_> = of_tables.map(|(id, _)| id).chain(delta.pods.keys()).cloned().collect();
        let mut moves = Moves::default();
        for id in ids {
            let restricts = |pod: &PodEnforcement| {
                let mut tiers = pod.tiers.iter();
                tables_of(pod).any(|table| !self.allows_all(table)) || tiers.any(|key| self.tiers.denies(key))
            };
            let pod = self.pods.get(&id).filter(|pod| restricts(pod));
            let after = pod.map(|pod| pod.addresses.clone()).unwrap_or_default();
            let before = self.isolated.remove(&id).unwrap_or_default();
            if before != after {
                moves.note(before, after.iter().copied());
            }
            if !after.is_empty() {
                self.isolated.insert(id, after);
            }
        }
        edit.sets.extend(moves.edits(names::isolated, origin::addresses));
    }

    /// Whether a table lets everyone do everything.
    fn allows_all(&self, key: &Arc<TableKey>) -> bool {
        let all = |clause: &Clause| clause.peers == PeerMatch::All && clause.verdict == Verdict::Accept;
        self.tables.get(key).is_some_and(|table| table.always.iter().any(all))
    }

    fn edit_pod(
        &mut self,
        id: &NamespacedName,
        after: Option<PodEnforcement>,
        dispatch: &mut Dispatch,
        edit: &mut Edit,
    ) {
        let before = self.pods.remove(id);
        let [was, is] =
            [&before, &after].map(|pod| pod.as_ref().map(|pod| Chains::of(id, pod, self.logs)).unwrap_or_default());
        let addresses =
            |pod: &Option<PodEnforcement>| pod.as_ref().map(|pod| pod.addresses.clone()).unwrap_or_default();
        dispatch.remove(&addresses(&before), &was.entries);
        dispatch.add(&addresses(&after), &is.entries);
        edit.chains.extend(was.chains.into_keys().map(|name| (name, None)));
        edit.chains.extend(is.chains.into_iter().map(|(name, chain)| (name, Some(chain))));
        let [was, is] = [&before, &after].map(|pod| pod.as_ref().is_some_and(tiers::is_at_input));
        self.tiers.count_at_input(was, is);
        self.ways.count(before.as_ref(), after.as_ref());
        // First what comes, then what goes: a form that stays in use never counts down to zero.
        for (pod, is_used) in [(&after, true), (&before, false)] {
            let (policies, tiers) = pod.as_ref().map(pod::forms).unwrap_or_default();
            policies.into_iter().for_each(|(key, form)| self.use_form(key, form, is_used, edit));
            tiers.into_iter().for_each(|(key, form)| self.tiers.use_form(key, form, is_used, edit));
        }
        self.pods.extend(after.map(|enforcement| (id.clone(), enforcement)));
    }

    /// A pod is counted for as long as it is here.
    fn edit_counters<'a>(&self, pods: impl Iterator<Item = &'a NamespacedName>, before: &Counters, edit: &mut Edit) {
        for id in pods {
            let counters = self.counters_of(id);
            let of_before = before.get(id).into_iter().flatten();
            let gone = of_before.filter(|name| !counters.contains_key(*name));
            edit.counters.extend(gone.map(|name| (name.clone(), None)));
            edit.counters.extend(counters.into_iter().map(|(name, counter)| (name, Some(counter))));
        }
    }

    fn counters_of(&self, id: &NamespacedName) -> BTreeMap<Name, NamedCounter> {
        let pod = self.pods.get(id);
        let is_here = pod.is_some() || self.guard.locals().contains_key(id);
        if is_here { pod::counters(id, pod) } else { BTreeMap::new() }
    }

    fn edit_table(&mut self, key: &Arc<TableKey>, after: Option<Arc<Table>>, edit: &mut Edit) {
        let before = self.tables.remove(key);
        for form in Form::ALL {
            if form == Form::Plain || self.forms.has(&(key.clone(), form)) {
                self.put_table(key, form, before.as_deref(), after.as_deref(), edit);
            }
        }
        self.tables.extend(after.map(|table| (key.clone(), table)));
    }

    /// One more pod comes under a table in this form, or one less.
    fn use_form(&mut self, key: &Arc<TableKey>, form: Form, is_used: bool, edit: &mut Edit) {
        let of = (key.clone(), form);
        let changes = if is_used { self.forms.hold(&of) } else { self.forms.release(&of) };
        if let Some(table) = self.tables.get(key).cloned().filter(|_| changes) {
            let (before, after) = if is_used { (None, Some(&*table)) } else { (Some(&*table), None) };
            self.put_table(key, form, before, after, edit);
        }
    }

    /// Makes of a table in one form what it is to be.
    fn put_table(
        &mut self,
        key: &TableKey,
        form: Form,
        before: Option<&Table>,
        after: Option<&Table>,
        edit: &mut Edit,
    ) {
        let mut gone: BTreeSet<Name> = before.iter().flat_map(|table| names::port_maps(key, form, table)).collect();
        let mut memo = Memo::default();
        if let Some(table) = after {
            for (name, map) in objects::port_maps(key, form, table, &mut memo) {
                gone.remove(&name);
                edit.sets.insert(name, SetEdit::Put(map));
            }
        }
        edit.sets.extend(gone.into_iter().map(|name| (name, SetEdit::Remove)));
        let chain = after.map(|table| objects::policies_chain(key, form, table, &mut memo));
        edit.chains.insert(names::policies_chain(key, form), chain);
        // First what comes, then what goes: a chain that stays in use never counts down to zero.
        for clauses in after.iter().flat_map(|table| table.lists()) {
            self.hold_peers(key.direction, form, clauses, &mut memo, edit);
        }
        for clauses in before.iter().flat_map(|table| table.lists()) {
            self.release_peers(key.direction, form, clauses, edit);
        }
    }

    fn hold_peers<'a>(
        &mut self,
        direction: Direction,
        form: Form,
        clauses: &'a [Clause],
        memo: &mut Memo<'a>,
        edit: &mut Edit,
    ) {
        let Some(name) = memo.peers_chain(direction, form, clauses) else { return };
        if self.peers.hold(&name) {
            edit.chains.insert(name, Some(objects::peers_chain(direction, form, clauses, memo)));
        }
    }

    fn release_peers(&mut self, direction: Direction, form: Form, clauses: &[Clause], edit: &mut Edit) {
        let Some(name) = names::peers_chain(direction, form, clauses) else { return };
        if self.peers.release(&name) {
            edit.chains.insert(name, None);
        }
    }
}

fn tables_of(pod: &PodEnforcement) -> impl Iterator<Item = &Arc<TableKey>> {
    Direction::ALL.into_iter().filter_map(|direction| pod.table(direction))
}

fn set_edits(key: &SetKey, delta: &SetDelta) -> Vec<(Name, SetEdit)> {
    match delta {
        SetDelta::New(members) => {
            objects::sets(key, members).into_iter().map(|(name, set)| (name, SetEdit::Put(set))).collect()
        }
        SetDelta::Gone => names::sets(key).into_iter().map(|(name, _)| (name, SetEdit::Remove)).collect(),
        SetDelta::Changed { added, removed } => names::sets(key)
            .into_iter()
            .map(|(name, family)| {
                let (add, remove) = (objects::members(key, family, added), objects::members(key, family, removed));
                (name, SetEdit::Elements { add, remove })
            })
            .filter(|(_, edit)| !is_nothing(edit))
            .collect(),
    }
}

fn is_nothing(edit: &SetEdit) -> bool {
    matches!(edit, SetEdit::Elements { add, remove } if add.is_empty() && remove.is_empty())
}

/// The ruleset that `delta`, taken as everything that there is, leads to.
pub fn render(table: Name, delta: &Delta) -> Ruleset {
    render_with(table, delta, Settings::default())
}

/// What else a ruleset depends on.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The pod range that is guarded.
    pub range: PodRange,
    /// Whom what is dropped is told.
    pub logs: Logs,
}

/// The same, with these settings.
pub fn render_with(table: Name, delta: &Delta, Settings { range, logs }: Settings) -> Ruleset {
    let mut ruleset = skeleton(table, Origins::Guarded, logs);
    let mut renderer = Renderer::new(Origins::Guarded).with_logs(logs);
    let mut edit = renderer.edit(delta, &BTreeSet::new());
    renderer.set_pod_range(range, &mut edit);
    ruleset.apply(edit).expect("a rendered edit names only objects that it or the skeleton holds");
    ruleset
}

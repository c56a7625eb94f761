//! The guard: what comes from a pod's link has a source that the node would send back over that link, and no pod's address
//! comes any other way. It stands before conntrack, which believes every packet.
//!
//! What belongs to which link is for the node's routes to say, packet by packet (`fib`); which links are pods', and whose a
//! link is, follows from [`NodeLinks`].
//!
//! Invariants:
//! - All that an address of the guard is looked up for is to drop: nothing is allowed by it.
//! - An address is guarded only while the node reaches it over a link that is known to be a pod's, or a bridge of pods:
//!   a pod behind something else goes on to send.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use palisade_model::{Direction, LocalPod, NamespacedName};
use palisade_nft::{
    Action, AddressField, BaseChain, Chain, Edit, Elements, Family, Hook, Key, LinkField, LinkName, Match, Name,
    Ruleset, Set, SetEdit, Statement, Verdict,
};

use super::logs::{Logs, Prefix, Told};
use super::names;
use super::objects::statement;
use super::origin::{Moves, addresses, chain, counted_drop, goto, pairs, set};
use crate::links::{NodeLinks, Tunnels};

/// Ahead of conntrack (-200), after the reassembly of fragments (-400).
const RAW: i32 = -300;
const IIFNAME: Key = Key::Link(LinkField::Iifname);
const OIFNAME: Key = Key::Link(LinkField::Oifname);

/// Which pods are where, and what of it is rendered.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Whether packets are held against where they come from.
    on: bool,
    logs: Logs,
    links: NodeLinks,
    locals: BTreeMap<NamespacedName, LocalPod>,
    behind: BTreeMap<NamespacedName, Behind>,
    /// The pods that are behind a link of their own; more than one only while one takes the place of another.
    forgers: BTreeMap<LinkName, BTreeSet<NamespacedName>>,
}

/// Where a pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Behind {
    /// Its addresses that the node reaches over a link of pods.
    guarded: Vec<IpAddr>,
    /// Its own link.
    link: Option<LinkName>,
}

/// What a node without pods has besides.
pub(super) fn skeleton(ruleset: &mut Ruleset) {
    let base = BaseChain { hook: Hook::Prerouting, priority: RAW };
    // Most packets come the way that the node would answer them, and this is all that they are asked: a pod's address, which is
    // routed over its link, comes by no other then.
    let unrouted = goto([Match::FibMissing], names::guard_unrouted());
    let of_pods = goto([Match::In(IIFNAME, names::pod_links())], names::guard_forged());
    let elsewhere = Family::ALL.map(|family| {
        let pods = Match::In(Key::Address(family, AddressField::Saddr), names::guarded(family));
        counted_drop([pods], "with the address of a pod of this node, from elsewhere")
    });
    let forged = [
        statement([], Action::Vmap(IIFNAME, names::forgers())),
        counted_drop([], "from a link of pods, with a source that is not routed over it"),
    ];
    ruleset.chains.extend([
        (names::guard(), Chain { base: Some(base), ..chain("where packets come from", [unrouted]) }),
        (
            names::guard_unrouted(),
            chain("what the node would not answer the way it came", [of_pods].into_iter().chain(elsewhere)),
        ),
        (names::guard_forged(), chain("what no pod may send", forged)),
    ]);
    ruleset.sets.extend([
        (names::pod_links(), links([], "links that pods are behind")),
        (names::forgers(), set(Elements::LinkVerdicts(BTreeMap::new()), "links of single pods")),
    ]);
    ruleset.sets.extend(Family::ALL.map(|family| {
        let empty = set(addresses(family, &BTreeSet::new()), "pods of this node that are behind these links");
        (names::guarded(family), empty)
    }));
}

/// The sets that have no say in what the mark of an epoch may be on.
static APART: LazyLock<BTreeSet<Name>> = LazyLock::new(|| {
    let of_families = [names::guarded, names::local_pods, names::own_ends, names::isolated];
    let sets = of_families.into_iter().flat_map(|of: fn(Family) -> Name| Family::ALL.map(of));
    sets.chain([names::pod_links(), names::forgers(), names::inner_links()]).collect()
});

/// Whether an object has no say in that.
pub(super) fn is_apart(name: &Name) -> bool {
    name.as_str().starts_with("forged-") || APART.contains(name)
}

/// Whether it is the set of this node's pods.
pub(super) fn is_of_local_pods(name: &Name) -> bool {
    Family::ALL.into_iter().any(|family| names::local_pods(family) == *name)
}

impl Guard {
    pub(super) fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    pub(super) fn with_logs(self, logs: Logs) -> Self {
        Self { logs, ..self }
    }

    pub(super) fn links(&self) -> &NodeLinks {
        &self.links
    }

    pub(super) fn locals(&self) -> &BTreeMap<NamespacedName, LocalPod> {
        &self.locals
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Takes in which pods are here now.
    pub(super) fn edit(&mut self, changes: &BTreeMap<NamespacedName, Option<LocalPod>>, edit: &mut Edit) {
        let (mut locals, mut ends) = (Moves::default(), Moves::default());
        for (id, after) in changes {
            let before = match after {
                Some(after) => self.locals.insert(id.clone(), after.clone()),
                None => self.locals.remove(id),
            };
            let addresses = |pod: Option<&LocalPod>| pod.map(|pod| pod.addresses.clone()).unwrap_or_default();
            let (before, after) = (addresses(before.as_ref()), addresses(after.as_ref()));
            ends.note(pairs_of(&before), pairs_of(&after));
            locals.note(before, after);
        }
        edit.sets.extend(locals.edits(names::local_pods, addresses));
        edit.sets.extend(ends.edits(names::own_ends, pairs));
        self.locate(changes.keys().cloned().collect(), edit);
    }

    /// Takes in how pods hang on the node now.
    pub(super) fn set_links(&mut self, links: NodeLinks, edit: &mut Edit) {
        if !self.on || links == self.links {
            self.links = links;
            return;
        }
        let pod_links = link_names(links.pods.iter().chain(links.bridges.keys()));
        edit.sets.insert(names::pod_links(), SetEdit::Put(self::links(pod_links, "links that pods are behind")));
        if links.tunnels != self.links.tunnels || links.pods != self.links.pods || links.bridges != self.links.bridges {
            edit_tunnels(&self.links, &links, edit);
        }
        self.links = links;
        self.locate(self.locals.keys().cloned().collect(), edit);
    }

    fn locate(&mut self, pods: Vec<NamespacedName>, edit: &mut Edit) {
        if !self.on {
            return;
        }
        let mut guarded = Moves::default();
        let mut touched = BTreeSet::new();
        for id in pods {
            let after = self.locals.get(&id).map(|pod| self.behind(pod));
            let before = self.behind.remove(&id);
            if before != after {
                let addresses = |at: &Option<Behind>| at.iter().flat_map(|at| at.guarded.clone()).collect::<Vec<_>>();
                guarded.note(addresses(&before), addresses(&after));
                let (before, after) = (link(before.as_ref()), link(after.as_ref()));
                self.move_forger(&id, before, after, &mut touched, edit);
            }
            self.behind.extend(after.map(|after| (id, after)));
        }
        edit.sets.extend(guarded.edits(names::guarded, addresses));
        let of_link = |link: LinkName| {
            let pod = self.forgers.get(&link).and_then(BTreeSet::first);
            (link, pod.map(|pod| Verdict::Goto(names::forged(pod))))
        };
        let moved: Vec<_> = touched.into_iter().map(of_link).collect();
        if !moved.is_empty() {
            let remove = moved.iter().map(|(link, _)| (link.clone(), Verdict::Drop)).collect();
            let add = moved.into_iter().filter_map(|(link, verdict)| Some((link, verdict?))).collect();
            let elements =
                SetEdit::Elements { add: Elements::LinkVerdicts(add), remove: Elements::LinkVerdicts(remove) };
            edit.sets.insert(names::forgers(), elements);
        }
    }

    fn move_forger(
        &mut self,
        id: &NamespacedName,
        before: Option<&LinkName>,
        after: Option<&LinkName>,
        touched: &mut BTreeSet<LinkName>,
        edit: &mut Edit,
    ) {
        if before == after {
            return;
        }
        if let Some(link) = before {
            let pods = self.forgers.entry(link.clone()).or_default();
            pods.remove(id);
            if pods.is_empty() {
                self.forgers.remove(link);
            }
        }
        if let Some(link) = after {
            self.forgers.entry(link.clone()).or_default().insert(id.clone());
        }
        touched.extend(before.into_iter().chain(after).cloned());
        edit.chains.insert(names::forged(id), after.map(|_| forged(id, self.logs)));
    }

    fn behind(&self, pod: &LocalPod) -> Behind {
        let mut behind = Behind::default();
        for address in &pod.addresses {
            let Some(link) = self.links.link_of(*address) else { continue };
            behind.guarded.push(*address);
            if self.links.pods.contains(link) {
                behind.link = LinkName::new(link).ok();
            }
        }
        behind
    }
}

/// Each of a pod's addresses with each.
fn pairs_of(addresses: &[IpAddr]) -> impl Iterator<Item = (IpAddr, IpAddr)> {
    addresses.iter().flat_map(|one| addresses.iter().map(|other| (*one, *other)))
}

fn link(behind: Option<&Behind>) -> Option<&LinkName> {
    behind.and_then(|behind| behind.link.as_ref())
}

fn forged(pod: &NamespacedName, logs: Logs) -> Chain {
    let text = format!("{FORGED_BY}{pod}");
    let told = logs.only_tell(Statement::default(), &Prefix::of(Told::Forged, Direction::Egress, pod));
    chain(&text, told.into_iter().chain([counted_drop([], &text)]))
}

const FORGED_BY: &str = "forged by ";

/// The pod whose packets a chain with this comment counts that the guard drops, as `namespace/name`.
pub(super) fn forger_of(comment: &str) -> Option<&str> {
    comment.strip_prefix(FORGED_BY)
}

/// No pod speaks to the ends of tunnels but those that lead to other pods: what comes out of a tunnel is anybody's.
fn edit_tunnels(before: &NodeLinks, after: &NodeLinks, edit: &mut Edit) {
    let decapsulates = |tunnels: &Tunnels| !tunnels.udp_ports.is_empty() || !tunnels.protocols.is_empty();
    if decapsulates(&after.tunnels) {
        let inner = after.pods.iter().chain(after.bridges.keys()).chain(&after.tunnels.links);
        let comment = "links that lead to pods, of this node or through tunnels";
        edit.sets.insert(names::inner_links(), SetEdit::Put(links(link_names(inner), comment)));
        let outwards = [Match::In(IIFNAME, names::pod_links()), Match::NotIn(OIFNAME, names::inner_links())];
        let out = tunnels(encapsulated(&after.tunnels, &outwards));
        let to_node = [Match::In(IIFNAME, names::pod_links())];
        let base = BaseChain { hook: Hook::Input, priority: RAW };
        let input = chain("what enters tunnels of this node", encapsulated(&after.tunnels, &to_node));
        edit.chains.insert(names::input_tunnels(), Some(Chain { base: Some(base), ..input }));
        edit.chains.insert(names::tunnels(), Some(out));
    } else if decapsulates(&before.tunnels) {
        edit.chains.extend([(names::input_tunnels(), None), (names::tunnels(), Some(tunnels([])))]);
        edit.sets.insert(names::inner_links(), SetEdit::Remove);
    }
}

/// The chain of what goes out, with these rules.
pub(super) fn tunnels(rules: impl IntoIterator<Item = Statement>) -> Chain {
    chain("what enters tunnels of other nodes", rules)
}

fn encapsulated(tunnels: &Tunnels, from: &[Match]) -> Vec<Statement> {
    let ports = tunnels.udp_ports.iter().map(|port| Match::UdpDport(*port));
    let protocols = tunnels.protocols.iter().map(|protocol| Match::L4Proto(*protocol));
    let comment = "tunnelled by a pod: nobody could say whose packets these are";
    let rule = |what: Match| counted_drop([what].into_iter().chain(from.iter().cloned()), comment);
    ports.chain(protocols).map(rule).collect()
}

fn link_names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<LinkName> {
    names.filter_map(|name| LinkName::new(&**name).ok()).collect()
}

fn links(names: impl IntoIterator<Item = LinkName>, comment: &str) -> Set {
    set(Elements::Links(names.into_iter().collect()), comment)
}

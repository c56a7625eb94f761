//! Which connections a change of the ruleset may concern.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use palisade_nft::{
    ChainChange, Connection, Diff, Elements, Name, Ruleset, SetChange, Statement, TableChange, Verdict,
};

use crate::render::dispatch_maps;

/// Connections that may be judged otherwise than before. It may hold more than need be: judging is always right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// All of them.
    everything: bool,
    /// Those with one of these ends.
    ends: HashSet<IpAddr>,
    /// Those that are cut: something may be allowed that was not.
    cut: bool,
}

impl Scope {
    /// All connections.
    pub(super) fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Those that the `diff` that made `ruleset` may concern.
    ///
    /// The pods whose chains lead to something that changed; the addresses that went from sets of accepted peers; and,
    /// where something may be allowed that was not, the connections that are cut.
    pub(super) fn of(diff: &Diff, ruleset: &Ruleset) -> Self {
        let is_base = |name: &Name| ruleset.chains.get(name).is_some_and(|chain| chain.base.is_some());
        if diff.table != TableChange::Kept || diff.chains.keys().any(is_base) {
            return Self::everything();
        }
        let mut changes = Changes::new(diff, ruleset);
        let mut scope = Self { cut: !diff.chains.is_empty(), ..Self::default() };
        for (name, change) in &diff.sets {
            changes.add_set(name, change, &mut scope);
        }
        scope.ends.extend(changes.pods());
        scope
    }

    /// Both.
    pub(super) fn extend(&mut self, other: Self) {
        self.everything |= other.everything;
        self.ends.extend(other.ends);
        self.cut |= other.cut;
    }

    /// The connections that may be forbidden now and were not have one of these ends; `None`: any.
    pub(super) fn ends(&self) -> Option<&HashSet<IpAddr>> {
        (!self.everything).then_some(&self.ends)
    }

    /// Whether a connection may be allowed now that was not.
    pub(super) fn allows(&self) -> bool {
        self.cut
    }

    /// Whether `connection`, which is not cut, may be judged otherwise.
    pub(super) fn concerns(&self, connection: &Connection) -> bool {
        self.everything || self.ends.contains(&connection.source) || self.ends.contains(&connection.destination)
    }
}

/// What of a ruleset changed in ways that the addresses in the change do not tell.
struct Changes<'a> {
    ruleset: &'a Ruleset,
    chains: BTreeSet<&'a Name>,
    sets: BTreeSet<&'a Name>,
}

impl<'a> Changes<'a> {
    /// The chains: those that went are led to no more, by chains that changed.
    fn new(diff: &'a Diff, ruleset: &'a Ruleset) -> Self {
        let stays = |change: &ChainChange| !matches!(change, ChainChange::Removed { .. });
        let chains = diff.chains.iter().filter(|(_, change)| stays(change)).map(|(name, _)| name).collect();
        Self { ruleset, chains, sets: BTreeSet::new() }
    }

    /// Sets that come or go whole do so with the rules that look them up.
    fn add_set(&mut self, name: &'a Name, change: &SetChange, scope: &mut Scope) {
        match change {
            SetChange::Created(_) | SetChange::Removed { .. } => {}
            SetChange::Recreated { .. } if dispatch_maps().any(|map| map == *name) => scope.everything = true,
            SetChange::Recreated { .. } => self.add_whole_set(name, scope),
            SetChange::Elements { remove, add } => match Effect::of(remove, add) {
                Some(Effect { forbids, allows }) => {
                    scope.ends.extend(forbids);
                    scope.cut |= allows;
                }
                None => self.add_whole_set(name, scope),
            },
        }
    }

    fn add_whole_set(&mut self, name: &'a Name, scope: &mut Scope) {
        self.sets.insert(name);
        scope.cut = true;
    }

    /// The local pods whose chains lead to something that changed.
    fn pods(&self) -> Vec<IpAddr> {
        if self.chains.is_empty() && self.sets.is_empty() {
            return Vec::new();
        }
        let mut known = BTreeMap::new();
        let maps = dispatch_maps().filter_map(|map| self.ruleset.sets.get(&map));
        let pods = maps.flat_map(|map| dispatched(&map.elements));
        pods.filter(|(_, chain)| self.are_met_in(chain, &mut known)).map(|(address, _)| address).collect()
    }

    fn are_met_in(&self, chain: &'a Name, known: &mut BTreeMap<&'a Name, bool>) -> bool {
        if let Some(known) = known.get(chain) {
            return *known;
        }
        let statements = || self.ruleset.chains.get(chain).into_iter().flat_map(|chain| chain.statements());
        let met = self.chains.contains(chain)
            || statements().flat_map(Statement::lookups).any(|(_, set)| self.sets.contains(set))
            || self.ruleset.targets(chain).any(|target| self.are_met_in(target, known));
        known.insert(chain, met);
        met
    }
}

/// What elements that come and go mean.
struct Effect {
    /// To or from whom something may be forbidden that was not.
    forbids: Vec<IpAddr>,
    /// Whether something may be allowed that was not.
    allows: bool,
}

impl Effect {
    /// `None` where the elements do not tell to whom.
    ///
    /// A pod that is dispatched no more is free, and a peer that comes into a set is accepted from now on: rules look sets of
    /// peers up for nothing else.
    fn of(remove: &Elements, add: &Elements) -> Option<Self> {
        let isolates = |forbids| Some(Self { forbids, allows: !remove.is_empty() });
        let leaves = |forbids| Some(Self { forbids, allows: !add.is_empty() });
        match (remove, add) {
            (_, Elements::Ipv4Verdicts(pods)) => isolates(pods.keys().copied().map(IpAddr::V4).collect()),
            (_, Elements::Ipv6Verdicts(pods)) => isolates(pods.keys().copied().map(IpAddr::V6).collect()),
            (Elements::Ipv4(peers), _) => leaves(peers.iter().copied().map(IpAddr::V4).collect()),
            (Elements::Ipv6(peers), _) => leaves(peers.iter().copied().map(IpAddr::V6).collect()),
            (Elements::Ipv4Endpoints(peers), _) => leaves(peers.iter().map(|one| IpAddr::V4(one.address)).collect()),
            (Elements::Ipv6Endpoints(peers), _) => leaves(peers.iter().map(|one| IpAddr::V6(one.address)).collect()),
            (Elements::Ipv4Ranges(_) | Elements::Ipv6Ranges(_), _) if remove.is_empty() => leaves(Vec::new()),
            _ => None,
        }
    }
}

fn dispatched(map: &Elements) -> Vec<(IpAddr, &Name)> {
    fn led<'a, A: Copy + Into<IpAddr> + 'a>(
        map: impl Iterator<Item = (&'a A, &'a Verdict)>,
    ) -> Vec<(IpAddr, &'a Name)> {
        map.filter_map(|(address, verdict)| Some(((*address).into(), verdict.target()?))).collect()
    }
    match map {
        Elements::Ipv4Verdicts(map) => led(map.iter()),
        Elements::Ipv6Verdicts(map) => led(map.iter()),
        _ => Vec::new(),
    }
}

//! The JSON form of a preview.

use std::collections::{BTreeMap, BTreeSet};

use palisade_model::reach::{Cause, Changes, OthersChange, PlaceId, PlaceName, PortChange, PortSet, Reach, WayChange};
use palisade_model::reference::Cluster;
use palisade_model::{Direction, NamespacedName, TierAction};
use serde::Serialize;

use super::live::Live;
use crate::commands::reached::{ports, workloads};
use crate::verify::Remark;

/// What a change would do.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    /// What passes from then on, and did not before.
    pub(super) opens: Vec<Way>,
    /// What passed before.
    pub(super) closes: Vec<Way>,
    /// The same between all that no rule names, but for the ways that are told of each by itself.
    pub(super) others: Vec<Others>,
    /// Pairs to which `others` does not apply, although it has both: what passes stays what it was.
    pub(super) stays: Vec<Pair>,
    /// Workloads of which pods become isolated in a direction.
    pub(super) isolated: Vec<Isolation>,
    /// Workloads of which no pod is isolated in a direction any more.
    pub(super) no_longer_isolated: Vec<Isolation>,
    /// Workloads that come.
    pub(super) new_workloads: Vec<String>,
    /// Workloads that go.
    pub(super) gone_workloads: Vec<String>,
    /// Policies that come or change, and that select no pod with an address.
    pub(super) select_nobody: Vec<String>,
    /// Policies that come or change, or go, and without which all would be as it is: others allow and isolate the same.
    pub(super) no_effect: Vec<Idle>,
    /// What was to be deleted, and is not there.
    pub(super) not_found: Vec<String>,
    /// What would be cut of what is connected, and refused of what was recorded; absent where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) live: Option<Live>,
    /// What the change brings that is legal and surely not meant, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lint: Option<Vec<Remark>>,
}

/// A policy that changes nothing.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    pub(super) policy: String,
    /// Whether it is one that goes.
    pub(super) goes: bool,
    /// The others that judge the same pods.
    pub(super) beside: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Way {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) ports: Vec<String>,
    /// The rules that accept it, where it opens; the policies of the change that judge one of the ends, where it
    /// closes.
    pub(super) by: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Others {
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) opens: Vec<String>,
    pub(super) closes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Pair {
    pub(super) from: String,
    pub(super) to: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Isolation {
    pub(super) workload: String,
    /// `egress` or `ingress`.
    pub(super) direction: String,
}

/// Objects, and who reaches whom.
type State<'a> = (&'a Cluster, &'a Reach);

impl Preview {
    pub(super) fn new(before: State<'_>, after: State<'_>, changes: &Changes, not_found: Vec<String>) -> Self {
        let changed = changed_policies(before.0, after.0);
        let selecting_nobody = after.1.policies().iter().filter(|facts| facts.pods == 0 && changed.contains(&facts.id));
        let sides =
            Sides { before: places(before.1), after: places(after.1), reaches: [before.1, after.1], changed: &changed };
        let name = |name: &&PlaceName| name.to_string();
        Self {
            opens: changes.ways.iter().filter_map(|way| sides.opens(way)).collect(),
            closes: changes.ways.iter().filter_map(|way| sides.closes(way)).collect(),
            others: changes.others.iter().map(Others::new).collect(),
            stays: changes.stays.iter().map(|(from, to)| Pair { from: from.to_string(), to: to.to_string() }).collect(),
            isolated: isolations(after.1, before.1),
            no_longer_isolated: isolations(before.1, after.1),
            new_workloads: sides.workloads_only(1).iter().map(name).collect(),
            gone_workloads: sides.workloads_only(0).iter().map(name).collect(),
            no_effect: idle(before, after, &changed),
            live: None,
            select_nobody: selecting_nobody.map(|facts| facts.id.to_string()).collect(),
            not_found,
            lint: None,
        }
    }

    /// Whether anything passes that did not before.
    pub(super) fn opens(&self) -> bool {
        !self.opens.is_empty() || self.others.iter().any(|others| !others.opens.is_empty())
    }

    /// Whether anything passes no longer.
    pub(super) fn denies(&self) -> bool {
        !self.closes.is_empty() || self.others.iter().any(|others| !others.closes.is_empty())
    }
}

/// Both states, for looking up whom changes name.
struct Sides<'a> {
    before: BTreeMap<&'a PlaceName, PlaceId>,
    after: BTreeMap<&'a PlaceName, PlaceId>,
    reaches: [&'a Reach; 2],
    changed: &'a BTreeSet<NamespacedName>,
}

impl<'a> Sides<'a> {
    fn opens(&self, way: &WayChange) -> Option<Way> {
        let PortChange { opens, .. } = &way.ports;
        let causes = || {
            let (from, to) = (*self.after.get(&way.from)?, *self.after.get(&way.to)?);
            let causes = Direction::ALL.into_iter().flat_map(move |end| self.reaches[1].causes(from, to, end));
            Some(causes.filter(|cause| accepts(cause, opens)).map(|cause| cause.rule.to_string()).collect())
        };
        told(way, opens, causes)
    }

    fn closes(&self, way: &WayChange) -> Option<Way> {
        let PortChange { closes, .. } = &way.ports;
        told(way, closes, || Some(self.judging(way).into_iter().map(ToString::to_string).collect()))
    }

    /// The policies of the change that judge one of the ends, before or after.
    fn judging(&self, way: &WayChange) -> BTreeSet<&'a NamespacedName> {
        let of = |at: usize, places: &BTreeMap<&PlaceName, PlaceId>| {
            let ends = [(&way.from, Direction::Egress), (&way.to, Direction::Ingress)];
            let ends: Vec<_> = ends.iter().filter_map(|(name, end)| Some((*places.get(name)?, *end))).collect();
            ends.into_iter().flat_map(move |(place, end)| self.reaches[at].judged_by(place, end))
        };
        of(0, &self.before).chain(of(1, &self.after)).filter(|policy| self.changed.contains(policy)).collect()
    }

    /// The workloads that there are on one side alone.
    fn workloads_only(&self, at: usize) -> Vec<&'a PlaceName> {
        let other = if at == 0 { &self.after } else { &self.before };
        let names = workloads(self.reaches[at]).map(|(_, place)| &place.name);
        names.filter(|name| !other.contains_key(name)).collect()
    }
}

impl Others {
    fn new(others: &OthersChange) -> Self {
        let names = |names: &[PlaceName]| names.iter().map(ToString::to_string).collect();
        let PortChange { opens, closes } = &others.ports;
        Self { from: names(&others.from), to: names(&others.to), opens: ports(opens), closes: ports(closes) }
    }
}

fn told(way: &WayChange, changed: &PortSet, by: impl FnOnce() -> Option<Vec<String>>) -> Option<Way> {
    if changed.is_empty() {
        return None;
    }
    let by = by().unwrap_or_default();
    Some(Way { from: way.from.to_string(), to: way.to.to_string(), ports: ports(changed), by })
}

fn accepts(cause: &Cause, about: &PortSet) -> bool {
    cause.action == TierAction::Accept && !cause.ports.intersection(about).is_empty()
}

fn places(reach: &Reach) -> BTreeMap<&PlaceName, PlaceId> {
    reach.places().map(|(id, place)| (&place.name, id)).collect()
}

/// The workloads that are isolated in the one and not in the other.
fn isolations(is: &Reach, is_not: &Reach) -> Vec<Isolation> {
    let mut isolations = Vec::new();
    for (id, place) in workloads(is) {
        let PlaceName::Workload(name) = &place.name else { continue };
        let Some(other) = is_not.find(name) else { continue };
        let differs = |end: &Direction| is.is_isolated(id, *end) && !is_not.is_isolated(other, *end);
        let ends = Direction::ALL.into_iter().filter(differs);
        isolations.extend(ends.map(|end| Isolation { workload: name.to_string(), direction: end.to_string() }));
    }
    isolations
}

/// Those of the change that change nothing: of policies that come or stay where they are then, of those that go where they
/// are now.
fn idle(before: State<'_>, after: State<'_>, changed: &BTreeSet<NamespacedName>) -> Vec<Idle> {
    let there: BTreeSet<&NamespacedName> = after.1.policies().iter().map(|facts| &facts.id).collect();
    let (stay, go): (BTreeSet<_>, BTreeSet<_>) = changed.iter().cloned().partition(|id| there.contains(id));
    let idle = |(cluster, reach): State<'_>, of: &BTreeSet<NamespacedName>, goes| {
        let names = |ids: &[NamespacedName]| ids.iter().map(policy_name).collect();
        let found = reach.without_effect(cluster, of).into_iter();
        found.map(|one| Idle { policy: policy_name(&one.policy), goes, beside: names(&one.beside) }).collect::<Vec<_>>()
    };
    idle(after, &stay, false).into_iter().chain(idle(before, &go, true)).collect()
}

/// Of a cluster policy the name alone.
fn policy_name(id: &NamespacedName) -> String {
    if id.namespace.is_empty() { id.name.to_string() } else { id.to_string() }
}

/// The policies of both kinds that come, change or go; those of the cluster without a namespace.
fn changed_policies(before: &Cluster, after: &Cluster) -> BTreeSet<NamespacedName> {
    let ids = before.policies.keys().chain(after.policies.keys());
    let differ = ids.filter(|id| before.policies.get(*id) != after.policies.get(*id)).cloned();
    let names = before.cluster_policies.keys().chain(after.cluster_policies.keys());
    let names = names.filter(|name| before.cluster_policies.get(*name) != after.cluster_policies.get(*name));
    differ.chain(names.map(|name| NamespacedName::new("", name.clone()))).collect()
}

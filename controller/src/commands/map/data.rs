//! The JSON form of a map, which the other forms are made from.

use std::collections::BTreeSet;

use palisade_model::reach::{Cause, Edge, PlaceId, PlaceName, Reach};
use palisade_model::{Direction, NamespacedName};
use serde::Serialize;

use super::usage::{Usage, Used};
use crate::commands::reached::{Anybody, anybody, family, ports, workloads};

/// The version of the form: it grows where something means something else than before.
const VERSION: u32 = 1;

/// Who reaches whom. Between two ends without an edge passes what both let anybody do: everything where both are open.
#[derive(Debug, Serialize)]
pub(super) struct Map {
    version: u32,
    /// By namespace and name.
    pub(super) workloads: Vec<Workload>,
    /// Addresses that are no pod's, as far as rules tell them apart.
    pub(super) outside: Vec<Outside>,
    /// By `from`, then `to`.
    pub(super) edges: Vec<Way>,
    /// The policies that are enforced, of both kinds.
    policies: Vec<Policy>,
    /// What is known of flows, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Serialize)]
pub(super) struct Workload {
    /// What edges name.
    pub(super) id: usize,
    pub(super) namespace: String,
    pub(super) name: String,
    /// How many pods with addresses it has.
    pub(super) pods: usize,
    pub(super) egress: End,
    pub(super) ingress: End,
}

/// One direction of a workload.
#[derive(Debug, Serialize)]
pub(super) struct End {
    /// No policy judges it: everything passes.
    pub(super) open: bool,
    /// A NetworkPolicy isolates it.
    pub(super) isolated: bool,
    /// The policies that judge it; those of the cluster without a namespace.
    pub(super) policies: Vec<String>,
    /// What whom no rule names may do, by address family.
    pub(super) anybody: Vec<Anybody>,
}

#[derive(Debug, Serialize)]
pub(super) struct Outside {
    /// What edges name.
    pub(super) id: usize,
    pub(super) name: String,
    family: &'static str,
    /// Whether rules name it; otherwise it is all that they do not name.
    named: bool,
    /// What it is, without the addresses of pods.
    blocks: Vec<String>,
}

/// What passes from one end to another, where that is not what both let anybody do.
#[derive(Debug, Serialize)]
pub(super) struct Way {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What some pod of the one may open to some pod of the other; `[]` where it is nothing.
    pub(super) ports: Vec<String>,
    /// What every pod of the one may open to every pod of the other, where that is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) between_all: Option<Vec<String>>,
    /// What was seen of it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) used: Option<Used>,
    /// The rules that decide at the source.
    pub(super) egress: Vec<Rule>,
    /// The rules that decide at the destination.
    pub(super) ingress: Vec<Rule>,
}

#[derive(Debug, Serialize)]
pub(super) struct Rule {
    /// The policy and the field: `shop/db spec.ingress[0]`.
    pub(super) rule: String,
    /// `Accept`, `Deny` or `Pass`; rules of NetworkPolicies accept.
    pub(super) action: String,
    /// About what it decides between the two.
    pub(super) ports: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Policy {
    name: String,
    /// How many pods with addresses it selects.
    pods: usize,
}

impl Map {
    pub(super) fn new(reach: &Reach) -> Self {
        let edges: Vec<Way> = reach.edges().map(|edge| Way::new(reach, edge)).collect();
        let workloads = workloads(reach).filter_map(|(id, place)| match &place.name {
            PlaceName::Workload(name) => Some(Workload::new(reach, id, name, place.pods)),
            PlaceName::Outside { .. } => None,
        });
        let families = [false, true].map(|ipv6| self::workloads(reach).any(|(id, _)| reach.has_family(id, ipv6)));
        let outside = reach.places().filter_map(|(id, place)| match &place.name {
            PlaceName::Outside { ipv6, blocks, named } if families[usize::from(*ipv6)] => Some(Outside {
                id: id.number(),
                name: place.name.to_string(),
                family: family(*ipv6),
                named: *named,
                blocks: blocks.iter().filter(|_| *named).map(ToString::to_string).collect(),
            }),
            PlaceName::Outside { .. } | PlaceName::Workload(_) => None,
        });
        let policies = reach.policies().iter().map(|facts| Policy { name: facts.id.to_string(), pods: facts.pods });
        Self {
            version: VERSION,
            workloads: workloads.collect(),
            outside: outside.collect(),
            edges,
            policies: policies.collect(),
            usage: None,
        }
    }
}

impl Map {
    /// The ends of all ways, and of what else is used.
    pub(super) fn met(&self) -> BTreeSet<usize> {
        let ways = self.edges.iter().flat_map(|way| [way.from, way.to]);
        let used = self.usage.iter().flat_map(|usage| usage.others.iter().chain(&usage.refused));
        ways.chain(used.flat_map(|one| [one.from, one.to])).collect()
    }
}

impl Workload {
    fn new(reach: &Reach, id: PlaceId, name: &NamespacedName, pods: usize) -> Self {
        let end = |direction| End {
            open: reach.is_open(id, direction),
            isolated: reach.is_isolated(id, direction),
            policies: reach.judged_by(id, direction).into_iter().map(ToString::to_string).collect(),
            anybody: anybody(reach, id, direction),
        };
        Self {
            id: id.number(),
            namespace: name.namespace.to_string(),
            name: name.name.to_string(),
            pods,
            egress: end(Direction::Egress),
            ingress: end(Direction::Ingress),
        }
    }
}

impl Way {
    fn new(reach: &Reach, Edge { from, to, ways }: Edge) -> Self {
        let rule = |cause: Cause| Rule {
            rule: cause.rule.to_string(),
            action: cause.action.to_string(),
            ports: ports(&cause.ports),
        };
        let rules = |end| reach.causes(from, to, end).into_iter().map(rule).collect();
        Self {
            from: from.number(),
            to: to.number(),
            ports: ports(&ways.some),
            used: None,
            between_all: (ways.all != ways.some).then(|| ports(&ways.all)),
            egress: rules(Direction::Egress),
            ingress: rules(Direction::Ingress),
        }
    }
}

//! What passes and was not wished.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{End, Scope, Wish};
use crate::reach::{Edge, PlaceId, PlaceName, Population, PortSet, Reach, RuleName};
use crate::reference::Cluster;
use crate::{Direction, NamespacedName, TierAction, workload};

/// What passes and was not wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Who connects.
    pub from: Whom,
    /// To whom.
    pub to: Whom,
    /// To which ports.
    pub ports: PortSet,
    /// The rules that let it pass, at the end for which policies are wanted.
    pub by: Vec<RuleName>,
}

/// One end of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A workload, or addresses.
    Place(PlaceName),
    /// Everybody whom no rule names.
    Anybody(Population),
}

/// All of it, of the namespaces and directions that are asked for, where the cluster's policies are in force: by who connects,
/// then by to whom. Wished networks may hold pods, which are meant as well then. Of addresses outside it tells what cluster
/// policies accept: what blocks hold is theirs.
pub fn surplus(cluster: &Cluster, wishes: &[Wish], scope: &Scope) -> Vec<Surplus> {
    let reach = Reach::new(cluster);
    let wished = Wished::new(cluster, &reach, wishes);
    let asked = |place: PlaceId, direction: Direction| match &reach.place(place).name {
        PlaceName::Workload(id) => scope.namespaces.contains(&id.namespace) && scope.directions.contains(&direction),
        PlaceName::Outside { .. } => false,
    };
    let mut all = Vec::new();
    for Edge { from, to, ways } in reach.edges() {
        let ends = [(Direction::Egress, from), (Direction::Ingress, to)];
        let Some((end, _)) = ends.into_iter().find(|(end, place)| asked(*place, *end)) else { continue };
        let ports = ways.some.without(&wished.ports(from, to));
        let by = accepting(&reach, from, to, end, &ports);
        let is_outside = |place| matches!(reach.place(place).name, PlaceName::Outside { .. });
        let is_of_block =
            (is_outside(from) || is_outside(to)) && !by.iter().any(|rule| matches!(rule, RuleName::Cluster(_)));
        if !ports.is_empty() && !is_of_block {
            let whom = |place| Whom::Place(reach.place(place).name.clone());
            all.push(Surplus { from: whom(from), to: whom(to), ports, by });
        }
    }
    let places: Vec<PlaceId> = reach.places().map(|(id, _)| id).collect();
    for (place, direction) in places.into_iter().flat_map(|place| Direction::ALL.map(|direction| (place, direction))) {
        if asked(place, direction) {
            all.extend(anybody(&reach, place, direction));
        }
    }
    all
}

/// What the place lets anybody do.
fn anybody(reach: &Reach, place: PlaceId, direction: Direction) -> Vec<Surplus> {
    let own = Whom::Place(reach.place(place).name.clone());
    let populations = Population::ALL.into_iter().map(|who| (who, reach.anybody(place, direction, who)));
    let told = populations.filter(|(_, ports)| !ports.is_empty()).map(|(who, ports)| {
        let (from, to) = match direction {
            Direction::Egress => (own.clone(), Whom::Anybody(who)),
            Direction::Ingress => (Whom::Anybody(who), own.clone()),
        };
        Surplus { from, to, ports, by: Vec::new() }
    });
    told.collect()
}

fn accepting(reach: &Reach, from: PlaceId, to: PlaceId, end: Direction, ports: &PortSet) -> Vec<RuleName> {
    let causes = reach.causes(from, to, end).into_iter();
    let lets = causes.filter(|cause| cause.action == TierAction::Accept && !cause.ports.intersection(ports).is_empty());
    lets.map(|cause| cause.rule).collect()
}

/// What was wished, by places.
struct Wished<'a> {
    reach: &'a Reach,
    ports: HashMap<(PlaceId, PlaceId), PortSet>,
}

impl<'a> Wished<'a> {
    fn new(cluster: &Cluster, reach: &'a Reach, wishes: &[Wish]) -> Self {
        let mut wished = Self { reach, ports: HashMap::new() };
        let mut known = HashMap::new();
        for wish in wishes {
            let [from, to] = [&wish.from, &wish.to]
                .map(|end| known.entry(end).or_insert_with(|| wished.places(cluster, end)).clone());
            for pair in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
                let ports = wished.ports.entry(pair).or_default();
                *ports = ports.union(&PortSet::range(wish.protocol, wish.ports));
            }
        }
        wished
    }

    fn ports(&self, from: PlaceId, to: PlaceId) -> PortSet {
        self.ports.get(&(from, to)).cloned().unwrap_or_default()
    }

    /// The workloads that an end is about.
    fn places(&self, cluster: &Cluster, end: &End) -> Vec<PlaceId> {
        match end {
            End::Workload(id) => self.reach.find(id).into_iter().collect(),
            End::Network(net) => {
                let within = |addresses: &[IpAddr]| addresses.iter().any(|address| is_in(*net, *address));
                let pods = cluster.pods.values().filter(|pod| within(pod.addresses()));
                let workloads: BTreeSet<NamespacedName> = pods
                    .map(|pod| NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels)))
                    .collect();
                workloads.iter().filter_map(|id| self.reach.find(id)).collect()
            }
        }
    }
}

fn is_in(net: IpNet, address: IpAddr) -> bool {
    net.contains(&address)
}

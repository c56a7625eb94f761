//! What a change of objects does to who reaches whom.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{PlaceId, PlaceName, Population, PortSet, Reach};
use crate::Direction;

/// From one [`Reach`] to another of [a pair](Reach::pair).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Between two places of which a rule names one, before or after: by who opens, then by to whom.
    pub ways: Vec<WayChange>,
    /// Between all others.
    pub others: Vec<OthersChange>,
    /// Pairs for which `others` does not hold, although it names both: what passes stays what it was.
    pub stays: Vec<(PlaceName, PlaceName)>,
}

/// What comes to pass, or no longer passes, from one place to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayChange {
    /// Who opens it.
    pub from: PlaceName,
    /// To whom.
    pub to: PlaceName,
    /// What passes from now on.
    pub ports: PortChange,
}

/// What changes for all pairs of such places, but for those that [`Changes::ways`] and [`Changes::stays`] tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OthersChange {
    /// Who opens it: ascending.
    pub from: Vec<PlaceName>,
    /// To whom: ascending.
    pub to: Vec<PlaceName>,
    /// What passes from now on.
    pub ports: PortChange,
}

/// What passes from now on. Never nothing and nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChange {
    /// What did not pass before.
    pub opens: PortSet,
    /// What passed before.
    pub closes: PortSet,
}

impl PortChange {
    fn new(before: &PortSet, after: &PortSet) -> Option<Self> {
        let (opens, closes) = (after.without(before), before.without(after));
        (!opens.is_empty() || !closes.is_empty()).then_some(Self { opens, closes })
    }
}

impl Changes {
    /// Between two that tell addresses outside apart alike.
    pub fn new(before: &Reach, after: &Reach) -> Self {
        let both = Both::new(before, after);
        let mut crowds = Crowds::new(&both);
        let mut named = HashSet::new();
        let mut ways = Vec::new();
        let mut unchanged = Vec::new();
        both.each_named(|pair, passes| {
            let is_of_crowd = crowds.change(pair);
            if is_of_crowd {
                named.insert(pair);
            }
            match PortChange::new(&passes[0], &passes[1]) {
                Some(ports) => ways.push(WayChange { from: both.name(pair.0), to: both.name(pair.1), ports }),
                None if is_of_crowd => unchanged.push(pair),
                None => {}
            }
        });
        crowds.leave_out_named(&both, &named);
        unchanged.retain(|pair| crowds.change(*pair));
        let stays = unchanged.into_iter().map(|(from, to)| (both.name(from), both.name(to)));
        Self { ways, others: crowds.told(&both), stays: stays.collect() }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty() && self.others.is_empty()
    }
}

/// Two places, by their numbers among those of both.
type Pair = (usize, usize);

/// What a place lets anybody do, before and after: nothing where it is not there.
type Usual = [[PortSet; Population::ALL.len()]; 2];

/// The places of both.
struct Both<'a> {
    reaches: [&'a Reach; 2],
    /// Ascending.
    places: Vec<(&'a PlaceName, [Option<PlaceId>; 2])>,
    /// By place of either.
    numbers: [Vec<usize>; 2],
}

impl<'a> Both<'a> {
    fn new(before: &'a Reach, after: &'a Reach) -> Self {
        let reaches = [before, after];
        let mut by_name = BTreeMap::<&PlaceName, [Option<PlaceId>; 2]>::new();
        for (at, reach) in reaches.into_iter().enumerate() {
            reach.places().for_each(|(id, place)| by_name.entry(&place.name).or_default()[at] = Some(id));
        }
        let mut numbers = reaches.map(|reach| vec![0; reach.places.len()]);
        for (number, ids) in by_name.values().enumerate() {
            for (at, id) in ids.iter().enumerate() {
                id.iter().for_each(|id| numbers[at][id.number()] = number);
            }
        }
        Self { reaches, places: by_name.into_iter().collect(), numbers }
    }

    fn name(&self, number: usize) -> PlaceName {
        self.places[number].0.clone()
    }

    /// Tells of all pairs of which a rule names one, before or after, and what passes then: ascending. They are not kept, since
    /// there may be many, of which few change.
    fn each_named(&self, mut tell: impl FnMut(Pair, [PortSet; 2])) {
        let mut edges = self.reaches.map(Reach::edges);
        for (from, (_, ids)) in self.places.iter().enumerate() {
            let mut to_places = BTreeMap::<usize, [Option<PortSet>; 2]>::new();
            for (at, id) in ids.iter().enumerate() {
                for edge in id.iter().flat_map(|id| edges[at].of(*id)) {
                    to_places.entry(self.numbers[at][edge.to.number()]).or_default()[at] = Some(edge.ways.some);
                }
            }
            for (to, [before, after]) in to_places {
                let pair = (from, to);
                let passes = |at, known: Option<PortSet>| known.unwrap_or_else(|| self.passes(at, pair));
                tell(pair, [passes(0, before), passes(1, after)]);
            }
        }
    }

    /// What passes between the two, where both are there.
    fn passes(&self, at: usize, (from, to): Pair) -> PortSet {
        let ids = (self.places[from].1[at], self.places[to].1[at]);
        let (Some(from), Some(to)) = ids else { return PortSet::default() };
        self.reaches[at].ways(from, to).unwrap_or_default().some
    }

    fn alike(&self, direction: Direction) -> Vec<Alike> {
        let mut alike = Vec::<Alike>::new();
        let mut known = HashMap::<(bool, Usual), usize>::new();
        for (number, (name, ids)) in self.places.iter().enumerate() {
            let outside = matches!(name, PlaceName::Outside { .. });
            let usual: Usual = [0, 1].map(|at| {
                Population::ALL.map(|population| {
                    let of = |id| self.reaches[at].anybody(id, direction, population);
                    ids[at].map(of).unwrap_or_default()
                })
            });
            let at = *known.entry((outside, usual)).or_insert_with_key(|(outside, usual)| {
                alike.push(Alike { outside: *outside, usual: usual.clone(), places: Vec::new() });
                alike.len() - 1
            });
            alike[at].places.push(number);
        }
        alike
    }

    /// Whether there is a pair that no rule names.
    fn any_unnamed(&self, from: &Alike, to: &Alike, named: &HashSet<Pair>) -> bool {
        let meet = |from: usize, to: usize| {
            self.reaches.into_iter().enumerate().any(|(at, reach)| {
                let ids = self.places[from].1[at].zip(self.places[to].1[at]);
                ids.is_some_and(|(from, to)| reach.pairs(from, to).next().is_some())
            })
        };
        let pairs = from.places.iter().flat_map(|from| to.places.iter().map(move |to| (*from, *to)));
        pairs.into_iter().any(|pair| !named.contains(&pair) && meet(pair.0, pair.1))
    }
}

/// All places by what they let anybody do, and what changes between those whom no rule names.
struct Crowds {
    /// By direction.
    alike: [Vec<Alike>; 2],
    /// By direction, then by place: its number there.
    of_places: [Vec<usize>; 2],
    changes: BTreeMap<Pair, PortChange>,
}

impl Crowds {
    /// Whatever changes, whether there is a pair that no rule names or not.
    fn new(both: &Both<'_>) -> Self {
        let alike = Direction::ALL.map(|direction| both.alike(direction));
        let of_places = [0, 1].map(|direction: usize| {
            let mut numbers = vec![0; both.places.len()];
            for (number, alike) in alike[direction].iter().enumerate() {
                alike.places.iter().for_each(|place| numbers[*place] = number);
            }
            numbers
        });
        let [senders, receivers] = &alike;
        let mut changes = BTreeMap::new();
        for (number, sender) in senders.iter().enumerate() {
            for (to, receiver) in receivers.iter().enumerate().filter(|(_, to)| !(sender.outside && to.outside)) {
                let ports = PortChange::new(&sender.reaches(receiver, 0), &sender.reaches(receiver, 1));
                changes.extend(ports.map(|ports| ((number, to), ports)));
            }
        }
        Self { alike, of_places, changes }
    }

    /// Leaves out those of which rules name all pairs.
    fn leave_out_named(&mut self, both: &Both<'_>, named: &HashSet<Pair>) {
        let [senders, receivers] = &self.alike;
        self.changes.retain(|(from, to), _| both.any_unnamed(&senders[*from], &receivers[*to], named));
    }

    fn change(&self, (from, to): Pair) -> bool {
        self.changes.contains_key(&(self.of_places[0][from], self.of_places[1][to]))
    }

    fn told(self, both: &Both<'_>) -> Vec<OthersChange> {
        let names = |alike: &Alike| alike.places.iter().map(|number| both.name(*number)).collect();
        let told = |((from, to), ports): (Pair, PortChange)| OthersChange {
            from: names(&self.alike[0][from]),
            to: names(&self.alike[1][to]),
            ports,
        };
        self.changes.into_iter().map(told).collect()
    }
}

/// Places that let anybody do the same, in one direction.
struct Alike {
    outside: bool,
    usual: Usual,
    /// Ascending.
    places: Vec<usize>,
}

impl Alike {
    /// What passes to others whom no rule names, before or after.
    fn reaches(&self, to: &Self, at: usize) -> PortSet {
        [false, true].into_iter().fold(PortSet::default(), |ports, ipv6| {
            let egress = &self.usual[at][Population { ipv6, outside: to.outside }.number()];
            let ingress = &to.usual[at][Population { ipv6, outside: self.outside }.number()];
            ports.union(&egress.intersection(ingress))
        })
    }
}

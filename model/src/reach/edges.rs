//! Where two places differ from what they let anybody do.

use super::judge::{Memory, ProfileId};
use super::{Party, PartyId, PlaceId, Population, PortSet, Reach};
use crate::Direction;

/// What may be opened from one place to another, where that is not just what [anybody](Reach::usual) may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who opens it.
    pub from: PlaceId,
    /// To whom.
    pub to: PlaceId,
    /// What passes.
    pub ways: Ways,
}

/// What passes between the pods of two places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Between some of them.
    pub some: PortSet,
    /// Between any two of one address family.
    pub all: PortSet,
}

/// The edges of a [`Reach`]: by who opens, then by to whom.
pub struct Edges<'a> {
    reach: &'a Reach,
    from: std::ops::Range<usize>,
    /// Where the edges of one place may lead, from the last.
    now: Option<(PlaceId, Vec<PlaceId>)>,
    /// By profile for ingress: whether one of its rules names the party that was asked about last.
    named: Vec<Option<(PartyId, bool)>>,
    memory: Memory,
}

impl Reach {
    /// Where ways differ from what both ends let anybody do, because of rules that name one of the two. An edge may
    /// also be
    /// one where nothing passes.
    pub fn edges(&self) -> Edges<'_> {
        let named = vec![None; self.profiles.len()];
        Edges { reach: self, from: 0..self.places.len(), now: None, named, memory: Memory::default() }
    }

    /// What passes from one place to another: `None` where nothing is in between, such as between addresses of
    /// different families,
    /// and within a place of one pod.
    pub fn ways(&self, from: PlaceId, to: PlaceId) -> Option<Ways> {
        self.remembered_ways(from, to, &mut Memory::default())
    }

    /// What passes between two places without an edge: what each lets anybody do.
    pub fn usual(&self, from: PlaceId, to: PlaceId) -> PortSet {
        let is_outside = |place| self.parties_of(place).next().is_some_and(|(_, party)| party.population.outside);
        let (outside_from, outside_to) = (is_outside(from), is_outside(to));
        [false, true].into_iter().fold(PortSet::default(), |ports, ipv6| {
            let egress = self.anybody(from, Direction::Egress, Population { ipv6, outside: outside_to });
            let ingress = self.anybody(to, Direction::Ingress, Population { ipv6, outside: outside_from });
            ports.union(&egress.intersection(&ingress))
        })
    }

    /// The pairs of parties that may have to do with each other.
    pub(super) fn pairs(&self, from: PlaceId, to: PlaceId) -> impl Iterator<Item = (PartyId, PartyId)> {
        let all = self.parties_of(from).flat_map(move |one| self.parties_of(to).map(move |other| (one, other)));
        let meet = |((id, from), (peer, to)): &((PartyId, &Party), (PartyId, &Party))| {
            from.population.ipv6 == to.population.ipv6 && (id != peer || from.pods > 1)
        };
        all.filter(meet).map(|((from, _), (to, _))| (from, to))
    }

    fn remembered_ways(&self, from: PlaceId, to: PlaceId, memory: &mut Memory) -> Option<Ways> {
        let mut ways: Option<Ways> = None;
        for (from, to) in self.pairs(from, to) {
            let ports = self.between(from, to, memory);
            ways = Some(match ways {
                None => Ways { some: ports.clone(), all: ports },
                Some(ways) => Ways { some: ways.some.union(&ports), all: ways.all.intersection(&ports) },
            });
        }
        ways
    }
}

impl Edges<'_> {
    /// Those of one place.
    pub(super) fn of(&mut self, from: PlaceId) -> Vec<Edge> {
        (self.from, self.now) = (from.number()..from.number() + 1, None);
        self.by_ref().collect()
    }

    /// Where edges of the place may lead, each once: descending.
    fn candidates(&mut self, from: PlaceId) -> Vec<PlaceId> {
        let mut places = Vec::new();
        for (id, party) in self.reach.parties_of(from) {
            self.by_egress(id, party, &mut places);
            self.by_ingress(party, &mut places);
        }
        // Its own pods may differ, and none counts as its own peer.
        places.push(from);
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.dedup();
        places
    }

    /// Those that rules of the party's own name, unless they let nobody in whom they do not name, and do not name it.
    fn by_egress(&mut self, id: PartyId, party: &Party, places: &mut Vec<PlaceId>) {
        let reach = self.reach;
        let Some(profile) = party.profiles[Direction::Egress as usize] else { return };
        for term in &reach.profiles[profile.number()].naming {
            for peer in reach.terms.unusual(*term).iter().map(|peer| reach.party(*peer)) {
                let lets_in = |profile: ProfileId| {
                    let usual = &reach.profiles[profile.number()].usual[party.population.number()];
                    !usual.is_empty() || self.names(profile, id, party)
                };
                let meet = peer.population.ipv6 == party.population.ipv6;
                if meet && peer.profiles[Direction::Ingress as usize].is_none_or(lets_in) {
                    places.push(peer.place);
                }
            }
        }
    }

    fn names(&mut self, profile: ProfileId, id: PartyId, party: &Party) -> bool {
        if let Some((asked, named)) = self.named[profile.number()]
            && asked == id
        {
            return named;
        }
        let mut terms = self.reach.profiles[profile.number()].terms.iter();
        let named = terms.any(|term| party.unusual.binary_search(term).is_ok());
        self.named[profile.number()] = Some((id, named));
        named
    }

    /// Those whose rules name the party, unless it lets nothing out to whom it does not name: whom it names is there
    /// already.
    fn by_ingress(&self, party: &Party, places: &mut Vec<PlaceId>) {
        let (reach, ipv6) = (self.reach, party.population.ipv6);
        if let Some(profile) = party.profiles[Direction::Egress as usize] {
            // Rules for ingress are those of pods.
            let to_pods = Population { ipv6, outside: false };
            if reach.profiles[profile.number()].usual[to_pods.number()].is_empty() {
                return;
            }
        }
        let naming = party.unusual.iter().flat_map(|term| &reach.asked_by[term.number()]);
        let peers = naming.flat_map(|profile| &reach.profiles[profile.number()].parties);
        let peers = peers.map(|peer| reach.party(*peer)).filter(|peer| peer.population.ipv6 == ipv6);
        places.extend(peers.map(|peer| peer.place));
    }
}

impl Iterator for Edges<'_> {
    type Item = Edge;

    fn next(&mut self) -> Option<Edge> {
        loop {
            let Some((from, places)) = &mut self.now else {
                let from = PlaceId::new(self.from.next()?);
                self.now = Some((from, self.candidates(from)));
                continue;
            };
            let (from, Some(to)) = (*from, places.pop()) else {
                self.now = None;
                continue;
            };
            let Some(ways) = self.reach.remembered_ways(from, to, &mut self.memory) else { continue };
            if ways.some != self.reach.usual(from, to) {
                return Some(Edge { from, to, ways });
            }
        }
    }
}

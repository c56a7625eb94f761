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
    /// By profile for ingress: whether one of its rules names the place.
    named: Vec<bool>,
    memory: Memory,
}

impl Reach {
    /// Where ways differ from what both ends let anybody do, because of rules that name one of the two. An edge may also be
    /// one where nothing passes.
    pub fn edges(&self) -> Edges<'_> {
        let named = vec![false; self.profiles.len()];
        Edges { reach: self, from: 0..self.places.len(), now: None, named, memory: Memory::default() }
    }

    /// What passes from one place to another: `None` where nothing is in between, such as between addresses of different families,
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
    /// Where edges of the place may lead, each once: descending.
    fn candidates(&mut self, from: PlaceId) -> Vec<PlaceId> {
        let mut places = Vec::new();
        for (_, party) in self.reach.parties_of(from) {
            let naming: Vec<ProfileId> =
                party.unusual.iter().flat_map(|term| &self.reach.asked_by[term.number()]).copied().collect();
            naming.iter().for_each(|profile| self.named[profile.number()] = true);
            self.by_egress(party, &mut places);
            self.by_ingress(party, &naming, &mut places);
            naming.iter().for_each(|profile| self.named[profile.number()] = false);
        }
        // Its own pods may differ, and none counts as its own peer.
        places.push(from);
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.dedup();
        places
    }

    /// Those that rules of the party's own name, unless they let nobody in by whom they do not name, and do not name it.
    fn by_egress(&self, party: &Party, places: &mut Vec<PlaceId>) {
        let Some(profile) = party.profiles[Direction::Egress as usize] else { return };
        for term in &self.reach.profiles[profile.number()].terms {
            for peer in self.reach.terms.unusual(*term).iter().map(|peer| self.reach.party(*peer)) {
                let lets_in = |profile: ProfileId| {
                    let usual = &self.reach.profiles[profile.number()].usual[party.population.number()];
                    self.named[profile.number()] || !usual.is_empty()
                };
                let may = peer.profiles[Direction::Ingress as usize].is_none_or(lets_in);
                if may && peer.population.ipv6 == party.population.ipv6 {
                    places.push(peer.place);
                }
            }
        }
    }

    /// Those whose rules name the party, unless it lets nothing out to whom it does not name: whom it names is there already.
    fn by_ingress(&self, party: &Party, naming: &[ProfileId], places: &mut Vec<PlaceId>) {
        let egress = party.profiles[Direction::Egress as usize].map(|profile| &self.reach.profiles[profile.number()]);
        for peer in naming.iter().flat_map(|profile| &self.reach.profiles[profile.number()].parties) {
            let peer = self.reach.party(*peer);
            let lets_out = egress.is_none_or(|profile| !profile.usual[peer.population.number()].is_empty());
            if lets_out && peer.population.ipv6 == party.population.ipv6 {
                places.push(peer.place);
            }
        }
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

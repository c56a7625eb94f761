//! How many of many may open a connection, without asking each of them.

use std::collections::HashMap;
use std::net::IpAddr;

use super::judge::{Memory, ProfileId};
use super::terms::TermId;
use super::{Party, PartyId, Population, Reach};
use crate::{Direction, Traffic};

/// Addresses that open connections. Whom no rule names is counted together with all others like that, so that a question costs
/// what rules name.
pub struct Crowd<'a> {
    reach: &'a Reach,
    /// By party: how many of the addresses are its.
    counts: Vec<usize>,
    /// By term: the profiles for egress that ask it.
    asked_by: HashMap<TermId, Vec<ProfileId>>,
    usual: HashMap<Traffic, Usual>,
    memory: Memory,
    /// By party: the number of the question that has looked at it last.
    looked_at: Vec<usize>,
    questions: usize,
}

/// By who they are (by the number of the population), and whether they may send to pods, and to others, whom no rule names: how
/// many.
type Usual = [[[usize; 2]; 2]; Population::ALL.len()];

/// What became of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many of the addresses are of the destination's family, and not outside as it is.
    pub asked: usize,
    /// How many of these may open the connection.
    pub allowed: usize,
}

impl Reach {
    /// The crowd of these addresses, each as often as it is there.
    pub fn crowd(&self, addresses: impl Iterator<Item = IpAddr>) -> Crowd<'_> {
        let mut counts = vec![0; self.parties.len()];
        addresses.for_each(|address| counts[self.party_at(address).0 as usize] += 1);
        let mut asked_by = HashMap::<TermId, Vec<ProfileId>>::new();
        for (number, profile) in self.profiles.iter().enumerate() {
            if profile.direction == Direction::Egress {
                profile.terms.iter().for_each(|term| asked_by.entry(*term).or_default().push(ProfileId::new(number)));
            }
        }
        let looked_at = vec![0; self.parties.len()];
        let (usual, memory, questions) = Default::default();
        Crowd { reach: self, counts, asked_by, usual, memory, looked_at, questions }
    }
}

impl Crowd<'_> {
    /// How many of them may open such a connection to this address. Those that have it are asked as another of their like
    /// would be.
    pub fn count(&mut self, destination: IpAddr, traffic: Traffic) -> Counted {
        let to = self.reach.party_at(destination);
        let mut counted = self.unnamed(to, traffic);
        for from in self.named(to) {
            let count = self.counts[from.0 as usize];
            if self.reach.usually(from, to, traffic) {
                counted.allowed -= count;
            }
            if self.reach.between(from, to, &mut self.memory).contains(traffic) {
                counted.allowed += count;
            }
        }
        counted
    }

    /// Whether one of them may, as [`Reach::allows`].
    pub fn allows(&mut self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> bool {
        let (from, to) = (self.reach.party_at(source), self.reach.party_at(destination));
        self.reach.between(from, to, &mut self.memory).contains(traffic)
    }

    /// As if no rule named any of them.
    fn unnamed(&mut self, to: PartyId, traffic: Traffic) -> Counted {
        let (reach, counts) = (self.reach, &self.counts);
        let usual = self.usual.entry(traffic).or_insert_with(|| reach.count_usual(counts, traffic));
        let party = reach.party(to);
        let mut counted = Counted::default();
        for of in Population::ALL.into_iter().filter(|of| meet(*of, party.population)) {
            let by_answer = usual[of.number()].map(|of_pods| of_pods.iter().sum::<usize>());
            let (no, yes) = match party.population.outside {
                false => (by_answer[0], by_answer[1]),
                true => {
                    let [of_no, of_yes] = usual[of.number()];
                    (of_no[0] + of_yes[0], of_no[1] + of_yes[1])
                }
            };
            counted.asked += no + yes;
            if reach.usual_of(party, Direction::Ingress, of, traffic) {
                counted.allowed += yes;
            }
        }
        counted
    }

    /// The parties of the crowd of which a rule of either side names one, each once.
    fn named(&mut self, to: PartyId) -> Vec<PartyId> {
        self.questions += 1;
        let (reach, question) = (self.reach, self.questions);
        let party = reach.party(to);
        let ingress = party.profiles[Direction::Ingress as usize];
        let by_ingress = ingress.iter().flat_map(|profile| &reach.profiles[profile.number()].terms);
        let by_ingress = by_ingress.flat_map(|term| reach.terms.unusual(*term));
        let by_egress = party.unusual.iter().filter_map(|term| self.asked_by.get(term)).flatten();
        let by_egress = by_egress.flat_map(|profile| &reach.profiles[profile.number()].parties);
        let mut named = Vec::new();
        for from in by_ingress.chain(by_egress) {
            let number = from.0 as usize;
            let is_new = self.counts[number] > 0 && self.looked_at[number] != question;
            self.looked_at[number] = question;
            if is_new && meet(reach.party(*from).population, party.population) {
                named.push(*from);
            }
        }
        named
    }
}

impl Reach {
    fn count_usual(&self, counts: &[usize], traffic: Traffic) -> Usual {
        let mut usual = Usual::default();
        for (party, count) in self.parties.iter().zip(counts) {
            let of = party.population;
            let answer = |outside| {
                let to = Population { ipv6: of.ipv6, outside };
                usize::from(self.usual_of(party, Direction::Egress, to, traffic))
            };
            usual[of.number()][answer(false)][answer(true)] += count;
        }
        usual
    }

    fn usually(&self, from: PartyId, to: PartyId, traffic: Traffic) -> bool {
        let (from, to) = (self.party(from), self.party(to));
        self.usual_of(from, Direction::Egress, to.population, traffic)
            && self.usual_of(to, Direction::Ingress, from.population, traffic)
    }

    /// Whether one end lets it pass, to or from whom no rule names.
    fn usual_of(&self, party: &Party, direction: Direction, peer: Population, traffic: Traffic) -> bool {
        let profile = party.profiles[direction as usize];
        profile.is_none_or(|profile| self.profiles[profile.number()].usual[peer.number()].contains(traffic))
    }
}

/// Nobody judges what passes between two that are outside.
fn meet(from: Population, to: Population) -> bool {
    from.ipv6 == to.ipv6 && !(from.outside && to.outside)
}

//! Many sources at once: counted by what policies tell apart, not asked one by one.

use std::collections::HashMap;
use std::net::IpAddr;

use palisade_model::reach::{Counted, Crowd};
use palisade_model::{NamespacedName, Pod, Traffic};

use super::judge::Party;
use super::of_family;
use super::select::Group;
use super::situation::Situation;

/// The ends of connections that are asked about, each with how many are like it.
pub(super) type Sources<'s> = [(Vec<Party<'s>>, usize)];

/// All sources of a case, as a [`Crowd`].
pub(super) struct Many<'s> {
    situation: &'s Situation,
    crowd: Crowd<'s>,
    /// Those that cannot be counted: pods that need not exist or have no address, and who has to do with nodes.
    odd: Vec<usize>,
    /// At which of the others each pod is the first.
    places: HashMap<&'s NamespacedName, usize>,
}

impl<'s> Many<'s> {
    /// `None` where there are few pairs.
    pub(super) fn new(situation: &'s Situation, sources: &Sources<'s>, destinations: &[Group<'_>]) -> Option<Self> {
        if sources.len().saturating_mul(destinations.len()) <= situation.few {
            return None;
        }
        let is_odd = |(parties, _): &(Vec<Party<'_>>, usize)| !situation.is_countable(parties);
        let counted = sources.iter().filter(|source| !is_odd(source));
        let crowd = situation.reach().crowd(counted.flat_map(|(parties, _)| addresses(parties)));
        let places = sources.iter().enumerate().filter(|(_, source)| !is_odd(source));
        let places = places.filter_map(|(at, (parties, _))| Some((&parties.first()?.pod?.id, at))).collect();
        let odd = sources.iter().enumerate().filter(|(_, source)| is_odd(source)).map(|(at, _)| at).collect();
        Some(Self { situation, crowd, odd, places })
    }

    /// Which sources have to be asked one by one about this destination; `None` for all of them.
    pub(super) fn left(&self, destination: &[Party<'_>]) -> Option<Vec<usize>> {
        if !self.situation.is_countable(destination) {
            return None;
        }
        Some(self.odd.iter().copied().chain(self.own_place(destination)).collect())
    }

    /// What becomes of all others.
    pub(super) fn count(&mut self, sources: &Sources<'s>, destination: &[Party<'_>], traffic: &[Traffic]) -> Counted {
        let own = self.own_place(destination).map(|at| &*sources[at].0).unwrap_or_default();
        let mut all = Counted::default();
        for to in addresses(destination) {
            for traffic in traffic.iter().map(|traffic| of_family(*traffic, to)) {
                let Counted { asked, allowed } = self.crowd.count(to, traffic);
                let own = addresses(own).filter(|from| from.is_ipv4() == to.is_ipv4());
                let own: Vec<bool> = own.map(|from| self.crowd.allows(from, to, traffic)).collect();
                all.asked += asked - own.len();
                all.allowed += allowed - own.iter().filter(|allowed| **allowed).count();
            }
        }
        all
    }

    /// Whether anything from this source to this destination is not as expected.
    pub(super) fn differs(
        &mut self,
        source: &[Party<'_>],
        destination: &[Party<'_>],
        traffic: &[Traffic],
        expected: bool,
    ) -> bool {
        let pairs = addresses(source).flat_map(|from| addresses(destination).map(move |to| (from, to)));
        let pairs = pairs.filter(|(from, to)| from.is_ipv4() == to.is_ipv4());
        let all = pairs.flat_map(|(from, to)| traffic.iter().map(move |traffic| (from, to, of_family(*traffic, to))));
        let is_judged = source.iter().chain(destination).any(|party| party.pod.is_some());
        is_judged && all.into_iter().any(|(from, to, traffic)| self.crowd.allows(from, to, traffic) != expected)
    }

    /// Where the destination itself stands among the sources, if it counts there.
    fn own_place(&self, destination: &[Party<'_>]) -> Option<usize> {
        self.places.get(&destination.first()?.pod?.id).copied()
    }
}

/// The addresses of the first pod of a group, or the address that it is.
fn addresses<'p>(parties: &'p [Party<'_>]) -> impl Iterator<Item = IpAddr> + 'p {
    let first = parties.first().and_then(|party| party.pod).map(|pod| &pod.id);
    parties.iter().filter(move |party| party.pod.map(|pod| &pod.id) == first).map(|party| party.address)
}

impl Situation {
    /// Whether what policies say of these ends is all that there is to say.
    fn is_countable(&self, parties: &[Party<'_>]) -> bool {
        parties.iter().all(|party| match party.pod {
            Some(pod) => self.is_itself(pod, party.address),
            None => !self.of_nodes.contains(&party.address),
        })
    }

    /// Whether the pod has this address, and neither it nor its node shares one with the other kind.
    fn is_itself(&self, pod: &Pod, address: IpAddr) -> bool {
        let owner = self.owners.get(&address).and_then(|at| self.candidates[*at].pods.first());
        owner.is_some_and(|owner| owner.id == pod.id) && !self.is_shared(pod)
    }
}

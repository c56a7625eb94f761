//! Policies without which everything would be as it is.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::build::enforced;
use super::judge::{Memory, Profile};
use super::rules::Stage;
use super::terms::TermId;
use super::{Party, PartyId, PortSet, Reach};
use crate::reference::Cluster;
use crate::{ClusterPolicy, Direction, NamespacedName, Tier};

/// A policy that selects pods and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoEffect {
    /// Its name; of a cluster policy without a namespace.
    pub policy: NamespacedName,
    /// The others that judge its pods, in the directions in which it does: by them what it says is said already. None where it
    /// allows everything, and nobody else judges.
    pub beside: Vec<NamespacedName>,
}

impl Reach {
    /// Those of these policies that select somebody and of which each could be left out, by itself, and no connection would be
    /// judged otherwise. `cluster` is what this was made of.
    ///
    /// Of some it is not told although it is so: of policies that keep a Baseline tier from being asked, and of cluster
    /// policies that say something of pods to themselves, or to nodes, which others say as well.
    pub fn without_effect(&self, cluster: &Cluster, of: &BTreeSet<NamespacedName>) -> Vec<NoEffect> {
        let (_, cluster_policies) = enforced(cluster);
        let mut memory = Memory::default();
        let mut found = Vec::new();
        for (number, facts) in self.policies.iter().enumerate() {
            if facts.pods == 0 || !of.contains(&facts.id) {
                continue;
            }
            let mut without = Without::new(self, number, &cluster_policies, &mut memory);
            if without.changes_nothing() {
                found.push(NoEffect { policy: facts.id.clone(), beside: without.beside() });
            }
        }
        found
    }
}

/// The same objects without one policy.
struct Without<'a> {
    reach: &'a Reach,
    policy: usize,
    cluster_policies: &'a [&'a ClusterPolicy],
    memory: &'a mut Memory,
    /// By party and direction: who judges then, of those that the policy judges.
    profiles: HashMap<(PartyId, Direction), Option<Rc<Profile>>>,
    passing: HashMap<(PartyId, Direction, Vec<TermId>), Rc<PortSet>>,
}

impl<'a> Without<'a> {
    fn new(reach: &'a Reach, policy: usize, cluster_policies: &'a [&'a ClusterPolicy], memory: &'a mut Memory) -> Self {
        let (profiles, passing) = Default::default();
        Self { reach, policy, cluster_policies, memory, profiles, passing }
    }

    fn changes_nothing(&mut self) -> bool {
        let judged: Vec<(PartyId, Direction)> = self.judged().collect();
        judged.iter().all(|(own, direction)| {
            !self.lets_baseline_in(*own, *direction)
                && !self.changes_passes(*own, *direction)
                && self.peers(*own).into_iter().all(|peer| !self.changes(*own, *direction, peer))
        })
    }

    /// Whose connections it judges.
    fn judged(&self) -> impl Iterator<Item = (PartyId, Direction)> + use<'a> {
        let (reach, policy) = (self.reach, self.policy);
        let parties = (0..reach.parties.len()).map(PartyId::new);
        let ends = parties.flat_map(|party| Direction::ALL.map(|direction| (party, direction)));
        ends.filter(move |(party, direction)| reach.is_asked(*party, *direction, policy))
    }

    /// Who there is to connect to, or to be connected from.
    fn peers(&self, own: PartyId) -> Vec<PartyId> {
        let (reach, party) = (self.reach, self.reach.party(own));
        let meets = |(number, peer): (usize, &Party)| {
            let peer_id = PartyId::new(number);
            let meets = peer.population.ipv6 == party.population.ipv6 && (peer_id != own || party.pods > 1);
            meets.then_some(peer_id)
        };
        reach.parties.iter().enumerate().filter_map(meets).collect()
    }

    /// Whether without it the Baseline tier is asked: about a pod and itself, and what it sends to its node, as well.
    fn lets_baseline_in(&mut self, own: PartyId, direction: Direction) -> bool {
        let (policies, cluster_policies) = (self.reach.rules.of_policies.len(), self.cluster_policies);
        let Some(profile) = self.profile(own, direction) else { return false };
        let is_baseline =
            |number: &usize| *number >= policies && cluster_policies[*number - policies].tier == Tier::Baseline;
        let isolated = self.reach.profile_of(own, direction).is_some_and(|with| with.isolated);
        isolated && !profile.isolated && profile.policies.iter().any(is_baseline)
    }

    /// Whether a cluster policy changes what tiers say where NetworkPolicies have no say: between a pod and itself, whom rules
    /// about others do not mean, and to its own node, which
    /// may be anybody.
    fn changes_passes(&mut self, own: PartyId, direction: Direction) -> bool {
        if self.policy < self.reach.rules.of_policies.len() {
            return false;
        }
        let reach = self.reach;
        let without = self.profile(own, direction);
        let says = |profile: Option<&Profile>, peer: PartyId, with_others: bool| match profile {
            Some(profile) => reach.tiers_let(profile, peer, with_others),
            None => PortSet::all(),
        };
        let changes = |peer: PartyId, with_others: bool| {
            let with = says(reach.profile_of(own, direction), peer, with_others);
            with != says(without.as_deref(), peer, with_others)
        };
        let may_be_node = direction == Direction::Egress;
        changes(own, false) || may_be_node && self.peers(own).into_iter().any(|peer| changes(peer, true))
    }

    fn changes(&mut self, own: PartyId, direction: Direction, peer: PartyId) -> bool {
        let other = match direction {
            Direction::Egress => Direction::Ingress,
            Direction::Ingress => Direction::Egress,
        };
        let with = self.with(own, direction, peer);
        let without = self.without(own, direction, peer);
        let is_shared = self.reach.is_asked(peer, other, self.policy);
        if with == without && !is_shared {
            return false;
        }
        let (with_other, without_other) = (self.with(peer, other, own), self.without(peer, other, own));
        with.intersection(&with_other) != without.intersection(&without_other)
    }

    /// What one end lets pass.
    fn with(&mut self, own: PartyId, direction: Direction, peer: PartyId) -> Rc<PortSet> {
        let lets = self.reach.lets(own, direction, peer, self.memory);
        lets.unwrap_or_else(|| Rc::new(PortSet::all()))
    }

    /// The same without the policy.
    fn without(&mut self, own: PartyId, direction: Direction, peer: PartyId) -> Rc<PortSet> {
        if !self.reach.is_asked(own, direction, self.policy) {
            return self.with(own, direction, peer);
        }
        let Some(profile) = self.profile(own, direction) else { return Rc::new(PortSet::all()) };
        let key = (own, direction, self.reach.holding(&profile, peer));
        if let Some(known) = self.passing.get(&key) {
            return known.clone();
        }
        let ports = Rc::new(self.reach.passing(&profile, |term| key.2.binary_search(&term).is_ok()));
        self.passing.insert(key, ports.clone());
        ports
    }

    fn profile(&mut self, own: PartyId, direction: Direction) -> Option<Rc<Profile>> {
        let Self { reach, policy, cluster_policies, profiles, .. } = self;
        let make = || reach.profile_without(own, direction, *policy, cluster_policies).map(Rc::new);
        profiles.entry((own, direction)).or_insert_with(make).clone()
    }

    /// Who else judges.
    fn beside(&mut self) -> Vec<NamespacedName> {
        let judged: Vec<(PartyId, Direction)> = self.judged().collect();
        let profiles = judged.into_iter().filter_map(|(own, direction)| self.profile(own, direction));
        let policies: BTreeSet<usize> = profiles.flat_map(|profile| profile.policies.clone()).collect();
        policies.into_iter().map(|policy| self.reach.policies[policy].id.clone()).collect()
    }
}

impl Reach {
    fn profile_of(&self, party: PartyId, direction: Direction) -> Option<&Profile> {
        let id = self.party(party).profiles[direction as usize]?;
        Some(&self.profiles[id.number()])
    }

    /// What tiers of cluster policies let pass, were there no NetworkPolicies but for those that keep the Baseline tier out; with
    /// rules about all others or without.
    fn tiers_let(&self, profile: &Profile, peer: PartyId, with_others: bool) -> PortSet {
        let is_asked = |rule: &usize| {
            let rule = &self.rules.all[*rule];
            rule.stage != Stage::Policy && (with_others || rule.peers.is_some())
        };
        let holding = self.holding(profile, peer);
        let rules = profile.rules.iter().copied().filter(is_asked).collect();
        let tiers = Profile { rules, isolated: false, ..profile.clone() };
        self.passing(&tiers, |term| holding.binary_search(&term).is_ok())
    }

    /// Whether the policy is asked about the party's connections in that direction.
    fn is_asked(&self, party: PartyId, direction: Direction, policy: usize) -> bool {
        self.profile_of(party, direction).is_some_and(|profile| profile.policies.binary_search(&policy).is_ok())
    }

    fn profile_without(
        &self,
        own: PartyId,
        direction: Direction,
        policy: usize,
        cluster_policies: &[&ClusterPolicy],
    ) -> Option<Profile> {
        let party = self.party(own);
        let selecting: Vec<usize> = party.selecting.iter().copied().filter(|number| *number != policy).collect();
        let mut profile = self.profile(direction, &selecting, cluster_policies)?;
        if direction == Direction::Ingress {
            let is_unusual = |term: &TermId| party.unusual.binary_search(term).is_ok();
            let declares = |term: &TermId| self.terms.usually(*term, party.population) != is_unusual(term);
            let named = profile.rules.iter().flat_map(|rule| &self.rules.all[*rule].named).map(|(term, _)| *term);
            profile.declares = named.filter(declares).collect::<BTreeSet<_>>().into_iter().collect();
        }
        self.complete(&mut profile);
        Some(profile)
    }
}

//! What one direction of a party lets pass, to or from another one.

use std::collections::HashMap;
use std::rc::Rc;

use super::causes::Cause;
use super::rules::{Asked, Stage};
use super::terms::TermId;
use super::{PartyId, Population, PortSet, Reach};
use crate::{Direction, TierAction};

/// The number of a [`Profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProfileId(u32);

/// What judges parties in one direction: the same rules, the same ports of their own.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) direction: Direction,
    /// Whether a NetworkPolicy isolates them.
    pub(super) isolated: bool,
    /// The policies, by their numbers among the facts.
    pub(super) policies: Vec<usize>,
    /// The rules, by number, in the order in which they are asked.
    pub(super) rules: Vec<usize>,
    /// For ingress the ports that they declare: ascending.
    pub(super) declares: Vec<TermId>,
    /// What the rules ask of peers: ascending, each once.
    pub(super) terms: Vec<TermId>,
    /// Those of them by which a peer may get another answer than usual: not the ports of rules that name all of their
    /// peers.
    pub(super) naming: Vec<TermId>,
    /// Whom it judges, ascending.
    pub(super) parties: Vec<PartyId>,
    /// What passes to or from whom no rule names, by the number of the population.
    pub(super) usual: [PortSet; Population::ALL.len()],
}

/// What is known already: by profile, and what of its terms holds of the peer.
#[derive(Default)]
pub(super) struct Memory(HashMap<(ProfileId, Vec<TermId>), Rc<PortSet>>);

/// What a rule did.
pub(super) struct Step<'a> {
    pub(super) rule: &'a Asked,
    /// About what it decided first.
    pub(super) ports: PortSet,
}

impl Reach {
    /// What may be opened from one to the other.
    pub(super) fn between(&self, from: PartyId, to: PartyId, memory: &mut Memory) -> PortSet {
        let egress = self.lets(from, Direction::Egress, to, memory);
        let ingress = self.lets(to, Direction::Ingress, from, memory);
        match (egress, ingress) {
            (None, None) => PortSet::all(),
            (Some(ports), None) | (None, Some(ports)) => (*ports).clone(),
            (Some(egress), Some(ingress)) => egress.intersection(&ingress),
        }
    }

    /// What passes one end's policies; `None` where nothing judges it.
    pub(super) fn lets(
        &self,
        own: PartyId,
        direction: Direction,
        peer: PartyId,
        memory: &mut Memory,
    ) -> Option<Rc<PortSet>> {
        let id = self.party(own).profiles[direction as usize]?;
        let profile = &self.profiles[id.number()];
        let key = (id, self.holding(profile, peer));
        if let Some(known) = memory.0.get(&key) {
            return Some(known.clone());
        }
        let ports = Rc::new(self.passing(profile, |term| key.1.binary_search(&term).is_ok()));
        memory.0.insert(key, ports.clone());
        Some(ports)
    }

    /// The rules that decide about what one end's policies let pass or not, each with the ports about which it does.
    pub(super) fn causes_at(&self, own: PartyId, direction: Direction, peer: PartyId) -> Vec<Cause> {
        let Some(id) = self.party(own).profiles[direction as usize] else { return Vec::new() };
        let profile = &self.profiles[id.number()];
        let holding = self.holding(profile, peer);
        let mut causes = Vec::new();
        self.ask(
            profile,
            |term| holding.binary_search(&term).is_ok(),
            |step| {
                let Step { rule, ports } = step;
                causes.push(Cause { rule: rule.name.clone(), action: rule.action, ports });
            },
        );
        causes
    }

    /// What passes, where these terms hold of the peer.
    pub(super) fn passing(&self, profile: &Profile, holds: impl Fn(TermId) -> bool) -> PortSet {
        self.ask(profile, holds, |_| {})
    }

    /// The terms of the profile that hold of the peer: ascending.
    pub(super) fn holding(&self, profile: &Profile, peer: PartyId) -> Vec<TermId> {
        let party = self.party(peer);
        let is_unusual = |term: &TermId| party.unusual.binary_search(term).is_ok();
        let holds = |term: &TermId| self.terms.usually(*term, party.population) != is_unusual(term);
        profile.terms.iter().copied().filter(holds).collect()
    }

    /// Asks rule by rule; `told` hears of those that decide about something.
    fn ask(&self, profile: &Profile, holds: impl Fn(TermId) -> bool, mut told: impl FnMut(Step<'_>)) -> PortSet {
        let mut allowed = PortSet::default();
        // What the stage has not decided about, and what it has passed on.
        let mut left = PortSet::all();
        let mut passed = PortSet::default();
        let mut stage = Stage::Admin;
        for rule in profile.rules.iter().map(|number| &self.rules.all[*number]) {
            if rule.stage != stage {
                left = left.union(&passed);
                passed = PortSet::default();
                stage = rule.stage;
            }
            if rule.peers.as_ref().is_some_and(|peers| !peers.iter().any(|term| holds(*term))) {
                continue;
            }
            let declares = |term| match profile.direction {
                Direction::Egress => holds(term),
                Direction::Ingress => profile.declares.binary_search(&term).is_ok(),
            };
            let about = rule.ports(declares);
            let ports = about.intersection(&left);
            match rule.action {
                // Policies only ever allow: all rules that do are of interest, not the first alone.
                TierAction::Accept if stage == Stage::Policy => allowed = allowed.union(&ports),
                TierAction::Accept => (allowed, left) = (allowed.union(&ports), left.without(&ports)),
                TierAction::Deny => left = left.without(&ports),
                TierAction::Pass => (passed, left) = (passed.union(&ports), left.without(&ports)),
            }
            if !ports.is_empty() {
                told(Step { rule, ports });
            }
        }
        if profile.isolated { allowed } else { allowed.union(&left).union(&passed) }
    }
}

impl ProfileId {
    pub(super) fn new(number: usize) -> Self {
        Self(u32::try_from(number).expect("fewer profiles than memory has room for"))
    }

    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

//! From the objects of a cluster to parties, and who judges them.

mod kinds;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use self::kinds::{KindId, Kinds};
use super::judge::{Profile, ProfileId};
use super::networks::Networks;
use super::rules::{self, Rules};
use super::terms::{Term, TermId, Terms};
use super::{Party, PartyId, Place, PlaceId, PlaceName, PolicyFacts, Population, Reach};
use crate::reference::Cluster;
use crate::{ClusterPolicy, Direction, NamespacedName, Pod, Policy, Tier, workload};

impl Reach {
    /// Of these objects.
    pub fn new(cluster: &Cluster) -> Self {
        Self::beside(cluster, &Cluster::default())
    }

    /// Before a change of objects, and after: both tell addresses outside apart where rules of either do, so that
    /// their places
    /// can be compared.
    pub fn pair(before: &Cluster, after: &Cluster) -> (Self, Self) {
        (Self::beside(before, after), Self::beside(after, before))
    }

    fn beside(cluster: &Cluster, other: &Cluster) -> Self {
        let (policies, cluster_policies) = enforced(cluster);
        let (rules, mut terms) = compile(cluster, &policies, &cluster_policies);
        intern(other, &mut terms);
        let networks = Networks::new(cluster, &terms);
        let mut reach = Self {
            places: Vec::new(),
            parties: Vec::new(),
            addresses: HashMap::new(),
            outside: HashMap::new(),
            networks,
            rules,
            terms,
            profiles: Vec::new(),
            asked_by: Vec::new(),
            policies: facts(&policies, &cluster_policies),
        };
        let mut kinds = Kinds::new(cluster);
        let features = reach.add_workloads(cluster, &mut kinds);
        let features = reach.add_outside(features);
        reach.answer(&kinds, &features);
        reach.add_profiles(&kinds, &policies, &cluster_policies, &features);
        reach
    }

    fn add_workloads(&mut self, cluster: &Cluster, kinds: &mut Kinds) -> Vec<Features> {
        let ports = self.port_terms();
        let mut parties = BTreeMap::<(NamespacedName, Features), Vec<(&Pod, IpAddr)>>::new();
        for (address, pod) in owners(cluster) {
            let declared = pod.ports.iter().filter_map(|port| ports.get(&Term::Port(port.clone())).copied());
            let declares: BTreeSet<TermId> = declared.collect();
            let features = Features {
                ipv6: address.is_ipv6(),
                kind: Some(kinds.of(&pod.id.namespace, &pod.labels)),
                declares: declares.into_iter().collect(),
                networks: self.networks.of(address),
            };
            parties.entry((workload_of(pod), features)).or_default().push((pod, address));
        }
        let mut all = Vec::new();
        let mut counted = BTreeSet::new();
        for ((workload, features), pods) in parties {
            let name = PlaceName::Workload(workload);
            let ids: BTreeSet<&NamespacedName> = pods.iter().map(|(pod, _)| &pod.id).collect();
            let id = self.add_party(name, Population { ipv6: features.ipv6, outside: false }, ids.len());
            // A pod may be in one of each family.
            let new = ids.into_iter().filter(|id| counted.insert(*id)).count();
            self.places.last_mut().expect("a party has a place").pods += new;
            self.addresses.extend(pods.iter().map(|(_, address)| (*address, id)));
            features.kind.into_iter().for_each(|kind| kinds.add_party(kind, id, new));
            all.push(features);
        }
        all
    }

    fn add_outside(&mut self, mut all: Vec<Features>) -> Vec<Features> {
        for ((ipv6, networks), blocks) in self.networks.outside(self.addresses.keys().copied()) {
            let name = PlaceName::Outside { ipv6, blocks, named: !networks.is_empty() };
            let id = self.add_party(name, Population { ipv6, outside: true }, 0);
            self.outside.insert((ipv6, networks.clone()), id);
            all.push(Features { ipv6, kind: None, declares: Vec::new(), networks });
        }
        all
    }

    /// Parties come by the names of their places.
    fn add_party(&mut self, name: PlaceName, population: Population, pods: usize) -> PartyId {
        let number = self.parties.len();
        if self.places.last().is_none_or(|last| last.name != name) {
            self.places.push(Place { name, pods: 0, parties: number..number });
        }
        let place = PlaceId::new(self.places.len() - 1);
        self.places[place.number()].parties.end += 1;
        self.parties.push(Party {
            place,
            population,
            pods,
            profiles: [None; 2],
            unusual: Vec::new(),
            selecting: Rc::default(),
        });
        PartyId::new(number)
    }

    fn port_terms(&self) -> HashMap<Term, TermId> {
        let ports = self.terms.iter().filter(|(term, _)| matches!(term, Term::Port(_)));
        ports.map(|(term, id)| (term.clone(), id)).collect()
    }

    /// Who answers the terms, and how.
    fn answer(&mut self, kinds: &Kinds, features: &[Features]) {
        let populations: Vec<(PartyId, Population)> =
            self.parties.iter().enumerate().map(|(at, party)| (PartyId::new(at), party.population)).collect();
        let mut answers: Vec<Vec<PartyId>> = vec![Vec::new(); self.terms.len()];
        for (at, features) in features.iter().enumerate() {
            for term in features.networks.iter().chain(&features.declares) {
                answers[term.number()].push(PartyId::new(at));
            }
        }
        for (term, id) in self.terms.iter() {
            if let Term::Pods(group) = term {
                answers[id.number()] = kinds.parties(&kinds.matching(group));
            }
        }
        for (id, yes) in self.terms.numbers().zip(answers) {
            self.terms.answer(id, &yes, &populations);
            for party in self.terms.unusual(id) {
                self.parties[party.0 as usize].unusual.push(id);
            }
        }
    }

    fn add_profiles(
        &mut self,
        kinds: &Kinds,
        policies: &[&Policy],
        cluster_policies: &[&ClusterPolicy],
        features: &[Features],
    ) {
        let judged = judged(kinds, policies, cluster_policies);
        for (number, judged) in judged.iter().enumerate() {
            self.policies[number].pods = kinds.pods(judged);
        }
        let by_kind: Vec<Rc<[usize]>> = by_kind(kinds, &judged).into_iter().map(Rc::from).collect();
        let mut known = HashMap::<(Direction, Vec<usize>, Vec<TermId>), ProfileId>::new();
        for (number, features) in features.iter().enumerate() {
            let Some(kind) = features.kind else { continue };
            self.parties[number].selecting = by_kind[kind.number()].clone();
            for direction in Direction::ALL {
                let Some(mut profile) = self.profile(direction, &by_kind[kind.number()], cluster_policies) else {
                    continue;
                };
                if direction == Direction::Ingress {
                    profile.declares = self.named_of(&profile, &features.declares);
                }
                let key = (direction, profile.policies.clone(), profile.declares.clone());
                let next = ProfileId::new(self.profiles.len());
                let id = *known.entry(key).or_insert(next);
                if id == next {
                    self.complete(&mut profile);
                    self.profiles.push(profile);
                }
                let party = PartyId::new(number);
                self.profiles[id.number()].parties.push(party);
                self.parties[number].profiles[direction as usize] = Some(id);
            }
        }
        self.asked_by = vec![Vec::new(); self.terms.len()];
        for (number, profile) in self.profiles.iter().enumerate() {
            if profile.direction == Direction::Ingress {
                profile.terms.iter().for_each(|term| self.asked_by[term.number()].push(ProfileId::new(number)));
            }
        }
    }

    /// Who judges in one direction, of those that select a pod; `None` where nobody does.
    pub(super) fn profile(
        &self,
        direction: Direction,
        selecting: &[usize],
        cluster: &[&ClusterPolicy],
    ) -> Option<Profile> {
        let policies = self.rules.of_policies.len();
        let isolating =
            |number: &usize| *number < policies && self.rules.of_policies[*number][direction as usize].is_some();
        let isolated = selecting.iter().any(isolating);
        let of_tier = |tier| {
            let of_cluster = selecting.iter().copied().filter(move |number| *number >= policies);
            of_cluster.filter(move |number| {
                let policy = cluster[*number - policies];
                policy.tier == tier && !policy.rules(direction).is_empty()
            })
        };
        let isolating = selecting.iter().copied().filter(isolating);
        let baseline = of_tier(Tier::Baseline).filter(|_| !isolated);
        let asked: Vec<usize> = of_tier(Tier::Admin).chain(isolating).chain(baseline).collect();
        if asked.is_empty() {
            return None;
        }
        let rules = asked.iter().flat_map(|number| self.rules.of(*number, direction)).collect();
        let mut policies = asked;
        policies.sort_unstable();
        let (declares, terms, naming, parties) = Default::default();
        Some(Profile {
            direction,
            isolated,
            policies,
            rules,
            declares,
            terms,
            naming,
            parties,
            usual: Default::default(),
        })
    }

    /// Those of the ports that the profile's rules name.
    fn named_of(&self, profile: &Profile, declares: &[TermId]) -> Vec<TermId> {
        let rules = profile.rules.iter().map(|rule| &self.rules.all[*rule]);
        let named: BTreeSet<TermId> = rules.flat_map(|rule| &rule.named).map(|(term, _)| *term).collect();
        declares.iter().copied().filter(|term| named.contains(term)).collect()
    }

    pub(super) fn complete(&self, profile: &mut Profile) {
        let (mut terms, mut naming) = (BTreeSet::new(), BTreeSet::new());
        for rule in profile.rules.iter().map(|rule| &self.rules.all[*rule]) {
            let peers = rule.peers.iter().flatten().copied();
            let named = rule.named.iter().filter(|_| profile.direction == Direction::Egress).map(|(term, _)| *term);
            if rule.peers.as_ref().is_none_or(|peers| peers.iter().any(|peer| self.terms.is_ever_usual(*peer))) {
                naming.extend(named.clone());
            }
            naming.extend(peers.clone());
            terms.extend(peers.chain(named));
        }
        profile.terms = terms.into_iter().collect();
        profile.naming = naming.into_iter().collect();
        profile.usual = Population::ALL.map(|of| self.passing(profile, |term| self.terms.usually(term, of)));
    }
}

/// What rules may see of a party.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Features {
    ipv6: bool,
    /// `None` outside.
    kind: Option<KindId>,
    /// The ports that rules name.
    declares: Vec<TermId>,
    /// The blocks and nodes that hold the address.
    networks: Vec<TermId>,
}

/// The policies that are enforced: by name, and in the order in which they are asked.
pub(super) fn enforced(cluster: &Cluster) -> (Vec<&Policy>, Vec<&ClusterPolicy>) {
    let policies = cluster.policies.values().filter(|policy| !policy.is_audited());
    let of_cluster = cluster.cluster_policies.values().filter(|policy| !policy.is_audited());
    let mut of_cluster: Vec<&ClusterPolicy> = of_cluster.collect();
    of_cluster.sort_by_key(|policy| policy.precedence());
    (policies.collect(), of_cluster)
}

/// What the rules of a cluster ask, without the rules.
fn intern(cluster: &Cluster, terms: &mut Terms) {
    let (policies, cluster_policies) = enforced(cluster);
    let (mut rules, declared) = (Rules::default(), rules::Declared::default());
    policies.into_iter().for_each(|policy| rules.policy(policy, false, &declared, terms));
    cluster_policies.into_iter().for_each(|policy| rules.cluster_policy(policy, &declared, terms));
}

fn compile(cluster: &Cluster, policies: &[&Policy], cluster_policies: &[&ClusterPolicy]) -> (Rules, Terms) {
    let (mut rules, mut terms) = (Rules::default(), Terms::default());
    let declared = rules::declared(cluster, policies, cluster_policies, &mut terms);
    for policy in policies {
        rules.policy(policy, cluster.closed.contains(&policy.id.namespace), &declared, &mut terms);
    }
    for policy in cluster_policies {
        rules.cluster_policy(policy, &declared, &mut terms);
    }
    (rules, terms)
}

fn facts(policies: &[&Policy], cluster_policies: &[&ClusterPolicy]) -> Vec<PolicyFacts> {
    let of_cluster = cluster_policies.iter().map(|policy| NamespacedName::new("", policy.name.clone()));
    let ids = policies.iter().map(|policy| policy.id.clone()).chain(of_cluster);
    ids.map(|id| PolicyFacts { id, pods: 0 }).collect()
}

/// Whose address each is: of several pods that claim one that which is not terminating, then the one that was given it
/// last,
/// then the last by name.
fn owners(cluster: &Cluster) -> HashMap<IpAddr, &Pod> {
    let mut owners = HashMap::<IpAddr, &Pod>::new();
    let rank = |pod: &Pod| (Reverse(pod.terminating), pod.age, pod.id.clone());
    for pod in cluster.pods.values() {
        for address in pod.addresses() {
            let owner = owners.entry(*address).or_insert(pod);
            if owner.id != pod.id && rank(owner) < rank(pod) {
                *owner = pod;
            }
        }
    }
    owners
}

fn workload_of(pod: &Pod) -> NamespacedName {
    NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels))
}

/// By policy, of both kinds: which kinds of pods it selects.
fn judged(kinds: &Kinds, policies: &[&Policy], cluster_policies: &[&ClusterPolicy]) -> Vec<Vec<KindId>> {
    let of_policies = policies.iter().map(|policy| kinds.within(&policy.id.namespace, &policy.selector));
    let of_cluster = cluster_policies.iter().map(|policy| kinds.matching(&policy.subject));
    of_policies.chain(of_cluster).collect()
}

/// By kind: the policies that select it, ascending.
fn by_kind(kinds: &Kinds, judged: &[Vec<KindId>]) -> Vec<Vec<usize>> {
    let mut by_kind = vec![Vec::new(); kinds.len()];
    for (number, judged) in judged.iter().enumerate() {
        judged.iter().for_each(|kind| by_kind[kind.number()].push(number));
    }
    by_kind
}

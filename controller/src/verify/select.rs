//! Which pods and addresses an expectation is about.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::{Labels, NamespacedName, Pod, Service};

use super::blocks::Blocks;
use super::expectations::{End, hypothetical_title};
use super::imagined::imagined;
use super::judge::Party;
use super::situation::{Candidate, Situation};
use crate::meant::meant;

/// The pods and addresses of one side.
#[derive(Debug, Default)]
pub(super) struct Side<'a> {
    pub(super) pods: Vec<Arc<Candidate>>,
    pub(super) addresses: Vec<IpAddr>,
    /// The Service that leads to them.
    pub(super) service: Option<&'a Service>,
}

/// Pods that are alike, or an address: what one question asks about.
#[derive(Debug)]
pub(super) enum Group<'a> {
    /// Two of them, where there are, at the addresses where they may be; and how many there are.
    Pods { some: Vec<(&'a str, &'a Pod)>, count: usize },
    /// No pod's address.
    Address(IpAddr),
}

impl Group<'_> {
    /// How many are alike.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Pods { count, .. } => *count,
            Self::Address(_) => 1,
        }
    }

    /// Each end that it has.
    pub(super) fn parties(&self) -> Vec<Party<'_>> {
        match self {
            Self::Address(address) => vec![Party { address: *address, title: "", pod: None }],
            Self::Pods { some, .. } => {
                let parties = some.iter().flat_map(|(title, pod)| {
                    pod.ips.iter().map(move |address| Party { address: *address, title, pod: Some(*pod) })
                });
                parties.collect()
            }
        }
    }
}

impl Situation {
    /// What all of these ends are about.
    ///
    /// # Errors
    /// That one of them is about nothing, with the name that was probably meant.
    pub(super) fn side(&self, ends: &[End]) -> Result<Side<'_>, String> {
        let mut side = Side::default();
        for end in ends {
            self.add(end, &mut side)?;
        }
        Ok(side)
    }

    fn add<'a>(&'a self, end: &End, side: &mut Side<'a>) -> Result<(), String> {
        let before = side.pods.len();
        match end {
            End::Any => side.pods.extend(self.candidates.iter().cloned()),
            End::Address(address) => match self.owners.get(address) {
                Some(at) => side.pods.push(self.candidates[*at].clone()),
                None => side.addresses.push(*address),
            },
            End::Pod(id) => self.pod(id, side)?,
            End::Workload(id) => {
                side.pods.extend(self.candidates.iter().filter(|one| one.workload == *id).cloned());
                if side.pods.len() == before {
                    let names = self.candidates.iter().map(|one| one.workload.to_string());
                    return Err(format!("no pod is of workload {id}{}", meant(&id.to_string(), names)));
                }
            }
            End::Labelled { namespace, labels } => {
                let is_there = |name: &str| namespace.as_deref().is_none_or(|namespace| namespace == name);
                side.pods.extend(self.those(|pod| is_there(&pod.id.namespace) && has(pod, labels)));
                if side.pods.len() == before {
                    return Err(format!("{end} match no pod{}", self.meant_namespace(namespace.as_deref(), labels)));
                }
            }
            End::Hypothetical { namespace, labels, ports } => {
                if !self.namespaces.contains_key(&**namespace) {
                    let names = self.namespaces.keys().map(ToString::to_string);
                    return Err(format!("there is no namespace {namespace}{}", meant(namespace, names)));
                }
                let pod = imagined(namespace, labels, ports);
                let title = hypothetical_title(namespace, labels);
                side.pods.extend(self.hypothetical(&pod, &title).into_iter().map(Arc::new));
            }
            End::Service(id) => {
                let Some(service) = self.services.get(id) else {
                    let names = self.services.keys().map(ToString::to_string);
                    return Err(format!("there is no Service {id}{}", meant(&id.to_string(), names)));
                };
                if service.selector.is_none() {
                    return Err(format!(
                        "Service {id} has no selector, so that it does not say which pods are behind it"
                    ));
                }
                side.pods.extend(self.those(|pod| service.selects(pod)));
                side.service = Some(service);
                if side.pods.len() == before {
                    return Err(format!("no pod is behind Service {id}"));
                }
            }
        }
        Ok(())
    }

    fn pod(&self, id: &NamespacedName, side: &mut Side<'_>) -> Result<(), String> {
        let title = id.to_string();
        let before = side.pods.len();
        side.pods.extend(self.candidates.iter().filter(|one| one.exists && one.title == title).cloned());
        match self.others.get(id) {
            _ if side.pods.len() > before => Ok(()),
            Some(pod) if pod.host_network && !pod.ips.is_empty() => {
                side.addresses.extend(&pod.ips);
                Ok(())
            }
            Some(pod) if pod.host_network => Err(format!("pod {id} has no address yet")),
            Some(_) => Err(format!("pod {id} has finished: it has no address any more")),
            None => {
                let names = self.candidates.iter().map(|one| one.title.clone());
                Err(format!("there is no pod {id}{}", meant(&title, names)))
            }
        }
    }

    fn those(&self, is_one: impl Fn(&Pod) -> bool) -> impl Iterator<Item = Arc<Candidate>> {
        self.candidates.iter().filter(move |one| one.pods.first().is_some_and(&is_one)).cloned()
    }

    /// All pods but those of a side, and addresses of each kind that is outside.
    pub(super) fn all_but(&self, side: &Side<'_>, of: &[Group<'_>]) -> Side<'_> {
        let titles: HashSet<&str> = side.pods.iter().map(|one| one.title.as_str()).collect();
        let imagined: Vec<&Pod> =
            side.pods.iter().filter(|one| !one.exists).filter_map(|one| one.pods.first()).collect();
        let is_like = |one: &Pod, other: &Pod| one.id.namespace == other.id.namespace && has(one, &other.labels);
        let is_of_side = |one: &Candidate| {
            let is_imagined = |pod: &Pod| imagined.iter().any(|other| is_like(pod, other));
            titles.contains(one.title.as_str()) || one.pods.first().is_some_and(is_imagined)
        };
        let pods = self.candidates.iter().filter(|one| !is_of_side(one)).cloned().collect();
        let mut addresses = self.outside(of);
        addresses.retain(|address| !side.addresses.contains(address));
        Side { pods, addresses, service: None }
    }

    /// Addresses outside, one of each kind that the policies of these tell apart.
    pub(super) fn outside(&self, of: &[Group<'_>]) -> Vec<IpAddr> {
        let mut blocks = Blocks::default();
        let pods = of.iter().filter_map(|group| match group {
            Group::Pods { some, .. } => some.first().map(|(_, pod)| &pod.id.namespace),
            Group::Address(_) => None,
        });
        let namespaces: BTreeSet<&Arc<str>> = pods.collect();
        let policies = namespaces.into_iter().filter_map(|name| self.policies.get(name)).flat_map(|all| all.values());
        policies.for_each(|policy| blocks.add_policy(policy));
        self.cluster_policies.values().for_each(|policy| blocks.add_cluster_policy(policy));
        blocks.outside(|address| {
            let is_imagined = self.kinds.iter().flatten().flatten().any(|taken| *taken == address);
            is_imagined || self.owners.contains_key(&address) || self.of_nodes.contains(&address)
        })
    }

    /// The namespace, or the label's value, that was probably meant.
    fn meant_namespace(&self, namespace: Option<&str>, labels: &Labels) -> String {
        if let Some(name) = namespace.filter(|name| !self.namespaces.contains_key(*name)) {
            let near = meant(name, self.namespaces.keys().map(ToString::to_string));
            if !near.is_empty() {
                return near;
            }
        }
        let is_there = |pod: &Pod| namespace.is_none_or(|namespace| *namespace == *pod.id.namespace);
        let pods = || self.candidates.iter().flat_map(|one| &one.pods).filter(|pod| is_there(pod));
        let written = |labels: &Labels| labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        let all: BTreeSet<String> = pods().flat_map(|pod| written(&pod.labels)).collect();
        let missing = written(labels).into_iter().find(|label| !all.contains(label));
        missing.map(|label| meant(&label, all)).unwrap_or_default()
    }
}

impl Side<'_> {
    /// One group for pods that policies do not tell apart, nor the addresses of the other side, which may be a pod's own
    /// node.
    pub(super) fn groups(&self, facing: &[IpAddr]) -> Vec<Group<'_>> {
        let facing: HashSet<&IpAddr> = facing.iter().collect();
        let mut at = HashMap::<(usize, Option<&str>, Vec<IpAddr>), usize>::new();
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut seen = HashSet::new();
        for one in &self.pods {
            let Some(first) = one.pods.first().filter(|_| seen.insert(Arc::as_ptr(one))) else {
                continue;
            };
            let hosts = first.host_ips.iter().copied().filter(|address| facing.contains(address)).collect();
            let imagined = (!one.exists).then_some(one.title.as_str());
            let place = *at.entry((one.class, imagined, hosts)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Group::Pods { some: Vec::new(), count: 0 });
            }
            if let Some(Group::Pods { some, count }) = groups.get_mut(place) {
                *count += 1;
                // One could only meet itself.
                let is_one = some.iter().all(|(_, pod)| some.first().is_some_and(|(_, first)| pod.id == first.id));
                some.extend(one.pods.iter().filter(|_| is_one).map(|pod| (one.title.as_str(), pod)));
            }
        }
        let addresses: BTreeSet<IpAddr> = self.addresses.iter().copied().collect();
        groups.into_iter().chain(addresses.into_iter().map(Group::Address)).collect()
    }
}

fn has(pod: &Pod, labels: &Labels) -> bool {
    labels.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
}

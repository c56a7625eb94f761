//! Pods that need not exist, and the addresses that they may have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use palisade_model::reference::Cluster;
use palisade_model::{Age, ContainerPort, Labels, NamespacedName, Phase, Pod};

use super::blocks::step;
use super::situation::{Candidate, Situation};

/// How many addresses around one are tried to find another of its kind.
const AROUND: u128 = 256;

impl Situation {
    /// A pod that need not exist, at each kind of address that pods have.
    pub(super) fn hypothetical(&self, pod: &Pod, title: &str) -> Vec<Candidate> {
        let at = |(kind, addresses): (usize, &[Vec<IpAddr>; 2])| {
            let with = |(twin, ips): (usize, &Vec<IpAddr>)| {
                let name = format!("{} (at {kind}, {twin})", pod.id.name);
                Pod { id: NamespacedName::new(pod.id.namespace.clone(), name), ips: ips.clone(), ..pod.clone() }
            };
            let pods: Vec<Pod> = addresses.iter().enumerate().filter(|(_, ips)| !ips.is_empty()).map(with).collect();
            // A class that no pod is of is as good as any other that none is of.
            let known = pods.first().and_then(|pod| self.classes.get(&self.class(pod)).copied());
            let class = known.unwrap_or(usize::MAX - kind);
            Candidate { title: title.to_owned(), workload: pod.id.clone(), pods, class, exists: false }
        };
        self.kinds.iter().enumerate().map(at).collect()
    }

    /// A pod that need not exist, at addresses of the first kind of which there are some that nobody has, nor is to have.
    pub fn imagine(&self, pod: &Pod, taken: &[IpAddr]) -> Pod {
        let is_free = |address: &IpAddr| !self.owners.contains_key(address) && !taken.contains(address);
        let free = |address: &IpAddr| self.around(*address).find(is_free);
        let kinds = self.kinds.iter().map(|[addresses, _]| addresses.iter().filter_map(free).collect::<Vec<_>>());
        Pod { ips: kinds.into_iter().find(|ips| !ips.is_empty()).unwrap_or_default(), ..pod.clone() }
    }

    /// The kinds of addresses that pods of this cluster have; where none has any, one of no block that is smaller than
    /// everything.
    pub(super) fn kinds_of(&self, cluster: &Cluster) -> Vec<[Vec<IpAddr>; 2]> {
        let mut seen = BTreeMap::new();
        let shown = cluster.pods.values().map(Pod::addresses).filter(|addresses| !addresses.is_empty());
        for addresses in shown.filter(|addresses| !addresses.iter().any(|address| self.blocks.is_named(*address))) {
            seen.entry(self.signature(addresses)).or_insert(addresses);
        }
        let twins = |addresses: &[IpAddr]| {
            let others: Option<Vec<IpAddr>> = addresses.iter().map(|address| self.another(*address)).collect();
            [addresses.to_vec(), others.unwrap_or_default()]
        };
        let kinds: Vec<_> = seen.into_values().map(twins).collect();
        if kinds.is_empty() { vec![twins(&self.anywhere())] } else { kinds }
    }

    /// An address of each family that as few blocks hold as can be.
    fn anywhere(&self) -> Vec<IpAddr> {
        let all = self.blocks.outside(|address| self.of_nodes.contains(&address));
        let least = |is_ipv4: bool| {
            let of_family = all.iter().copied().filter(|address| address.is_ipv4() == is_ipv4);
            of_family
                .filter(|address| !address.is_unspecified())
                .min_by_key(|address| self.blocks.holding(*address).len())
        };
        [least(true), least(false)].into_iter().flatten().collect()
    }

    /// Another address that policies do not tell from this one.
    fn another(&self, address: IpAddr) -> Option<IpAddr> {
        self.around(address).find(|other| *other != address)
    }

    /// Addresses that policies do not tell from this one, and this one, but for those of nodes.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = IpAddr> {
        let held = self.blocks.holding(address);
        let all = (0..AROUND).filter_map(move |by| step(address, by)).chain(before(address));
        all.filter(move |other| self.blocks.holding(*other) == held && !self.of_nodes.contains(other))
    }
}

fn before(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    (1..AROUND).filter_map(move |by| {
        Some(match address {
            IpAddr::V4(address) => IpAddr::V4(u32::from(address).checked_sub(u32::try_from(by).ok()?)?.into()),
            IpAddr::V6(address) => IpAddr::V6(u128::from(address).checked_sub(by)?.into()),
        })
    })
}

/// By what name such a pod is called: no object can have it.
fn hypothetical_name(labels: &Labels) -> String {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("({})", labels.join(","))
}

/// A pod that need not exist, without addresses.
pub fn imagined(namespace: &str, labels: &Labels, ports: &[ContainerPort]) -> Pod {
    Pod {
        id: NamespacedName::new(namespace, hypothetical_name(labels)),
        uid: None,
        labels: labels.clone(),
        node: None,
        ips: Vec::new(),
        host_ips: Vec::new(),
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age::default(),
        ports: ports.to_vec(),
    }
}

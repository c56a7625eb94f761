//! What is known of a cluster, arranged so that many policies can be looked at.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::{Objects, Remarks};
use crate::reference::Cluster;
use crate::{Direction, NamespaceScope, Phase, Pod, PodGroup, Policy, Service};

/// Pods that are alike are looked at once: one of each labels and ports in a namespace.
pub(super) struct Known<'a> {
    objects: &'a Objects<'a>,
    pods: BTreeMap<&'a str, Vec<&'a Pod>>,
    policies: BTreeMap<&'a str, Vec<&'a Policy>>,
    services: BTreeMap<&'a str, Vec<&'a Service>>,
    addresses: BTreeMap<IpAddr, &'a Pod>,
    service_addresses: BTreeMap<IpAddr, &'a Service>,
    groups: RefCell<HashMap<&'a PodGroup, Rc<Vec<&'a Pod>>>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(objects: &'a Objects<'a>) -> Self {
        let cluster = objects.cluster;
        let live = cluster
            .pods
            .values()
            .chain(objects.templates.values())
            .filter(|pod| !pod.host_network && pod.phase == Phase::Active);
        let mut kinds = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for pod in live {
            kinds.entry((&*pod.id.namespace, &pod.labels, &pod.ports)).or_insert(pod);
            addresses.extend(pod.addresses().iter().map(|address| (*address, pod)));
        }
        let mut pods = BTreeMap::<&str, Vec<&Pod>>::new();
        kinds.into_iter().for_each(|((namespace, ..), pod)| pods.entry(namespace).or_default().push(pod));
        let mut policies = BTreeMap::<&str, Vec<&Policy>>::new();
        cluster.policies.values().for_each(|policy| policies.entry(&*policy.id.namespace).or_default().push(policy));
        let mut services = BTreeMap::<&str, Vec<&Service>>::new();
        objects.services.values().for_each(|service| services.entry(&*service.id.namespace).or_default().push(service));
        let addressed =
            objects.services.values().flat_map(|service| service.addresses.iter().map(move |at| (*at, service)));
        let service_addresses = addressed.collect();
        Self { objects, pods, policies, services, addresses, service_addresses, groups: RefCell::default() }
    }

    pub(super) fn cluster(&self) -> &'a Cluster {
        self.objects.cluster
    }

    pub(super) fn has_pods(&self) -> bool {
        !self.pods.is_empty()
    }

    pub(super) fn has_namespaces(&self) -> bool {
        !self.objects.cluster.namespaces.is_empty()
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.objects.cluster.namespaces.contains_key(name)
    }

    pub(super) fn remarks(&self, policy: &Policy) -> Option<&'a Remarks> {
        self.objects.remarks.get(&policy.id)
    }

    /// The policies, by namespace.
    pub(super) fn policies(&self) -> impl Iterator<Item = &[&'a Policy]> {
        self.policies.values().map(Vec::as_slice)
    }

    /// The ranges of Services' addresses.
    pub(super) fn service_ranges(&self) -> &'a [IpNet] {
        self.objects.service_ranges
    }

    /// The Services with addresses from the first to the last of these.
    pub(super) fn services_within(&self, first: IpAddr, last: IpAddr) -> impl Iterator<Item = (IpAddr, &'a Service)> {
        self.service_addresses.range(first..=last).map(|(address, service)| (*address, *service))
    }

    /// The pods of a namespace.
    pub(super) fn pods_in(&self, namespace: &str) -> &[&'a Pod] {
        self.pods.get(namespace).map(Vec::as_slice).unwrap_or_default()
    }

    /// All pods.
    pub(super) fn pods(&self) -> impl Iterator<Item = &'a Pod> {
        self.pods.values().flatten().copied()
    }

    /// The pods that a policy selects.
    pub(super) fn selected(&self, policy: &Policy) -> Vec<&'a Pod> {
        let all = self.pods_in(&policy.id.namespace).iter().copied();
        all.filter(|pod| policy.selector.matches(&pod.labels)).collect()
    }

    /// The pods of a group.
    pub(super) fn group(&self, group: &'a PodGroup) -> Rc<Vec<&'a Pod>> {
        if let Some(pods) = self.groups.borrow().get(group) {
            return Rc::clone(pods);
        }
        let of = |namespace: &str| self.pods_in(namespace).iter().copied();
        let pods: Vec<&Pod> = match &group.namespaces {
            NamespaceScope::Named(name) => of(name).filter(|pod| group.pods.matches(&pod.labels)).collect(),
            NamespaceScope::Matching(selector) => {
                let all = self.cluster().namespaces.values().filter(|namespace| selector.matches(&namespace.labels));
                all.flat_map(|namespace| of(&namespace.name)).filter(|pod| group.pods.matches(&pod.labels)).collect()
            }
        };
        let pods = Rc::new(pods);
        self.groups.borrow_mut().insert(group, Rc::clone(&pods));
        pods
    }

    /// The policies that isolate a pod in a direction.
    pub(super) fn isolating(&self, pod: &Pod, direction: Direction) -> impl Iterator<Item = &'a Policy> {
        let all = self.policies.get(&*pod.id.namespace).into_iter().flatten().copied();
        all.filter(move |policy| policy.rules(direction).is_some() && policy.selector.matches(&pod.labels))
    }

    /// Whether some pod that the policy selects is isolated in the direction by no other one.
    pub(super) fn isolates_alone(&self, policy: &Policy, direction: Direction) -> bool {
        let alone = |pod: &&Pod| self.isolating(pod, direction).all(|other| other.id == policy.id);
        self.selected(policy).iter().any(alone)
    }

    /// The Services that a pod is behind.
    pub(super) fn services_of(&self, pod: &Pod) -> impl Iterator<Item = &'a Service> {
        let all = self.services.get(&*pod.id.namespace).into_iter().flatten().copied();
        all.filter(|service| service.selects(pod))
    }

    /// The pods with addresses from the first to the last of these.
    pub(super) fn within(&self, first: IpAddr, last: IpAddr) -> impl Iterator<Item = (IpAddr, &'a Pod)> {
        self.addresses.range(first..=last).map(|(address, pod)| (*address, *pod))
    }
}

//! Who there is: workloads, and whose addresses are whose.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use palisade_model::recommend::End;
use palisade_model::reference::Cluster;
use palisade_model::{NamespacedName, Phase, Pod, Protocol, workload};

use crate::commands::recorded::Known as Flows;
use crate::flows::RecordedEnd;
use crate::manifests::Besides;
use crate::meant::meant_name;

const OF_NODE: &str = "no policy can name a node: a pod and its own node always reach each other, and another node's address is \
                       allowed with --allow";

/// What there is in a cluster.
pub(super) struct Known {
    /// The pods of each workload, or what would make them.
    workloads: BTreeMap<NamespacedName, Vec<Pod>>,
    owners: HashMap<IpAddr, NamespacedName>,
    nodes: BTreeSet<IpAddr>,
    /// Addresses of Services.
    services: BTreeSet<IpAddr>,
}

impl Known {
    /// Addresses of Services are told by `flows` as well.
    pub(super) fn new(cluster: &Cluster, besides: &Besides, flows: &Flows) -> Self {
        let mut workloads = BTreeMap::<_, Vec<Pod>>::new();
        let (mut owners, mut nodes) = (HashMap::new(), BTreeSet::new());
        for pod in cluster.pods.values() {
            nodes.extend(pod.host_ips.iter().copied());
            if pod.host_network || pod.phase == Phase::Finished {
                continue;
            }
            let id = NamespacedName::new(pod.id.namespace.clone(), workload(&pod.id.name, &pod.labels));
            owners.extend(pod.ips.iter().map(|address| (*address, id.clone())));
            workloads.entry(id).or_default().push(pod.clone());
        }
        nodes.extend(cluster.nodes.values().flat_map(|node| node.addresses.iter().copied()));
        for (id, pod) in besides.templates.iter().filter(|(_, pod)| !pod.host_network) {
            workloads.entry(id.clone()).or_insert_with(|| vec![pod.clone()]);
        }
        let recorded = flows.recorded.iter().filter_map(|flow| flow.service.as_deref());
        let open = flows.open.iter().flatten().filter_map(|open| open.service.as_deref());
        let called = recorded.chain(open).filter_map(|service| Some(service.parse::<SocketAddr>().ok()?.ip()));
        let written = besides.services.values().flat_map(|service| service.addresses.iter().copied());
        Self { workloads, owners, nodes, services: called.chain(written).collect() }
    }

    /// The pods that workloads without any would make.
    pub(super) fn to_come(&self) -> impl Iterator<Item = &Pod> {
        let is_made = |id: &NamespacedName, pod: &Pod| *id != pod.id || !pod.ips.is_empty();
        self.workloads.iter().flat_map(move |(id, pods)| pods.iter().filter(move |pod| !is_made(id, pod)))
    }

    /// Who an end of recorded flows is now.
    ///
    /// # Errors
    /// Why no policy can name it.
    pub(super) fn end(&self, end: &RecordedEnd) -> Result<End, &'static str> {
        if let Some(pod) = &end.pod {
            let id = NamespacedName::new(pod.namespace.as_str(), pod.workload.as_str());
            return Ok(End::Workload(self.maker(&id).unwrap_or(id)));
        }
        match self.now(end.address) {
            _ if end.node.is_some() => Err(OF_NODE),
            Ok(End::Workload(_)) => Err("its address was no pod's then, and is one's now"),
            now => now,
        }
    }

    /// Who has an address now.
    ///
    /// # Errors
    /// Why no policy can name it.
    pub(super) fn now(&self, address: IpAddr) -> Result<End, &'static str> {
        if self.nodes.contains(&address) {
            return Err(OF_NODE);
        }
        if self.services.contains(&address) {
            return Err("it is the address of a Service, and policies judge the pods behind it");
        }
        let owner = self.owners.get(&address).cloned();
        Ok(owner.map_or_else(|| End::Network(address.into()), End::Workload))
    }

    /// What made a workload that is gone: the CronJob of a Job `NAME-NUMBER`.
    fn maker(&self, id: &NamespacedName) -> Option<NamespacedName> {
        let (name, number) = id.name.rsplit_once('-')?;
        let maker = NamespacedName::new(id.namespace.clone(), name);
        let is_job = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        (is_job && !self.workloads.contains_key(id) && self.workloads.contains_key(&maker)).then_some(maker)
    }

    /// A workload that somebody names.
    ///
    /// # Errors
    /// That there is none of that name, with the one that was probably meant.
    pub(super) fn workload(&self, id: NamespacedName) -> Result<End, String> {
        if self.workloads.contains_key(&id) {
            return Ok(End::Workload(id));
        }
        Err(format!("there is no workload {id}{}", meant_name(&id, self.workloads.keys())))
    }

    /// An address that somebody names: that of a pod means its workload.
    ///
    /// # Errors
    /// Where it is a Service's.
    pub(super) fn address(&self, address: IpAddr) -> Result<End, String> {
        if self.services.contains(&address) {
            return Err(format!("{address} is the address of a Service: name a workload behind it"));
        }
        let owner = self.owners.get(&address).cloned();
        Ok(owner.map_or_else(|| End::Network(address.into()), End::Workload))
    }

    /// The numbers of a port that the pods of a workload declare under a name.
    pub(super) fn numbers(&self, id: &NamespacedName, name: &str, protocol: Protocol) -> BTreeSet<u16> {
        let pods = self.workloads.get(id).into_iter().flatten();
        pods.flat_map(|pod| pod.numbers_of(name, protocol)).collect()
    }

    /// The workload that answers for names: the one of `k8s-app=kube-dns`, in kube-system or elsewhere.
    pub(super) fn dns(&self) -> Option<&NamespacedName> {
        let is_dns = |pods: &Vec<Pod>| pods.iter().any(|pod| pod.labels.get("k8s-app") == Some("kube-dns"));
        self.workloads.iter().find(|(_, pods)| is_dns(pods)).map(|(id, _)| id)
    }
}

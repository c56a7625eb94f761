use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;
use thiserror::Error;

use super::data::{self, Action, Case, Labels, Phase, Pod, PodId};
use crate::netns::{Node, Place};

/// An action that names something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{action}: there is no {what}")]
pub struct WorldError {
    /// What was to be done.
    action: &'static str,
    /// To what.
    what: String,
}

/// The cluster of a case, and the hosts around it. Pods are dealt to the nodes in turn, in the order in which they come;
/// those on the host network that have a node's address are on that node.
#[derive(Clone, Debug)]
pub struct World {
    /// Those that run pods come first, in the order of the network's nodes.
    pub(super) machines: Vec<Machine>,
    pub(super) namespaces: BTreeMap<String, Labels>,
    pub(super) pods: BTreeMap<PodId, PlacedPod>,
    pub(super) policies: BTreeMap<PodId, Value>,
    pub(super) cluster_policies: BTreeMap<String, Value>,
    services: Vec<data::Service>,
    externals: BTreeMap<String, Vec<IpAddr>>,
    pods_so_far: usize,
    /// Counts changes, as `metadata.resourceVersion` does.
    revision: u64,
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// What the manifests call it: an agent's node has the name that the agent knows.
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    /// The labels of its Node object, while there is one.
    pub(super) labels: Option<Labels>,
    /// What a case calls it.
    called: String,
    /// Where its host is, once a case has given it addresses.
    host: Option<Place>,
    /// The number of the network's node, where it is one.
    number: Option<usize>,
}

/// A pod on its node.
#[derive(Clone, Debug)]
pub(super) struct PlacedPod {
    pub(super) pod: Pod,
    /// The number of its machine.
    pub(super) node: usize,
    /// The world's revision at which it came.
    pub(super) created: u64,
    /// The one at which it last changed.
    pub(super) changed: u64,
}

/// A virtual address, and the address that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The Service's.
    pub service: IpAddr,
    /// The pod's, of the same family.
    pub pod: IpAddr,
}

/// A host that must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Where.
    pub place: Place,
    /// With which addresses.
    pub addresses: Vec<IpAddr>,
}

impl World {
    /// The start of a case, on the given nodes.
    ///
    /// # Panics
    /// If there are no nodes.
    pub fn new(case: &Case, nodes: &[Node]) -> Self {
        assert!(!nodes.is_empty(), "pods need a node");
        let external = |external: &data::External| (format!("ext/{}", external.name), external.addresses());
        let mut world = Self {
            machines: nodes.iter().enumerate().map(|(number, node)| Machine::running(number, node)).collect(),
            namespaces: case.namespaces.iter().map(|one| (one.name.clone(), one.labels.clone())).collect(),
            pods: BTreeMap::new(),
            policies: BTreeMap::new(),
            cluster_policies: BTreeMap::new(),
            services: case.services.clone(),
            externals: case.externals.iter().map(external).collect(),
            pods_so_far: 0,
            revision: 1,
        };
        case.nodes.iter().for_each(|node| world.register(node));
        for pod in &case.pods {
            world.place(pod.clone());
        }
        world
    }

    /// Does what an action says.
    ///
    /// # Errors
    /// If it changes or deletes what is not there.
    pub fn apply(&mut self, action: &Action) -> Result<(), WorldError> {
        self.revision += 1;
        match action {
            Action::CreatePolicy { object } | Action::UpdatePolicy { object } => {
                self.policies.insert(policy_id(object), object.clone());
            }
            Action::DeletePolicy { namespace, name } => {
                let id = PodId { namespace: namespace.clone(), name: name.clone() };
                self.policies.remove(&id).ok_or_else(|| missing("deletePolicy", &id))?;
            }
            Action::CreateClusterPolicy { object } | Action::UpdateClusterPolicy { object } => {
                self.cluster_policies.insert(policy_id(object).name, object.clone());
            }
            Action::DeleteClusterPolicy { name } => {
                self.cluster_policies.remove(name).ok_or_else(|| missing("deleteClusterPolicy", name))?;
            }
            Action::CreateNode { node } => self.register(node),
            Action::SetNodeLabels { name, labels } => {
                *self.node_labels(name).ok_or_else(|| missing("setNodeLabels", name))? = Some(labels.clone());
            }
            Action::DeleteNode { name } => {
                *self.node_labels(name).ok_or_else(|| missing("deleteNode", name))? = None;
            }
            Action::CreateNamespace(namespace) => {
                self.namespaces.insert(namespace.name.clone(), namespace.labels.clone());
            }
            Action::SetNamespaceLabels(namespace) => {
                let known = self.namespaces.get_mut(&namespace.name);
                *known.ok_or_else(|| missing("setNamespaceLabels", &namespace.name))? = namespace.labels.clone();
            }
            Action::DeleteNamespace { name } => {
                self.namespaces.remove(name).ok_or_else(|| missing("deleteNamespace", name))?;
                self.pods.retain(|id, _| id.namespace != *name);
                self.policies.retain(|id, _| id.namespace != *name);
            }
            Action::CreatePod { pod } => self.place(pod.clone()),
            Action::DeletePod(id) => drop(self.pods.remove(id).ok_or_else(|| missing("deletePod", id))?),
            Action::SetPodLabels { pod, labels } => self.change(pod, "setPodLabels")?.labels = labels.clone(),
            Action::SetPodPhase { pod, phase } => self.change(pod, "setPodPhase")?.phase = *phase,
        }
        Ok(())
    }

    /// Every host that must exist, by the name that [`host_of`](Self::host_of) gives. Of two pods or nodes with one address
    /// the newer has it; finished pods have none.
    pub fn residents(&self) -> BTreeMap<String, Resident> {
        let mut newest_first: Vec<_> = self.pods.values().filter(|placed| !placed.is_finished()).collect();
        newest_first.sort_by_key(|placed| std::cmp::Reverse(placed.created));
        let mut taken = BTreeSet::new();
        let mut residents = BTreeMap::new();
        for placed in newest_first.into_iter().filter(|placed| self.node_of(placed).is_none()) {
            let mut addresses = self.addresses(placed);
            addresses.retain(|address| placed.pod.host_network || taken.insert(*address));
            let place = if placed.pod.host_network { Place::OnNode(placed.node) } else { Place::Behind(placed.node) };
            residents.insert(placed.pod.id().to_string(), Resident { place, addresses });
        }
        for (name, addresses) in &self.externals {
            residents.insert(name.clone(), Resident { place: Place::External, addresses: addresses.clone() });
        }
        let (registered, others): (Vec<_>, Vec<_>) =
            self.machines.iter().rev().partition(|machine| machine.labels.is_some());
        let mut taken = BTreeSet::new();
        for machine in registered.into_iter().chain(others) {
            let Some(place) = machine.host else { continue };
            let addresses = machine.addresses.iter().copied().filter(|address| taken.insert(*address)).collect();
            residents.insert(format!("node/{}", machine.called), Resident { place, addresses });
        }
        residents
    }

    /// The host that a name in expectations stands for: a pod on the host network is its node, a Service its pod.
    pub fn host_of(&self, name: &str) -> String {
        let service = name.strip_prefix("svc/").and_then(|name| self.services.iter().find(|one| one.name == name));
        let name = service.map_or(name, |service| service.to.as_str());
        let node = self.pod(name).and_then(|placed| self.node_of(placed));
        node.map_or_else(|| name.to_owned(), |machine| format!("node/{}", machine.called))
    }

    /// The address of a Service that is named as in expectations.
    pub fn service_address(&self, name: &str) -> Option<IpAddr> {
        let name = name.strip_prefix("svc/")?;
        self.services.iter().find(|service| service.name == name).map(|service| service.ip)
    }

    /// What nodes must translate, of all Services whose pod is there.
    pub fn translations(&self) -> Vec<Translation> {
        let of = |service: &data::Service| {
            let placed = self.pod(&service.to).filter(|placed| !placed.is_finished())?;
            let same_family = |address: &IpAddr| address.is_ipv6() == service.ip.is_ipv6();
            let pod = self.addresses(placed).into_iter().find(same_family)?;
            Some(Translation { service: service.ip, pod })
        };
        self.services.iter().filter_map(of).collect()
    }

    /// A pod's addresses: those of the case, or its node's.
    pub(super) fn addresses(&self, placed: &PlacedPod) -> Vec<IpAddr> {
        let own = placed.pod.addresses();
        if own.is_empty() && placed.pod.host_network { self.machines[placed.node].addresses.clone() } else { own }
    }

    fn place(&mut self, pod: Pod) {
        self.revision += 1;
        let running = self.machines.iter().filter(|machine| machine.number.is_some()).count();
        let in_turn = self.pods_so_far % running;
        self.pods_so_far += 1;
        let own = pod.addresses();
        let has_one = |machine: &Machine| pod.host_network && machine.addresses.iter().any(|ip| own.contains(ip));
        let node = self.machines.iter().position(has_one).unwrap_or(in_turn);
        let placed = PlacedPod { node, created: self.revision, changed: self.revision, pod };
        self.pods.insert(placed.pod.id(), placed);
    }

    /// Makes a Node object; its host is new unless there was one of that name.
    fn register(&mut self, node: &data::Node) {
        let known = self.machines.iter().position(|machine| machine.called == node.name);
        let index = known.unwrap_or_else(|| {
            self.machines.push(Machine::elsewhere(node));
            self.machines.len() - 1
        });
        let machine = &mut self.machines[index];
        machine.labels = Some(node.labels.clone());
        machine.addresses = node.addresses();
        machine.host = Some(machine.number.map_or(Place::External, Place::OnNode));
    }

    /// The labels of a Node object that is there.
    fn node_labels(&mut self, name: &str) -> Option<&mut Option<Labels>> {
        let machine = self.machines.iter_mut().find(|machine| machine.called == name)?;
        machine.labels.is_some().then_some(&mut machine.labels)
    }

    /// The machine that a pod on the host network shares its addresses with, where that has a host.
    fn node_of(&self, placed: &PlacedPod) -> Option<&Machine> {
        let machine = &self.machines[placed.node];
        let shares = machine.host.is_some() && self.addresses(placed).iter().any(|ip| machine.addresses.contains(ip));
        (placed.pod.host_network && shares).then_some(machine)
    }

    fn pod(&self, name: &str) -> Option<&PlacedPod> {
        let (namespace, name) = name.split_once('/')?;
        self.pods.get(&PodId { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn change(&mut self, id: &PodId, action: &'static str) -> Result<&mut Pod, WorldError> {
        let placed = self.pods.get_mut(id).ok_or_else(|| missing(action, id))?;
        placed.changed = self.revision;
        Ok(&mut placed.pod)
    }
}

impl Machine {
    /// The network's node of this number.
    fn running(number: usize, node: &Node) -> Self {
        let (name, called) = (node.name().to_owned(), format!("node{number}"));
        Self { name, addresses: node.addresses().to_vec(), labels: None, called, host: None, number: Some(number) }
    }

    /// A node that runs none of the pods.
    fn elsewhere(node: &data::Node) -> Self {
        let (name, called) = (node.name.clone(), node.name.clone());
        Self { name, addresses: Vec::new(), labels: None, called, host: None, number: None }
    }
}

impl PlacedPod {
    fn is_finished(&self) -> bool {
        matches!(self.pod.phase, Phase::Succeeded | Phase::Failed)
    }
}

/// A policy's namespace and name.
fn policy_id(object: &Value) -> PodId {
    let text = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
    PodId {
        namespace: text("namespace").unwrap_or_else(|| "default".to_owned()),
        name: text("name").unwrap_or_default(),
    }
}

fn missing(action: &'static str, what: &impl ToString) -> WorldError {
    WorldError { action, what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::manifests;
    use crate::netns::Network;

    fn world(nodes: usize) -> World {
        let pods =
            ["a", "b", "c"].map(|name| format!(r#"{{"namespace":"x","name":"{name}","ip":"10.0.0.1"}}"#)).join(",");
        let case = format!(r#"{{"name":"w","namespaces":[{{"name":"x"}}],"pods":[{pods}],"steps":[]}}"#);
        World::new(&serde_json::from_str(&case).unwrap(), Network::new(nodes).unwrap().nodes())
    }

    fn act(world: &mut World, action: &str) -> Result<(), WorldError> {
        world.apply(&serde_json::from_str(action).unwrap())
    }

    #[test]
    fn the_newest_live_pod_has_an_address() {
        let mut world = world(2);
        let owner = |world: &World| {
            let residents = world.residents();
            residents
                .into_iter()
                .find(|(_, resident)| !resident.addresses.is_empty())
                .map(|(name, one)| (name, one.place))
        };
        assert_eq!(owner(&world), Some(("x/c".to_owned(), Place::Behind(0))));
        act(&mut world, r#"{"op":"setPodPhase","namespace":"x","name":"c","phase":"Failed"}"#).unwrap();
        assert_eq!(owner(&world), Some(("x/b".to_owned(), Place::Behind(1))));
        act(&mut world, r#"{"op":"deletePod","namespace":"x","name":"b"}"#).unwrap();
        assert_eq!(owner(&world), Some(("x/a".to_owned(), Place::Behind(0))));
        act(&mut world, r#"{"op":"deleteNamespace","name":"x"}"#).unwrap();
        assert_eq!((owner(&world), manifests(&world).len()), (None, 0));
    }

    #[test]
    fn a_pod_of_the_host_network_has_its_nodes_addresses() {
        let mut world = world(2);
        act(&mut world, r#"{"op":"createPod","pod":{"namespace":"x","name":"h","hostNetwork":true}}"#).unwrap();
        let resident = &world.residents()["x/h"];
        assert_eq!(resident.place, Place::OnNode(1));
        let pod = &manifests(&world)["pod-x-h.json"];
        assert_eq!(pod["spec"]["nodeName"], "node-1");
        assert_eq!(pod["status"]["podIPs"], pod["status"]["hostIPs"]);
        assert_eq!(pod["status"]["podIPs"][0]["ip"], resident.addresses[0].to_string());
    }

    #[test]
    fn what_is_not_there_cannot_change() {
        let mut world = world(1);
        let error = act(&mut world, r#"{"op":"deletePolicy","namespace":"x","name":"p"}"#).unwrap_err();
        assert_eq!(error.to_string(), "deletePolicy: there is no x/p");
        assert!(act(&mut world, r#"{"op":"setPodLabels","namespace":"y","name":"a","labels":{}}"#).is_err());
        assert!(act(&mut world, r#"{"op":"setNamespaceLabels","name":"y","labels":{}}"#).is_err());
        assert!(act(&mut world, r#"{"op":"deleteClusterPolicy","name":"p"}"#).is_err());
        assert!(act(&mut world, r#"{"op":"setNodeLabels","name":"node0","labels":{}}"#).is_err());
    }

    /// `node0` runs pods, `node1` only where there are two nodes. `x/h` is on the host network of `node1`.
    fn with_nodes(nodes: usize) -> World {
        let node =
            |name: &str, last: u8| format!(r#"{{"name":"{name}","labels":{{"n":"{name}"}},"ip":"172.20.0.{last}"}}"#);
        let case = format!(
            r#"{{"name":"w","namespaces":[{{"name":"x"}}],"nodes":[{},{}],"steps":[],
                "pods":[{{"namespace":"x","name":"h","ip":"172.20.0.2","hostNetwork":true}},
                        {{"namespace":"x","name":"a","ip":"10.0.0.1","ipv6":"fd00::1"}}],
                "services":[{{"name":"s","ip":"fd96::1","to":"x/a"}}]}}"#,
            node("node0", 1),
            node("node1", 2)
        );
        World::new(&serde_json::from_str(&case).unwrap(), Network::new(nodes).unwrap().nodes())
    }

    #[test]
    fn a_node_that_runs_no_pods_is_a_host_elsewhere() {
        for (nodes, name, place) in [(1, "node1", Place::External), (2, "node-1", Place::OnNode(1))] {
            let mut world = with_nodes(nodes);
            assert_eq!(world.host_of("x/h"), "node/node1");
            assert_eq!(world.residents()["node/node1"].place, place);
            assert_eq!(world.residents()["node/node0"].place, Place::OnNode(0));
            assert!(!world.residents().contains_key("x/h"));
            let written = manifests(&world);
            let node = &written[&format!("node-{name}.json")];
            assert_eq!((&node["metadata"]["name"], &node["metadata"]["labels"]["n"]), (&name.into(), &"node1".into()));
            assert_eq!(node["status"]["addresses"][0]["address"], "172.20.0.2");
            assert_eq!(written["pod-x-h.json"]["spec"]["nodeName"], name);
            act(&mut world, r#"{"op":"deleteNode","name":"node1"}"#).unwrap();
            assert!(!manifests(&world).contains_key(&format!("node-{name}.json")));
            assert_eq!(world.residents()["node/node1"].addresses.len(), 1, "its host stays");
            act(&mut world, r#"{"op":"createNode","node":{"name":"new","ip":"172.20.0.2"}}"#).unwrap();
            assert!(world.residents()["node/node1"].addresses.is_empty(), "until another has its address");
        }
    }

    #[test]
    fn a_service_stands_for_its_pod_while_that_is_there() {
        let mut world = with_nodes(1);
        assert_eq!(world.host_of("svc/s"), "x/a");
        let [service, pod] = ["fd96::1", "fd00::1"].map(|address| address.parse().unwrap());
        assert_eq!((world.service_address("svc/s"), world.service_address("x/a")), (Some(service), None));
        assert_eq!(world.translations(), [Translation { service, pod }]);
        act(&mut world, r#"{"op":"deletePod","namespace":"x","name":"a"}"#).unwrap();
        assert_eq!(world.translations(), []);
    }
}

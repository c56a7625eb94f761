use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;
use thiserror::Error;

use super::data::{Action, Case, Labels, Phase, Pod, PodId};
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

/// The cluster of a case, and the hosts around it. Pods are dealt to the nodes in turn, in the order in which they come.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) machines: Vec<Machine>,
    pub(super) namespaces: BTreeMap<String, Labels>,
    pub(super) pods: BTreeMap<PodId, PlacedPod>,
    pub(super) policies: BTreeMap<PodId, Value>,
    externals: BTreeMap<String, Vec<IpAddr>>,
    pods_so_far: usize,
    /// Counts changes, as `metadata.resourceVersion` does.
    revision: u64,
}

/// What the manifests say of a node.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
}

/// A pod on its node.
#[derive(Clone, Debug)]
pub(super) struct PlacedPod {
    pub(super) pod: Pod,
    pub(super) node: usize,
    /// The world's revision at which it came.
    pub(super) created: u64,
    /// The one at which it last changed.
    pub(super) changed: u64,
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
        let machine = |node: &Node| Machine { name: node.name().to_owned(), addresses: node.addresses().to_vec() };
        let external = |external: &super::External| (format!("ext/{}", external.name), external.addresses());
        let mut world = Self {
            machines: nodes.iter().map(machine).collect(),
            namespaces: case.namespaces.iter().map(|one| (one.name.clone(), one.labels.clone())).collect(),
            pods: BTreeMap::new(),
            policies: BTreeMap::new(),
            externals: case.externals.iter().map(external).collect(),
            pods_so_far: 0,
            revision: 1,
        };
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

    /// Every host that must exist, by the name that expectations use. Of two pods with one address the newer has it;
    /// finished pods have none.
    pub fn residents(&self) -> BTreeMap<String, Resident> {
        let mut newest_first: Vec<_> = self.pods.values().filter(|placed| !placed.is_finished()).collect();
        newest_first.sort_by_key(|placed| std::cmp::Reverse(placed.created));
        let mut taken = BTreeSet::new();
        let mut residents = BTreeMap::new();
        for placed in newest_first {
            let mut addresses = self.addresses(placed);
            addresses.retain(|address| placed.pod.host_network || taken.insert(*address));
            let place = if placed.pod.host_network { Place::OnNode(placed.node) } else { Place::Behind(placed.node) };
            residents.insert(placed.pod.id().to_string(), Resident { place, addresses });
        }
        for (name, addresses) in &self.externals {
            residents.insert(name.clone(), Resident { place: Place::External, addresses: addresses.clone() });
        }
        residents
    }

    /// A pod's addresses: those of the case, or its node's.
    pub(super) fn addresses(&self, placed: &PlacedPod) -> Vec<IpAddr> {
        let own = placed.pod.addresses();
        if own.is_empty() && placed.pod.host_network { self.machines[placed.node].addresses.clone() } else { own }
    }

    fn place(&mut self, pod: Pod) {
        self.revision += 1;
        let node = self.pods_so_far % self.machines.len();
        self.pods_so_far += 1;
        let placed = PlacedPod { node, created: self.revision, changed: self.revision, pod };
        self.pods.insert(placed.pod.id(), placed);
    }

    fn change(&mut self, id: &PodId, action: &'static str) -> Result<&mut Pod, WorldError> {
        let placed = self.pods.get_mut(id).ok_or_else(|| missing(action, id))?;
        placed.changed = self.revision;
        Ok(&mut placed.pod)
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
    }
}

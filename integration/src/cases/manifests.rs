use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::World;
use super::data::{Labels, Pod, Port};
use super::world::{Machine, PlacedPod};

/// The manifests that describe a world, by file name: one object a file.
pub fn manifests(world: &World) -> BTreeMap<String, Value> {
    let namespaces =
        world.namespaces.iter().map(|(name, labels)| (format!("namespace-{name}"), namespace(name, labels)));
    let pods = world.pods.iter().map(|(id, placed)| (format!("pod-{}-{}", id.namespace, id.name), pod(world, placed)));
    let policies = world
        .policies
        .iter()
        .map(|(id, object)| (format!("networkpolicy-{}-{}", id.namespace, id.name), object.clone()));
    let cluster_policies =
        world.cluster_policies.iter().map(|(name, object)| (format!("clusternetworkpolicy-{name}"), object.clone()));
    let nodes = world
        .machines
        .iter()
        .filter_map(|machine| Some((format!("node-{}", machine.name), node(machine, machine.labels.as_ref()?))));
    let objects = namespaces.chain(nodes).chain(pods).chain(policies).chain(cluster_policies);
    objects.map(|(name, object)| (format!("{name}.json"), object)).collect()
}

fn namespace(name: &str, labels: &Labels) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn node(machine: &Machine, labels: &Labels) -> Value {
    let addresses = machine.addresses.iter().map(|ip| json!({"type": "InternalIP", "address": ip}));
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": machine.name, "labels": labels},
        "status": {"addresses": addresses.collect::<Vec<_>>()},
    })
}

fn pod(world: &World, placed: &PlacedPod) -> Value {
    let Pod { namespace, name, labels, host_network, phase, ports, .. } = &placed.pod;
    let machine = &world.machines[placed.node];
    let addresses = |list: &[std::net::IpAddr]| list.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": labels,
            "creationTimestamp": timestamp(placed.created),
            "resourceVersion": placed.changed.to_string(),
        },
        "spec": {
            "nodeName": machine.name,
            "hostNetwork": host_network,
            "containers": containers(ports),
        },
        "status": {
            "phase": phase,
            "podIPs": addresses(&world.addresses(placed)),
            "hostIPs": addresses(&machine.addresses),
        },
    })
}

/// Those that declare ports, or one.
fn containers(ports: &[Port]) -> Vec<Value> {
    let mut containers = BTreeMap::from([("main", vec![])]);
    for port in ports {
        containers.entry(&port.container).or_default().push(declared(port));
    }
    let container = |(name, ports)| json!({"name": name, "image": "none", "ports": ports});
    containers.into_iter().map(container).collect()
}

fn declared(port: &Port) -> Value {
    let Port { name, port, protocol, .. } = port;
    match name {
        Some(name) => json!({"name": name, "containerPort": port, "protocol": protocol}),
        None => json!({"containerPort": port, "protocol": protocol}),
    }
}

/// A second for every revision of the world.
fn timestamp(revision: u64) -> String {
    let [hours, minutes, seconds] = [revision / 3600 % 24, revision / 60 % 60, revision % 60];
    format!("2026-01-01T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// A directory of manifests under a running agent: each file changes in one step, by renaming a finished one into place.
#[derive(Debug)]
pub struct ManifestDirectory {
    path: PathBuf,
    staging: PathBuf,
    written: BTreeMap<String, Value>,
}

impl ManifestDirectory {
    /// A new, empty one, inside an existing directory.
    pub fn create(parent: &Path) -> io::Result<Self> {
        let [path, staging] = ["manifests", "staging"].map(|name| parent.join(name));
        fs::create_dir(&path)?;
        fs::create_dir(&staging)?;
        Ok(Self { path, staging, written: BTreeMap::new() })
    }

    /// Where the manifests are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the files those of `wanted`; those that are right already are not touched.
    pub fn write(&mut self, wanted: BTreeMap<String, Value>) -> io::Result<()> {
        for (name, object) in &wanted {
            if self.written.get(name) != Some(object) {
                let finished = self.staging.join(name);
                fs::write(&finished, format!("{object:#}\n"))?;
                fs::rename(&finished, self.path.join(name))?;
            }
        }
        for name in self.written.keys().filter(|name| !wanted.contains_key(*name)) {
            fs::remove_file(self.path.join(name))?;
        }
        self.written = wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeMap<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), json!({"name": name}))).collect()
    }

    #[test]
    fn the_directory_follows() {
        let parent = tempfile::tempdir().unwrap();
        let mut directory = ManifestDirectory::create(parent.path()).unwrap();
        directory.write(files(&["a", "b"])).unwrap();
        directory.write(files(&["b", "c"])).unwrap();
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn what_is_right_already_is_not_touched() {
        let parent = tempfile::tempdir().unwrap();
        let mut directory = ManifestDirectory::create(parent.path()).unwrap();
        directory.write(files(&["a"])).unwrap();
        fs::write(directory.path().join("a"), "mark").unwrap();
        directory.write(files(&["a", "b"])).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "mark");
    }
}

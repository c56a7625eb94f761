//! What policy sees of a pod, written down: the API may know the pod no more when it is read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use palisade_model::{Age, ContainerPort, Labels, NamespacedName, Phase, Pod, Protocol};
use serde::{Deserialize, Serialize};

/// A pod's labels and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    labels: BTreeMap<String, String>,
    ports: Vec<Port>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: String,
    protocol: String,
    port: u16,
}

impl Remembered {
    /// Those of this pod.
    pub fn of(pod: &Pod) -> Self {
        let port = |port: &ContainerPort| Port {
            name: port.name.to_string(),
            protocol: port.protocol.to_string(),
            port: port.port,
        };
        Self {
            labels: pod.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ports: pod.ports.iter().map(port).collect(),
        }
    }

    /// A pod that has them, and these addresses, and of which nothing else is known.
    pub fn pod(&self, id: NamespacedName, ips: Vec<IpAddr>) -> Pod {
        let port = |port: &Port| {
            let protocol = Protocol::named(&port.protocol)?;
            Some(ContainerPort { name: port.name.as_str().into(), protocol, port: port.port })
        };
        Pod {
            id,
            uid: None,
            labels: self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Labels>(),
            node: None,
            ips,
            host_ips: Vec::new(),
            host_network: false,
            phase: Phase::Active,
            terminating: false,
            age: Age::default(),
            ports: self.ports.iter().filter_map(port).collect(),
        }
    }
}

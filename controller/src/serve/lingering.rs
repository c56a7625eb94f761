//! What is published of deleted pods that are judged as before.

use std::net::IpAddr;

use palisade_model::{Index, NamespacedName, Pod};
use serde::{Deserialize, Serialize};

use crate::remembered::Remembered;

/// An address of a deleted pod, with what policy sees of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LingeringPod {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Its labels and ports.
    #[serde(flatten)]
    pub seen: Remembered,
}

impl LingeringPod {
    /// All of an index.
    pub fn of(index: &Index) -> Vec<Self> {
        let one = |pod: Pod| {
            let address = *pod.ips.first()?;
            let (namespace, name) = (pod.id.namespace.to_string(), pod.id.name.to_string());
            Some(Self { namespace, name, address, seen: Remembered::of(&pod) })
        };
        index.lingering_pods().filter_map(one).collect()
    }

    /// As the index takes it.
    pub fn pod(&self) -> Pod {
        let id = NamespacedName::new(self.namespace.as_str(), self.name.as_str());
        self.seen.pod(id, vec![self.address])
    }
}

use std::net::IpAddr;
use std::sync::Arc;

use crate::{NamespacedName, Pod, Protocol, Selector};

/// A Service, as far as it says which pods and ports are behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace and name.
    pub id: NamespacedName,
    /// The pods of its namespace that are behind it; `None` where it has no selector, so that it does not say.
    pub selector: Option<Selector>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Its own addresses (`clusterIPs`): none of a headless one.
    pub addresses: Vec<IpAddr>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port that clients connect to.
    pub port: u16,
    /// The port of the pods behind it.
    pub target: TargetPort,
}

/// The port of a pod behind a Service (`targetPort`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// The same number at every pod.
    Number(u16),
    /// What each pod declares under that name.
    Named(Arc<str>),
}

impl Service {
    /// Whether the pod is behind it.
    pub fn selects(&self, pod: &Pod) -> bool {
        let matches = |selector: &Selector| selector.matches(&pod.labels);
        self.id.namespace == pod.id.namespace && self.selector.as_ref().is_some_and(matches)
    }
}

impl ServicePort {
    /// The numbers that it leads to at `pod`: none where the pod declares no port of that name.
    pub fn targets(&self, pod: &Pod) -> Vec<u16> {
        match &self.target {
            TargetPort::Number(number) => vec![*number],
            TargetPort::Named(name) => pod.numbers_of(name, self.protocol),
        }
    }
}

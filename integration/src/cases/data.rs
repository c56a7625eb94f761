use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Expectation;
use crate::probe::Family;

/// Labels, as an object.
pub type Labels = BTreeMap<String, String>;

/// One case. Fields that only describe it are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Its name, unique and fit for a file's name.
    pub name: String,
    /// What it is about, in words that tests select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The namespaces at the start.
    pub namespaces: Vec<Namespace>,
    /// The pods at the start.
    pub pods: Vec<Pod>,
    /// The Node objects at the start.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// The hosts outside the cluster.
    #[serde(default)]
    pub externals: Vec<External>,
    /// The virtual addresses.
    #[serde(default)]
    pub services: Vec<Service>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A namespace.
#[derive(Clone, Debug, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// All its labels.
    #[serde(default)]
    pub labels: Labels,
}

/// A pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// All its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Whether it shares its node's network.
    #[serde(default)]
    pub host_network: bool,
    /// Its phase.
    #[serde(default)]
    pub phase: Phase,
    /// The ports that its containers declare.
    #[serde(default)]
    pub ports: Vec<Port>,
}

/// A pod's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct PodId {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A pod's phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Phase {
    /// Not started.
    Pending,
    /// At work.
    #[default]
    Running,
    /// Done; its addresses are free.
    Succeeded,
    /// Done; its addresses are free.
    Failed,
    /// Not known.
    Unknown,
}

/// A container's port.
#[derive(Clone, Debug, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: Option<String>,
    /// Its number.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// The container that declares it: of one container no two ports have one name.
    #[serde(default = "main_container")]
    pub container: String,
}

fn main_container() -> String {
    "main".to_owned()
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A host outside the cluster, called `ext/NAME` in expectations.
#[derive(Clone, Debug, Deserialize)]
pub struct External {
    /// Its name.
    pub name: String,
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
}

/// A node, called `node/NAME` in expectations. `node0` is the node that pods run on, the first where there are several,
/// `node1` the second of them. Others are hosts elsewhere.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// All its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
}

/// A virtual address with one pod behind it, called `svc/NAME` in expectations. Nodes translate it, whatever the port.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: IpAddr,
    /// The pod: `NAMESPACE/POD`.
    pub to: String,
}

/// What happens, and what must hold after it.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    /// What happens.
    pub actions: Vec<Action>,
    /// Connections from before, and what must have become of them.
    #[serde(default)]
    pub live: Vec<LiveFlow>,
    /// What must hold.
    #[serde(deserialize_with = "super::expectation::list")]
    pub expect: Vec<Expectation>,
}

/// A TCP connection that is made before a step's actions.
#[derive(Clone, Debug, Deserialize)]
pub struct LiveFlow {
    /// Who connects, as in expectations.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Its protocol.
    #[serde(rename = "protocol")]
    _protocol: OnlyTcp,
    /// To which port.
    pub port: u16,
    /// With which addresses.
    #[serde(default)]
    pub family: Family,
    /// Whether both ends still hear each other after the actions; otherwise neither does.
    pub survives: bool,
}

/// The one protocol of live flows.
#[derive(Clone, Copy, Debug, Deserialize)]
enum OnlyTcp {
    #[serde(rename = "TCP")]
    Tcp,
}

/// A change to the cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Action {
    /// A NetworkPolicy comes.
    CreatePolicy {
        /// The whole object.
        object: Value,
    },
    /// A NetworkPolicy changes.
    UpdatePolicy {
        /// The whole object.
        object: Value,
    },
    /// A NetworkPolicy goes.
    DeletePolicy {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A ClusterNetworkPolicy comes.
    CreateClusterPolicy {
        /// The whole object.
        object: Value,
    },
    /// A ClusterNetworkPolicy changes.
    UpdateClusterPolicy {
        /// The whole object.
        object: Value,
    },
    /// A ClusterNetworkPolicy goes.
    DeleteClusterPolicy {
        /// Its name.
        name: String,
    },
    /// A Node object comes.
    CreateNode {
        /// The node.
        node: Node,
    },
    /// A node's labels become these.
    SetNodeLabels {
        /// Its name.
        name: String,
        /// All its labels.
        labels: Labels,
    },
    /// A Node object goes. Its host stays.
    DeleteNode {
        /// Its name.
        name: String,
    },
    /// A namespace comes.
    CreateNamespace(Namespace),
    /// A namespace's labels become these.
    SetNamespaceLabels(Namespace),
    /// A namespace goes, with all that is in it.
    DeleteNamespace {
        /// Its name.
        name: String,
    },
    /// A pod comes.
    CreatePod {
        /// The pod.
        pod: Pod,
    },
    /// A pod goes.
    DeletePod(PodId),
    /// A pod's labels become these.
    SetPodLabels {
        /// The pod.
        #[serde(flatten)]
        pod: PodId,
        /// All its labels.
        labels: Labels,
    },
    /// A pod's phase becomes this.
    SetPodPhase {
        /// The pod.
        #[serde(flatten)]
        pod: PodId,
        /// The phase.
        phase: Phase,
    },
}

impl Pod {
    /// Its namespace and name.
    pub fn id(&self) -> PodId {
        PodId { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        both(self.ip, self.ipv6)
    }
}

impl Node {
    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        both(self.ip, self.ipv6)
    }
}

impl External {
    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        both(self.ip, self.ipv6)
    }
}

fn both(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Vec<IpAddr> {
    v4.map(IpAddr::from).into_iter().chain(v6.map(IpAddr::from)).collect()
}

/// `x/a -> y/b TCP 80 IPv4, connected before`.
impl fmt::Display for LiveFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} TCP {} {}, connected before", self.from, self.to, self.port, self.family)
    }
}

/// `NAMESPACE/NAME`.
impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The shape of a network, as CNI plugins make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// How many nodes.
    pub nodes: usize,
    /// How pods hang on their node.
    pub pods: PodLinks,
    /// How packets of pods get from node to node.
    pub fabric: Fabric,
}

/// How pods hang on their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodLinks {
    /// Each by a veth pair of its own, to which the node routes: as ptp, kindnet and the cloud providers' plugins do.
    Routed,
    /// All on one Linux bridge, on which they reach each other without the node's routing: as bridge and flannel do.
    /// The bridge hands IP packets to the node's netfilter hooks (`br_netfilter`).
    Bridge,
}

/// How packets of pods get from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fabric {
    /// The underlay knows the way to every pod.
    Routed,
    /// In VXLAN tunnels between the nodes.
    Vxlan,
}

impl Topology {
    /// Pods on veth pairs, everything routed.
    pub const fn routed(nodes: usize) -> Self {
        Self { nodes, pods: PodLinks::Routed, fabric: Fabric::Routed }
    }

    /// The same, with the pods of each node on one bridge.
    pub const fn on_bridges(self) -> Self {
        Self { pods: PodLinks::Bridge, ..self }
    }

    /// The same, with tunnels between the nodes.
    pub const fn over_vxlan(self) -> Self {
        Self { fabric: Fabric::Vxlan, ..self }
    }
}

/// So many nodes, [`Topology::routed`].
impl From<usize> for Topology {
    fn from(nodes: usize) -> Self {
        Self::routed(nodes)
    }
}

//! What each workload is granted: from wishes to peers and ports.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::blocks::{Taken, aggregate, is_wider};
use super::groups::Spaces;
use super::{End, LeftOut, Scope, Widened, Wish};
use crate::reach::PortSet;
use crate::reference::Cluster;
use crate::{Direction, NamespacedName};

/// A peer that is named as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Atom {
    /// A group of workloads: its namespace, and its position there.
    Pods(Arc<str>, usize),
    /// Addresses.
    Network(IpNet),
}

/// Ports by peer.
pub(super) type Peers = BTreeMap<Atom, PortSet>;

/// What groups are granted.
#[derive(Debug, Default)]
pub(super) struct Grants(BTreeMap<(Arc<str>, usize, Direction), Granted>);

/// What a group is granted in one direction.
#[derive(Debug, Default)]
struct Granted {
    peers: Peers,
    /// The positions of the wishes behind it.
    reasons: BTreeSet<(Atom, usize)>,
}

impl Grants {
    /// And the wishes that come to nothing, with their positions.
    pub(super) fn of(
        cluster: &Cluster,
        spaces: &Spaces,
        wishes: &[Wish],
        scope: &Scope,
    ) -> (Self, Vec<(usize, LeftOut)>) {
        let (mut grants, mut left_out) = (Self::default(), Vec::new());
        for (number, wish) in wishes.iter().enumerate() {
            left_out.extend(grants.add(number, wish, cluster, spaces, scope).err().map(|why| (number, why)));
        }
        (grants, left_out)
    }

    fn add(
        &mut self,
        number: usize,
        wish: &Wish,
        cluster: &Cluster,
        spaces: &Spaces,
        scope: &Scope,
    ) -> Result<(), LeftOut> {
        let atom = |end: &End, direction| match end {
            End::Network(net) => Ok(Atom::Network(net.trunc())),
            End::Workload(id) => {
                let group = spaces.group_of(id).ok_or(LeftOut::NoWorkload(direction))?;
                Ok(Atom::Pods(id.namespace.clone(), group))
            }
        };
        let ends = [atom(&wish.from, Direction::Egress)?, atom(&wish.to, Direction::Ingress)?];
        let mut is_judged = false;
        for direction in scope.directions.iter().copied() {
            let (own, peer, of_peer) = match direction {
                Direction::Egress => (&ends[0], &ends[1], Direction::Ingress),
                Direction::Ingress => (&ends[1], &ends[0], Direction::Egress),
            };
            let Atom::Pods(namespace, group) = own else { continue };
            if !scope.namespaces.contains(namespace) {
                continue;
            }
            if matches!(peer, Atom::Pods(of, _) if of != namespace && !cluster.namespaces.contains_key(of)) {
                return Err(LeftOut::NoNamespace(of_peer));
            }
            is_judged = true;
            let granted = self.0.entry((namespace.clone(), *group, direction)).or_default();
            let ports = granted.peers.entry(peer.clone()).or_default();
            *ports = ports.union(&PortSet::range(wish.protocol, wish.ports));
            granted.reasons.insert((peer.clone(), number));
        }
        if is_judged { Ok(()) } else { Err(LeftOut::NotAsked) }
    }

    /// What a group is granted in that direction.
    pub(super) fn peers(&self, namespace: &Arc<str>, group: usize, direction: Direction) -> Peers {
        self.0.get(&(namespace.clone(), group, direction)).map(|granted| granted.peers.clone()).unwrap_or_default()
    }

    /// The positions of the wishes for which these groups are granted these peers.
    pub(super) fn reasons<'a>(
        &'a self,
        namespace: &'a Arc<str>,
        groups: &'a [usize],
        direction: Direction,
        atoms: &'a [Atom],
    ) -> impl Iterator<Item = usize> + 'a {
        let granted = groups.iter().filter_map(move |group| self.0.get(&(namespace.clone(), *group, direction)));
        let of_atoms = granted.flat_map(move |granted| {
            atoms.iter().flat_map(|atom| granted.reasons.range((atom.clone(), 0)..=(atom.clone(), usize::MAX)))
        });
        of_atoms.map(|(_, number)| *number)
    }

    /// Has few networks stand for many.
    pub(super) fn aggregate(&mut self, spaces: &Spaces, taken: &Taken, most: usize) -> Vec<Widened> {
        let mut widened = Vec::new();
        for ((namespace, group, direction), granted) in &mut self.0 {
            granted.drop_covered();
            for (block, networks) in granted.aggregate(taken, most) {
                let names = |group: &super::groups::Group| -> Vec<NamespacedName> { group.names(namespace) };
                let workloads = spaces.get(namespace).map(|space| names(&space.groups[*group])).unwrap_or_default();
                widened.push(Widened { workloads, direction: *direction, block, networks });
            }
            granted.drop_covered();
        }
        widened
    }
}

impl Granted {
    fn networks(&self) -> Vec<(IpNet, PortSet)> {
        let networks = self.peers.iter().filter_map(|(atom, ports)| match atom {
            Atom::Network(net) => Some((*net, ports.clone())),
            Atom::Pods(..) => None,
        });
        networks.collect()
    }

    /// Of a network within another one, takes away what that is granted anyway.
    fn drop_covered(&mut self) {
        let networks = self.networks();
        let wide: Vec<&(IpNet, PortSet)> =
            networks.iter().filter(|(net, _)| net.prefix_len() < net.max_prefix_len()).collect();
        for (net, ports) in &networks {
            let around = wide.iter().filter(|(other, _)| other != net && other.contains(net));
            for (other, of_other) in around {
                let left = self.peers.remove(&Atom::Network(*net)).unwrap_or_else(|| ports.clone()).without(of_other);
                self.stand(*net, *other, left.is_empty());
                self.peers.insert(Atom::Network(*net), left);
            }
        }
        self.peers.retain(|_, ports| !ports.is_empty());
    }

    /// The reasons of `net` are those of `block` from now on; of `net` as well, unless it is gone.
    fn stand(&mut self, net: IpNet, block: IpNet, is_gone: bool) {
        let (from, to) = (Atom::Network(net), Atom::Network(block));
        let of_net: Vec<(Atom, usize)> = self.reasons.range((from.clone(), 0)..=(from, usize::MAX)).cloned().collect();
        for reason in of_net {
            self.reasons.insert((to.clone(), reason.1));
            if is_gone {
                self.reasons.remove(&reason);
            }
        }
    }

    /// Networks of the same ports become few. Those that hold more than they stand for are told.
    fn aggregate(&mut self, taken: &Taken, most: usize) -> Vec<(IpNet, usize)> {
        let mut by_ports = HashMap::<PortSet, BTreeSet<IpNet>>::new();
        for (net, ports) in self.networks() {
            by_ports.entry(ports).or_default().insert(net);
        }
        let mut told = Vec::new();
        for (ports, networks) in by_ports {
            let blocks = aggregate(&networks, taken, most);
            for (net, block) in blocks.iter().filter(|(net, block)| net != block) {
                self.peers.remove(&Atom::Network(*net));
                self.stand(*net, *block, true);
                let granted = self.peers.entry(Atom::Network(*block)).or_default();
                *granted = granted.union(&ports);
            }
            let all: BTreeSet<IpNet> = blocks.into_values().collect();
            told.extend(all.into_iter().filter_map(|block| Some((block, is_wider(block, &networks)?))));
        }
        told.sort_unstable();
        told
    }
}

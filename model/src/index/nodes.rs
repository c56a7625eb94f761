//! Nodes, whose addresses are members of sets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Index;
use super::cluster::Cluster;
use super::slots::SetId;
use crate::{Member, Node, Selector, SetKey};

impl Cluster {
    /// The addresses of the nodes that any of these match: ascending.
    pub(super) fn addresses_of_nodes(&self, selectors: &[Selector]) -> BTreeSet<IpAddr> {
        let nodes = self.nodes.values().filter(|node| selectors.iter().any(|selector| selector.matches(&node.labels)));
        nodes.flat_map(|node| node.addresses.iter().copied()).collect()
    }

    /// Whether one of the nodes that any of these match has the address.
    fn is_of_node(&self, selectors: &[Selector], address: IpAddr) -> bool {
        let has = |node: &Node| node.addresses.contains(&address);
        let matches = |node: &Node| selectors.iter().any(|selector| selector.matches(&node.labels));
        self.nodes.values().any(|node| has(node) && matches(node))
    }
}

impl Index {
    pub(super) fn set_node(&mut self, name: &Arc<str>, node: Option<Node>) {
        let old = self.cluster.nodes.get(name);
        if old == node.as_ref() {
            return;
        }
        let addresses: BTreeSet<IpAddr> =
            old.into_iter().chain(&node).flat_map(|node| node.addresses.iter().copied()).collect();
        let sets: Vec<(SetId, Arc<SetKey>)> = self.sets.of_nodes();
        let members = |cluster: &Cluster, set: &SetKey| -> Vec<bool> {
            let SetKey::Nodes(selectors) = set else { return Vec::new() };
            addresses.iter().map(|address| cluster.is_of_node(selectors, *address)).collect()
        };
        let before: Vec<Vec<bool>> = sets.iter().map(|(_, set)| members(&self.cluster, set)).collect();
        match node {
            Some(node) => self.cluster.nodes.insert(name.clone(), node),
            None => self.cluster.nodes.remove(name),
        };
        for ((id, set), before) in sets.iter().zip(before) {
            let after = members(&self.cluster, set);
            for ((address, _), is) in addresses.iter().zip(before).zip(after).filter(|((_, was), is)| was != is) {
                self.sets.note(*id, Member::Address(*address), is);
            }
        }
    }
}

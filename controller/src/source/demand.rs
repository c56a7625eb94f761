//! Whether nodes have to be known, and what waits until they are.
//!
//! Invariants:
//! - Nodes are wanted exactly while some policy that was sent, or that waits, has a peer of them.
//! - No such policy is sent before all nodes have been: until then its last version holds.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_model::{Change, ClusterPeer, ClusterPeers, ClusterPolicy, Direction};
use tokio::sync::watch;

/// Between those who watch ClusterNetworkPolicies and Nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct NodeDemand {
    state: Arc<Mutex<State>>,
    told: watch::Sender<Told>,
}

#[derive(Debug, Default)]
struct State {
    /// The policies that have peers of nodes.
    by: HashSet<Arc<str>>,
    /// Whether all nodes are known.
    met: bool,
    /// Those of the policies that wait until they are.
    waiting: BTreeMap<Arc<str>, Change>,
}

/// What the watch of Nodes goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// Whether all policies have been listed once.
    policies_are_known: bool,
    wanted: bool,
}

impl NodeDemand {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), told: watch::Sender::new(Told::default()) }
    }

    /// What of these changes may be sent now.
    pub(super) fn admit(&self, changes: Vec<Change>) -> Vec<Change> {
        if !changes.iter().any(|change| matches!(change, Change::ClusterPolicy(_) | Change::ClusterPolicyGone(_))) {
            return changes;
        }
        let mut state = self.lock();
        let admitted = changes.into_iter().filter_map(|change| state.admit(change)).collect();
        let wanted = !state.by.is_empty();
        drop(state);
        self.tell(|told| told.wanted = wanted);
        admitted
    }

    /// All policies have been listed.
    pub(super) fn policies_are_known(&self) {
        self.tell(|told| told.policies_are_known = true);
    }

    /// All nodes have been sent: gives what waited for that.
    pub(super) fn met(&self) -> Vec<Change> {
        let mut state = self.lock();
        state.met = true;
        std::mem::take(&mut state.waiting).into_values().collect()
    }

    /// Nodes are not followed any more.
    pub(super) fn unmet(&self) {
        self.lock().met = false;
    }

    /// Waits until it is known whether nodes are wanted; whether they are.
    pub(super) async fn decided(&self) -> bool {
        self.wait(|told| told.wanted || told.policies_are_known).await.wanted
    }

    /// Waits until nodes are wanted, or are not.
    pub(super) async fn becomes(&self, wanted: bool) {
        self.wait(|told| told.wanted == wanted).await;
    }

    async fn wait(&self, is_so: impl FnMut(&Told) -> bool) -> Told {
        *self.told.subscribe().wait_for(is_so).await.expect("its sender is held here")
    }

    fn tell(&self, what: impl FnOnce(&mut Told)) {
        self.told.send_if_modified(|told| {
            let before = *told;
            what(told);
            *told != before
        });
    }

    /// A holder that panicked left a state that is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&mut self, change: Change) -> Option<Change> {
        let name = match &change {
            Change::ClusterPolicy(policy) if has_nodes(policy) => {
                self.by.insert(policy.name.clone());
                if !self.met {
                    self.waiting.insert(policy.name.clone(), change);
                    return None;
                }
                return Some(change);
            }
            Change::ClusterPolicy(ClusterPolicy { name, .. }) | Change::ClusterPolicyGone(name) => name,
            _ => return Some(change),
        };
        self.by.remove(name);
        self.waiting.remove(name);
        Some(change)
    }
}

fn has_nodes(policy: &ClusterPolicy) -> bool {
    let rules = Direction::ALL.into_iter().flat_map(|direction| policy.rules(direction));
    rules
        .filter_map(|rule| match &rule.peers {
            ClusterPeers::AnyOf(peers) => Some(peers),
            ClusterPeers::Others => None,
        })
        .flatten()
        .any(|peer| matches!(peer, ClusterPeer::Nodes(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::convert;

    fn policy(name: &str, peer: &serde_json::Value) -> Change {
        let rule = json!({"action": "Deny", "to": [peer]});
        let spec = json!({"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "egress": [rule]});
        let object = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
        let (Some(policy), problems) = convert::cluster_policy(&object) else { panic!("{object:?}") };
        assert_eq!(problems, []);
        Change::ClusterPolicy(policy)
    }

    fn of_nodes(name: &str) -> Change {
        policy(name, &json!({"nodes": {}}))
    }

    fn of_networks(name: &str) -> Change {
        policy(name, &json!({"networks": ["10.0.0.0/8"]}))
    }

    fn wanted(demand: &NodeDemand) -> bool {
        demand.told.borrow().wanted
    }

    #[test]
    fn a_policy_with_nodes_waits_until_they_are_known() {
        let demand = NodeDemand::new();
        assert_eq!(demand.admit(vec![of_networks("a"), of_nodes("b"), of_nodes("c")]), [of_networks("a")]);
        assert!(wanted(&demand));
        assert_eq!(demand.admit(vec![Change::ClusterPolicyGone("c".into())]), [Change::ClusterPolicyGone("c".into())]);
        assert_eq!(demand.met(), [of_nodes("b")]);
        assert_eq!(demand.admit(vec![of_nodes("d")]), [of_nodes("d")]);
    }

    #[test]
    fn nodes_are_wanted_while_a_policy_has_them() {
        let demand = NodeDemand::new();
        demand.admit(vec![of_nodes("a"), of_nodes("b")]);
        demand.met();
        demand.admit(vec![Change::ClusterPolicyGone("a".into())]);
        assert!(wanted(&demand));
        demand.admit(vec![of_networks("b")]);
        assert!(!wanted(&demand));
        demand.unmet();
        assert_eq!(demand.admit(vec![of_nodes("b")]), [], "nodes may have changed meanwhile");
    }

    #[test]
    fn what_waits_is_superseded() {
        let demand = NodeDemand::new();
        assert_eq!(demand.admit(vec![of_nodes("a")]), []);
        assert_eq!(demand.admit(vec![of_networks("a")]), [of_networks("a")]);
        assert_eq!((demand.met(), wanted(&demand)), (vec![], false));
    }
}

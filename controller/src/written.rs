//! Policies as Kubernetes writes them.
//!
//! What stands here was read from such objects or is made from them: it can be written. (A list of peers or ports that is
//! empty, because none was understood, cannot: empty it means all.)

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_model::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, IpBlock, NAME_LABEL, NamespaceScope, Operator,
    Peer, Peers, PodGroup, Policy, PortMatch, PortRange, Ports, Requirement, Rule, Selector,
};
use serde_json::{Map, Value, json};

/// A NetworkPolicy, as the API and `kubectl` take it.
pub fn policy(policy: &Policy) -> Value {
    let mut spec = Map::new();
    spec.insert("podSelector".to_owned(), selector(&policy.selector));
    spec.insert("policyTypes".to_owned(), policy_types(policy));
    for direction in [Direction::Ingress, Direction::Egress] {
        if let Some(rules) = policy.rules(direction) {
            let rules = rules.iter().map(|one| rule(direction, one)).collect();
            spec.insert(direction.to_string(), rules);
        }
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": &*policy.id.name, "namespace": &*policy.id.namespace},
        "spec": spec,
    })
}

/// Its `policyTypes`.
pub(crate) fn policy_types(policy: &Policy) -> Value {
    let types = [(Direction::Ingress, "Ingress"), (Direction::Egress, "Egress")];
    types.into_iter().filter(|(direction, _)| policy.rules(*direction).is_some()).map(|(_, name)| name).collect()
}

/// A rule of a NetworkPolicy.
pub(crate) fn rule(direction: Direction, rule: &Rule) -> Value {
    let mut written = Map::new();
    if let Peers::AnyOf(peers) = &rule.peers {
        written.insert(peers_field(direction).to_owned(), peers.iter().map(peer).collect());
    }
    if let Ports::AnyOf(ports) = &rule.ports {
        written.insert("ports".to_owned(), ports.iter().map(port).collect());
    }
    Value::Object(written)
}

/// `from` or `to`.
pub(crate) fn peers_field(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    }
}

/// One entry of `from` or `to`.
pub(crate) fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Block(block) => json!({"ipBlock": self::block(block)}),
        Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(_), pods }) => json!({"podSelector": selector(pods)}),
        Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(namespaces), pods }) => {
            if pods.requirements().is_empty() {
                json!({"namespaceSelector": selector(namespaces)})
            } else {
                json!({"namespaceSelector": selector(namespaces), "podSelector": selector(pods)})
            }
        }
    }
}

/// One entry of `ports`.
pub(crate) fn port(port: &PortMatch) -> Value {
    match port {
        PortMatch::Numbers { protocol, ports } if *ports == PortRange::ALL => {
            json!({"protocol": protocol.to_string()})
        }
        PortMatch::Numbers { protocol, ports } if ports.first() == ports.last() => {
            json!({"protocol": protocol.to_string(), "port": ports.first()})
        }
        PortMatch::Numbers { protocol, ports } => {
            json!({"protocol": protocol.to_string(), "port": ports.first(), "endPort": ports.last()})
        }
        PortMatch::Named { protocol, name } => json!({"protocol": protocol.to_string(), "port": &**name}),
    }
}

/// A ClusterNetworkPolicy.
pub(crate) fn cluster_policy(policy: &ClusterPolicy) -> Value {
    let mut spec = Map::new();
    spec.insert("tier".to_owned(), policy.tier.to_string().into());
    spec.insert("priority".to_owned(), policy.priority.into());
    spec.insert("subject".to_owned(), json!({"pods": pods(&policy.subject)}));
    for direction in [Direction::Ingress, Direction::Egress] {
        let rules = policy.rules(direction);
        if !rules.is_empty() {
            spec.insert(direction.to_string(), rules.iter().map(|rule| cluster_rule(direction, rule)).collect());
        }
    }
    json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": &*policy.name},
        "spec": spec,
    })
}

/// A rule of a ClusterNetworkPolicy.
pub(crate) fn cluster_rule(direction: Direction, rule: &ClusterRule) -> Value {
    let mut written = Map::new();
    written.extend(rule.name.as_ref().map(|name| ("name".to_owned(), json!(&**name))));
    written.insert("action".to_owned(), rule.action.to_string().into());
    if let ClusterPeers::AnyOf(peers) = &rule.peers {
        let peers = peers.iter().map(|peer| match peer {
            ClusterPeer::Pods(group) => json!({"pods": pods(group)}),
            ClusterPeer::Network(block) => json!({"networks": [block.cidr().to_string()]}),
            ClusterPeer::Nodes(nodes) => json!({"nodes": selector(nodes)}),
        });
        written.insert(peers_field(direction).to_owned(), peers.collect());
    }
    if let Ports::AnyOf(ports) = &rule.ports {
        written.insert("protocols".to_owned(), ports.iter().map(protocol).collect());
    }
    Value::Object(written)
}

fn protocol(port: &PortMatch) -> Value {
    match port {
        PortMatch::Numbers { protocol, ports } => {
            let port = if ports.first() == ports.last() {
                json!({"number": ports.first()})
            } else {
                json!({"range": {"start": ports.first().max(1), "end": ports.last()}})
            };
            let mut entry = Map::new();
            entry.insert(protocol.to_string().to_lowercase(), json!({"destinationPort": port}));
            Value::Object(entry)
        }
        PortMatch::Named { name, .. } => json!({"destinationNamedPort": &**name}),
    }
}

/// Of any namespace with these labels.
fn pods(group: &PodGroup) -> Value {
    match &group.namespaces {
        NamespaceScope::Matching(namespaces) => {
            json!({"namespaceSelector": selector(namespaces), "podSelector": selector(&group.pods)})
        }
        NamespaceScope::Named(name) => json!({
            "namespaceSelector": {"matchLabels": {NAME_LABEL: &**name}},
            "podSelector": selector(&group.pods),
        }),
    }
}

fn block(block: &IpBlock) -> Value {
    let except: Vec<String> = block.except().iter().map(ToString::to_string).collect();
    let mut written = json!({"cidr": block.cidr().to_string()});
    if !except.is_empty() {
        written["except"] = except.into();
    }
    written
}

/// A selector: what asks for one value of a label under `matchLabels`, as people write it.
fn selector(selector: &Selector) -> Value {
    let (mut labels, mut expressions) = (BTreeMap::new(), Vec::new());
    for requirement in selector.requirements() {
        match requirement.operator() {
            Operator::In(values) if values.len() == 1 && !labels.contains_key(&**requirement.key()) => {
                labels.extend(values.first().map(|value| (&**requirement.key(), &**value)));
            }
            _ => expressions.push(expression(requirement)),
        }
    }
    let mut written = Map::new();
    written.extend((!labels.is_empty()).then(|| ("matchLabels".to_owned(), json!(labels))));
    written.extend((!expressions.is_empty()).then(|| ("matchExpressions".to_owned(), json!(expressions))));
    Value::Object(written)
}

fn expression(requirement: &Requirement) -> Value {
    let key = &**requirement.key();
    let texts = |values: &[Arc<str>]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    match requirement.operator() {
        Operator::In(values) => json!({"key": key, "operator": "In", "values": texts(values)}),
        Operator::NotIn(values) => json!({"key": key, "operator": "NotIn", "values": texts(values)}),
        Operator::Exists => json!({"key": key, "operator": "Exists"}),
        Operator::DoesNotExist => json!({"key": key, "operator": "DoesNotExist"}),
    }
}

#[cfg(test)]
mod tests {
    use palisade_model::testing;
    use proptest::prelude::*;

    use super::*;
    use crate::{convert, objects};

    /// What cannot be written: a list of which nothing was understood, and pods of a namespace that is not the policy's own.
    fn is_written(of: &Policy) -> bool {
        let mut rules = of.ingress.iter().chain(&of.egress).flatten();
        rules.all(|rule| {
            let is_own = |peer: &Peer| match peer {
                Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(name), .. }) => *name == of.id.namespace,
                _ => true,
            };
            let peers = match &rule.peers {
                Peers::All => true,
                Peers::AnyOf(peers) => !peers.is_empty() && peers.iter().all(is_own),
            };
            let is_port = |port: &PortMatch| match port {
                PortMatch::Numbers { ports, .. } => *ports == PortRange::ALL || ports.first() > 0,
                PortMatch::Named { .. } => true,
            };
            peers
                && match &rule.ports {
                    Ports::All => true,
                    Ports::AnyOf(ports) => !ports.is_empty() && ports.iter().all(is_port),
                }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(of in testing::policy().prop_filter("can be written", is_written)) {
            let object: objects::NetworkPolicy = serde_json::from_value(policy(&of)).unwrap();
            let (read, problems) = convert::policy(&object);
            prop_assert_eq!(problems, vec![]);
            let enforced = Policy { enforcement: read.enforcement, ..of };
            prop_assert_eq!(read, enforced);
        }
    }
}

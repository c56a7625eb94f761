//! A policy as the object that says it.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use palisade_model::{
    IpBlock, NamespaceScope, Operator, Peer, Peers, Policy, PortMatch, PortRange, Ports, Requirement, Rule, Selector,
};

/// The object. What holds for everybody or every port is left out, as in the API.
pub(super) fn object(policy: &Policy) -> NetworkPolicy {
    let types = [("Ingress", policy.ingress.is_some()), ("Egress", policy.egress.is_some())];
    let types = types.into_iter().filter(|(_, isolates)| *isolates).map(|(name, _)| name.to_owned());
    let some = |rules: &Option<Vec<Rule>>| rules.clone().filter(|rules| !rules.is_empty());
    let ingress = |rule: Rule| NetworkPolicyIngressRule { from: peers(&rule.peers), ports: ports(&rule.ports) };
    let egress = |rule: Rule| NetworkPolicyEgressRule { to: peers(&rule.peers), ports: ports(&rule.ports) };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(policy.id.name.to_string()),
            namespace: Some(policy.id.namespace.to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(&policy.selector)),
            policy_types: Some(types.collect()),
            ingress: some(&policy.ingress).map(|rules| rules.into_iter().map(ingress).collect()),
            egress: some(&policy.egress).map(|rules| rules.into_iter().map(egress).collect()),
        }),
    }
}

fn peers(peers: &Peers) -> Option<Vec<NetworkPolicyPeer>> {
    match peers {
        Peers::All => None,
        Peers::AnyOf(peers) => Some(peers.iter().map(peer).collect()),
    }
}

fn peer(peer: &Peer) -> NetworkPolicyPeer {
    match peer {
        Peer::Block(block) => NetworkPolicyPeer { ip_block: Some(ip_block(block)), ..NetworkPolicyPeer::default() },
        Peer::Pods(group) => {
            let namespaces = match &group.namespaces {
                NamespaceScope::Named(_) => None,
                NamespaceScope::Matching(namespaces) => Some(selector(namespaces)),
            };
            NetworkPolicyPeer {
                namespace_selector: namespaces,
                pod_selector: Some(selector(&group.pods)),
                ip_block: None,
            }
        }
    }
}

fn ip_block(block: &IpBlock) -> IPBlock {
    let except: Vec<String> = block.except().iter().map(ToString::to_string).collect();
    IPBlock { cidr: block.cidr().to_string(), except: Some(except).filter(|except| !except.is_empty()) }
}

fn ports(ports: &Ports) -> Option<Vec<NetworkPolicyPort>> {
    match ports {
        Ports::All => None,
        Ports::AnyOf(ports) => Some(ports.iter().map(port).collect()),
    }
}

fn port(port: &PortMatch) -> NetworkPolicyPort {
    let (protocol, port, end_port) = match port {
        PortMatch::Named { protocol, name } => (protocol, Some(IntOrString::String(name.to_string())), None),
        PortMatch::Numbers { protocol, ports: PortRange::ALL } => (protocol, None, None),
        PortMatch::Numbers { protocol, ports } => {
            let end = (ports.first() < ports.last()).then(|| i32::from(ports.last()));
            (protocol, Some(IntOrString::Int(ports.first().into())), end)
        }
    };
    NetworkPolicyPort { protocol: Some(protocol.to_string()), port, end_port }
}

/// Labels with one value as `matchLabels`, all else as `matchExpressions`.
fn selector(selector: &Selector) -> LabelSelector {
    let mut labels = BTreeMap::new();
    let mut expressions = Vec::new();
    for requirement in selector.requirements() {
        match requirement.operator() {
            Operator::In(values) if values.len() == 1 && !labels.contains_key(&**requirement.key()) => {
                labels.insert(requirement.key().to_string(), values[0].to_string());
            }
            operator => expressions.push(expression(requirement, operator)),
        }
    }
    LabelSelector {
        match_labels: Some(labels).filter(|labels| !labels.is_empty()),
        match_expressions: Some(expressions).filter(|expressions| !expressions.is_empty()),
    }
}

fn expression(requirement: &Requirement, operator: &Operator) -> LabelSelectorRequirement {
    let (operator, values) = match operator {
        Operator::In(values) => ("In", Some(values)),
        Operator::NotIn(values) => ("NotIn", Some(values)),
        Operator::Exists => ("Exists", None),
        Operator::DoesNotExist => ("DoesNotExist", None),
    };
    LabelSelectorRequirement {
        key: requirement.key().to_string(),
        operator: operator.to_owned(),
        values: values.map(|values| values.iter().map(ToString::to_string).collect()),
    }
}

#[cfg(test)]
mod tests {
    use palisade_model::testing;
    use proptest::prelude::*;

    use super::*;
    use crate::convert;

    proptest! {
        #[test]
        fn an_object_says_what_the_policy_says(mut policy in testing::policy()) {
            let namespace = policy.id.namespace.clone();
            // A rule for no peers, or no ports, has no form: what is empty means all. Nor has one for another namespace by
            // its name, or for port 0.
            let is_elsewhere = |peer: &Peer| matches!(peer, Peer::Pods(group) if matches!(&group.namespaces, NamespaceScope::Named(name) if *name != namespace));
            let is_zero = |ports: &PortMatch| matches!(ports, PortMatch::Numbers { ports, .. } if ports.contains(0));
            let has_form = |rule: &Rule| {
                let has_peers = match &rule.peers {
                    Peers::AnyOf(peers) => !peers.is_empty() && !peers.iter().any(is_elsewhere),
                    Peers::All => true,
                };
                let has_ports = match &rule.ports {
                    Ports::AnyOf(ports) => !ports.is_empty() && !ports.iter().any(is_zero),
                    Ports::All => true,
                };
                has_peers && has_ports
            };
            [&mut policy.ingress, &mut policy.egress].into_iter().flatten().for_each(|rules| rules.retain(has_form));
            let written = serde_json::to_value(object(&policy)).unwrap();
            let (read, problems) = convert::policy(&serde_json::from_value(written).unwrap());
            prop_assert_eq!(problems, []);
            let of = |policy: Policy| (policy.id, policy.selector, policy.ingress, policy.egress);
            prop_assert_eq!(of(read), of(policy));
        }
    }
}

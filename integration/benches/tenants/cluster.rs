//! Namespaces, pods and policies.

use std::net::{IpAddr, Ipv4Addr};

use palisade_model::testing::{NODE, bare_pod};
use palisade_model::{
    Change, Enforcement, Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy,
    PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector,
};

/// The namespace of the victim, which has two pods on the node.
pub(crate) const SHOP: &str = "shop";
/// Pods of the others on the node.
pub(crate) const LOCAL: u32 = 100;
const PODS_A_NAMESPACE: u32 = 15;

/// A cluster of that many pods, of which the `hostile` namespaces have [`LOCAL`] on the node.
pub(crate) fn cluster(pods: u32, hostile: &[String]) -> Vec<Change> {
    let mut changes = vec![namespace(SHOP)];
    changes.extend((0..2).map(|number| pod(SHOP, "server", number, true)));
    changes.extend(hostile.iter().map(|name| namespace(name)));
    let locals = (0..LOCAL).zip(hostile.iter().cycle());
    changes.extend(locals.map(|(number, name)| pod(name, &format!("app-{number}"), 10 + number, true)));
    for number in 0..pods {
        let name = format!("load-{}", number / PODS_A_NAMESPACE);
        if number % PODS_A_NAMESPACE == 0 {
            changes.push(namespace(&name));
        }
        changes.push(pod(&name, &format!("app-{}", number % 5), 1_000 + number, false));
    }
    changes
}

fn namespace(name: &str) -> Change {
    Change::Namespace(Namespace { name: name.into(), labels: Labels::from_iter([("team", "any")]) })
}

fn pod(namespace: &str, app: &str, number: u32, is_local: bool) -> Change {
    let ip = IpAddr::from(Ipv4Addr::from_bits(0x0a10_0000 + number));
    Change::Pod(Pod {
        labels: Labels::from_iter([("app", app)]),
        node: Some(if is_local { NODE } else { "elsewhere" }.into()),
        ..bare_pod(NamespacedName::new(namespace, format!("pod-{number}")), [ip])
    })
}

pub(crate) fn policy(namespace: &str, name: &str, selector: Selector, rules: Vec<Rule>) -> Change {
    Change::Policy(Policy {
        id: NamespacedName::new(namespace, name),
        enforcement: Enforcement::Enforced,
        selector,
        ingress: Some(rules),
        egress: None,
    })
}

pub(crate) fn rule(peer: Peer, ports: Vec<PortMatch>) -> Rule {
    Rule { peers: Peers::AnyOf(vec![peer]), ports: Ports::AnyOf(ports) }
}

pub(crate) fn of_app(app: &str) -> Selector {
    Requirement::new("app", "In", [app]).into_iter().collect()
}

/// Everything but what has that label: all pods, if nobody has it.
pub(crate) fn but_app(app: &str) -> Selector {
    Requirement::new("app", "NotIn", [app]).into_iter().collect()
}

/// Pods of one namespace.
pub(crate) fn within(namespace: &str, pods: Selector) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(namespace.into()), pods })
}

/// Pods of all namespaces.
pub(crate) fn anywhere(pods: Selector) -> Peer {
    Peer::Pods(PodGroup { namespaces: NamespaceScope::Matching(Selector::default()), pods })
}

pub(crate) fn tcp(first: u16, last: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::new(first, last).expect("ascending") }
}

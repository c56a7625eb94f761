//! Ports: their names, and those of Services.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::known::Known;
use super::{Code, Findings};
use crate::{Direction, Peer, Peers, Pod, Policy, PortMatch, Ports, Protocol, Rule};

/// How many names are told.
const NAMES: usize = 5;

pub(super) fn ports<'a>(known: &Known<'a>, policy: &'a Policy, findings: &mut Findings<'_>) {
    let selected = Rc::new(known.selected(policy));
    for direction in Direction::ALL {
        for (i, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
            let Ports::AnyOf(entries) = &rule.ports else { continue };
            let destinations = match direction {
                Direction::Ingress => vec![Rc::clone(&selected)],
                Direction::Egress => peers(known, rule),
            };
            let destinations: Vec<&Pod> = destinations.iter().flat_map(|pods| pods.iter().copied()).collect();
            for (j, entry) in entries.iter().enumerate().filter(|_| !destinations.is_empty()) {
                let at = format!("spec.{direction}[{i}].ports[{j}].port");
                match entry {
                    PortMatch::Named { protocol, name } => {
                        unknown_name(&destinations, *protocol, name, &at, findings);
                    }
                    PortMatch::Numbers { protocol, ports } if ports.first() == ports.last() => {
                        of_service(known, &destinations, *protocol, ports.first(), &at, findings);
                        if is_of_pods_alone(direction, rule) {
                            other_protocol(&destinations, *protocol, ports.first(), &at, findings);
                        }
                    }
                    PortMatch::Numbers { .. } => {}
                }
            }
        }
    }
}

/// The pods that a rule for egress is about.
fn peers<'a>(known: &Known<'a>, rule: &'a Rule) -> Vec<Rc<Vec<&'a Pod>>> {
    match &rule.peers {
        Peers::All => vec![Rc::new(known.pods().collect())],
        Peers::AnyOf(peers) => {
            let groups = peers.iter().filter_map(|peer| match peer {
                Peer::Pods(group) => Some(known.group(group)),
                Peer::Block(_) => None,
            });
            groups.collect()
        }
    }
}

/// Whether whom it is opened to are pods, all of them known.
fn is_of_pods_alone(direction: Direction, rule: &Rule) -> bool {
    match (direction, &rule.peers) {
        (Direction::Ingress, _) => true,
        (Direction::Egress, Peers::All) => false,
        (Direction::Egress, Peers::AnyOf(peers)) => peers.iter().all(|peer| matches!(peer, Peer::Pods(_))),
    }
}

/// The protocol of a port without one is TCP.
fn other_protocol(pods: &[&Pod], protocol: Protocol, number: u16, at: &str, findings: &mut Findings<'_>) {
    let declared = || pods.iter().flat_map(|pod| pod.ports.iter().map(move |port| (*pod, port)));
    let same = declared().filter(|(_, port)| port.port == number);
    let of_protocol = |(_, port): &(&Pod, &crate::ContainerPort)| port.protocol == protocol;
    if let Some((pod, port)) = same.clone().next().filter(|_| !same.clone().any(|one| of_protocol(&one))) {
        let (id, other) = (&pod.id, port.protocol);
        let reason = format!(
            "pod {id} declares {number} for {other}, and no pod that this is about for {protocol}: write `protocol: {other}`, if \
             that is meant (without one it is TCP)"
        );
        findings.add(Code::OtherProtocol, at, reason);
    }
}

pub(super) fn unknown_name(pods: &[&Pod], protocol: Protocol, name: &str, at: &str, findings: &mut Findings<'_>) {
    if pods.iter().any(|pod| !pod.numbers_of(name, protocol).is_empty()) {
        return;
    }
    let declared: BTreeSet<&str> = pods.iter().flat_map(|pod| &pod.ports).map(|port| &*port.name).collect();
    let known = match declared.into_iter().take(NAMES).collect::<Vec<_>>() {
        names if names.is_empty() => "no port".to_owned(),
        names => names.join(", "),
    };
    let reason = format!("no pod that this is about declares a {protocol} port {name}: they declare {known}");
    findings.add(Code::UnknownPortName, at, reason);
}

fn of_service(
    known: &Known<'_>,
    pods: &[&Pod],
    protocol: Protocol,
    number: u16,
    at: &str,
    findings: &mut Findings<'_>,
) {
    let mut of_service = None;
    for pod in pods {
        if pod.ports.iter().any(|port| port.protocol == protocol && port.port == number) {
            return;
        }
        let ports = known.services_of(pod).flat_map(|service| service.ports.iter().map(move |port| (service, port)));
        for (service, port) in ports.filter(|(_, port)| port.protocol == protocol) {
            let targets = port.targets(pod);
            if targets.contains(&number) {
                return;
            }
            if port.port == number && !targets.is_empty() {
                of_service.get_or_insert((service, targets));
            }
        }
    }
    let Some((service, targets)) = of_service else { return };
    let targets = targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let reason = format!(
        "{number} is the port of Service {}, behind which pods listen at {targets}: policies see the pods' ports",
        service.id
    );
    findings.add(Code::ServicePort, at, reason);
}

use crate::{Direction, Peers, Policy, PortMatch, PortResolution, Ports, Rule};

/// What compiling these policies takes time for: peers times ports of every rule, and one for each policy.
pub(crate) fn grants<'a>(
    direction: Direction,
    policies: impl IntoIterator<Item = &'a Policy>,
    named_ports: &[PortResolution],
) -> u64 {
    let of_policy = |policy: &Policy| {
        let rules = policy.rules(direction).unwrap_or_default();
        rules.iter().map(|rule| of_rule(rule, direction, named_ports)).fold(1, u64::saturating_add)
    };
    policies.into_iter().map(of_policy).fold(0, u64::saturating_add)
}

fn of_rule(rule: &Rule, direction: Direction, named_ports: &[PortResolution]) -> u64 {
    let peers = match &rule.peers {
        Peers::All => 1,
        Peers::AnyOf(peers) => peers.len() as u64,
    };
    let ports = match &rule.ports {
        Ports::All => 1,
        Ports::AnyOf(entries) => entries.iter().map(|entry| numbers(entry, direction, named_ports)).sum(),
    };
    peers.max(1).saturating_mul(ports.max(1))
}

/// How many ranges of ports an entry is: more than one where its name is declared more than once.
fn numbers(entry: &PortMatch, direction: Direction, named_ports: &[PortResolution]) -> u64 {
    match (entry, direction) {
        (PortMatch::Named { protocol, name }, Direction::Ingress) => {
            let here = named_ports.iter().filter(|r| r.name == *name && r.protocol == *protocol);
            here.map(|resolution| resolution.ports.len() as u64).sum::<u64>().max(1)
        }
        (PortMatch::Named { .. } | PortMatch::Numbers { .. }, _) => 1,
    }
}

//! Rules for every port, which are not for everything.

use super::{Code, Findings};
use crate::{Direction, Policy, PortMatch, Ports, Protocol};

pub(super) fn protocols(policy: &Policy, findings: &mut Findings<'_>) {
    for direction in Direction::ALL {
        for (i, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
            if let Some(others) = left_out(&rule.ports) {
                let reason = format!(
                    "admits every port of TCP and UDP, and so neither {others}ICMP (ping): where everything is meant, leave \
                     `ports` out"
                );
                findings.add(Code::ProtocolsLeftOut, format!("spec.{direction}[{i}].ports"), reason);
            }
        }
    }
}

/// What every port of TCP and UDP leaves out beside ICMP: `SCTP nor `, or nothing. `None` where it is not every port of both.
pub(super) fn left_out(ports: &Ports) -> Option<&'static str> {
    let Ports::AnyOf(entries) = ports else { return None };
    let has_all = |wanted| {
        entries.iter().any(|entry| match entry {
            PortMatch::Numbers { protocol, ports } => {
                *protocol == wanted && ports.first() <= 1 && ports.last() == u16::MAX
            }
            PortMatch::Named { .. } => false,
        })
    };
    let is_everything_but = has_all(Protocol::Tcp) && has_all(Protocol::Udp);
    is_everything_but.then_some(if has_all(Protocol::Sctp) { "" } else { "SCTP nor " })
}

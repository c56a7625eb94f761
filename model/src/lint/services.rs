//! Services' own addresses, which policies never see.

use super::known::Known;
use super::{Code, Findings};
use crate::IpBlock;

/// A block of everything means everybody.
pub(super) fn holds_services(known: &Known<'_>, block: &IpBlock, at: &str, findings: &mut Findings<'_>) {
    let cidr = block.cidr();
    if cidr.prefix_len() == 0 {
        return;
    }
    let is_held = |address| !block.except().iter().any(|except| except.contains(&address));
    let held = known.services_within(cidr.network(), cidr.broadcast()).find(|(address, _)| is_held(*address));
    let overlaps = |range: &&ipnet::IpNet| {
        let meet = cidr.contains(*range) || range.contains(&cidr);
        meet && !block.except().iter().any(|except| except.contains(*range))
    };
    let what = match (held, known.service_ranges().iter().find(overlaps)) {
        (Some((address, service)), _) => format!("{address}, which is Service {}'s", service.id),
        (None, Some(range)) => format!("addresses of Services ({range})"),
        (None, None) => return,
    };
    let reason = format!(
        "{block} holds {what}: policies see the pods behind a Service and never its address, so that this admits no Service: \
         select those pods"
    );
    findings.add(Code::BlockHoldsServices, at, reason);
}

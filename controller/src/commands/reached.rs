//! Who reaches whom, in the words of `palisade map` and `palisade preview`.

use palisade_model::reach::{Place, PlaceId, PlaceName, Population, PortSet, Reach};
use palisade_model::{Direction, PortRange, Protocol};
use serde::Serialize;

/// As `["TCP 80", "TCP 8000-9000", "UDP", "other protocols"]`, where a protocol alone means all of its ports; `["all
/// ports"]`
/// for everything, and `[]` for nothing.
pub(super) fn ports(ports: &PortSet) -> Vec<String> {
    if ports.is_all() {
        return vec!["all ports".to_owned()];
    }
    let range = |(protocol, range): (Protocol, PortRange)| match range {
        PortRange::ALL => protocol.to_string(),
        _ => format!("{protocol} {range}"),
    };
    ports.ranges().map(range).chain(ports.has_others().then(|| "other protocols".to_owned())).collect()
}

/// What a workload lets whom no rule names do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Anybody {
    /// `ipv4` or `ipv6`.
    pub(super) family: &'static str,
    /// With pods.
    pub(super) pods: Vec<String>,
    /// With addresses that are no pod's.
    pub(super) outside: Vec<String>,
}

/// By the families that the workload has.
pub(super) fn anybody(reach: &Reach, place: PlaceId, direction: Direction) -> Vec<Anybody> {
    let of = |ipv6| {
        let lets = |outside| ports(&reach.anybody(place, direction, Population { ipv6, outside }));
        Anybody { family: family(ipv6), pods: lets(false), outside: lets(true) }
    };
    [false, true].into_iter().filter(|ipv6| reach.has_family(place, *ipv6)).map(of).collect()
}

pub(super) fn family(ipv6: bool) -> &'static str {
    if ipv6 { "ipv6" } else { "ipv4" }
}

/// The places that are workloads.
pub(super) fn workloads(reach: &Reach) -> impl Iterator<Item = (PlaceId, &Place)> {
    reach.places().filter(|(_, place)| matches!(place.name, PlaceName::Workload(_)))
}

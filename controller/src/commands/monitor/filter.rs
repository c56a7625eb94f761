//! Which records are told.

use palisade_model::Direction;

use crate::cli::{FilterArgs, LabelFilter, Named, PeerFilter};
use crate::flows::{LocalPod, Record, Verdict};

impl FilterArgs {
    /// Whether `record` is told.
    pub(super) fn admits(&self, record: &Record) -> bool {
        let Self { namespace, pod, workload, labels, peer, port, protocol, direction, reason, .. } = self;
        let own = &record.pod;
        namespace.as_ref().is_none_or(|namespace| *namespace == own.namespace)
            && pod.as_ref().is_none_or(|pod| is_named(pod, &own.namespace, &own.name))
            && workload.as_ref().is_none_or(|workload| is_named(workload, &own.namespace, &own.workload))
            && labels.iter().all(|label| has(own, label))
            && peer.as_ref().is_none_or(|peer| is_peer(peer, record))
            && port.is_none_or(|port| record.port == Some(port))
            && protocol.is_none_or(|protocol| record.protocol == protocol)
            && direction.is_none_or(|direction| record.direction == Direction::from(direction))
            && reason.is_none_or(|reason| record.reason == reason)
            && self.admits_verdict(record.verdict)
    }

    fn admits_verdict(&self, verdict: Verdict) -> bool {
        match (self.would_drop, self.allowed) {
            (false, false) => verdict != Verdict::Allowed,
            (would_drop, allowed) => {
                would_drop && verdict == Verdict::WouldDrop || allowed && verdict == Verdict::Allowed
            }
        }
    }
}

fn is_named(named: &Named, namespace: &str, name: &str) -> bool {
    named.name == name && named.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
}

fn has(pod: &LocalPod, label: &LabelFilter) -> bool {
    let value = pod.labels.get(&label.key);
    value.is_some_and(|value| label.value.as_ref().is_none_or(|wanted| wanted == value))
}

fn is_peer(peer: &PeerFilter, record: &Record) -> bool {
    match (peer, &record.peer.pod) {
        (PeerFilter::Addresses(range), _) => range.contains(&record.peer.address),
        (PeerFilter::Namespace(namespace), Some(pod)) => *namespace == pod.namespace,
        (PeerFilter::Named { namespace, name }, Some(pod)) => {
            *namespace == pod.namespace && [&pod.name, &pod.workload].contains(&name)
        }
        (PeerFilter::Namespace(_) | PeerFilter::Named { .. }, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::FlowDirection;
    use crate::flows::tests::{from_address, record};
    use crate::flows::{IpProtocol, Reason};

    fn all() -> FilterArgs {
        FilterArgs::default()
    }

    #[test]
    fn each_filter_admits_what_it_names() {
        let named = |text: &str| Some(text.parse::<Named>().unwrap());
        let peer = |text: &str| Some(text.parse::<PeerFilter>().unwrap());
        let labels = |texts: &[&str]| texts.iter().map(|text| text.parse::<LabelFilter>().unwrap()).collect();
        let admitting = [
            FilterArgs { labels: labels(&["app=db", "app"]), ..all() },
            FilterArgs { namespace: Some("shop".to_owned()), ..all() },
            FilterArgs { pod: named("db-0"), ..all() },
            FilterArgs { pod: named("shop/db-0"), ..all() },
            FilterArgs { workload: named("shop/db"), ..all() },
            FilterArgs { peer: peer("shop"), ..all() },
            FilterArgs { peer: peer("shop/web-1"), ..all() },
            FilterArgs { peer: peer("shop/web"), ..all() },
            FilterArgs { peer: peer("10.0.0.0/24"), ..all() },
            FilterArgs { port: Some(80), protocol: Some(IpProtocol(6)), ..all() },
            FilterArgs { direction: Some(FlowDirection::Ingress), reason: Some(Reason::Policy), ..all() },
        ];
        for filter in admitting {
            assert!(filter.admits(&record()), "{filter:?}");
        }
        let refusing = [
            FilterArgs { labels: labels(&["app=web"]), ..all() },
            FilterArgs { labels: labels(&["app=db", "tier"]), ..all() },
            FilterArgs { namespace: Some("bank".to_owned()), ..all() },
            FilterArgs { pod: named("web-1"), ..all() },
            FilterArgs { pod: named("bank/db-0"), ..all() },
            FilterArgs { workload: named("db-0"), ..all() },
            FilterArgs { peer: peer("bank"), ..all() },
            FilterArgs { peer: peer("shop/db"), ..all() },
            FilterArgs { peer: peer("bank/web"), ..all() },
            FilterArgs { peer: peer("10.0.1.0/24"), ..all() },
            FilterArgs { port: Some(81), ..all() },
            FilterArgs { protocol: Some(IpProtocol(17)), ..all() },
            FilterArgs { direction: Some(FlowDirection::Egress), ..all() },
            FilterArgs { reason: Some(Reason::Tier), ..all() },
        ];
        for filter in refusing {
            assert!(!filter.admits(&record()), "{filter:?}");
        }
    }

    #[test]
    fn addresses_have_no_names() {
        let outside = from_address([192, 0, 2, 7]);
        let is_told = |peer: &str| FilterArgs { peer: Some(peer.parse().unwrap()), ..all() }.admits(&outside);
        assert!(is_told("192.0.2.7") && !is_told("shop") && !is_told("shop/web"));
    }

    #[test]
    fn what_was_allowed_is_told_only_where_it_is_asked_for() {
        let told = |would_drop, allowed| {
            let filter = FilterArgs { would_drop, allowed, ..all() };
            let verdicts = [Verdict::Dropped, Verdict::WouldDrop, Verdict::Allowed];
            verdicts.map(|verdict| filter.admits(&Record { verdict, ..record() }))
        };
        assert_eq!(told(false, false), [true, true, false]);
        assert_eq!(told(true, false), [false, true, false]);
        assert_eq!(told(false, true), [false, false, true]);
        assert_eq!(told(true, true), [false, true, true]);
    }
}

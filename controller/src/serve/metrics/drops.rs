//! What was dropped, by pod.
//!
//! Invariants:
//! - The sum of all series is what the kernel has counted, and no series becomes less while it is there: what has no series of its
//!   own is in the one without a name (`sums_are_exact_and_series_bounded`).
//! - So many pods have series, however many come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use palisade_model::Direction;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::flows::{DropCounters, DropKey, Dropped, Figures, Hub, Reason};
use crate::serve::METRICS_PODS;

/// What is known of drops.
#[derive(Debug)]
pub(super) struct Drops {
    hub: Arc<Hub>,
    totals: Mutex<Totals>,
}

/// Namespace and name.
type Pod = (String, String);

#[derive(Debug)]
struct Totals {
    pods: usize,
    /// The kernel's counters when they were last looked at.
    last: DropCounters,
    /// Those that have series.
    named: BTreeSet<Pod>,
    series: DropCounters,
    over_limit: usize,
}

impl Drops {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, totals: Mutex::new(Totals::new(METRICS_PODS)) }
    }

    /// So many pods have series from now on.
    pub(super) fn set_pods(&self, pods: usize) {
        self.totals().pods = pods;
    }

    /// The kernel's counters as they are now.
    pub(super) fn count(&self, counters: &DropCounters) {
        self.totals().count(counters);
    }

    fn totals(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals.lock().expect("nobody panics while holding it")
    }
}

impl Totals {
    fn new(pods: usize) -> Self {
        let nothing = |direction| (nameless(direction, Reason::Policy), Dropped::default());
        let series = Direction::ALL.map(nothing).into();
        Self { pods, last: DropCounters::new(), named: BTreeSet::new(), series, over_limit: 0 }
    }

    fn count(&mut self, counters: &DropCounters) {
        let there: BTreeSet<Pod> = counters.keys().filter(|key| !key.pod.is_empty()).map(pod).collect();
        self.name(&there);
        for (key, now) in counters {
            let came = now.since(self.last.get(key).copied().unwrap_or_default());
            let own = if self.named.contains(&pod(key)) { key.clone() } else { nameless(key.direction, key.reason) };
            self.series.entry(own).or_default().add(came);
        }
        self.last.clone_from(counters);
    }

    /// Gives series to pods that are there, and takes them from those that are gone: whoever has some keeps them.
    fn name(&mut self, there: &BTreeSet<Pod>) {
        let gone: Vec<Pod> = self.named.difference(there).cloned().collect();
        for gone in gone {
            self.named.remove(&gone);
            let (of_gone, others): (BTreeMap<_, _>, _) =
                std::mem::take(&mut self.series).into_iter().partition(|(key, _)| pod(key) == gone);
            self.series = others;
            for (key, total) in of_gone {
                self.series.entry(nameless(key.direction, key.reason)).or_default().add(total);
            }
        }
        let room = self.pods.saturating_sub(self.named.len());
        let new: Vec<Pod> = there.difference(&self.named).take(room).cloned().collect();
        self.named.extend(new);
        self.over_limit = there.len() - self.named.len();
    }
}

fn pod(key: &DropKey) -> Pod {
    (key.namespace.clone(), key.pod.clone())
}

/// Where what has no series of its own is summed.
fn nameless(direction: Direction, reason: Reason) -> DropKey {
    DropKey { direction, namespace: String::new(), pod: String::new(), reason }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    direction: String,
    namespace: String,
    pod: String,
    reason: &'static str,
}

impl From<&DropKey> for DropLabels {
    fn from(DropKey { direction, namespace, pod, reason }: &DropKey) -> Self {
        let (namespace, pod, reason) = (namespace.clone(), pod.clone(), reason.name());
        Self { direction: direction.to_string(), namespace, pod, reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Encodes what is known when it is asked for.
#[derive(Debug)]
pub(super) struct DropCollector(pub(super) Arc<Drops>);

impl Collector for DropCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.0.totals();
        let mut of_pods = |name, help, of: fn(Reason) -> bool, value: fn(&Dropped) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            totals.series.iter().filter(|(key, _)| of(key.reason)).try_for_each(|(key, dropped)| {
                let labels = DropLabels::from(key);
                ConstCounter::new(value(dropped)).encode(family.encode_family(&labels)?)
            })
        };
        let help = "Packets dropped, by direction, pod and what decided. Without a pod: of those that have no series of their own";
        let (is_drop, is_audit) = (|reason| reason != Reason::Audit, |reason| reason == Reason::Audit);
        of_pods("dropped_packets", help, is_drop, |dropped| dropped.packets)?;
        of_pods("dropped_bytes", "The same in bytes", is_drop, |dropped| dropped.bytes)?;
        let help = "Packets that passed and that audited policies would drop, by direction and pod";
        of_pods("would_drop_packets", help, is_audit, |dropped| dropped.packets)?;
        let help = "Pods that have no series of their own for what was dropped, because there are too many";
        let over_limit = i64::try_from(totals.over_limit).unwrap_or(i64::MAX);
        let family = encoder.encode_descriptor("dropped_series_over_limit", help, None, MetricType::Gauge)?;
        ConstGauge::new(over_limit).encode(family)?;

        let mut outcomes = |name, help, figures: Figures| {
            let Figures { logged, suppressed, lost, malformed } = figures;
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            let outcomes = [("logged", logged), ("suppressed", suppressed), ("lost", lost), ("malformed", malformed)];
            outcomes.into_iter().try_for_each(|(outcome, count)| {
                let labels = OutcomeLabel { outcome };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)
            })
        };
        let help = "Dropped packets that were to be told of, by what became of that";
        outcomes("drop_records", help, self.0.hub.figures())?;
        let help = "Beginnings and ends of connections that were to be told of, by what became of that";
        let allowed = self.0.hub.allowed_figures();
        allowed.map_or(Ok(()), |allowed| outcomes("flow_records", help, allowed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(direction: Direction, name: &str) -> DropKey {
        DropKey { direction, namespace: "shop".to_owned(), pod: name.to_owned(), reason: Reason::Policy }
    }

    fn counters(of: &[(&str, u64)]) -> DropCounters {
        let counter = |(name, packets): &(&str, u64)| {
            (key(Direction::Ingress, name), Dropped { packets: *packets, bytes: 60 * packets })
        };
        of.iter().map(counter).collect()
    }

    /// The packets of those that have a series, and of the one without a name.
    fn shown(totals: &Totals) -> (Vec<(String, u64)>, u64) {
        let ingress = totals.series.iter().filter(|(key, _)| key.direction == Direction::Ingress);
        let (nameless, named): (Vec<_>, Vec<_>) = ingress.partition(|(key, _)| key.pod.is_empty());
        let named = named.into_iter().map(|(key, total)| (key.pod.clone(), total.packets)).collect();
        (named, nameless.iter().map(|(_, total)| total.packets).sum())
    }

    #[test]
    fn whoever_has_a_series_keeps_it_and_the_rest_is_summed() {
        let mut totals = Totals::new(2);
        let own = |of: &[(&str, u64)]| of.iter().map(|(name, packets)| ((*name).to_owned(), *packets)).collect();
        totals.count(&counters(&[("b", 1), ("c", 2)]));
        totals.count(&counters(&[("a", 5), ("b", 3), ("c", 2)]));
        assert_eq!((shown(&totals), totals.over_limit), ((own(&[("b", 3), ("c", 2)]), 5), 1));
        totals.count(&counters(&[("a", 6), ("c", 2)]));
        assert_eq!(
            shown(&totals),
            (own(&[("a", 1), ("c", 2)]), 8),
            "what came before it had a series stays where it is"
        );
        assert_eq!(totals.over_limit, 0);
    }

    #[test]
    fn a_counter_that_is_made_anew_or_missing_for_a_while_goes_on() {
        let mut totals = Totals::new(2);
        let egress = || (key(Direction::Egress, "a"), Dropped::default());
        for packets in [4, 7, 2] {
            totals.count(&counters(&[("a", packets)]));
        }
        assert_eq!(shown(&totals).0, [("a".to_owned(), 9)]);
        totals.count(&[egress()].into());
        assert_eq!(shown(&totals).0, [("a".to_owned(), 9)], "the pod is there");
        totals.count(&counters(&[("a", 1)]).into_iter().chain([egress()]).collect());
        assert_eq!(shown(&totals).0, [("a".to_owned(), 10)]);
    }

    proptest! {
        #[test]
        fn sums_are_exact_and_series_bounded(
            steps in prop::collection::vec(prop::collection::btree_map(0..9_u8, 0..50_u64, 0..9), 0..30),
        ) {
            let mut totals = Totals::new(3);
            let (mut now, mut told) = (BTreeMap::<u8, u64>::new(), 0);
            for step in steps {
                // Who is missing is gone; its counter begins anew.
                now.retain(|pod, _| step.contains_key(pod));
                for (pod, came) in &step {
                    *now.entry(*pod).or_default() += came;
                    told += came;
                }
                let named: Vec<_> = now.iter().map(|(pod, packets)| (pod.to_string(), *packets)).collect();
                let named: Vec<_> = named.iter().map(|(pod, packets)| (pod.as_str(), *packets)).collect();
                let before = totals.series.clone();
                totals.count(&counters(&named));
                let (series, nameless) = shown(&totals);
                prop_assert!(series.len() <= 3);
                prop_assert_eq!(series.iter().map(|(_, packets)| packets).sum::<u64>() + nameless, told);
                for (key, total) in &totals.series {
                    prop_assert!(before.get(key).is_none_or(|before| before.packets <= total.packets));
                    prop_assert_eq!(total.bytes, 60 * total.packets);
                }
                prop_assert_eq!(totals.over_limit, named.len() - totals.named.len());
            }
        }
    }
}

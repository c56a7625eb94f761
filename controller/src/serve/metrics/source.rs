//! What is asked of the source at each scrape.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::unix;
use crate::serve::{SourceProbe, SourceStatus, WatchStatus};

/// The source, as it can be asked.
pub(super) struct Source(pub(super) SourceProbe);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Asks the source for its state and encodes it.
#[derive(Debug)]
pub(super) struct SourceCollector(pub(super) Arc<Source>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabel {
    resource: String,
}

impl Collector for SourceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let SourceStatus { watches, policies_with_problems, .. } = (self.0.0)();
        let problems = ConstGauge::new(policies_with_problems);
        let help = "Policies that hold something that cannot be understood, and that allows nothing";
        problems.encode(encoder.encode_descriptor("policies_with_problems", help, None, MetricType::Gauge)?)?;

        let mut of_watches = |name, help, unit: Option<&Unit>, value: fn(&WatchStatus) -> Value| {
            let Some(first) = watches.first() else { return Ok(()) };
            let mut family = encoder.encode_descriptor(name, help, unit, value(first).metric_type())?;
            watches.iter().try_for_each(|watch| {
                let labels = WatchLabel { resource: watch.resource.clone() };
                value(watch).encode(family.encode_family(&labels)?)
            })
        };
        of_watches("watch_synced", "1 where the watch has delivered all that there was, once", None, |watch| {
            Value::Gauge(ConstGauge::new(watch.synced.into()))
        })?;
        of_watches("watch_connected", "1 where the watch follows changes right now", None, |watch| {
            Value::Gauge(ConstGauge::new(watch.connected.into()))
        })?;
        let help = "Unix time when something last came from the watch, bookmarks included; 0 before the first time";
        of_watches("watch_last_event_timestamp", help, Some(&Unit::Seconds), |watch| {
            Value::Gauge(ConstGauge::new(watch.last_event.map_or(0.0, unix)))
        })?;
        of_watches("watch_errors", "Times the watch failed and was begun again", None, |watch| {
            Value::Counter(ConstCounter::new(watch.errors))
        })?;
        of_watches("watch_relists", "Times everything was listed anew, the first time not counted", None, |watch| {
            Value::Counter(ConstCounter::new(watch.relists))
        })
    }
}

enum Value {
    Gauge(ConstGauge<f64>),
    Counter(ConstCounter<u64>),
}

impl EncodeMetric for Value {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(gauge) => gauge.encode(encoder),
            Self::Counter(counter) => counter.encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Gauge(gauge) => gauge.metric_type(),
            Self::Counter(counter) => counter.metric_type(),
        }
    }
}

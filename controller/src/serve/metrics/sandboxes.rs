//! What the network plugin asked.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::signed;
use crate::cni::{Outcome, Refusal};
use crate::serve::SandboxFigures;

/// Upper bounds of the buckets for the time that a pod waits, in seconds.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0];

/// Why a pod was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// What became of entering the plugin into the runtime's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

const ENTERED: StateLabel = StateLabel { state: "entered" };
const NOT_ENTERED: StateLabel = StateLabel { state: "not_entered" };

#[derive(Debug)]
pub(super) struct Sandboxes {
    add_duration: Histogram,
    refusals: Family<ReasonLabel, Counter>,
    known: Gauge,
    of_deleted_pods: Gauge,
    pods_without: Gauge,
    plugin: Family<StateLabel, Gauge>,
}

impl Default for Sandboxes {
    fn default() -> Self {
        let (known, of_deleted_pods, pods_without) = (Gauge::default(), Gauge::default(), Gauge::default());
        let (add_duration, refusals) = (Histogram::new(BUCKETS), Family::default());
        Self { add_duration, refusals, known, of_deleted_pods, pods_without, plugin: Family::default() }
    }
}

impl Sandboxes {
    pub(super) fn came(&self, outcome: &Outcome) {
        outcome.added.iter().for_each(|waited| self.add_duration.observe(waited.as_secs_f64()));
        for refusal in &outcome.refused {
            self.refusals.get_or_create(&label(*refusal)).inc();
        }
    }

    pub(super) fn holds(&self, figures: &SandboxFigures) {
        self.known.set(signed(figures.known));
        self.of_deleted_pods.set(signed(figures.of_deleted_pods));
        self.pods_without.set(signed(figures.pods_without));
    }

    /// Whether the plugin is entered in the runtime's configuration.
    pub(super) fn plugin(&self, is_entered: bool) {
        self.plugin.get_or_create(&ENTERED).set(is_entered.into());
        self.plugin.get_or_create(&NOT_ENTERED).set((!is_entered).into());
    }

    pub(super) fn start_at_zero(&self) {
        [ENTERED, NOT_ENTERED].iter().for_each(|state| drop(self.plugin.get_or_create(state)));
        use Refusal::{NotCommitted, NotStored, NotSynced, UnknownPod};
        for refusal in [NotSynced, UnknownPod, NotCommitted, NotStored] {
            drop(self.refusals.get_or_create(&label(refusal)));
        }
    }

    #[rustfmt::skip]
    pub(super) fn register(&self, r: &mut Registry) {
        r.register_with_unit("cni_add_duration", "Time from the network plugin's question to the answer that a pod is judged", Unit::Seconds, self.add_duration.clone());
        r.register("cni_refusals", "Pods that the network plugin was told not to let start yet, by reason", self.refusals.clone());
        r.register("cni_plugin", "1 for whether the network plugin is entered in the node's network configuration; 0 for both where that is not the agent's affair", self.plugin.clone());
        r.register("sandboxes", "Sandboxes that are judged", self.known.clone());
        r.register("sandboxes_of_deleted_pods", "Sandboxes that are judged although their pods are gone from the API", self.of_deleted_pods.clone());
        r.register("pods_without_sandbox", "Pods of this node that have addresses, and came without the network plugin", self.pods_without.clone());
    }
}

fn label(refusal: Refusal) -> ReasonLabel {
    let reason = match refusal {
        Refusal::NotSynced => "not_synced",
        Refusal::UnknownPod => "unknown_pod",
        Refusal::NotCommitted => "not_committed",
        Refusal::NotStored => "not_stored",
    };
    ReasonLabel { reason }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What became of a victim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) case: String,
    pub(crate) pods: u32,
    /// How many others write.
    pub(crate) tenants: usize,
    /// How many of them are closed at the end.
    pub(crate) closed: usize,
    /// How long the index took to take in all objects.
    pub(crate) listed: Duration,
    /// From there until the victim was first enforced.
    pub(crate) cold: Duration,
    /// From each edit to the kernel's acknowledgement, of those in the first two seconds after that.
    pub(crate) first_latencies: Vec<Duration>,
    /// The same of the later ones.
    pub(crate) latencies: Vec<Duration>,
    /// In MiB, with the cluster that the benchmark itself holds.
    pub(crate) peak: f64,
}

pub(crate) fn header() {
    println!(
        "the victim's edit, in ms from the change to the kernel's acknowledgement; max 2 s: in the first two seconds, the others after"
    );
    println!(
        "{:<10}{:>8}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>12}{:>10}",
        "case", "pods", "tenants", "closed", "p50", "p90", "p99", "max", "max 2 s", "cold start", "peak MiB"
    );
}

pub(crate) fn line(measured: &Measured) {
    let mut times = measured.latencies.clone();
    times.sort_unstable();
    let first = measured.first_latencies.iter().max().copied().unwrap_or_default();
    let at = |part: usize| milliseconds(times[(times.len() - 1) * part / 100]);
    println!(
        "{:<10}{:>8}{:>9}{:>8}{:>8.1}{:>8.1}{:>8.1}{:>8.1}{:>9.1}{:>12.0}{:>10.0}",
        measured.case,
        measured.pods,
        measured.tenants,
        measured.closed,
        at(50),
        at(90),
        at(99),
        at(100),
        milliseconds(first),
        milliseconds(measured.cold),
        measured.peak
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

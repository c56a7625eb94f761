use serde::{Deserialize, Serialize};

/// What was measured of one cluster. Times are in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) shape: String,
    pub(crate) pods: u32,
    pub(crate) elements: usize,
    pub(crate) chains: usize,
    pub(crate) start: Start,
    pub(crate) events: Vec<Event>,
    /// `nft -f` adding one element.
    pub(crate) nft_event: f64,
    pub(crate) storm: Storm,
}

/// From nothing to the first acknowledgement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// From the objects.
    pub(crate) all: f64,
    /// From the finished ruleset.
    pub(crate) commit: f64,
    /// `nft -f` loading the same.
    pub(crate) nft: f64,
    /// The greatest memory until then, in MiB.
    pub(crate) peak: f64,
    pub(crate) bytes: u64,
}

/// One kind of event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) kind: String,
    /// Processor time.
    pub(crate) cpu: Spread,
    /// Time from the change to the acknowledgement.
    pub(crate) wall: Spread,
    /// Bytes sent to the kernel, on average.
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| values[(values.len() * percent).div_ceil(100) - 1];
        Self { mean: values.iter().sum::<f64>() / values.len() as f64, p50: at(50), p99: at(99) }
    }
}

/// Many events a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Storm {
    pub(crate) events_per_second: f64,
    pub(crate) commits_per_second: f64,
    /// From an event to the acknowledgement of what it changed, at most.
    pub(crate) latency: Spread,
    /// Processor time an event.
    pub(crate) cpu: f64,
}

pub(crate) fn events(measured: &[Measured]) {
    println!("\none event, from the change to the kernel's acknowledgement, in ms");
    println!(
        "{:<16}{:>8}  {:<26}{:>8}{:>8}{:>8}{:>10}{:>8}{:>9}{:>8}",
        "", "pods", "", "CPU p50", "mean", "p99", "time p50", "p99", "bytes", "nft -f"
    );
    for cluster in measured {
        for Event { kind, cpu, wall, bytes } in &cluster.events {
            let Measured { shape, pods, nft_event, .. } = cluster;
            println!(
                "{shape:<16}{pods:>8}  {kind:<26}{:>8.3}{:>8.3}{:>8.3}{:>10.3}{:>8.3}{bytes:>9}{:>7.0}x",
                cpu.p50,
                cpu.mean,
                cpu.p99,
                wall.p50,
                wall.p99,
                nft_event / wall.p50,
            );
        }
    }
}

pub(crate) fn starts(measured: &[&Measured]) {
    println!("\nthe first commit, in ms; from the objects, and of the finished ruleset alone beside `nft -f`");
    println!(
        "{:<16}{:>8}{:>10}{:>8}{:>9}{:>10}{:>10}{:>8}{:>9}{:>10}",
        "", "pods", "elements", "chains", "start", "peak MiB", "commit", "nft -f", "ratio", "MB sent"
    );
    for Measured { shape, pods, elements, chains, start, .. } in measured {
        println!(
            "{shape:<16}{pods:>8}{elements:>10}{chains:>8}{:>9.0}{:>10.1}{:>10.1}{:>8.0}{:>9.1}{:>10.1}",
            start.all,
            start.peak,
            start.commit,
            start.nft,
            start.nft / start.commit,
            start.bytes as f64 / 1e6,
        );
    }
}

pub(crate) fn storms(measured: &[&Measured]) {
    println!("\na storm of events of all kinds, none lost; from an event to its acknowledgement at most, in ms");
    println!("{:<16}{:>8}{:>10}{:>11}{:>8}{:>8}{:>12}", "", "pods", "events/s", "commits/s", "p50", "p99", "CPU/event");
    for Measured { shape, pods, storm, .. } in measured {
        println!(
            "{shape:<16}{pods:>8}{:>10.0}{:>11.0}{:>8.1}{:>8.1}{:>12.3}",
            storm.events_per_second, storm.commits_per_second, storm.latency.p50, storm.latency.p99, storm.cpu
        );
    }
}

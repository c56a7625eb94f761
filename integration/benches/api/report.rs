use std::time::Duration;

use palisade_integration::apiserver::Usage;

use super::Outcome;
use super::events::Measured;
use super::fill::{Bench, Size};

pub(crate) fn header(memory: bool) {
    if !memory {
        println!("times in milliseconds from the API's answer; CPU of the agent per write");
        println!(
            "{:>6} {:>8}  {:<28} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "pods",
            "policies",
            "event",
            "p50",
            "p99",
            "max",
            "floor p50",
            "floor p99",
            "above p50",
            "above p99",
            "CPU ms"
        );
    }
}

pub(crate) fn line(size: Size, measured: &Measured) {
    let Measured { event, verdicts, floor, above, cpu } = measured;
    println!(
        "{:>6} {:>8}  {event:<28} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8.3}",
        size.pods,
        size.policies,
        percentile(verdicts, 50),
        percentile(verdicts, 99),
        percentile(verdicts, 100),
        percentile(floor, 50),
        percentile(floor, 99),
        percentile(above, 50),
        percentile(above, 99),
        cpu.as_secs_f64() * 1e3,
    );
}

pub(crate) fn burst(size: Size, verdict: &Duration) {
    println!(
        "{:>6} {:>8}  {:<28} {:>7.1}",
        size.pods,
        size.policies,
        "last of 200 pods at once",
        verdict.as_secs_f64() * 1e3
    );
}

pub(crate) fn memory(size: Size, bench: &Bench) -> Outcome {
    let Usage { resident, peak, .. } = bench.agent.usage()?;
    let Bench { early, synced, .. } = bench;
    println!(
        "{:>6} {:>8}  memory: {:.1} MiB, at most {:.1} MiB; from the start until what depends on no other node's pods is in force: {early:.2?}, until all is that is short: {synced:.1?}",
        size.pods,
        size.policies,
        resident as f64 / 1024.0,
        peak as f64 / 1024.0,
    );
    Ok(())
}

fn percentile(times: &[Duration], percent: usize) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or("-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3))
}

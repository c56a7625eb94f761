//! One cluster, in the namespace of a node.

use std::time::Duration;

use palisade::drift;
use palisade::enforcer::Enforcer;
use palisade::render::TABLE;
use palisade_integration::apiserver::Usage;
use palisade_integration::netns::Namespace;
use palisade_model::testing::workload::{Kind, Shape, Size, Workload};
use palisade_nft::{Backend, Kernel, Ownership, Ruleset, Transaction, diff};
use tokio::sync::mpsc::unbounded_channel;

use super::Outcome;
use super::report::{Event, Measured, Spread, Start};
use super::storm;
use super::timed::{Timed, enforcer, milliseconds, table, thread_cpu, timed};

/// Events of each kind, after others that are not counted.
const EVENTS: usize = 400;
const WARM_UP: usize = 80;
const NFT_EVENTS: usize = 21;
const SEED: u64 = 1;

pub(crate) fn measure(shape: Shape, pods: u32) -> Outcome<Measured> {
    Namespace::new()?.enter(|| measure_here(shape, pods))?
}

fn measure_here(shape: Shape, pods: u32) -> Outcome<Measured> {
    let mut workload = Workload::new(shape, Size::of_pods(pods), SEED);
    let mut enforcer = enforcer()?;
    let (inputs, _disturbances) = unbounded_channel();
    drift::watch(enforcer.backend().kernel.monitor()?, inputs)?;

    let mut all = Duration::ZERO;
    for change in workload.cluster() {
        all += timed(|| enforcer.apply(change)).0;
    }
    let (commit, committed) = timed(|| enforcer.commit());
    committed?.ok_or("nothing was committed")?;
    let (peak, bytes) = (peak_memory()?, enforcer.backend().kernel.bytes_sent());

    let mut events = Vec::new();
    for kind in Kind::ALL {
        events.push(measure_events(&mut enforcer, &mut workload, kind)?);
    }
    let desired = enforcer.desired().clone();
    let text = desired.to_string();
    let start = Start {
        all: milliseconds(all + commit),
        commit: milliseconds(commit_whole(&desired)?),
        nft: milliseconds(load(&Namespace::new()?, &text)?),
        peak,
        bytes,
    };
    Ok(Measured {
        shape: shape.to_string(),
        pods,
        elements: desired.sets.values().map(|set| set.elements.len()).sum(),
        chains: desired.chains.len(),
        start,
        events,
        nft_event: nft_event(&desired, &text)?,
        storm: storm::measure(enforcer, &mut workload)?,
    })
}

fn measure_events(enforcer: &mut Enforcer<Timed>, workload: &mut Workload, kind: Kind) -> Outcome<Event> {
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    let mut sent = 0;
    for round in 0..WARM_UP + EVENTS {
        let change = workload.event(kind);
        let (sent_before, used) = (enforcer.backend().kernel.bytes_sent(), thread_cpu()?);
        let (time, committed) = timed(|| {
            enforcer.apply(change);
            enforcer.commit()
        });
        committed?;
        if round >= WARM_UP {
            cpu.push(milliseconds(thread_cpu()?.saturating_sub(used)));
            wall.push(milliseconds(time));
            sent += enforcer.backend().kernel.bytes_sent() - sent_before;
        }
    }
    Ok(Event { kind: kind.to_string(), cpu: Spread::of(cpu), wall: Spread::of(wall), bytes: sent / EVENTS as u64 })
}

/// A finished ruleset, in a namespace of its own.
fn commit_whole(desired: &Ruleset) -> Outcome<Duration> {
    Namespace::new()?.enter(|| {
        let mut kernel = Kernel::open(table(), Ownership::Take)?;
        let (time, committed) = timed(|| kernel.commit(&table().into(), &Transaction::from(&diff(None, desired))));
        committed?;
        Ok(time)
    })?
}

fn load(namespace: &Namespace, text: &str) -> Outcome<Duration> {
    let (time, loaded) = timed(|| namespace.nft(text));
    loaded?;
    Ok(time)
}

/// One more element in the largest set of pods, by `nft -f`.
fn nft_event(desired: &Ruleset, text: &str) -> Outcome<f64> {
    let namespace = Namespace::new()?;
    namespace.nft(text)?;
    let of_pods = desired.sets.iter().filter(|(name, _)| name.as_str().starts_with("pods-"));
    let (name, _) = of_pods.max_by_key(|(_, set)| set.elements.len()).ok_or("no set of pods")?;
    let times: Outcome<Vec<_>> = (0..NFT_EVENTS)
        .map(|i| Ok(milliseconds(load(&namespace, &format!("add element inet {TABLE} {name} {{ 192.0.2.{i} }}\n"))?)))
        .collect();
    Ok(Spread::of(times?).p50)
}

/// In MiB.
fn peak_memory() -> Outcome<f64> {
    Ok(Usage::of(std::process::id())?.peak as f64 / 1024.0)
}

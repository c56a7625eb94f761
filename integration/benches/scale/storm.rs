//! More events than can be committed one by one.

use std::thread;
use std::time::{Duration, Instant};

use palisade::agent;
use palisade::enforcer::Enforcer;
use palisade::input::Input;
use palisade::serve::{SourceStatus, State};
use palisade::source::Health;
use palisade_model::testing::NODE;
use palisade_model::testing::workload::Workload;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Outcome;
use super::report::{Spread, Storm};
use super::timed::{Timed, enforcer, milliseconds, thread_cpu};

const DURATION: Duration = Duration::from_secs(5);
/// So many events, so often: 10,000 a second.
const BATCH: usize = 10;
const PERIOD: Duration = Duration::from_millis(1);
/// From the last event to the end.
const REST: Duration = Duration::from_secs(1);

/// Sends events of all kinds to an agent, and sees that it ends where it should.
pub(crate) fn measure(mut enforcer: Enforcer<Timed>, workload: &mut Workload) -> Outcome<Storm> {
    enforcer.backend().commits.clear();
    let state = State::new(NODE, Box::new(|| SourceStatus::from(&Health::default())));
    let (inputs, mut receiver) = unbounded_channel();
    let runtime = Builder::new_current_thread().enable_time().build()?;
    inputs.send(Input::Synced)?;
    let (start, used) = (Instant::now(), thread_cpu()?);
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| send(workload, &inputs));
        runtime.block_on(agent::run(&mut enforcer, &mut receiver, &state));
        sender.join().expect("the sender does not panic")
    })?;
    let cpu = milliseconds(thread_cpu()?.saturating_sub(used)) / (sent.len() * BATCH) as f64;
    check(&mut enforcer, workload)?;
    let commits = &enforcer.backend().commits;
    let took = (sent.last().copied().unwrap_or(start) - start).as_secs_f64();
    let latency = sent.iter().filter_map(|sent| acknowledged(commits, *sent));
    Ok(Storm {
        events_per_second: (sent.len() * BATCH) as f64 / took,
        commits_per_second: commits.len() as f64 / took,
        latency: Spread::of(latency.map(milliseconds).collect()),
        cpu,
    })
}

/// Returns when each batch was sent.
fn send(workload: &mut Workload, inputs: &UnboundedSender<Input>) -> Outcome<Vec<Instant>> {
    let start = Instant::now();
    let mut sent = Vec::new();
    while start.elapsed() < DURATION {
        let due = start + PERIOD * u32::try_from(sent.len())?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let changes = (0..BATCH).map(|_| workload.any_event()).collect();
        sent.push(Instant::now());
        inputs.send(Input::Changes(changes))?;
    }
    thread::sleep(REST);
    inputs.send(Input::Stop)?;
    Ok(sent)
}

/// When what was sent at `sent` was in force at the latest. A commit takes what was there before it began to be computed:
/// the second that is handed to the kernel afterwards was computed afterwards.
fn acknowledged(commits: &[(Instant, Instant)], sent: Instant) -> Option<Duration> {
    let (_, end) = commits.iter().filter(|(begin, _)| *begin >= sent).nth(1)?;
    Some(*end - sent)
}

/// The kernel holds what a fresh start on the same cluster would put there.
fn check(enforced: &mut Enforcer<Timed>, workload: &Workload) -> Outcome {
    if !enforced.plan()?.is_empty() {
        return Err("after the storm the kernel does not hold what it should".into());
    }
    let mut fresh = enforcer()?;
    workload.cluster_now().for_each(|change| fresh.apply(change));
    fresh.plan()?;
    if fresh.desired() != enforced.desired() {
        return Err("after the storm events are lost".into());
    }
    Ok(())
}

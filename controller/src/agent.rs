//! The agent's loop: a source sends what it saw, this applies and commits it. Both may run on one thread, so that none has
//! to wake another: that would be a good part of what an event costs.
//!
//! Invariants:
//! - Nothing is committed before the source has synced once, and told of the pod range where that is to be guarded; but
//!   where nothing is in force, what does not depend on pods of other nodes is, as soon as only these are missing.
//! - What arrives while a commit runs is taken together into the next one, and what keeps coming then, for 2 ms at most.
//!   What comes after a rest is committed at once.
//! - Others are shut out of the table as soon as it is in step, although nothing else is to be written.
//! - A failed commit is tried again with backoff until it holds; stopping leaves the table as it is.
//! - Only what was committed is settled: established connections pass unjudged when nothing was forbidden for a moment.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use palisade_nft::Backend;
use tokio::select;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::cni::Desk;
use crate::enforcer::{Commit, Enforcer, Settled};
use crate::epochs::Sweep;
use crate::flows::{Attribution, Hub};
use crate::input::Input;
use crate::notices::Notices;
use crate::render::PodRange;
use crate::serve::{ClusterPolicyFigures, Figures, LingeringPod, SandboxFigures, State};
use crate::shares;
use crate::text::shorten;

/// How often the table is read and compared although nothing is known to have changed it; rarer where that takes long.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// A part of its time, and how rarely at most, because changes wait meanwhile.
const CHECKING: u32 = 1000;
const LONGEST_CHECK_INTERVAL: Duration = Duration::from_secs(540);

/// How much of an error is logged, in bytes: the kernel's names an operation, with all its elements.
pub(crate) const LONGEST_ERROR: usize = 1000;

/// How long what keeps coming in is gathered before it is committed.
const GATHERING: Duration = Duration::from_millis(2);

/// Runs until it is told to stop, or every sender is gone. What it does is published in `state`.
///
/// Commits are made between two polls: what shares the thread waits for them.
pub async fn run<B: Backend>(enforcer: &mut Enforcer<B>, inputs: &mut UnboundedReceiver<Input>, state: &State) {
    let flows = Attribution::new(Arc::new(Hub::new(&**enforcer.index().node())));
    run_with(enforcer, Desk::default(), flows, inputs, state).await;
}

/// [`run`], with what is known of the node's sandboxes, and with who makes sense of what is dropped.
pub async fn run_with<B: Backend>(
    enforcer: &mut Enforcer<B>,
    desk: Desk,
    flows: Attribution,
    inputs: &mut UnboundedReceiver<Input>,
    state: &State,
) {
    state.begins();
    desk.restore(enforcer);
    let mut agent = Agent::new(enforcer, desk, flows, state);
    // One timer that is rarely set anew: to set one for each wait would wake the thread that sets it.
    let mut alarm = pin!(sleep(Duration::ZERO));
    loop {
        select! {
            biased;
            input = inputs.recv() => {
                let Some(input) = input else { return };
                if agent.gather(input, inputs).await.is_break() {
                    return;
                }
            }
            () = agent.enforcer.settling() => {}
            () = alarm.as_mut() => {}
        }
        state.acts();
        agent.act();
        let due = state.rest(agent.due()).into();
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
    }
}

struct Agent<'a, B> {
    enforcer: &'a mut Enforcer<B>,
    desk: Desk,
    flows: Attribution,
    state: &'a State,
    schedule: Schedule,
    notices: Notices,
    /// Whether all that there was has come in but pods of other nodes, and it is to be seen whether to enforce that.
    known_here: bool,
    /// Whether that is enforced.
    early: bool,
    /// Whether all that there was has come in.
    listed: bool,
    /// The same, and the pod range.
    synced: bool,
    enforcing: bool,
    /// Whether others are shut out of the table, where they can be, as far as is known.
    guarded: bool,
    /// When it acted last.
    acted: Instant,
}

impl<'a, B: Backend> Agent<'a, B> {
    fn new(enforcer: &'a mut Enforcer<B>, desk: Desk, flows: Attribution, state: &'a State) -> Self {
        let (schedule, notices, acted) = (Schedule::new(), Notices::default(), Instant::now());
        Self {
            enforcer,
            desk,
            flows,
            state,
            schedule,
            notices,
            known_here: false,
            early: false,
            listed: false,
            synced: false,
            enforcing: false,
            guarded: false,
            acted,
        }
    }

    /// Takes `first`, and what else there is. Where one thing comes soon after the other, a source on this thread goes on
    /// reading meanwhile.
    async fn gather(&mut self, first: Input, inputs: &mut UnboundedReceiver<Input>) -> ControlFlow<()> {
        let start = Instant::now();
        let in_a_burst = start < self.acted + GATHERING;
        let mut next = Some(first);
        while let Some(input) = next {
            self.take(input)?;
            next = inputs.try_recv().ok();
            if next.is_none() && in_a_burst && start.elapsed() < GATHERING {
                yield_now().await;
                next = inputs.try_recv().ok();
            }
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Changes(changes) => {
                self.state.received(&changes);
                self.flows.forget();
                changes.into_iter().for_each(|change| self.enforcer.apply(change));
            }
            Input::Links(links) => {
                self.flows.forget();
                self.enforcer.set_links(links);
            }
            Input::Cni(call) => {
                self.flows.forget();
                self.desk.take(call, self.enforcer);
            }
            Input::Told(told, waiting) => {
                waiting.taken(told.len());
                self.flows.publish(told, self.enforcer.index());
            }
            Input::Connections(connections, waiting) => {
                waiting.taken(connections.len());
                self.flows.publish_connections(connections, self.enforcer.index());
            }
            Input::PodRange(networks) if self.enforcer.follows_pod_range() => {
                self.enforcer.set_pod_range(PodRange::of(&networks));
                self.sync();
            }
            Input::PodRange(_) => {}
            Input::KnownHere => self.known_here = true,
            Input::Synced => {
                self.listed = true;
                self.sync();
            }
            Input::Disturbed(by) => {
                tracing::warn!(by, "somebody else may have changed the table: comparing");
                self.enforcer.distrust();
            }
            Input::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn sync(&mut self) {
        if !self.listed || self.synced {
            return;
        }
        if self.enforcer.awaits_pod_range() {
            self.state.lacks_pod_range();
        } else {
            (self.synced, self.early) = (true, false);
            self.enforcer.knows_all();
            self.state.synced();
        }
    }

    /// Whether something is enforced before all that there was has come in.
    fn starts_early(&mut self) -> bool {
        if self.known_here && !self.enforcer.awaits_pod_range() {
            self.known_here = false;
            self.early = self.is_bare();
            if self.early {
                tracing::info!(
                    "nothing is in force: enforcing what does not depend on pods of other nodes before they are known"
                );
                self.enforcer.knows_here();
                self.state.early();
            }
        }
        self.early
    }

    /// What cannot be asked is not taken to be so.
    fn is_bare(&mut self) -> bool {
        let is_bare = self.enforcer.is_bare();
        is_bare.inspect_err(|error| tracing::warn!(%error, "not known whether anything is in force")).unwrap_or(false)
    }

    /// Until when there is nothing to do.
    fn due(&self) -> Instant {
        self.enforcer
            .settle_is_due()
            .into_iter()
            .chain(self.enforcer.commit_is_due())
            .chain(self.desk.due())
            .fold(self.schedule.due(), Instant::min)
    }

    fn act(&mut self) {
        self.act_now();
        self.flows.keep_up(self.enforcer.index());
        self.acted = Instant::now();
    }

    fn act_now(&mut self) {
        let check_is_due = self.schedule.check_is_due();
        self.state.sandboxes_came(&self.desk.expire(self.enforcer, self.synced));
        if !self.synced && !self.starts_early() {
            return;
        }
        if check_is_due {
            self.enforcer.distrust();
            self.enforcer.readmit();
            self.desk.look_after(self.enforcer);
            self.guarded = false;
        }
        if !self.schedule.may_commit() {
            return;
        }
        if self.synced {
            self.state.sandboxes_came(&self.desk.enter(self.enforcer));
            self.desk.keep_up(self.enforcer);
        }
        let committed = self.commit();
        self.schedule.note(committed);
        if !committed {
            return;
        }
        if self.synced {
            self.state.sandboxes_came(&self.desk.answer(self.enforcer));
        }
        self.settle();
    }

    fn commit(&mut self) -> bool {
        let (compared, start) = (!self.enforcer.is_in_step(), Instant::now());
        let result = self.enforcer.commit_some();
        if compared {
            self.schedule.note_check(start.elapsed());
        }
        match &result {
            Ok(commit) => commit.iter().for_each(log),
            Err(error) => {
                let error = error.to_string();
                let error = shorten(&error, LONGEST_ERROR);
                tracing::error!(%error, "not committed, will try again; what was enforced stays");
            }
        }
        let guarded = result.is_ok() && self.guard();
        if !self.synced {
            return guarded;
        }
        if guarded && !self.enforcing && !self.enforcer.is_all_in_force() {
            return guarded;
        }
        if guarded && !self.enforcing {
            self.enforcing = true;
            tracing::info!(adopted = matches!(result, Ok(None)), "enforcing");
        }
        self.state.closed(self.notices.closings(self.enforcer));
        self.state.attempted(&result, compared, || {
            let generation = self.enforcer.backend().generation().ok();
            let (ruleset, index) = (self.enforcer.desired(), self.enforcer.index());
            self.notices.conflicts(index.conflicts());
            self.notices.audits(index);
            let (closed, shares_used) = (self.notices.closed(index), shares::used(index));
            let size = index.size();
            let cluster_policies = ClusterPolicyFigures::of(index, &size);
            self.notices.cluster_policies(&cluster_policies.status);
            let sandboxes = SandboxFigures::of(index, &size);
            let outside_pod_range = self.enforcer.outside_pod_range();
            let lingering = LingeringPod::of(index);
            let local_pods = index.local_pods().cloned().collect();
            Figures {
                generation,
                ruleset,
                index: size,
                closed,
                shares_used,
                cluster_policies,
                sandboxes,
                outside_pod_range,
                lingering,
                local_pods,
            }
        });
        if result.is_ok() {
            self.state.awaits(self.enforcer.waiting());
        }
        guarded
    }

    /// Whether others are shut out, or cannot be. A commit that others' ownership would hinder is not worth trying either.
    fn guard(&mut self) -> bool {
        self.guarded = self.guarded || self.enforcer.guard();
        self.guarded
    }

    fn settle(&mut self) {
        let result = self.enforcer.settle();
        match &result {
            Ok(settled) => settled.iter().for_each(log_settled),
            Err(error) => tracing::warn!(%error, "established connections go on being judged, will try again"),
        }
        self.state.settled(&result, self.enforcer.is_settled());
    }
}

/// Logs a commit: the ordinary ones, of which there are as many as events, only to whoever looks for them.
pub fn log(commit: &Commit) {
    let Commit { diff, from_backend, elapsed } = commit;
    if *from_backend {
        tracing::info!(?elapsed, change = ?diff.summary(), "committed what the table lacked");
    } else {
        tracing::debug!(?elapsed, change = ?diff.summary(), "committed");
    }
}

/// Logs what was done for established connections, for whoever looks for it.
pub fn log_settled(settled: &Settled) {
    if let Some(Commit { elapsed, .. }) = &settled.commit {
        tracing::debug!(?elapsed, "established connections pass once they were judged");
    }
    if let Some(Sweep { cleared, elapsed }) = settled.swept {
        tracing::debug!(cleared, ?elapsed, "cleared the marks of connections");
    }
}

/// When to act without being told to.
struct Schedule {
    next_check: Instant,
    retry: Option<(Instant, ExponentialBackoff)>,
}

impl Schedule {
    fn new() -> Self {
        Self { next_check: Instant::now() + CHECK_INTERVAL, retry: None }
    }

    fn due(&self) -> Instant {
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        retry.into_iter().fold(self.next_check, Instant::min)
    }

    fn check_is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next_check;
        if due {
            self.next_check = Instant::now() + CHECK_INTERVAL;
        }
        due
    }

    /// A comparison took so long.
    fn note_check(&mut self, took: Duration) {
        let pause = (took * CHECKING).clamp(CHECK_INTERVAL, LONGEST_CHECK_INTERVAL);
        self.next_check = Instant::now() + pause;
    }

    fn may_commit(&self) -> bool {
        self.retry.as_ref().is_none_or(|(at, _)| Instant::now() >= *at)
    }

    fn note(&mut self, succeeded: bool) {
        self.retry = if succeeded {
            None
        } else {
            let mut backoff = self.retry.take().map_or_else(backoff, |(_, backoff)| backoff);
            let pause = backoff.next().unwrap_or(LONGEST_PAUSE);
            Some((Instant::now() + pause, backoff))
        };
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

//! Lists and follows one kind, for ever.
//!
//! Lists are consistent reads, streamed where the server can (`sendInitialEvents`), in pages otherwise: neither a start
//! nor a relist goes back to a state older than what was seen before, as a list from a lagging server's cache would.
//!
//! Invariants:
//! - A cut watch goes on from the version seen last; only an expired version, or none, leads to a list.
//! - What is listed is applied at once, what is gone is withdrawn when the list is complete: an API that goes away
//!   changes nothing, and a relist holds no second copy of the cluster.
//! - A watch that has brought nothing for its whole time, not even a bookmark, leads to a list: a server whose data were put
//!   back to an older state has nothing to say about a version that it has not reached again.
//! - The few pods of this node are listed before all others, from whatever the server has at hand; what hinders that hinders
//!   nothing else.
//! - Every wait has an end, and every repetition a pause that grows, with jitter, to at most 10 seconds, however long
//!   the API was away; until everything has been listed once it stays at about 1 second.

use std::io;
use std::pin::pin;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{AsyncBufReadExt, Stream, StreamExt};
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::Request;
use palisade_model::Change;
use tokio::time::{Instant, sleep, timeout};

use super::complaint::{Complaint, Effect, Turns};
use super::conditions::{Conditions, Sighting};
use super::failure::Failure;
use super::health::WatchHealth;
use super::kind::Kind;
use super::optional::Absence;
use super::tracker::{Seen, Tracker};
use super::wire::{Arrived, Event, Page};
use super::{Closed, Feed};
use crate::events::{Recorder, Warning};
use crate::objects::Metadata;
use crate::text::shorten;

/// Objects a page.
const PAGE: u32 = 500;
/// How long lists are in pages once the server would not stream one.
const PAGES_TIME: Duration = Duration::from_secs(600);
/// Events that are taken together, where as many are there.
const BATCH: usize = 256;
/// How long the first byte of an answer may take. The API server gives up on a list after a minute by itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);
/// The same of those of one node, which are few: all others are not to wait for these for long.
const HERE_LIMIT: Duration = Duration::from_secs(2);
/// How long a streamed list may pause.
const LIST_PAUSE_LIMIT: Duration = Duration::from_secs(60);
/// How long a watch is asked to last, in seconds: not all end at once.
const WATCH_SECONDS: std::ops::RangeInclusive<u32> = 180..=290;
/// How much later than asked for the server may end it: then the connection is dead.
const WATCH_MARGIN: Duration = Duration::from_secs(5);
/// For how long watches may bring nothing. From a server that is there, bookmarks come about every minute.
const LONGEST_SILENCE: Duration = Duration::from_secs(180);
/// How much is told of a failure, in bytes.
const LONGEST_FAILURE: usize = 500;
/// A watch that ends sooner was cut, even if it was ended in order.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Lists and follows one kind.
pub(super) struct Watcher<K> {
    client: Client,
    feed: Feed,
    health: WatchHealth,
    recorder: Recorder,
    /// Who is told what is seen, where objects of the kind have conditions that this agent may write.
    conditions: Option<Conditions>,
    tracker: Tracker<K>,
    strategy: Strategy,
    /// Whether those of this node are to be listed first.
    node_first: bool,
    /// Whether those of this node are known.
    known_here: bool,
    /// Where to go on; `None`: with a list.
    version: Option<String>,
    /// For how long watches have been open and brought nothing.
    silence: Duration,
    /// What was seen and not sent yet.
    changes: Vec<Change>,
    turns: Turns,
    synced: bool,
    failing: bool,
    backoff: ExponentialBackoff,
    /// Since when the server has no such resource.
    pub(super) absence: Option<Absence>,
}

/// How to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Stream,
    /// The server would not stream. After this moment it is asked again, at the next list: it may have been upgraded, or
    /// have had a bad moment.
    Pages {
        until: Instant,
    },
}

/// A streamed list is being sent, or is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Listing,
    Following,
}

impl<K: Kind> Watcher<K> {
    pub(super) fn new(client: Client, feed: Feed, health: WatchHealth, recorder: Recorder) -> Self {
        Self {
            client,
            feed,
            health,
            recorder,
            conditions: None,
            tracker: Tracker::default(),
            strategy: Strategy::Stream,
            node_first: false,
            known_here: false,
            version: None,
            silence: Duration::ZERO,
            changes: Vec::new(),
            turns: Turns::new(Instant::now()),
            synced: false,
            failing: false,
            backoff: backoff(),
            absence: None,
        }
    }

    /// With somebody who is told what is seen, for conditions.
    pub(super) fn with_conditions(self, conditions: Conditions) -> Self {
        Self { conditions: Some(conditions), ..self }
    }

    /// The objects of this node, which are few, come first: for kinds whose objects are each on a node.
    pub(super) fn with_node_first(self) -> Self {
        Self { node_first: !self.feed.node.is_empty(), ..self }
    }

    /// Returns when nobody receives any more.
    pub(super) async fn run(&mut self) -> Closed {
        loop {
            let result = match self.request().await {
                Err(failure) if K::OPTIONAL && failure.is_not_found() => self.not_found(failure).await,
                result => result,
            };
            if let Err(failure) = &result {
                self.failed(failure);
            }
            self.doubt_silence();
            match result {
                Ok(()) => {}
                Err(Failure::Closed) => return Closed,
                Err(failure) => sleep(self.pause().max(failure.retry_after())).await,
            }
        }
    }

    /// Withdraws all that is known, for as long as it is not run again.
    pub(super) fn withdraw(&mut self) -> Result<(), Closed> {
        self.start_over();
        self.tracker.begin();
        self.changes.extend(self.tracker.finish());
        self.note_objects();
        self.flush()
    }

    /// There is nothing to list.
    pub(super) fn idle(&mut self) -> Result<(), Closed> {
        self.know_here()?;
        if std::mem::replace(&mut self.synced, true) { Ok(()) } else { self.feed.synced() }
    }

    /// All objects of this node are known.
    fn know_here(&mut self) -> Result<(), Closed> {
        if std::mem::replace(&mut self.known_here, true) { Ok(()) } else { self.feed.known_here() }
    }

    /// The next request is a list.
    pub(super) fn start_over(&mut self) {
        self.version = None;
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// How many objects are known.
    pub(super) fn objects(&self) -> usize {
        self.tracker.objects()
    }

    /// There are no objects, for want of a resource.
    pub(super) fn none(&mut self, newly: bool) -> Result<(), Closed> {
        if newly {
            tracing::info!(
                kind = K::KIND,
                withdrawn = self.objects(),
                "the API server has no such resource: there are none"
            );
        }
        self.health.without("the API server has no such resource");
        self.failing = false;
        self.tracker.begin();
        self.complete()
    }

    fn pause(&mut self) -> Duration {
        if self.feed.is_synced() { self.backoff.next().unwrap_or(LONGEST_PAUSE) } else { early_pause() }
    }

    /// Whoever has heard nothing for long lists anew.
    fn doubt_silence(&mut self) {
        if self.silence >= LONGEST_SILENCE && self.version.take().is_some() {
            tracing::warn!(kind = K::KIND, silence = ?self.silence, "the API server says nothing, not even that there is nothing: listing");
            self.silence = Duration::ZERO;
        }
    }

    /// Makes one request and takes in all that it brings.
    async fn request(&mut self) -> Result<(), Failure> {
        if self.node_first && !self.known_here {
            let listed = timeout(HERE_LIMIT, self.list_here()).await;
            match listed.unwrap_or(Err(Failure::NoAnswer(HERE_LIMIT))) {
                Ok(()) => {}
                Err(Failure::Closed) => return Err(Failure::Closed),
                Err(failure) => tracing::debug!(kind = K::KIND, %failure, "those of this node do not come first"),
            }
        }
        match (self.version.clone(), self.strategy) {
            (None, Strategy::Pages { until }) if Instant::now() < until => self.list().await,
            (None, _) => {
                self.strategy = Strategy::Stream;
                self.stream(None).await
            }
            (version, _) => self.stream(version).await,
        }
    }

    /// Lists those of this node, as the server has them at hand: the list of all, which follows, says what has become of them.
    async fn list_here(&mut self) -> Result<(), Failure> {
        let params = ListParams::default().match_any().fields(&format!("spec.nodeName={}", self.feed.node));
        let request = Request::new(K::PATH).list(&params).map_err(kube::Error::BuildRequest)?;
        let list: Page<K> = self.client.request(request).await?;
        self.tracker.begin();
        list.items.into_iter().flatten().for_each(|object| self.seen(object));
        self.flush()?;
        Ok(self.know_here()?)
    }

    /// Lists page by page.
    async fn list(&mut self) -> Result<(), Failure> {
        self.begin();
        let mut token = None;
        loop {
            let params = ListParams { limit: Some(PAGE), continue_token: token, ..ListParams::default() };
            let request = Request::new(K::PATH).list(&params).map_err(kube::Error::BuildRequest)?;
            let page: Page<K> = answer(self.client.request(request)).await?;
            self.health.contact();
            token = page.token();
            let version = page.version();
            page.items.into_iter().flatten().for_each(|object| self.seen(object));
            self.flush()?;
            if token.is_none() {
                let version = version.ok_or(Failure::NoVersion)?;
                self.complete()?;
                self.advance(Some(version));
                return Ok(());
            }
        }
    }

    /// Follows from `version`; without one lists first, on the same stream.
    async fn stream(&mut self, version: Option<String>) -> Result<(), Failure> {
        let mut phase = if version.is_some() { Phase::Following } else { Phase::Listing };
        if phase == Phase::Listing {
            self.begin();
        }
        let opened = Instant::now();
        let seconds = fastrand::u32(WATCH_SECONDS);
        let lines = self.open(phase, version, seconds).await?;
        if phase == Phase::Following {
            self.following();
        }
        let (before, begin) = (std::mem::take(&mut self.silence), Instant::now());
        let mut heard = false;
        let result = self.read(lines, &mut phase, &mut heard, (opened, seconds)).await;
        if !heard {
            self.silence = before + begin.elapsed();
        }
        result
    }

    /// Takes in all that a stream brings. `heard`: whether it brought anything.
    async fn read(
        &mut self,
        lines: impl Stream<Item = io::Result<String>>,
        phase: &mut Phase,
        heard: &mut bool,
        (opened, seconds): (Instant, u32),
    ) -> Result<(), Failure> {
        let mut batches = pin!(lines.ready_chunks(BATCH));
        loop {
            let limit = match *phase {
                Phase::Listing => LIST_PAUSE_LIMIT,
                Phase::Following => Duration::from_secs(seconds.into()) + WATCH_MARGIN,
            };
            let Some(lines) = timeout(limit, batches.next()).await.map_err(|_| Failure::Silent(limit))? else {
                let in_time = *phase == Phase::Following && opened.elapsed() >= SHORTEST_WATCH;
                return if in_time { Ok(()) } else { Err(Failure::Cut) };
            };
            self.health.contact();
            *heard |= lines.iter().any(Result::is_ok);
            let taken = lines.into_iter().try_for_each(|line| self.line(line, phase));
            self.flush()?;
            taken?;
        }
    }

    async fn open(
        &self,
        phase: Phase,
        version: Option<String>,
        seconds: u32,
    ) -> Result<impl Stream<Item = io::Result<String>> + use<K>, Failure> {
        let params = WatchParams {
            timeout: Some(seconds),
            send_initial_events: phase == Phase::Listing,
            ..WatchParams::default()
        };
        let version = version.unwrap_or_default();
        let request = Request::new(K::PATH).watch(&params, &version).map_err(kube::Error::BuildRequest)?;
        Ok(answer(self.client.request_stream(request)).await?.lines())
    }

    fn line(&mut self, line: io::Result<String>, phase: &mut Phase) -> Result<(), Failure> {
        let line = line.map_err(Failure::Connection)?;
        let version = match Event::<K>::parse(&line).map_err(Failure::Garbled)? {
            Event::Seen(object) => {
                let version = object.metadata().resource_version.clone();
                self.seen(object);
                version
            }
            Event::Gone(object) => {
                self.changes.extend(self.tracker.gone(object.metadata()));
                self.note_event();
                object.metadata().resource_version.clone()
            }
            Event::Bookmark { version, list_complete } => {
                if *phase == Phase::Listing && list_complete {
                    *phase = Phase::Following;
                    self.complete()?;
                    self.following();
                }
                version
            }
            Event::Error(status) => return Err(Failure::Status(status)),
        };
        if *phase == Phase::Following {
            self.advance(version);
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.tracker.begin();
        self.health.listing();
    }

    fn seen(&mut self, object: Arrived<K>) {
        let sighting = self.conditions.as_ref().and_then(|_| sighting(&object));
        let Seen { change, complaint, well, judgement } = self.tracker.seen(object);
        if let (Some(conditions), Some(sighting)) = (&self.conditions, sighting) {
            conditions.seen(Sighting { judgement, ..sighting });
        }
        well.iter().for_each(|id| self.turns.resolve(id));
        if let Some(complaint) = complaint.and_then(|complaint| self.turns.raise(complaint, Instant::now())) {
            self.complain(&complaint);
        }
        self.changes.extend(change);
        self.note_event();
    }

    fn flush(&mut self) -> Result<(), Closed> {
        self.complain_of_what_waited();
        if let Some(conditions) = &self.conditions {
            let gone = self.changes.iter().filter_map(|change| match change {
                Change::ClusterPolicyGone(name) => Some(name.clone()),
                _ => None,
            });
            gone.for_each(|name| conditions.gone(name));
        }
        self.feed.changes(std::mem::take(&mut self.changes))
    }

    /// The list is complete.
    fn complete(&mut self) -> Result<(), Closed> {
        let withdrawn = self.tracker.finish();
        if self.absence.is_none() {
            tracing::info!(kind = K::KIND, objects = self.tracker.objects(), withdrawn = withdrawn.len(), "listed");
        }
        self.changes.extend(withdrawn);
        self.flush()?;
        self.note_objects();
        self.health.listed();
        self.feed.listed(K::KIND)?;
        self.idle()
    }

    /// The watch got further: what failed before is over.
    fn advance(&mut self, version: Option<String>) {
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            self.version = Some(version);
            self.backoff = backoff();
        }
    }

    fn following(&mut self) {
        self.absence = None;
        self.health.following();
        if std::mem::take(&mut self.failing) {
            tracing::info!(kind = K::KIND, "following the API server again");
        }
    }

    fn failed(&mut self, failure: &Failure) {
        if matches!(failure, Failure::Closed) {
            return;
        }
        if !matches!(failure, Failure::Vanished) {
            self.absence = None;
        }
        let listing = self.version.is_none();
        if failure.expired() && self.version.take().is_some() {
            self.backoff = backoff();
        }
        if listing && failure.refuses_streaming() && self.strategy == Strategy::Stream {
            tracing::info!(kind = K::KIND, %failure, "the API server does not stream lists: listing page by page");
            self.strategy = Strategy::Pages { until: Instant::now() + PAGES_TIME };
            return;
        }
        let failure = failure.to_string();
        let failure = shorten(&failure, LONGEST_FAILURE);
        self.health.failed(&failure);
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!(kind = K::KIND, %failure, "watch still failing");
        } else {
            tracing::warn!(kind = K::KIND, %failure, "watch failed, will try again; what was enforced stays");
        }
    }

    fn complain_of_what_waited(&mut self) {
        let now = Instant::now();
        self.turns.due(now).iter().for_each(|complaint| self.complain(complaint));
        if let Some(left_out) = self.turns.lines.left_out(now) {
            tracing::warn!(kind = K::KIND, left_out, "more objects are not understood than are logged in a minute");
        }
    }

    fn complain(&mut self, complaint: &Complaint) {
        if self.turns.lines.may_log(Instant::now()) {
            let Complaint { id, version, effect, problems, text } = complaint;
            let (kind, uid, generation) = (K::KIND, &version.uid, version.generation);
            tracing::warn!(kind, %id, uid, generation, problems, what = text, "not understood: {}", effect.text());
        }
        if K::WITH_EVENTS {
            self.recorder.report(warning::<K>(complaint));
        }
    }

    fn note_event(&self) {
        self.health.event();
        self.note_objects();
    }

    fn note_objects(&self) {
        self.health.objects(self.tracker.objects(), self.tracker.objects_with_problems());
    }
}

/// What of an object that was seen matters to its conditions.
fn sighting<K: Kind>(object: &Arrived<K>) -> Option<Sighting> {
    let Metadata { name, uid, generation, .. } = object.metadata();
    let shown = match object {
        Arrived::Whole(object) => object.conditions(),
        Arrived::Unreadable { .. } => vec![],
    };
    let (name, uid, generation) = (name.as_deref()?.into(), uid.clone()?, (*generation)?);
    Some(Sighting { name, uid, generation, judgement: None, shown })
}

fn warning<K: Kind>(complaint: &Complaint) -> Warning {
    let Complaint { id, version, effect, text, .. } = complaint.clone();
    let action = match effect {
        Effect::LeftOut => "LeaveOut",
        Effect::ClosesNamespace => "Isolate",
        Effect::Enforced => "Enforce",
        Effect::ClosesRules => "CloseRules",
        Effect::NotInForce => "LeaveOut",
        Effect::Earlier => "KeepEarlier",
    };
    let note = format!("Not understood: {}: {text}", effect.text());
    Warning {
        kind: K::KIND,
        api_version: K::API_VERSION,
        policy: id,
        uid: version.uid,
        generation: version.generation,
        reason: "NotUnderstood",
        action,
        note,
        differs_by_node: false,
    }
}

pub(super) async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    Ok(timeout(ANSWER_LIMIT, request).await.map_err(|_| Failure::NoAnswer(ANSWER_LIMIT))??)
}

/// Between two attempts of a watch before everything has been listed once: until then nothing is enforced.
fn early_pause() -> Duration {
    Duration::from_millis(fastrand::u64(500..1500))
}

/// Before jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// 400 ms, doubling to 5 s; each up to twice as long at random.
///
/// Longer pauses would spare the API server little: the watches of 5,000 nodes come back over 10 seconds, some 1,500 each
/// second, and where they can go on from their versions that is cheap. Of lists it takes as many at once as it can, and
/// says to the others how long to wait ([`Failure::retry_after`]).
fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(400))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a watch tries again for the first time after so long an outage, counted from the outage's end.
    fn back_after(outage: Duration) -> Duration {
        let mut now = Duration::ZERO;
        let mut pauses = backoff();
        while now < outage {
            now += pauses.next().unwrap();
        }
        now - outage
    }

    #[test]
    fn all_are_soon_back_after_a_long_outage_but_not_all_at_once() {
        let mut each_second = [0; 10];
        for _ in 0..10_000 {
            let late = back_after(Duration::from_secs(3600));
            each_second[usize::try_from(late.as_secs()).unwrap()] += 1;
        }
        assert!(each_second.iter().all(|watches| *watches < 2_000), "{each_second:?}");
    }
}

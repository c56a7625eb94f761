//! The condition `palisade.dev/Accepted` of ClusterNetworkPolicies.
//!
//! Every node's agent comes to the same judgement, so one says it: whoever holds a Lease. An agent asks for that only while a
//! policy does not show what it would say, and gives it back when all is said: where nothing changes nobody asks for anything.
//!
//! Invariants:
//! - Nothing is written but by the holder of the Lease.
//! - What a policy shows already is not written again. Agents of different versions, which may disagree, do so
//!   [rarely](REVISION).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use super::lease::Lease;
use crate::objects::Condition;

const TYPE: &str = "palisade.dev/Accepted";
const MANAGER: &str = "palisade";
/// Up to this long each node waits before it would write: mostly another has meanwhile.
const SPREAD: Duration = Duration::from_secs(10);
/// Before another is contradicted who has judged the same version of a policy, with jitter.
const REVISION: Duration = Duration::from_secs(600);
/// Between the first two attempts, with jitter; then twice as long each time, up to [`REVISION`].
const PAUSE: Duration = Duration::from_secs(20);
/// How long writing one may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What an agent makes of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Whether all of it is enforced as it is written, or audited.
    pub(super) accepted: bool,
    /// Why, in one word.
    pub(super) reason: &'static str,
    /// The same for people.
    pub(super) message: String,
}

/// A policy was seen.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) name: Arc<str>,
    pub(super) uid: String,
    pub(super) generation: i64,
    /// `None` where it says the same as when it was judged.
    pub(super) judgement: Option<Judgement>,
    /// The conditions that it shows.
    pub(super) shown: Vec<Condition>,
}

/// Takes what is seen; never waits.
#[derive(Clone, Debug)]
pub(super) struct Conditions(UnboundedSender<Note>);

#[derive(Debug)]
enum Note {
    Seen(Sighting),
    Gone(Arc<str>),
}

/// A way to tell, and the task that writes, which ends when nobody tells any more.
pub(super) fn conditions(client: Client, node: &str) -> (Conditions, impl Future<Output = ()> + use<>) {
    let (sender, notes) = unbounded_channel();
    let writer = Writer { lease: Lease::new(&client, node), client, policies: BTreeMap::new() };
    (Conditions(sender), writer.run(notes))
}

impl Conditions {
    pub(super) fn seen(&self, sighting: Sighting) {
        let _ = self.0.send(Note::Seen(sighting));
    }

    pub(super) fn gone(&self, name: Arc<str>) {
        let _ = self.0.send(Note::Gone(name));
    }
}

struct Writer {
    client: Client,
    lease: Lease,
    policies: BTreeMap<Arc<str>, Policy>,
}

#[derive(Debug)]
struct Policy {
    uid: String,
    generation: i64,
    judgement: Judgement,
    shown: Option<Condition>,
    /// When to write; `None` where nothing is to be.
    due: Option<Instant>,
    /// How long to wait after the next attempts.
    pauses: ExponentialBackoff,
}

impl Writer {
    async fn run(mut self, mut notes: UnboundedReceiver<Note>) {
        loop {
            let due = self.policies.values().filter_map(|policy| policy.due).min();
            let alarm = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                note = notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => return,
                },
                () = alarm => self.write().await,
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Seen(sighting) => self.seen(sighting),
            Note::Gone(name) => drop(self.policies.remove(&name)),
        }
    }

    fn seen(&mut self, sighting: Sighting) {
        let Sighting { name, uid, generation, judgement, shown } = sighting;
        let shown = shown.into_iter().find(|condition| condition.type_.as_deref() == Some(TYPE));
        let before = self.policies.remove(&name);
        let same = before.filter(|before| before.uid == uid && before.generation == generation);
        let (known, due, pauses) =
            same.map_or_else(|| (None, None, pauses()), |same| (Some(same.judgement), same.due, same.pauses));
        let Some(judgement) = judgement.or_else(|| known.clone()) else { return };
        let is_news = known.is_some_and(|known| known != judgement);
        let mut policy = Policy { uid, generation, judgement, shown, due, pauses };
        policy.due = match policy.wait() {
            None => None,
            Some(_) if is_news => Some(Instant::now() + spread()),
            Some(wait) => due.or_else(|| Some(Instant::now() + wait)),
        };
        self.policies.insert(name, policy);
    }

    /// Writes what is due, if nobody else does.
    async fn write(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.policies.iter().filter(|(_, policy)| policy.due.is_some_and(|due| due <= now)).collect();
        let names: Vec<_> = due.into_iter().map(|(name, _)| name.clone()).collect();
        let mut held = self.lease.acquire().await;
        for name in names {
            let Some(policy) = self.policies.get_mut(&name) else { continue };
            policy.postpone();
            held = held && self.lease.keep().await;
            if held {
                write(&self.client, &name, policy).await;
            }
        }
        if held {
            self.lease.release().await;
        }
    }
}

impl Policy {
    /// Until the watch shows what was written, by whomever.
    fn postpone(&mut self) {
        let pause = self.pauses.next().unwrap_or(REVISION);
        self.due = Some(Instant::now() + pause.mul_f64(0.5 + fastrand::f64()));
    }

    /// How long to wait before it is written; `None` where it is shown already.
    fn wait(&self) -> Option<Duration> {
        let Judgement { accepted, reason, message } = &self.judgement;
        let Some(shown) = self.shown.as_ref().filter(|shown| shown.observed_generation == Some(self.generation)) else {
            return Some(spread());
        };
        let is_shown = shown.status.as_deref() == Some(status(*accepted))
            && shown.reason.as_deref() == Some(reason)
            && shown.message.as_deref() == Some(message);
        (!is_shown).then(|| REVISION.mul_f64(0.5 + fastrand::f64()))
    }

    fn patch(&self, name: &str, now: Timestamp) -> serde_json::Value {
        let Judgement { accepted, reason, message } = &self.judgement;
        let status = status(*accepted);
        let before = self.shown.as_ref().filter(|shown| shown.status.as_deref() == Some(status));
        let since = before.and_then(|shown| shown.last_transition_time.clone()).unwrap_or(Time(now));
        json!({
            "apiVersion": "policy.networking.k8s.io/v1alpha2",
            "kind": "ClusterNetworkPolicy",
            // Not to another policy that has got this name.
            "metadata": {"name": name, "uid": self.uid},
            "status": {"conditions": [{
                "type": TYPE,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": self.generation,
                "lastTransitionTime": since,
            }]},
        })
    }
}

fn spread() -> Duration {
    SPREAD.mul_f64(fastrand::f64())
}

/// Before jitter.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(PAUSE).with_max_delay(REVISION).without_max_times().build()
}

fn status(accepted: bool) -> &'static str {
    if accepted { "True" } else { "False" }
}

async fn write(client: &Client, name: &str, policy: &Policy) {
    let kind = GroupVersionKind::gvk("policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "clusternetworkpolicies");
    let policies = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let patch = Patch::Apply(policy.patch(name, Timestamp::now()));
    match timeout(LIMIT, policies.patch_status(name, &PatchParams::apply(MANAGER).force(), &patch)).await {
        Ok(Ok(_)) => tracing::debug!(policy = name, accepted = policy.judgement.accepted, "condition written"),
        Ok(Err(error)) => tracing::debug!(policy = name, %error, "condition not written"),
        Err(_) => tracing::debug!(policy = name, "condition not written in time"),
    }
}

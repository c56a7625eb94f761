//! A Lease (coordination.k8s.io), of which one agent at a time is the holder.
//!
//! As with client-go, clocks are not compared: another's Lease is over when it has not changed for as long as it holds, by
//! this agent's clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

const NAME: &str = "palisade";
/// How long it holds without being renewed, in seconds.
const SECONDS: i32 = 30;
/// When it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long an answer may take: shorter than the rest of the Lease then is.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Lease {
    leases: Api<Object>,
    identity: String,
    /// What is held, and since when.
    held: Option<(Object, Instant)>,
    /// Another's as it was seen first: its version.
    seen: Option<(Option<String>, Instant)>,
}

impl Lease {
    /// Held by nobody yet. It is in the namespace of the agent.
    pub(super) fn new(client: &Client, node: &str) -> Self {
        // Two agents of one node, as during an update, are two.
        let identity = format!("{node}_{:016x}", fastrand::u64(..));
        Self { leases: Api::default_namespaced(client.clone()), identity, held: None, seen: None }
    }

    /// Whether this agent holds it now.
    pub(super) async fn acquire(&mut self) -> bool {
        self.held = None;
        let found = async {
            match self.leases.get(NAME).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                found => found.map(Some),
            }
        };
        let Some(found) = self.ask(found).await else { return false };
        let object = match found {
            None => {
                Object { metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() }, spec: None }
            }
            Some(object) if self.is_free(&object) => object,
            Some(_) => return false,
        };
        self.hold(object).await
    }

    /// Renews it in time. Whether it is still held.
    pub(super) async fn keep(&mut self) -> bool {
        match self.held.take() {
            Some((object, since)) if since.elapsed() < RENEWAL => {
                self.held = Some((object, since));
                true
            }
            Some((object, _)) => self.hold(object).await,
            None => false,
        }
    }

    /// The next may have it at once.
    pub(super) async fn release(&mut self) {
        let Some((mut object, _)) = self.held.take() else { return };
        if let Some(spec) = &mut object.spec {
            spec.holder_identity = None;
        }
        self.ask(self.leases.replace(NAME, &PostParams::default(), &object)).await;
    }

    /// Whether nobody holds it, or has renewed it for longer than it holds.
    fn is_free(&mut self, object: &Object) -> bool {
        let spec = object.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty() && *holder != self.identity);
        if holder.is_none() {
            return true;
        }
        let version = object.metadata.resource_version.clone();
        let since = match self.seen.take() {
            Some((seen, since)) if seen == version => since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));
        let seconds = spec.lease_duration_seconds.unwrap_or(SECONDS).clamp(1, 10 * SECONDS);
        since.elapsed() >= Duration::from_secs(seconds.unsigned_abs().into())
    }

    /// Writes that this agent holds it; who writes first wins.
    async fn hold(&mut self, mut object: Object) -> bool {
        let (since, now) = (Instant::now(), MicroTime(Timestamp::now()));
        let before = object.spec.unwrap_or_default();
        let is_new = before.holder_identity.as_ref() != Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        object.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(SECONDS),
            acquire_time: if is_new { Some(now.clone()) } else { before.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(transitions.saturating_add(is_new.into())),
            ..LeaseSpec::default()
        });
        let parameters = PostParams::default();
        let written = if object.metadata.resource_version.is_none() {
            self.ask(self.leases.create(&parameters, &object)).await
        } else {
            self.ask(self.leases.replace(NAME, &parameters, &object)).await
        };
        self.held = written.map(|object| (object, since));
        self.held.is_some()
    }

    /// `None` for what failed: it is tried again some time.
    async fn ask<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Option<T> {
        match timeout(LIMIT, request).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(lease = NAME, %error, "not the one who writes conditions");
                None
            }
            Err(_) => None,
        }
    }
}

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt};
use palisade_integration::apiserver::ApiServer;
use serde::de::DeserializeOwned;

use super::Outcome;

/// How long a watch lasts at the API server: longer than a benchmark.
const WATCH_SECONDS: u32 = 290;

/// A bare watcher of the three kinds: when it has last seen an object, by name.
#[derive(Clone, Default)]
pub(crate) struct Floor {
    seen: Arc<Mutex<HashMap<String, Vec<Instant>>>>,
}

impl Floor {
    /// Watches from now on.
    pub(crate) fn start(api: &ApiServer) -> Outcome<Self> {
        let floor = Self::default();
        floor.watch::<Pod>(api)?;
        floor.watch::<Namespace>(api)?;
        floor.watch::<NetworkPolicy>(api)?;
        Ok(floor)
    }

    /// When the first event about the object of this name came, of those that came after `start`.
    pub(crate) fn first_since(&self, name: &str, start: Instant) -> Option<Instant> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name)?.iter().copied().find(|instant| *instant >= start)
    }

    fn watch<K>(&self, api: &ApiServer) -> Outcome
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let objects = Api::<K>::all(api.client());
        let seen = Arc::clone(&self.seen);
        let list = api.block_on(async { objects.list(&ListParams::default().limit(1)).await })?;
        let mut version = list.metadata.resource_version.unwrap_or_default();
        let watching = async move {
            let parameters = WatchParams::default().timeout(WATCH_SECONDS);
            loop {
                // Nobody answers any more once the API server has ended.
                let Ok(events) = objects.watch(&parameters, &version).await else { return };
                let mut events = events.boxed();
                while let Some(Ok(event)) = events.next().await {
                    if let WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) =
                        event
                    {
                        let now = Instant::now();
                        version = object.resource_version().unwrap_or_default();
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.entry(object.name_any()).or_default().push(now);
                    }
                }
            }
        };
        api.spawn(watching);
        Ok(())
    }
}

/// How long after `answer` something was, as far as it was not before.
pub(crate) fn after(answer: Instant, moment: Instant) -> Duration {
    moment.saturating_duration_since(answer)
}

//! A kind that an API server may do without, as long as nobody has defined it.
//!
//! That a resource is not found may have other reasons: its definition is being replaced, or it is served in another version.
//! So discovery is asked as well; and where there were objects, the answer has to stay the same for a while.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::discovery;
use super::failure::Failure;
use super::kind::Kind;
use super::watch::Watcher;

/// Before it is asked again whether there is such a resource now, with jitter: 5,000 agents ask.
const SHORTEST_PAUSE: Duration = Duration::from_secs(4);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// For how long there must be none before objects that there were are gone.
const GRACE: Duration = Duration::from_secs(5);
/// How often discovery is asked while nothing changes.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(60);

/// A resource that is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// Since when it has not been.
    since: Instant,
    /// When discovery was asked.
    confirmed: Instant,
}

impl<K: Kind> Watcher<K> {
    /// The server says that there is no such resource. Returns after a while if there is none indeed.
    ///
    /// # Errors
    /// Where that cannot be said: what was enforced stays.
    pub(super) async fn not_found(&mut self, failure: Failure) -> Result<(), Failure> {
        self.start_over();
        let now = Instant::now();
        let before = self.absence.take();
        let fresh = before.filter(|absence| now < absence.confirmed + DISCOVERY_INTERVAL);
        let confirmed = match fresh {
            Some(absence) if self.objects() == 0 => absence.confirmed,
            _ => {
                self.confirm(failure).await?;
                now
            }
        };
        let absence = Absence { since: before.map_or(now, |absence| absence.since), confirmed };
        self.absence = Some(absence);
        if self.objects() > 0 && now < absence.since + GRACE {
            return Err(Failure::Vanished);
        }
        self.none(before.is_none() || self.objects() > 0)?;
        sleep(SHORTEST_PAUSE + (LONGEST_PAUSE - SHORTEST_PAUSE).mul_f64(fastrand::f64())).await;
        Ok(())
    }

    async fn confirm(&self, failure: Failure) -> Result<(), Failure> {
        match discovery::ask(self.client()).await {
            Ok(served) if served.is_ours() => Err(failure),
            Ok(served) if !served.versions.is_empty() => Err(Failure::OtherVersions(served.versions.join(", "))),
            Ok(_) => Ok(()),
            // Who may not ask believes what the resource itself says.
            Err(refused) if refused.is_forbidden() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

//! Whose the addresses of pods are, and what conntrack still knows of those who had them before.
//!
//! The connections of an address outlive its pod: to conntrack the next owner's packets are part of them, and so are those of
//! the old one's peers, which pass as replies. So they are forgotten when an address gets another owner, or none.
//!
//! Invariants:
//! - Nothing is let to or from an address of a pod of this node ([`Owners::held`]) from the commit that brings its new owner until the
//!   connections of the old one are forgotten; they are forgotten only when that commit is in force, and no packet is under
//!   way any more that came in before.
//! - The connections of an owner that stays are never forgotten, nor those of who was first seen at start.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use palisade_model::{Delta, LocalPod, NamespacedName};
use palisade_nft::{BackendError, Conntrack};

use crate::worker::Worker;

/// How long addresses are gathered that no pod of this node waits for: each look takes milliseconds, and some 2 µs for each
/// connection that there is.
const GATHERING: Duration = Duration::from_secs(1);
/// How long to wait after an error, twice as long after each further one, and how long at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type Addresses = BTreeSet<IpAddr>;

/// Knows the owners, and has the connections of those that were forgotten.
pub struct Owners {
    pods: BTreeMap<NamespacedName, LocalPod>,
    /// The addresses that pods of this node own.
    local: Addresses,
    /// Addresses whose connections are to be forgotten.
    stale: Addresses,
    /// Those whose connections are being forgotten.
    under_way: Addresses,
    worker: Worker<Addresses, Result<usize, BackendError>>,
    resting_until: Instant,
    /// How long to wait after the next error.
    pause: Duration,
}

impl Owners {
    /// Whoever asks waits for `conntrack`.
    pub fn new(mut conntrack: impl Conntrack + Send + 'static) -> Self {
        Self::with(Worker::here(move |addresses| forget(&addresses, &mut conntrack)))
    }

    /// A thread of its own waits for it.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn in_background(mut conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        Ok(Self::with(Worker::elsewhere("owners", move |addresses| forget(&addresses, &mut conntrack))?))
    }

    fn with(worker: Worker<Addresses, Result<usize, BackendError>>) -> Self {
        Self {
            pods: BTreeMap::new(),
            local: Addresses::new(),
            stale: Addresses::new(),
            under_way: Addresses::new(),
            worker,
            resting_until: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }

    /// Takes in which pods are here now, and which addresses of pods of any node were an earlier pod's.
    pub fn note(&mut self, delta: &Delta) {
        for (id, pod) in &delta.locals {
            let before = match pod {
                Some(pod) => self.pods.insert(id.clone(), pod.clone()),
                None => self.pods.remove(id),
            };
            for address in before.iter().flat_map(|pod| &pod.addresses) {
                self.local.remove(address);
            }
        }
        self.local.extend(delta.locals.values().flatten().flat_map(|pod| &pod.addresses));
        self.forget(delta.disowned.iter().copied());
    }

    /// The connections of these addresses are to be forgotten.
    pub fn forget(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let was_idle = self.stale.is_empty();
        self.stale.extend(addresses);
        if was_idle && !self.stale.is_empty() {
            self.resting_until = self.resting_until.max(Instant::now() + GATHERING);
        }
    }

    /// The owned addresses that nothing may be let to or from yet.
    pub fn held(&self) -> Addresses {
        let held = self.stale.union(&self.under_way);
        held.copied().filter(|address| self.local.contains(address)).collect()
    }

    /// When there is something to do; `None` where there is not, or it is [under way](Owners::done).
    pub fn due(&self) -> Option<Instant> {
        let is_idle = self.under_way.is_empty() && !self.stale.is_empty();
        is_idle.then(|| if self.is_awaited() { Instant::now() } else { self.resting_until })
    }

    /// Returns when what is under way is done. Can be dropped and called again.
    pub async fn done(&mut self) {
        self.worker.done().await;
    }

    /// What is held being in force, goes on. Says whether something ceased to be held.
    pub fn go_on(&mut self) -> bool {
        let is_due = self.due().is_some_and(|due| due <= Instant::now());
        if is_due {
            self.under_way = std::mem::take(&mut self.stale);
            self.worker.send(self.under_way.clone());
        }
        let Some(result) = self.worker.result() else { return false };
        let done = std::mem::take(&mut self.under_way);
        match result {
            Ok(connections) => {
                tracing::debug!(addresses = done.len(), connections, "forgot the connections of earlier owners");
                self.pause = FIRST_PAUSE;
                !done.is_disjoint(&self.local)
            }
            Err(error) => {
                tracing::error!(%error, "connections of earlier owners of addresses are not forgotten, will try again; nothing is let to their new owners");
                self.stale.extend(done);
                self.resting_until = Instant::now() + self.pause;
                self.pause = LONGEST_PAUSE.min(2 * self.pause);
                false
            }
        }
    }

    /// Whether somebody waits to be let to, and no error has to be rested from.
    fn is_awaited(&self) -> bool {
        self.pause == FIRST_PAUSE && !self.stale.is_disjoint(&self.local)
    }
}

fn forget(addresses: &Addresses, conntrack: &mut dyn Conntrack) -> Result<usize, BackendError> {
    conntrack.settle();
    conntrack.forget(addresses)
}

impl std::fmt::Debug for Owners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Owners");
        shown.field("local", &self.local).field("stale", &self.stale).field("under_way", &self.under_way);
        shown.finish_non_exhaustive()
    }
}

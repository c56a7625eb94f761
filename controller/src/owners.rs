//! Whose the addresses of pods are, and what conntrack still knows of those who had them before.
//!
//! The connections of an address outlive its pod: to conntrack the next owner's packets are part of them, and so are those of
//! the old one's peers, which pass as replies. So they are forgotten when an address gets another owner, or none.
//!
//! Invariants:
//! - Nothing is let to or from an address ([`Owners::held`]) from the commit that brings its new owner, of whichever node,
//!   until the connections of the old one are forgotten; they are forgotten only when that commit is in force, and no packet
//!   is under way any more that came in before.
//! - What began before the agent's time counts as an earlier owner's, where the node is told of a new one ([`Owners::remembers`]).
//! - The connections of an owner that stays are never forgotten, nor those of who was first seen at start.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use backon::ExponentialBackoff;
use palisade_nft::{BackendError, Conntrack};

use crate::worker::{LONGEST_PAUSE, Worker, pauses};

/// How long addresses are gathered that nobody has yet: each look takes milliseconds, and some 2 µs for each connection that
/// there is.
const GATHERING: Duration = Duration::from_secs(10);

/// Of how many addresses it is kept that they had connections before: some 2 MiB.
const MOST_ENDS: usize = 1 << 16;

type Addresses = BTreeSet<IpAddr>;

/// What is asked of conntrack.
enum Errand {
    Forget(Addresses),
    /// Which addresses have connections.
    Ends,
}

enum Outcome {
    /// How many there were.
    Forgot(Result<usize, BackendError>),
    Ends(Result<Option<Addresses>, BackendError>),
}

/// Of which addresses there were connections when this was asked.
#[derive(Debug)]
enum Before {
    /// It has not been asked, or there were too many.
    Unknown,
    Wanted,
    UnderWay,
    Known(Addresses),
}

/// Has the connections of earlier owners forgotten.
pub struct Owners {
    /// Addresses whose connections are to be forgotten.
    stale: Addresses,
    /// Those whose connections are being forgotten.
    under_way: Addresses,
    /// Those of both that somebody has.
    held: Addresses,
    before: Before,
    worker: Worker<Errand, Outcome>,
    /// Till when what nobody waits for is gathered.
    gathering_until: Instant,
    /// Till when an error is rested from, and how long from the next ones.
    resting: Option<(Instant, ExponentialBackoff)>,
}

impl Owners {
    /// Whoever asks waits for `conntrack`.
    pub fn new(mut conntrack: impl Conntrack + Send + 'static) -> Self {
        Self::with(Worker::here(move |errand| run(errand, &mut conntrack)))
    }

    /// A thread of its own waits for it.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn in_background(mut conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        Ok(Self::with(Worker::elsewhere("owners", move |errand| run(errand, &mut conntrack))?))
    }

    fn with(worker: Worker<Errand, Outcome>) -> Self {
        Self {
            stale: Addresses::new(),
            under_way: Addresses::new(),
            held: Addresses::new(),
            before: Before::Unknown,
            worker,
            gathering_until: Instant::now(),
            resting: None,
        }
    }

    /// The connections of these addresses, which had an owner that has them no more, are to be forgotten; somebody has them
    /// again where `is_owned` says so.
    pub fn forget(&mut self, addresses: impl IntoIterator<Item = IpAddr>, is_owned: impl Fn(IpAddr) -> bool) {
        let was_idle = self.stale.is_empty();
        for address in addresses {
            self.stale.insert(address);
            if is_owned(address) {
                self.held.insert(address);
            } else {
                self.held.remove(&address);
            }
        }
        if was_idle && !self.stale.is_empty() {
            self.gathering_until = Instant::now() + GATHERING;
        }
    }

    /// Somebody has these addresses now.
    pub fn owned(&mut self, addresses: &[IpAddr]) {
        if self.stale.is_empty() && self.under_way.is_empty() {
            return;
        }
        let is_known = |address: &&IpAddr| self.stale.contains(*address) || self.under_way.contains(*address);
        let held: Vec<IpAddr> = addresses.iter().filter(is_known).copied().collect();
        self.held.extend(held);
    }

    /// Asks which addresses have connections, once what is known of owners is in force.
    pub fn look_back(&mut self) {
        if let Before::Unknown = self.before {
            self.before = Before::Wanted;
        }
    }

    /// Whether there may be connections of an address that had no owner until now: from [`Owners::look_back`] on nobody begins
    /// one in the name of such an address.
    pub fn remembers(&self, address: IpAddr) -> bool {
        !matches!(&self.before, Before::Known(ends) if !ends.contains(&address))
    }

    /// The addresses that nothing may be let to or from yet.
    pub fn held(&self) -> &Addresses {
        &self.held
    }

    /// When there is something to do; `None` where there is not, or it is [under way](Owners::done).
    pub fn due(&self) -> Option<Instant> {
        let is_asking = !self.under_way.is_empty() || matches!(self.before, Before::UnderWay);
        let ends_due = matches!(self.before, Before::Wanted).then(Instant::now);
        self.forgetting_due().into_iter().chain(ends_due).min().filter(|_| !is_asking)
    }

    fn forgetting_due(&self) -> Option<Instant> {
        if self.stale.is_empty() {
            return None;
        }
        let awaited = !self.held.is_disjoint(&self.stale);
        let resting_until = self.resting.as_ref().map(|(until, _)| *until);
        Some(resting_until.unwrap_or_else(|| if awaited { Instant::now() } else { self.gathering_until }))
    }

    /// Returns when what is under way is done. Can be dropped and called again.
    pub async fn done(&mut self) {
        self.worker.done().await;
    }

    /// What is held being in force, goes on. Says whether something need not be held any more.
    pub fn go_on(&mut self) -> bool {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            // First for whom somebody waits.
            let errand = if self.forgetting_due().is_some_and(|due| due <= Instant::now()) {
                self.under_way = std::mem::take(&mut self.stale);
                Errand::Forget(self.under_way.clone())
            } else {
                self.before = Before::UnderWay;
                Errand::Ends
            };
            self.worker.send(errand);
        }
        match self.worker.result() {
            Some(Outcome::Forgot(result)) => self.forgot(result),
            Some(Outcome::Ends(ends)) => {
                let ends = ends.unwrap_or_else(|error| {
                    tracing::warn!(%error, "it is not known which addresses had connections before: pods start some 30 ms later");
                    None
                });
                self.before = ends.map_or(Before::Unknown, Before::Known);
                false
            }
            None => false,
        }
    }

    fn forgot(&mut self, result: Result<usize, BackendError>) -> bool {
        let done = std::mem::take(&mut self.under_way);
        match result {
            Ok(connections) => {
                tracing::debug!(addresses = done.len(), connections, "forgot the connections of earlier owners");
                self.resting = None;
                let before = self.held.len();
                self.held.retain(|address| !done.contains(address) || self.stale.contains(address));
                self.held.len() < before
            }
            Err(error) => {
                tracing::error!(%error, "connections of earlier owners of addresses are not forgotten, will try again; nothing is let to their new owners");
                self.stale.extend(done);
                let mut pauses = self.resting.take().map_or_else(pauses, |(_, pauses)| pauses);
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                self.resting = Some((Instant::now() + pause, pauses));
                false
            }
        }
    }
}

fn run(errand: Errand, conntrack: &mut dyn Conntrack) -> Outcome {
    conntrack.settle();
    match errand {
        Errand::Forget(addresses) => Outcome::Forgot(conntrack.forget(&addresses)),
        Errand::Ends => Outcome::Ends(conntrack.ends(MOST_ENDS)),
    }
}

impl std::fmt::Debug for Owners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Owners");
        shown.field("stale", &self.stale).field("under_way", &self.under_way).field("held", &self.held);
        shown.finish_non_exhaustive()
    }
}

//! When established connections may pass without being judged again.
//!
//! Rules judge connections, not packets: they ask conntrack who began a connection and who answers, so that any packet of
//! it, from either side, gets the same verdict, whenever it comes. What they let through they mark with the current
//! *epoch*, and packets of connections with that mark pass at once. A commit that may forbid something ends the epoch in
//! the same transaction: from then on every packet is judged, and what is forbidden is dropped like any other packet,
//! what is allowed passes. A new epoch begins when nothing was forbidden for a moment, and each connection is judged once
//! more.
//!
//! So forbidding costs nothing that grows with the connections: none is looked for, and none has to be cut.
//!
//! Invariants:
//! - A connection with the mark of the current epoch is one that the rules in force allow. An epoch begins only when
//!   no packet is under way that came in before the last commit that may forbid something: no packet is judged half by
//!   what was in force before.
//! - An epoch's number is used again only after all marks were cleared in between ([`Conntrack`]).
//! - Without an epoch everything is judged. That is right in itself, and takes some 0.4 µs a packet more: where marks
//!   cannot be cleared, and while commits that forbid something come one after the other, there is none.
//! - A table that was there at start keeps its epoch, if it needs no change. All marks are cleared meanwhile, because
//!   connections may have been marked by rules that are not known.
//!
//! Whoever writes connections' marks as a whole (`ct mark set 1`, without a mask) has connections judged again, no more.

mod sweeper;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};
use std::{fmt, io};

use backon::ExponentialBackoff;
use palisade_nft::{BackendError, Conntrack};

use self::sweeper::{Errand, Outcome, run};
pub use self::sweeper::{Sweep, sweep};
use crate::render::Epoch;
use crate::worker::{LONGEST_PAUSE, Worker, pauses};

/// How long nothing must have been forbidden before an epoch begins: where commits come one after the other, one would
/// end before it has saved what its own commit takes, and each marks all connections anew.
const QUIET: Duration = Duration::from_millis(250);
/// How soon after an epoch began the next one may.
const SHORTEST: Duration = Duration::from_secs(1);

/// Knows which epoch it is, if it is one, and when the next one may begin.
pub struct Epochs {
    sweeper: Worker<Errand, Outcome>,
    current: Option<Epoch>,
    /// The one that began last.
    last: Epoch,
    /// How many after it have not been used since all marks were cleared.
    unused: u8,
    /// The errand that is being done.
    under_way: Option<UnderWay>,
    resting_until: Instant,
    /// How long to rest after the next errors; `None` after a success.
    pauses: Option<ExponentialBackoff>,
}

#[derive(Debug)]
struct UnderWay {
    /// Whether something may have been forbidden since it began.
    outdated: bool,
}

/// What came of an errand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The epoch that can begin now.
    pub begins: Option<Epoch>,
    /// The marks that were cleared.
    pub swept: Option<Sweep>,
}

impl Epochs {
    /// The marks of the connections of `conntrack` are cleared when numbers run out; who settles waits for that.
    pub fn new(mut conntrack: impl Conntrack + Send + 'static) -> Self {
        Self::with(Worker::here(move |errand| run(errand, &mut conntrack)))
    }

    /// The same on a thread of its own, so that nobody waits.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn in_background(mut conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        Ok(Self::with(Worker::elsewhere("epochs", move |errand| run(errand, &mut conntrack))?))
    }

    fn with(sweeper: Worker<Errand, Outcome>) -> Self {
        Self {
            sweeper,
            current: None,
            last: Epoch::LAST,
            unused: 0,
            under_way: None,
            resting_until: Instant::now(),
            pauses: None,
        }
    }

    /// The epoch that it is.
    pub fn current(&self) -> Option<Epoch> {
        self.current
    }

    /// It is this epoch in a table that was there before.
    pub fn adopt(&mut self, epoch: Epoch) {
        self.current = Some(epoch);
        self.last = epoch;
    }

    /// Something may be forbidden from now on: no epoch. To be told before the commit, and none begins before the next
    /// call of [`Epochs::settle`], nor before it has been quiet for a moment.
    pub fn end(&mut self) {
        self.current = None;
        self.resting_until = self.resting_until.max(Instant::now() + QUIET);
        if let Some(errand) = &mut self.under_way {
            errand.outdated = true;
        }
    }

    /// When to call [`Epochs::settle`]; `None` where there is nothing to do, or it is [under way](Epochs::settling).
    pub fn due(&self) -> Option<Instant> {
        self.errand().filter(|_| self.under_way.is_none()).map(|_| self.resting_until)
    }

    /// Returns when [`Epochs::settle`] is to be called again, because what was under way is done. Never where nothing is.
    /// Can be dropped and called again.
    pub async fn settling(&mut self) {
        self.sweeper.done().await;
    }

    /// Makes ready for the next epoch, what was committed last being in force. `None`: nothing came of it yet. Where an
    /// epoch can begin, it has begun: it is for the caller to put it in force, or to [end](Epochs::end) it.
    ///
    /// # Errors
    /// [`BackendError`] where marks could not be cleared: there is no new epoch until they are, which is tried again.
    pub fn settle(&mut self) -> Result<Option<Settled>, BackendError> {
        if self.under_way.is_none() {
            let is_due = Instant::now() >= self.resting_until;
            let Some(errand) = self.errand().filter(|_| is_due) else { return Ok(None) };
            self.sweeper.send(errand);
            self.under_way = Some(UnderWay { outdated: false });
        }
        let Some(result) = self.sweeper.result() else { return Ok(None) };
        let UnderWay { outdated } = self.under_way.take().expect("what has a result was begun");
        let swept = result.inspect_err(|_| {
            let pause = self.pauses.get_or_insert_with(pauses).next().unwrap_or(LONGEST_PAUSE);
            self.resting_until = Instant::now() + pause;
        })?;
        self.pauses = None;
        if swept.is_some() {
            self.unused = Epoch::COUNT - 1;
        }
        let begins = (self.current.is_none() && !outdated).then(|| self.begin());
        Ok(Some(Settled { begins, swept }))
    }

    fn begin(&mut self) -> Epoch {
        self.unused -= 1;
        self.last = self.last.next();
        self.current = Some(self.last);
        self.resting_until = Instant::now() + SHORTEST;
        self.last
    }

    /// What has to be done.
    fn errand(&self) -> Option<Errand> {
        match (self.current, self.unused) {
            (_, 0) => Some(Errand::Sweep),
            (None, _) => Some(Errand::Wait),
            (Some(_), _) => None,
        }
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sweeper: _, current, last, unused, under_way, resting_until: _, pauses: _ } = self;
        let mut shown = f.debug_struct("Epochs");
        shown.field("current", current).field("last", last).field("unused", unused).field("under_way", under_way);
        shown.finish_non_exhaustive()
    }
}

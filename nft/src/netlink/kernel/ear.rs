//! When it is listened for what others do to the table.
//!
//! While anybody listens, the kernel makes a message for each element that a batch changes, of some 8 KiB, and keeps them all
//! until the batch is committed. So nobody listens for the moment in which the table is ours alone, or in which a large change of
//! our own is made; the generation tells afterwards whether there was any other.

use std::io;

use super::Kernel;
use super::commit::Delivery;
use crate::netlink::batch::Outcome;
use crate::netlink::monitor::{Ear, Monitor};

impl Kernel {
    /// Hears of what others do to the table, for as long as they can: while the table is owned by this socket nobody
    /// listens, and commits cost less. There is one such monitor: the one asked for last.
    ///
    /// # Errors
    /// Where the socket could not be opened, or takes no filter.
    pub fn monitor(&mut self) -> io::Result<Monitor> {
        let monitor = Monitor::open(self.table.clone())?;
        let ear = Ear::of(&monitor, self.port())?;
        ear.listen(!self.owned)?;
        self.ear = Some(ear);
        Ok(monitor)
    }

    pub(super) fn set_owned(&mut self, owned: bool) {
        if owned != self.owned {
            self.owned = owned;
            self.listen(!owned);
        }
    }

    /// Has `deliver` send a batch while nobody listens. The monitor then tells that events were lost where the ruleset was
    /// changed by somebody else, too, or may have been.
    pub(super) fn unheard(&mut self, deliver: impl FnOnce(&mut Self) -> Delivery) -> Delivery {
        if self.ear.is_none() || self.owned {
            return deliver(self);
        }
        let before = self.ask_generation().ok();
        self.listen(false);
        let delivery = deliver(self);
        self.listen(true);
        let after = self.ask_generation().ok();
        let own = u32::from(matches!(delivery, Ok((Outcome::Committed, _))));
        let is_own_alone = before.zip(after).is_some_and(|(before, after)| after == before.wrapping_add(own));
        if !is_own_alone && let Some(ear) = &self.ear {
            ear.miss();
        }
        delivery
    }

    /// Makes the monitor listen, or not.
    fn listen(&self, listens: bool) {
        if let Some(Err(error)) = self.ear.as_ref().map(|ear| ear.listen(listens)) {
            tracing::warn!(%error, listens, "the monitor of the table cannot be made to listen, or not to");
        }
    }
}

//! Hears of connections on a thread of its own, and passes them on to the agent, which knows what they mean.
//!
//! Invariants:
//! - What is over the bounds is counted, and holds up neither packets nor the agent.
//! - The agent is woken some twenty times a second at most, by no more flows than it can look into without anybody noticing.
//! - Whatever becomes of the socket, enforcement goes on.

use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use jiff::Timestamp;
use palisade_nft::{BackendError, ConnectionEvent, ConnectionEvents};
use tokio::sync::mpsc::UnboundedSender;

use super::gathered::Gathered;
use super::locals::Locals;
use crate::flows::{Figures, Hub, Waiting};
use crate::input::Input;

/// How often the socket is read: it has room for some twenty thousand events.
const STEP: Duration = Duration::from_millis(50);
/// How often at a step, at most: of some sixty events each.
const READS: usize = 500;
/// For so many steps connections are gathered: a second.
const STEPS: usize = 20;
/// How many flows are told at each step.
const AT_A_STEP: usize = 100;
/// How many flows there may be in a second: those that can be told in the next.
const MOST: usize = STEPS * AT_A_STEP;

/// Hears of connections of the pods that have an address of `locals`, and tells the agent. Where the kernel does not tell, it is
/// said, and that is all.
///
/// # Errors
/// Where there can be no further thread.
pub fn watch(locals: Locals, inputs: UnboundedSender<Input>, hub: Arc<Hub>) -> io::Result<()> {
    let events = match ConnectionEvents::open() {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(%error, "what is allowed is not told");
            return Ok(());
        }
    };
    hub.set_allowed_figures(Figures::default());
    let watch = Watch {
        events,
        locals,
        inputs,
        hub,
        gathered: Gathered::new(MOST),
        outgoing: Vec::new(),
        waiting: Waiting::default(),
        figures: Figures::default(),
    };
    thread::Builder::new().name("connections".to_owned()).spawn(move || watch.run())?;
    Ok(())
}

struct Watch {
    events: ConnectionEvents,
    locals: Locals,
    inputs: UnboundedSender<Input>,
    hub: Arc<Hub>,
    gathered: Gathered,
    /// What was gathered in the second before, the last to be told first.
    outgoing: Vec<super::Connections>,
    waiting: Waiting,
    figures: Figures,
}

impl Watch {
    fn run(mut self) {
        while !self.inputs.is_closed() {
            let followed = self.wait().and_then(|()| self.follow());
            if let Err(error) = followed {
                return tracing::error!(%error, "what is allowed is not told any more");
            }
        }
    }

    /// Waits for a connection of a pod.
    fn wait(&mut self) -> Result<(), BackendError> {
        while self.gathered.is_empty() {
            let events = self.events.recv()?;
            self.take(&events);
            self.read()?;
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// Gathers for a second what follows, and tells it in the next; until nothing has come in a second.
    fn follow(&mut self) -> Result<(), BackendError> {
        while !(self.gathered.is_empty() && self.outgoing.is_empty()) {
            for _ in 0..STEPS {
                self.read()?;
                self.tell();
                thread::sleep(STEP);
            }
            self.outgoing = self.gathered.drain();
            self.outgoing.reverse();
        }
        Ok(())
    }

    /// Reads all that is there, as far as that has an end.
    fn read(&mut self) -> Result<(), BackendError> {
        for _ in 0..READS {
            let events = self.events.try_recv()?;
            if events.is_empty() {
                break;
            }
            self.take(&events);
        }
        Ok(())
    }

    fn take(&mut self, events: &[ConnectionEvent]) {
        let (told, left_out) = self.gathered.add(events, &self.locals.get(), Timestamp::now());
        self.figures.logged += told;
        self.figures.suppressed += left_out;
        self.figures.lost = self.events.lost();
        self.figures.malformed = self.events.malformed();
        self.hub.set_allowed_figures(self.figures);
    }

    /// Tells the agent of some of what was gathered, unless so much waits for it already.
    fn tell(&mut self) {
        let some = self.outgoing.split_off(self.outgoing.len().saturating_sub(AT_A_STEP));
        if some.is_empty() {
            return;
        }
        if self.waiting.count() + some.len() > MOST {
            self.figures.suppressed += some.iter().map(|one| one.begun + one.ended).sum::<u64>();
            return self.hub.set_allowed_figures(self.figures);
        }
        self.waiting.sent(some.len());
        // Where the agent has ended, so does this, soon.
        let some = some.into_iter().rev().collect();
        let _ = self.inputs.send(Input::Connections(some, self.waiting.clone()));
    }
}

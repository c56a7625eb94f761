//! Who waits for packets, and clears marks.

use std::future::pending;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};

use palisade_nft::{BackendError, Conntrack};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::render::Epoch;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Wait until no packet is under way any more.
    Wait,
    /// The same; then clear all marks.
    Sweep,
}

/// All marks were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// How many connections had one.
    pub cleared: usize,
    /// How long it took.
    pub elapsed: Duration,
}

const ENDS_LATER: &str = "the thread ends after its errands";

type Outcome = Result<Option<Sweep>, BackendError>;

/// Does one errand at a time.
pub(super) enum Sweeper {
    /// Whoever asks waits.
    Here { conntrack: Box<dyn Conntrack + Send>, outcome: Option<Outcome> },
    /// A thread of its own does them, which ends with this.
    Elsewhere { errands: mpsc::Sender<Errand>, outcomes: UnboundedReceiver<Outcome>, outcome: Option<Outcome> },
}

impl Sweeper {
    pub(super) fn here(conntrack: impl Conntrack + Send + 'static) -> Self {
        Self::Here { conntrack: Box::new(conntrack), outcome: None }
    }

    pub(super) fn elsewhere(mut conntrack: impl Conntrack + Send + 'static) -> io::Result<Self> {
        let (errands, receiver) = mpsc::channel();
        let (sender, outcomes) = unbounded_channel();
        thread::Builder::new().name("epochs".to_owned()).spawn(move || {
            for errand in receiver {
                if sender.send(run(errand, &mut conntrack)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Elsewhere { errands, outcomes, outcome: None })
    }

    pub(super) fn send(&mut self, errand: Errand) {
        match self {
            Self::Here { conntrack, outcome } => *outcome = Some(run(errand, &mut **conntrack)),
            Self::Elsewhere { errands, .. } => errands.send(errand).expect(ENDS_LATER),
        }
    }

    /// What came of the errand begun last, if it is done.
    pub(super) fn result(&mut self) -> Option<Outcome> {
        match self {
            Self::Here { outcome, .. } => outcome.take(),
            Self::Elsewhere { outcomes, outcome, .. } => outcome.take().or_else(|| match outcomes.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => panic!("{ENDS_LATER}"),
            }),
        }
    }

    /// Returns when the errand begun last is done; never, where none is under way. Can be dropped and called again.
    pub(super) async fn done(&mut self) {
        match self {
            Self::Here { outcome: Some(_), .. } | Self::Elsewhere { outcome: Some(_), .. } => {}
            Self::Here { .. } => pending().await,
            Self::Elsewhere { outcomes, outcome, .. } => {
                *outcome = Some(outcomes.recv().await.expect(ENDS_LATER));
            }
        }
    }
}

fn run(errand: Errand, conntrack: &mut dyn Conntrack) -> Outcome {
    conntrack.settle();
    match errand {
        Errand::Wait => Ok(None),
        Errand::Sweep => sweep(conntrack).map(Some),
    }
}

/// Clears the epoch of all connections.
///
/// # Errors
/// [`BackendError`]; some may be cleared.
pub fn sweep(conntrack: &mut dyn Conntrack) -> Result<Sweep, BackendError> {
    let start = Instant::now();
    let cleared = conntrack.clear(Epoch::BITS)?;
    Ok(Sweep { cleared, elapsed: start.elapsed() })
}

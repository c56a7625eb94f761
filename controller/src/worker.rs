//! Who does what takes a while: on a thread of its own, or here, where whoever asks waits.

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long is waited after an error at most.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const ENDS_LATER: &str = "the thread ends after its errands";

/// Does one errand at a time.
pub enum Worker<E, O> {
    /// Whoever asks waits.
    Here {
        /// Does an errand.
        run: Box<dyn FnMut(E) -> O + Send>,
        /// What came of the last one.
        outcome: Option<O>,
    },
    /// A thread of its own does them, which ends with this.
    Elsewhere {
        /// Those that are to be done.
        errands: mpsc::Sender<E>,
        /// What came of them.
        outcomes: UnboundedReceiver<O>,
        /// What came of the last one.
        outcome: Option<O>,
    },
}

/// How long to wait after each of the errors that come in a row: without end.
pub(crate) fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    pauses.without_max_times().build()
}

impl<E: Send + 'static, O: Send + 'static> Worker<E, O> {
    /// One that does errands when they are sent.
    pub fn here(run: impl FnMut(E) -> O + Send + 'static) -> Self {
        Self::Here { run: Box::new(run), outcome: None }
    }

    /// One that does them on a thread of this name.
    ///
    /// # Errors
    /// Where there can be no further thread.
    pub fn elsewhere(name: &str, mut run: impl FnMut(E) -> O + Send + 'static) -> io::Result<Self> {
        let (errands, receiver) = mpsc::channel();
        let (sender, outcomes) = unbounded_channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for errand in receiver {
                if sender.send(run(errand)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Elsewhere { errands, outcomes, outcome: None })
    }

    /// Begins an errand, when the one before was done.
    pub fn send(&mut self, errand: E) {
        match self {
            Self::Here { run, outcome } => *outcome = Some(run(errand)),
            Self::Elsewhere { errands, .. } => errands.send(errand).expect(ENDS_LATER),
        }
    }

    /// What came of the errand begun last, if it is done.
    pub fn result(&mut self) -> Option<O> {
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
    pub async fn done(&mut self) {
        match self {
            Self::Here { outcome: Some(_), .. } | Self::Elsewhere { outcome: Some(_), .. } => {}
            Self::Here { .. } => pending().await,
            Self::Elsewhere { outcomes, outcome, .. } => {
                *outcome = Some(outcomes.recv().await.expect(ENDS_LATER));
            }
        }
    }
}

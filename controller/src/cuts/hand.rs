//! Who takes the looks.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::{io, thread};

use palisade_nft::Ruleset;

use super::CutError;
use super::look::{Found, Look, Looker};
use super::scope::Scope;

/// A look to take.
pub(super) struct Task {
    pub(super) look: Look,
    pub(super) scope: Scope,
}

/// Takes one look at a time.
pub(super) enum Hand {
    /// Whoever asks waits.
    Here { looker: Looker, result: Option<Result<Found, CutError>> },
    /// A thread of its own takes them, which ends with this.
    Elsewhere { tasks: Sender<(Arc<Task>, Ruleset)>, results: Receiver<Result<Found, CutError>> },
}

impl Hand {
    pub(super) fn here(looker: Looker) -> Self {
        Self::Here { looker, result: None }
    }

    pub(super) fn elsewhere(mut looker: Looker) -> io::Result<Self> {
        let (tasks, receiver) = mpsc::channel::<(Arc<Task>, Ruleset)>();
        let (sender, results) = mpsc::channel();
        thread::Builder::new().name("cuts".to_owned()).spawn(move || {
            for (task, ruleset) in receiver {
                if sender.send(looker.take(&task.look, &task.scope, &ruleset)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Elsewhere { tasks, results })
    }

    /// Begins with `task`. `ruleset` is in force.
    pub(super) fn begin(&mut self, task: &Arc<Task>, ruleset: &Ruleset) {
        match self {
            Self::Here { looker, result } => *result = Some(looker.take(&task.look, &task.scope, ruleset)),
            Self::Elsewhere { tasks, .. } => {
                tasks.send((Arc::clone(task), ruleset.clone())).expect("the thread ends after its tasks");
            }
        }
    }

    /// What came of the task begun last, if it is done.
    pub(super) fn result(&mut self) -> Option<Result<Found, CutError>> {
        match self {
            Self::Here { result, .. } => result.take(),
            Self::Elsewhere { results, .. } => match results.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => panic!("the thread ends after its tasks"),
            },
        }
    }
}

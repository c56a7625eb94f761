//! Noticing that a directory changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::debug;

use super::files;

/// Watches a directory of manifests until it is dropped.
///
/// The kernel's events (inotify) are awaited until they pause, so that one edit is one change. Besides, the directory is
/// looked at every few seconds: that finds what gives no events, and a directory that comes back after it vanished.
#[derive(Debug)]
pub struct Watch {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Event,
    Stop,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// No event for so long ends a change.
    quiet: Duration,
    /// A change is told after so long even if events keep coming.
    patience: Duration,
    /// Between two looks at the directory.
    poll: Duration,
}

const TIMING: Timing =
    Timing { quiet: Duration::from_millis(100), patience: Duration::from_secs(2), poll: Duration::from_secs(3) };

impl Watch {
    /// Calls `on_change` on a thread of its own after every change below `dir` since it was `seen`. It may be called where
    /// nothing that matters has changed. `dir` need not exist.
    ///
    /// # Errors
    /// The thread cannot be started. Where inotify is not to be had the directory is only looked at.
    pub fn start(dir: &Path, seen: Seen, on_change: impl FnMut() + Send + 'static) -> io::Result<Self> {
        Self::with_timing(dir, seen, TIMING, on_change)
    }

    fn with_timing(
        dir: &Path,
        seen: Seen,
        timing: Timing,
        mut on_change: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (messages, inbox) = mpsc::channel();
        let tells_all = seen.tells_all();
        let mut watched = Watched { dir: dir.into(), messages: messages.clone(), watcher: None, state: seen.state };
        let has_changed = watched.look() || !tells_all;
        let run = move || {
            if has_changed {
                on_change();
            }
            watched.run(&inbox, timing, on_change);
        };
        let thread = thread::Builder::new().name("manifests".into()).spawn(run)?;
        Ok(Self { messages, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let stopping = self.messages.send(Message::Stop).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| stopping) {
            drop(thread.join());
        }
    }
}

/// The manifest files and what tells their versions apart; `None` where the directory cannot be read.
type State = Option<BTreeMap<PathBuf, Option<(u64, u64, SystemTime)>>>;

/// What a directory looked like at some time, to be noted before it is read.
#[derive(Debug)]
pub struct Seen {
    state: State,
    at: SystemTime,
}

/// Of what was written so short before it was seen, later versions may look alike: file systems count time in steps, some in
/// steps of two seconds.
const STEP: Duration = Duration::from_secs(3);

impl Seen {
    /// Looks at it now.
    pub fn of(dir: &Path) -> Self {
        Self { at: SystemTime::now(), state: state(dir) }
    }

    /// Whether all that is written from then on looks different.
    fn tells_all(&self) -> bool {
        let is_old = |modified: &SystemTime| self.at.duration_since(*modified).is_ok_and(|age| age >= STEP);
        let mut files = self.state.iter().flat_map(BTreeMap::values);
        files.all(|version| version.as_ref().is_some_and(|(.., modified)| is_old(modified)))
    }
}

struct Watched {
    dir: PathBuf,
    messages: Sender<Message>,
    watcher: Option<RecommendedWatcher>,
    state: State,
}

impl Watched {
    fn run(mut self, inbox: &Receiver<Message>, timing: Timing, mut on_change: impl FnMut()) {
        loop {
            let event = match inbox.recv_timeout(timing.poll) {
                Ok(Message::Event) => match settle(inbox, timing) {
                    Settled::Quiet => true,
                    Settled::Stopped => return,
                },
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => false,
            };
            if event {
                self.watcher = None;
            }
            if self.look() || event {
                on_change();
            }
        }
    }

    /// Whether the directory differs from the last look. From then on there are events for what it holds now: a watch
    /// does not follow a directory that was replaced, and is made anew.
    fn look(&mut self) -> bool {
        let mut changed = self.note_state();
        if changed || self.watcher.is_none() {
            let unwatched = |error: &notify::Error| debug!(dir = %self.dir.display(), %error, "no events");
            self.watcher = self.watcher().inspect_err(unwatched).ok();
            changed |= self.note_state();
        }
        changed
    }

    fn note_state(&mut self) -> bool {
        let state = state(&self.dir);
        let changed = state != self.state;
        self.state = state;
        changed
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let messages = self.messages.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_read(event.kind)) {
                return;
            }
            // Nobody to tell: the watch is stopping.
            let _ = messages.send(Message::Event);
        })?;
        watcher.watch(&self.dir, RecursiveMode::Recursive)?;
        Ok(watcher)
    }
}

enum Settled {
    Quiet,
    Stopped,
}

fn settle(inbox: &Receiver<Message>, timing: Timing) -> Settled {
    let start = Instant::now();
    while start.elapsed() < timing.patience {
        match inbox.recv_timeout(timing.quiet) {
            Ok(Message::Event) => {}
            Err(RecvTimeoutError::Timeout) => return Settled::Quiet,
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return Settled::Stopped,
        }
    }
    Settled::Quiet
}

/// Reading the manifests makes such events too.
fn is_read(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn state(dir: &Path) -> State {
    use std::os::unix::fs::MetadataExt;
    let version = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
    };
    let files = files::list(dir).ok()?.files;
    Some(files.into_iter().map(|file| (file.clone(), version(&file))).collect())
}

#[cfg(test)]
mod tests;

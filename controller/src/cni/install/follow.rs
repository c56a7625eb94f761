//! Keeping the plugin entered while others write the configurations.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::{InstallError, Installer, Placed};
use crate::serve::State;

/// How long what is being written is left alone.
const QUIET: Duration = Duration::from_millis(20);
/// Between two looks where nothing was heard: events may be missed, and a directory may come that was not there.
const POLL: Duration = Duration::from_secs(3);

/// Enters the plugin on a thread of its own, and again whenever it is not. What came of it is logged when it changes, and
/// published in `state`.
///
/// # Errors
/// Where there can be no thread.
pub fn follow(installer: Installer, state: Arc<State>) -> io::Result<()> {
    let run = move || {
        let mut follower = Follower { installer, state, told: None, placed: None, watcher: None };
        let (events, heard) = mpsc::channel();
        loop {
            follower.watch(&events);
            follower.look();
            wait(&heard);
        }
    };
    thread::Builder::new().name("cni".to_owned()).spawn(run).map(drop)
}

struct Follower {
    installer: Installer,
    state: Arc<State>,
    told: Option<String>,
    placed: Option<Placed>,
    /// What tells of changes, and the directory that it looks at.
    watcher: Option<(RecommendedWatcher, u64)>,
}

impl Follower {
    fn look(&mut self) {
        let result = self.installer.install(&mut self.placed);
        let now = match &result {
            Ok(path) => format!("entered in {}", path.display()),
            Err(error) => format!("not entered: {error}"),
        };
        if self.told.as_ref() == Some(&now) {
            return;
        }
        let is_entered = result.is_ok();
        match result {
            Ok(path) => tracing::info!(path = %path.display(), "the network plugin is entered"),
            Err(error @ InstallError::NoConfiguration(_)) => {
                tracing::warn!(%error, "the network plugin is not entered: new pods are judged when the API shows their addresses");
            }
            Err(error) => {
                tracing::error!(%error, "the network plugin is not entered: new pods are judged when the API shows their addresses");
            }
        }
        self.state.plugin(is_entered, now.clone());
        self.told = Some(now);
    }

    /// Hears of the directory that is there now.
    fn watch(&mut self, events: &Sender<()>) {
        let directory = &self.installer.configurations;
        let number = fs::metadata(directory).map(|metadata| metadata.ino()).ok();
        if number.is_some() && number == self.watcher.as_ref().map(|(_, number)| *number) {
            return;
        }
        let watcher = watcher(directory, events.clone());
        let unwatched =
            |error: &notify::Error| tracing::debug!(%error, "the directory of configurations is only looked at");
        self.watcher = number.zip(watcher.inspect_err(unwatched).ok()).map(|(number, watcher)| (watcher, number));
    }
}

fn watcher(directory: &Path, events: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // Nobody hears it when the agent stops.
            let _ = events.send(());
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Returns when something happened and is over, or after a while.
fn wait(heard: &Receiver<()>) {
    let mut next = heard.recv_timeout(POLL);
    while next.is_ok() {
        next = heard.recv_timeout(QUIET);
    }
}

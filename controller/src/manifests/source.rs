use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Sender;

use super::{Manifests, ReadErrors, Watch, changes, read};
use crate::input::Input;

/// Sends what `first` holds, and from then on every change of the directory, for as long as the result is held.
///
/// A state of the directory that cannot be read as a whole changes nothing: it is logged, and the last good state stays.
///
/// # Errors
/// Where the watching thread cannot be started.
pub fn follow(directory: PathBuf, node: String, first: Manifests, inputs: Sender<Input>) -> io::Result<Watch> {
    // An agent that no longer listens is stopping.
    let _ = inputs.send(Input::Changes(first.clone().into_changes().collect()));
    let _ = inputs.send(Input::Synced);
    let mut follower = Follower { directory: directory.clone(), node, last: first, refused: None, inputs };
    Watch::start(&directory, move || follower.look())
}

struct Follower {
    directory: PathBuf,
    node: String,
    last: Manifests,
    refused: Option<ReadErrors>,
    inputs: Sender<Input>,
}

impl Follower {
    fn look(&mut self) {
        match read(&self.directory, &self.node) {
            Ok(manifests) => {
                if self.refused.take().is_some() {
                    tracing::info!(directory = %self.directory.display(), "the manifests can be read again");
                }
                let changes = changes(&self.last, &manifests);
                self.last = manifests;
                if !changes.is_empty() {
                    let _ = self.inputs.send(Input::Changes(changes));
                }
            }
            Err(errors) if self.refused.as_ref() == Some(&errors) => {}
            Err(errors) => {
                tracing::error!(%errors, "manifests refused: the last good state stays in force");
                self.refused = Some(errors);
            }
        }
    }
}

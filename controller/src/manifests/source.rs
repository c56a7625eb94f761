//! The directory as a source of the agent.

use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::UnboundedSender;

use super::{Hints, Manifests, ReadErrors, Watch, changes, read};
use crate::input::Input;
use crate::text::some_of;

/// How many errors of a state of the directory are logged.
const ERRORS_LOGGED: usize = 20;
/// How much of each, in bytes.
const LONGEST_ERROR: usize = 300;

/// Sends what `first` holds, and from then on every change of the directory, for as long as the result is held.
///
/// A state of the directory that cannot be read as a whole changes nothing: it is logged, and the last good state stays. What
/// is hardly meant in it is logged, and stands in `hints`.
///
/// # Errors
/// Where the watching thread cannot be started.
pub fn follow(
    directory: &Path,
    node: String,
    first: Manifests,
    inputs: UnboundedSender<Input>,
    hints: Hints,
) -> io::Result<Watch> {
    hints.set(first.hints(&node));
    // An agent that no longer listens is stopping.
    let _ = inputs.send(Input::PodRange(first.pod_range(&node)));
    let _ = inputs.send(Input::Changes(first.clone().into_changes().collect()));
    let _ = inputs.send(Input::Synced);
    let mut follower = Follower { directory: directory.to_owned(), node, last: first, refused: None, inputs, hints };
    Watch::start(directory, move || follower.look())
}

struct Follower {
    directory: PathBuf,
    node: String,
    last: Manifests,
    refused: Option<ReadErrors>,
    inputs: UnboundedSender<Input>,
    hints: Hints,
}

impl Follower {
    fn look(&mut self) {
        match read(&self.directory, &self.node) {
            Ok(manifests) => {
                if self.refused.take().is_some() {
                    tracing::info!(directory = %self.directory.display(), "the manifests can be read again");
                }
                self.hints.set(manifests.hints(&self.node));
                let changes = changes(&self.last, &manifests);
                let range = manifests.pod_range(&self.node);
                if range != self.last.pod_range(&self.node) {
                    let _ = self.inputs.send(Input::PodRange(range));
                }
                self.last = manifests;
                if !changes.is_empty() {
                    let _ = self.inputs.send(Input::Changes(changes));
                }
            }
            Err(errors) if self.refused.as_ref() == Some(&errors) => {}
            Err(errors) => {
                let told = some_of(&errors.0, ERRORS_LOGGED, LONGEST_ERROR, "\n");
                tracing::error!(errors = told, "manifests refused: the last good state stays in force");
                self.refused = Some(errors);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use palisade_model::Change;
    use tempfile::TempDir;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::timeout;

    use super::*;

    const SHOP: &str = "{kind: Namespace, apiVersion: v1, metadata: {name: shop}}";
    const OFFICE: &str = "{kind: Namespace, apiVersion: v1, metadata: {name: office}}";

    const NODE: &str = "{kind: Node, apiVersion: v1, metadata: {name: node}, spec: {podCIDRs: [10.1.0.0/24]}}";

    /// Far longer than anything takes: only a failing test waits for it.
    const WATCHDOG: Duration = Duration::from_secs(30);

    async fn names(inputs: &mut UnboundedReceiver<Input>) -> Vec<String> {
        match timeout(WATCHDOG, inputs.recv()).await.expect("something is sent").unwrap() {
            Input::Changes(changes) => changes
                .into_iter()
                .map(|change| match change {
                    Change::Namespace(namespace) => namespace.name.to_string(),
                    change => panic!("{change:?}"),
                })
                .collect(),
            Input::PodRange(networks) => vec![format!("range of {}", networks.len())],
            Input::Synced => vec!["synced".to_owned()],
            Input::Links(_)
            | Input::Cni(_)
            | Input::Told(..)
            | Input::Connections(..)
            | Input::Disturbed(_)
            | Input::Stop => {
                panic!("nobody asked for that")
            }
        }
    }

    /// Neither an event nor a difference between two looks tells of it.
    #[tokio::test]
    async fn what_changed_between_reading_and_watching_is_not_missed() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("shop.yaml"), SHOP).unwrap();
        let first = read(directory.path(), "node").unwrap();
        fs::write(directory.path().join("office.yaml"), OFFICE).unwrap();
        let (send, mut inputs) = unbounded_channel();
        let _watch = follow(directory.path(), "node".into(), first, send, Hints::default()).unwrap();
        assert_eq!(names(&mut inputs).await, ["range of 0"]);
        assert_eq!(names(&mut inputs).await, ["shop"]);
        assert_eq!(names(&mut inputs).await, ["synced"]);
        assert_eq!(names(&mut inputs).await, ["office"]);
        fs::write(directory.path().join("node.yaml"), NODE).unwrap();
        assert_eq!(names(&mut inputs).await, ["range of 1"]);
    }
}

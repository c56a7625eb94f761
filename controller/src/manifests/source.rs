//! The directory as a source of the agent.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use tokio::sync::mpsc::UnboundedSender;

use super::{Hints, Known, Manifests, ReadErrors, Seen, Watch, read};
use crate::input::Input;
use crate::text::some_of;

/// How many errors of a state of the directory are logged.
const ERRORS_LOGGED: usize = 20;
/// How much of each, in bytes.
const LONGEST_ERROR: usize = 300;

/// Sends what the directory holds, and from then on every change of it, for as long as the result is held.
///
/// A state of the directory that cannot be read as a whole changes nothing: it is logged, and the last good state stays. What
/// is hardly meant in it is logged, and stands in `hints`.
///
/// # Errors
/// Where it cannot be read now, or the watching thread cannot be started.
pub fn follow(directory: &Path, node: String, inputs: UnboundedSender<Input>, hints: Hints) -> anyhow::Result<Watch> {
    let seen = Seen::of(directory);
    let first = read(directory, &node)?;
    let mut follower = Follower {
        directory: directory.to_owned(),
        node,
        known: Known::default(),
        pod_range: None,
        refused: None,
        inputs,
        hints,
    };
    follower.take(first);
    // An agent that no longer listens is stopping.
    let _ = follower.inputs.send(Input::Synced);
    Ok(Watch::start(directory, seen, move || follower.look())?)
}

struct Follower {
    directory: PathBuf,
    node: String,
    /// What was sent last.
    known: Known,
    pod_range: Option<Vec<IpNet>>,
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
                self.take(manifests);
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

impl Follower {
    /// Sends what differs from what was sent last.
    fn take(&mut self, manifests: Manifests) {
        self.hints.set(manifests.hints(&self.node));
        let range = manifests.pod_range(&self.node);
        if self.pod_range.as_ref() != Some(&range) {
            let _ = self.inputs.send(Input::PodRange(range.clone()));
            self.pod_range = Some(range);
        }
        let changes = self.known.follow(manifests);
        if !changes.is_empty() {
            let _ = self.inputs.send(Input::Changes(changes));
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
            | Input::KnownHere
            | Input::Disturbed(_)
            | Input::Stop => {
                panic!("nobody asked for that")
            }
        }
    }

    #[tokio::test]
    async fn what_changes_is_sent() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("shop.yaml"), SHOP).unwrap();
        let (send, mut inputs) = unbounded_channel();
        let _watch = follow(directory.path(), "node".into(), send, Hints::default()).unwrap();
        assert_eq!(names(&mut inputs).await, ["range of 0"]);
        assert_eq!(names(&mut inputs).await, ["shop"]);
        assert_eq!(names(&mut inputs).await, ["synced"]);
        fs::write(directory.path().join("office.yaml"), OFFICE).unwrap();
        assert_eq!(names(&mut inputs).await, ["office"]);
        fs::write(directory.path().join("node.yaml"), NODE).unwrap();
        assert_eq!(names(&mut inputs).await, ["range of 1"]);
    }
}

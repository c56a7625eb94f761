//! What is remembered of a sandbox.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use palisade_cni::{Add, AttachmentId};
use palisade_model::{Age, NamespacedName, Pod, Sandbox};
use serde::{Deserialize, Serialize};

use crate::remembered::Remembered;

/// A sandbox, with what policy sees of its pod: the pod may be gone from the API when this is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: AttachmentId,
    /// Grows with each: of two sandboxes with one address the later one has it.
    pub(super) sequence: u64,
    pub(super) network: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Option<String>,
    pub(super) netns: String,
    pub(super) addresses: BTreeSet<IpAddr>,
    created: i64,
    #[serde(flatten)]
    seen: Remembered,
}

impl Record {
    /// Of `pod`, as the plugin says.
    pub(super) fn new(add: &Add, pod: &Pod, sequence: u64) -> Self {
        Self {
            id: add.id.clone(),
            sequence,
            network: add.network.clone(),
            namespace: add.namespace.clone(),
            name: add.name.clone(),
            uid: add.uid.clone().or_else(|| pod.uid.as_ref().map(ToString::to_string)),
            netns: add.netns.clone(),
            addresses: add.addresses.clone(),
            created: pod.age.created,
            seen: Remembered::of(pod),
        }
    }

    /// Takes over what policy sees of its pod now.
    pub(super) fn see(&mut self, pod: &Pod) {
        self.seen = Remembered::of(pod);
    }

    /// Whether its network namespace is known to be gone: nothing is known of directories that are not seen from here, and of
    /// those of processes.
    pub(super) fn is_gone(&self) -> bool {
        let path = self.seen_from_here();
        let keeps_names = |directory: &Path| !directory.starts_with("/proc") && directory.is_dir();
        path.parent().is_some_and(keeps_names) && !path.exists()
    }

    /// Whether its network namespace is seen.
    pub(super) fn is_there(&self) -> bool {
        self.seen_from_here().exists()
    }

    /// `/var/run` is `/run` on the node, but not in a container.
    fn seen_from_here(&self) -> PathBuf {
        let netns = Path::new(&self.netns);
        netns.strip_prefix("/var/run").map_or_else(|_| netns.to_owned(), |rest| Path::new("/run").join(rest))
    }

    /// As the index takes it.
    pub(super) fn sandbox(&self) -> Sandbox {
        let id = NamespacedName::new(self.namespace.as_str(), self.name.as_str());
        let (uid, age) = (self.uid.as_deref().map(Into::into), Age { revision: 0, created: self.created });
        let pod = Pod { uid, age, ..self.seen.pod(id, Vec::new()) };
        Sandbox { id: self.id.to_string().into(), pod, addresses: self.addresses.iter().copied().collect() }
    }
}

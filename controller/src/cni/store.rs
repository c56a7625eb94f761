//! The directory of sandboxes: a small file each, under `/run`, which a restart of the node empties.
//!
//! Invariants:
//! - A file is whole or not there: it is written under another name first.
//! - Only the agent's user reads and writes it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use palisade_cni::{AttachmentId, ENFORCED};
use palisade_model::Sandbox;
use thiserror::Error;

use super::record::Record;

/// How long what is remembered of a sandbox may be, in bytes: `/run` is memory, and tenants write labels of a megabyte.
const LONGEST: usize = 64 << 10;
/// What is written first; no sandbox is called so.
const NEW: &str = ".new";

/// The directory.
#[derive(Debug)]
pub struct Store(PathBuf);

/// Why something is not remembered.
#[derive(Debug, Error)]
#[error("{}: {source}", path.display())]
pub struct StoreError {
    path: PathBuf,
    source: io::Error,
}

/// What an agent remembers in a directory, in the order in which it came; nothing where that is not there.
///
/// # Errors
/// Where it cannot be read.
pub fn remembered(directory: &Path) -> Result<Vec<Sandbox>, StoreError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let records = Store(directory.to_owned()).read()?;
    Ok(records.iter().filter(|record| !record.is_gone()).map(Record::sandbox).collect())
}

impl Store {
    /// The directory, made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| StoreError { path: directory.to_owned(), source })?;
        Ok(Self(directory.to_owned()))
    }

    /// All that it holds, in the order in which they came. What cannot be read is logged, and stays.
    pub(super) fn read(&self) -> Result<Vec<Record>, StoreError> {
        let failed = |source| StoreError { path: self.0.clone(), source };
        let entries = fs::read_dir(&self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
        let is_one = |path: &PathBuf| path.file_name().is_some_and(|name| name != ENFORCED && name != NEW);
        let paths = entries.iter().map(fs::DirEntry::path).filter(is_one);
        let mut records: Vec<Record> = paths.filter_map(|path| read(&path)).collect();
        records.sort_by_key(|record| record.sequence);
        Ok(records)
    }

    pub(super) fn write(&self, record: &Record) -> Result<(), StoreError> {
        let text = serde_json::to_string(record).map_err(io::Error::from);
        let too_long = || io::Error::other("the pod's labels and port names are too long to be remembered");
        let text = text.and_then(|text| if text.len() > LONGEST { Err(too_long()) } else { Ok(text) });
        text.and_then(|text| self.replace(&record.id.to_string(), text.as_bytes()))
            .map_err(|source| StoreError { path: self.0.join(record.id.to_string()), source })
    }

    /// It may be gone already: the plugin removes it, too.
    pub(super) fn remove(&self, id: &AttachmentId) {
        let path = self.0.join(id.to_string());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "what is remembered of a sandbox cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    pub(super) fn holds(&self, id: &AttachmentId) -> bool {
        self.0.join(id.to_string()).exists()
    }

    /// Notes that this node's pods are judged, and will be until it restarts.
    pub(super) fn note_enforced(&self) {
        if let Err(error) = self.replace(ENFORCED, b"") {
            tracing::warn!(%error, "not noted that this node's pods are judged: its network is not ready while the agent is away");
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.0.join(NEW);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        fs::rename(new, self.0.join(name))
    }
}

fn read(path: &Path) -> Option<Record> {
    let record = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    let warn = |error: &io::Error| tracing::warn!(path = %path.display(), %error, "a sandbox cannot be read");
    record.inspect_err(warn).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use palisade_model::{Labels, Pod};

    use super::super::desk::tests::{add, web};
    use super::*;

    #[test]
    fn what_is_written_is_read_in_the_order_in_which_it_came() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/sandboxes");
        let store = Store::open(&path).unwrap();
        let record = |id: &str, sequence| Record::new(&add(id, "10.0.0.1"), &web(), sequence);
        let [first, second] = [record("z", 1), record("a", 2)];
        for record in [&second, &first] {
            store.write(record).unwrap();
        }
        store.note_enforced();
        assert_eq!(store.read().unwrap(), [first.clone(), second]);
        assert_eq!(first.sandbox().pod.labels, web().labels);
        assert_eq!(first.sandbox().pod.ports, web().ports);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("z:eth0"))), (0o700, 0o600));
        store.remove(&first.id);
        store.remove(&first.id);
        assert_eq!(store.read().unwrap().len(), 1);
    }

    #[test]
    fn a_tenant_fills_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let labels = (0..1000).map(|number| (format!("{number}{}", "k".repeat(60)), "v".repeat(60)));
        let pod = Pod { labels: labels.collect::<Labels>(), ..web() };
        let error = store.write(&Record::new(&add("a", "10.0.0.1"), &pod, 1)).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        assert_eq!(store.read().unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.write(&Record::new(&add("a", "10.0.0.1"), &web(), 1)).unwrap();
        fs::write(directory.path().join("b:eth0"), "{\"id\":").unwrap();
        assert_eq!(store.read().unwrap().len(), 1);
    }
}

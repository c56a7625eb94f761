use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "palisade-api-";
const LOCK: &str = "lock";

/// A temporary directory that is gone with this process, at the latest when the next one is made after the process was
/// killed.
pub(super) struct Directory {
    files: TempDir,
    /// Locked for as long as this process lives.
    _lock: File,
}

impl Directory {
    /// In memory, where there is a file system for that: etcd waits for the disk at each write.
    pub(super) fn create() -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::create_in(memory) } else { Self::create_in(&std::env::temp_dir()) }
    }

    pub(super) fn path(&self) -> &Path {
        self.files.path()
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent)?;
        let files = TempDir::with_prefix_in(PREFIX, parent)?;
        let unlocked = files.path().join("unlocked");
        let lock = File::create(&unlocked)?;
        lock.lock()?;
        fs::rename(unlocked, files.path().join(LOCK))?;
        Ok(Self { files, _lock: lock })
    }
}

fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_ours && File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            // Another process may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_held_stays() {
        let parent = tempfile::tempdir().unwrap();
        let held = Directory::create_in(parent.path()).unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}abandoned"));
        fs::create_dir(&abandoned).unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        let _new = Directory::create_in(parent.path()).unwrap();
        assert!(held.path().exists() && !abandoned.exists());
    }
}
